#include "agent/connection.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "agent/gate.h"
#include "mg/base/log.h"
#include "mg/runtime/fetch.h"
#include "runtime/ended.h"

namespace mg::agent {
namespace {

constexpr std::size_t kDrainStep = 64 * 1024;

}  // namespace

struct Connection::Queued {
  codec::ServerHead head;
  std::string payload;
  SharedBytes encoded;  // Instead of head and payload, for a broadcast.
  std::uint64_t key = 0;

  std::size_t size() const { return encoded ? encoded.size() : payload.size() + 24; }
};

struct Connection::Backlog {
  std::deque<Queued> messages;
  std::size_t octets = 0;
};

struct Connection::Slot {
  WorkPtr work;
  std::string payload;
  bool done = false;
  std::optional<std::string> failure;
};

// A ring: slots between first and first + count are in flight, oldest first.
struct Connection::Pipeline {
  std::vector<Slot> slots;
  std::size_t first = 0;
  std::size_t count = 0;
  bool wants_empty = false;  // The waiter waits for the last one, not for a place.
};

// What few connections need.
struct Connection::Rare {
  std::unique_ptr<Backlog> backlog;    // Made when a socket is full.
  std::unique_ptr<Pipeline> pipeline;  // Made when depth > 1.
  std::string reason;                  // Why it ends; the first one counts.
};

Connection::Rare& Connection::rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}
Connection::Backlog* Connection::backlog() const {
  return rare_ ? rare_->backlog.get() : nullptr;
}
Connection::Pipeline* Connection::pipeline() const {
  return rare_ ? rare_->pipeline.get() : nullptr;
}
std::string_view Connection::reason() const {
  return rare_ ? std::string_view(rare_->reason) : std::string_view();
}

struct Connection::Writable {
  Connection& connection;
  bool await_ready() const noexcept { return !connection.congested(); }
  void await_suspend(std::coroutine_handle<> awaiter) const noexcept { connection.waiter_ = awaiter; }
  void await_resume() const noexcept {}
};

Connection::Connection(LoopState& state, const Transport& transport, int fd, const TlsContext* tls)
    : state_(state),
      stream_(state.loop, fd, this, tls),
      framer_(transport.make_framer()),
      timer_([](void* self) { static_cast<Connection*>(self)->on_timer(); }, this),
      since_(state.loop.now()),
      last_received_(state.loop.now()) {
  state_.add(*this);
}

Connection::~Connection() {
  state_.remove(*this);
  state_.gate.connections.fetch_sub(1, std::memory_order_relaxed);
  state_.gate.ended();
}

void Connection::start() {
  arm(state_.loop.now() + state_.gate.options.handshake_timeout);
  spawn(serve());
}

// --- the life of a connection ----------------------------------------------------------------------------------------

// What serve() waits for next.
struct Connection::Wait {
  enum Kind : std::uint8_t { kInput, kTask, kEnd } kind = kEnd;
  std::size_t want = 0;                  // kInput: octets that would make a whole message, 0: any.
  Task<void> task = Task<void>::done();  // kTask
};

// The frame of this coroutine is what an idle connection costs beside the object itself: little lives across a wait.
Task<void> Connection::serve() {
  const std::unique_ptr<Connection> self(this);
  for (;;) {
    Wait wait = advance();
    if (wait.kind == Wait::kEnd) break;
    if (wait.kind == Wait::kTask) {
      co_await wait.task;
      continue;
    }
    if (!received(co_await stream_.fill(wait.want))) {
      break;
    }
  }
  if (pipeline()) co_await pipeline_empty();
  closing_ = true;
  end_client(reason().empty() ? "closed" : reason());

  // Last words go out; then the peer has a moment to close, so that they are not lost in a reset.
  if (!stream_.closed()) {
    stream_.finish();
    linger();
    while (co_await stream_.fill() == Stream::Input::kMore) stream_.consume(stream_.input().size());
  }
}

// Handles what has been received, up to the point where something has to be waited for.
Connection::Wait Connection::advance() {
  // Messages that are handled at once take turns in it.
  struct Lease {
    LoopState& state;
    WorkPtr work;
    ~Lease() {
      if (work) state.give_work(std::move(work));
    }
  };
  Lease lease{state_, {}};
  while (!closing_) {
    stream_.consume(std::exchange(consumed_, 0));
    if (stream_.closed()) return {.kind = Wait::kInput};  // Which says why.
    if (!lease.work) lease.work = state_.take_work();
    const FrameStep step = framer_->next(stream_.input(), stream_, lease.work->packet);
    switch (step.kind) {
      case FrameStep::kNeedMore:
        stream_.consume(step.consumed);
        if (stream_.input().empty()) {
          partial_ = false;
        } else if (!partial_) {
          partial_ = true;
          partial_since_ = Moment(state_.loop.now());
          arm(state_.loop.now() + state_.gate.options.read_timeout);
        }
        return {.kind = Wait::kInput, .want = step.want};
      case FrameStep::kPacket: {
        partial_ = false;
        consumed_ = static_cast<std::uint32_t>(step.consumed);
        state_.messages_in.add();
        const bool later = over_rate(lease.work->packet.payload.size()) || congested();
        Task<void> task = later ? handle_when_allowed(std::move(lease.work)) : handle(lease.work);
        if (!task.ready()) return {.kind = Wait::kTask, .task = std::move(task)};
        break;
      }
      case FrameStep::kOpen:
        partial_ = false;
        consumed_ = static_cast<std::uint32_t>(step.consumed);
        open();
        break;
      case FrameStep::kConsumed:
        consumed_ = static_cast<std::uint32_t>(step.consumed);
        break;
      case FrameStep::kClose:
        set_reason(step.reason);
        return {};
    }
  }
  return {};
}

// False when there will be no more input.
bool Connection::received(Stream::Input input) {
  if (input == Stream::Input::kMore) {
    last_received_ = Moment(state_.loop.now());
    awaiting_pong_ = false;
    return true;
  }
  if (!closing_) set_reason(stream_.failure().empty() ? "closed by peer" : stream_.failure());
  return false;
}

// The handshake is over: the connection carries a client from here on.
void Connection::open() {
  LoopState& state = state_;
  std::string ip = framer_->client_ip();
  if (ip.empty()) ip = stream_.peer_ip();
  const Uuid id = Uuid::v4(state_.gate.random);
  std::array<char, Uuid::kTextSize> text{};
  id.write(text);
  since_ = last_received_ = ping_at_ = Moment(state.loop.now());
  heartbeats_ = framer_->heartbeats();
  client_ = ClientPtr(
      new Client(state_.gate, state.loop, id,
                 AgentMeta(state_.gate.name, state_.gate.node_id, std::string_view(text.data(), text.size()), ip)));
  client_->connection_ = this;
  state.add(*client_);
  state_.gate.table.add(client_);
  state_.gate.index.add(*client_, client_->meta_);
  on_timer();
  log::debug("connected {} {}", std::string_view(text.data(), text.size()), ip);
  if (state_.gate.on_connect) state_.gate.on_connect(*client_);
  if (state_.gate.stopping.load(std::memory_order_relaxed)) close("stopping", Farewell::kGoingAway);
}

// The client's presence ends, once; what is left is the socket.
void Connection::end_client(std::string_view reason) {
  if (!client_) return;
  ClientPtr client = std::exchange(client_, {});
  client->connection_ = nullptr;
  client->connected_.store(false, std::memory_order_relaxed);
  state_.remove(*client);
  state_.gate.index.remove(*client, client->meta_);
  state_.gate.table.remove(client->id());
  if (client->online_.exchange(false)) state_.gate.online.fetch_sub(1, std::memory_order_relaxed);
  log::debug("disconnected {} {}", client->id().text(), reason);
  if (!state_.gate.on_disconnect) return;
  state_.gate.alive.fetch_add(1, std::memory_order_relaxed);
  spawn([](Gate& gate, ClientPtr gone, std::string why) -> Task<void> {
    try {
      co_await gate.on_disconnect(std::move(gone), std::move(why));
    } catch (const std::exception& e) {
      log::error("on_disconnect threw: {}", e.what());
    }
    gate.ended();
  }(state_.gate, std::move(client), std::string(reason)));
}

void Connection::set_reason(std::string_view reason) {
  if (Rare& own = rare(); own.reason.empty()) own.reason = reason;
}

// --- messages --------------------------------------------------------------------------------------------------------

// Starts the handler, which may throw instead of giving a task.
Task<Result<void>> Connection::start_handler(Work& work) {
  try {
    Task<Result<void>> task = state_.gate.on_receive(*client_, work.packet, work.reply);
    task.start();
    return task;
  } catch (const std::exception& e) {
    return fail(code::kServer, "{}", e.what());
  } catch (...) {
    return fail(code::kServer, "the handler threw something that is no exception");
  }
}

// Hands a message on. A handler that is done at once costs no coroutine here, and leaves `work` to be used again.
Task<void> Connection::handle(WorkPtr& work) {
  if (state_.gate.options.depth > 1) {
    if (!pipeline()) {
      rare().pipeline = std::make_unique<Pipeline>();
      pipeline()->slots.resize(state_.gate.options.depth);
    }
    if (pipeline()->count == pipeline()->slots.size()) return handle_ahead(std::move(work));
    start_slot(std::move(work));
    return Task<void>::done();
  }
  busy_ = true;
  Task<Result<void>> task = start_handler(*work);
  if (!task.ready()) return handle_later(std::move(work), std::move(task));
  finish(*work, task);
  return Task<void>::done();
}

Task<void> Connection::handle_later(WorkPtr work, Task<Result<void>> task) {
  co_await Ended(task);
  last_received_ = Moment(state_.loop.now());  // Nothing was read meanwhile; that is not the peer's silence.
  finish(*work, task);
  state_.give_work(std::move(work));
}

namespace {

// How a handler ended: nothing, or why the client is to be closed.
std::optional<std::string> failure_of(Task<Result<void>>& task) {
  try {
    const Result<void> done = task.take();
    if (!done) return to_json(done.error());
    return std::nullopt;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "the handler threw something that is no exception";
  }
}

}  // namespace

void Connection::finish(Work& work, Task<Result<void>>& task) {
  busy_ = false;
  if (task.succeeded()) [[likely]] {
    answer(work.packet.head, work.reply);
  } else if (const auto failure = failure_of(task)) {
    close(*failure, Farewell::kError);
  } else {
    answer(work.packet.head, work.reply);
  }
  work.clear();
  if (draining_) close("stopping", Farewell::kGoingAway);
}

// Waits until there is room in the pipeline.
Task<void> Connection::handle_ahead(WorkPtr work) {
  co_await pipeline_room();
  if (!closing_) {
    start_slot(std::move(work));
  } else {
    state_.give_work(std::move(work));
  }
}

// Forwarded ahead: the message gets a copy of its own and the next one is read meanwhile.
// Requires: room in the pipeline.
void Connection::start_slot(WorkPtr work) {
  Pipeline& ring = *pipeline();
  Slot& slot = ring.slots[(ring.first + ring.count) % ring.slots.size()];
  ++ring.count;
  const std::size_t size = work->packet.payload.size();
  slot.payload.assign(as_text(work->packet.payload));
  slot.work = std::move(work);
  // Not the string's own size: it was written just now, and what reads it together with the address would wait for
  // that.
  slot.work->packet.payload = Bytes(reinterpret_cast<const std::byte*>(slot.payload.data()), size);
  slot.done = false;
  Task<Result<void>> task = start_handler(*slot.work);
  if (task.ready()) {
    finish_slot(slot, std::move(task));
  } else {
    finish_slot_later(&slot, std::move(task));
  }
}

Detached Connection::finish_slot_later(Slot* slot, Task<Result<void>> task) {
  const ClientPtr client = client_;
  co_await Ended(task);
  finish_slot(*slot, std::move(task));
}

void Connection::finish_slot(Slot& slot, Task<Result<void>> task) {
  {
    Task<Result<void>> ended = std::move(task);  // What the handler holds goes before the connection may.
    if (!ended.succeeded()) [[unlikely]] {
      slot.failure = failure_of(ended);
    }
  }
  slot.done = true;
  // Replies leave in the order of their messages: all that are done at the front.
  Pipeline& ring = *pipeline();
  while (ring.count > 0 && ring.slots[ring.first].done) {
    Slot& front = ring.slots[ring.first];
    if (front.failure) {
      close(*std::exchange(front.failure, std::nullopt), Farewell::kError);
    } else {
      answer(front.work->packet.head, front.work->reply);
    }
    state_.give_work(std::move(front.work));
    front.done = false;
    ring.first = (ring.first + 1) % ring.slots.size();
    --ring.count;
  }
  if (draining_ && ring.count == 0) close("stopping", Farewell::kGoingAway);
  if (waiter_ && (ring.wants_empty ? ring.count == 0 : ring.count < ring.slots.size())) {
    std::exchange(waiter_, {}).resume();  // Last: serve() may end the connection.
  }
}

namespace {

// Suspends the connection's own coroutine until somebody resumes `waiter`.
struct Park {
  std::coroutine_handle<>& waiter;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiter) const noexcept { waiter = awaiter; }
  void await_resume() const noexcept {}
};

}  // namespace

Task<void> Connection::pipeline_room() {
  pipeline()->wants_empty = false;
  if (pipeline()->count == pipeline()->slots.size()) co_await Park{waiter_};
}

Task<void> Connection::pipeline_empty() {
  pipeline()->wants_empty = true;
  if (pipeline()->count > 0) co_await Park{waiter_};
}

void Connection::answer(const codec::ClientHead& head, const Reply& reply) {
  if (reply.code == 0 && reply.data.empty()) return;
  write({.serial = head.serial, .cmd = head.cmd, .code = reply.code}, as_bytes(reply.data),
        {.slow_client = state_.gate.options.slow_client});
}

// --- rates -----------------------------------------------------------------------------------------------------------

// Token buckets that hold one second's worth, as the time at which they will be empty again.
bool Connection::over_rate(std::size_t octets) {
  const TimePoint now = state_.loop.now();
  const auto charge = [now](TimePoint& until, std::uint64_t amount, std::uint64_t per_second) {
    if (per_second == 0) return false;
    until = std::max(until, now) + std::chrono::nanoseconds(amount * 1'000'000'000 / per_second);
    return until - now > std::chrono::seconds(1);
  };
  const bool messages = charge(rate_messages_, 1, state_.gate.options.rate_messages);
  return charge(rate_octets_, octets, state_.gate.options.rate_bytes) || messages;
}

// A client over its rate is read slower; one that does not take its answers, not at all until it does.
Task<void> Connection::handle_when_allowed(WorkPtr work) {
  const TimePoint allowed = std::max(rate_messages_, rate_octets_) - std::chrono::seconds(1);
  if (allowed > state_.loop.now()) {
    state_.throttled.add();
    busy_ = true;
    co_await state_.loop.sleep_until(allowed);
    busy_ = false;
  }
  if (congested()) co_await Writable{*this};
  last_received_ = Moment(state_.loop.now());
  if (!closing_) co_await handle(work);
  if (work) state_.give_work(std::move(work));
}

// --- writing ---------------------------------------------------------------------------------------------------------

// A client whose queue is half full is not read: who does not take answers gets no more of them made.
bool Connection::congested() const {
  return !closing_ && stream_.blocked() &&
         stream_.queued() + (backlog() ? backlog()->octets : 0) > state_.gate.options.write_queue_bytes / 2;
}

void Connection::write(const codec::ServerHead& head, Bytes payload, const WriteOptions& options) {
  if (closing_ || stream_.closed()) return;
  if (!stream_.blocked() && !backlog() && stream_.queued() + payload.size() <= state_.gate.options.write_queue_bytes)
      [[likely]] {
    framer_->encode(head, payload, stream_);
    state_.messages_out.add();
    return;
  }
  write_slowly({head, std::string(as_text(payload)), {}, options.key}, options);
}

void Connection::write_encoded(const SharedBytes& packet) {
  if (closing_ || stream_.closed()) return;
  if (!stream_.blocked() && !backlog() && stream_.queued() + packet.size() <= state_.gate.options.write_queue_bytes)
      [[likely]] {
    stream_.write_shared(packet);
    state_.messages_out.add();
    return;
  }
  write_slowly({{}, {}, packet, 0}, {.slow_client = state_.gate.options.slow_client});
}

// The queue is full, or the socket: whole messages wait in the backlog, where they can still be dropped or replaced.
void Connection::write_slowly(Queued message, const WriteOptions& options) {
  stream_.flush_now();
  if (stream_.closed()) return;
  if (!stream_.blocked() && !backlog()) {
    send(message);
    return;
  }
  if (!backlog()) rare().backlog = std::make_unique<Backlog>();
  Backlog& queue = *backlog();
  if (options.slow_client == SlowClient::kKeepLatest) {
    const auto same = std::ranges::find_if(queue.messages, [&](const Queued& queued) {
      return !queued.encoded && queued.head.cmd == message.head.cmd && queued.key == message.key;
    });
    if (same != queue.messages.end()) {
      state_.dropped.add();
      queue.octets += message.size() - same->size();
      *same = std::move(message);
      return;
    }
  }
  const std::size_t limit = state_.gate.options.write_queue_bytes;
  const auto fits = [&] { return stream_.queued() + queue.octets + message.size() <= limit; };
  if (!fits()) {
    if (options.slow_client == SlowClient::kClose) {
      state_.slow_closed.add();
      return destroy("slow client: its queue is full");
    }
    if (options.slow_client != SlowClient::kDrop) {
      while (!fits() && !queue.messages.empty()) {
        queue.octets -= queue.messages.front().size();
        queue.messages.pop_front();
        state_.dropped.add();
      }
    }
    if (!fits()) {
      state_.dropped.add();
      if (queue.messages.empty()) rare().backlog.reset();
      return;
    }
  }
  queue.octets += message.size();
  queue.messages.push_back(std::move(message));
}

void Connection::send(const Queued& message) {
  state_.messages_out.add();
  if (message.encoded) {
    stream_.write(message.encoded.bytes());
  } else {
    framer_->encode(message.head, as_bytes(message.payload), stream_);
  }
}

void Connection::on_soon() noexcept {
  fetch(framer_.get(), 80);
  if (client_) fetch(client_.get(), sizeof(Client));
}

void Connection::on_blocked() {
  arm(state_.loop.now() + state_.gate.options.write_timeout);
}

// The socket has room again: the backlog goes on, as long as the kernel takes it.
void Connection::on_drained() {
  framer_->drained(stream_);
  while (backlog() && !stream_.blocked() && !stream_.closed()) {
    Backlog& queue = *backlog();
    while (!queue.messages.empty() && stream_.queued() < kDrainStep) {
      queue.octets -= queue.messages.front().size();
      send(queue.messages.front());
      queue.messages.pop_front();
    }
    if (queue.messages.empty()) rare().backlog.reset();
    stream_.flush_now();
  }
  if (closing_ && !backlog() && !stream_.finishing() && !stream_.closed()) say_goodbye();
  if (waiter_ && !congested() && !resume_posted_) {
    // Not from here: serve() may end the connection, and with it the stream that is calling.
    resume_posted_ = true;
    state_.loop.post([this] {
      resume_posted_ = false;
      if (waiter_) std::exchange(waiter_, {}).resume();
    });
  }
}

void Connection::on_closed() {
  if (waiter_ && !resume_posted_ && !(pipeline() && pipeline()->count > 0)) std::exchange(waiter_, {}).resume();
}

// --- closing ---------------------------------------------------------------------------------------------------------

void Connection::close(std::string_view reason, Farewell farewell) {
  if (closing_ || stream_.closed()) return;
  set_reason(reason);
  closing_ = true;
  farewell_ = farewell;
  if (!backlog()) say_goodbye();
  linger();
}

// Gives what is left a moment.
void Connection::linger() {
  since_ = Moment(state_.loop.now());
  arm(state_.loop.now() + state_.gate.options.linger);
}

void Connection::say_goodbye() {
  framer_->goodbye(farewell_, reason(), stream_);
  stream_.finish();
}

void Connection::destroy(std::string_view reason) {
  if (stream_.closed()) return;
  if (!closing_) set_reason(reason);
  closing_ = true;
  if (rare_) rare_->backlog.reset();
  stream_.abort();
}

void Connection::drain() {
  if (busy_ || (pipeline() && pipeline()->count > 0)) {
    draining_ = true;
    return;
  }
  close("stopping", Farewell::kGoingAway);
}

void Connection::auth_changed() {
  if (client_ && !client_->authenticated()) {
    since_ = Moment(state_.loop.now());
    on_timer();
  }
}

// --- time ------------------------------------------------------------------------------------------------------------

// One timer stands for all of a connection's deadlines: it is armed for the earliest, and looks again when it fires.
void Connection::arm(TimePoint when) {
  if (timer_.armed() && timer_.when() <= when) return;
  timer_.arm(state_.loop, when);
}

void Connection::on_timer() {
  const AgentOptions& options = state_.gate.options;
  const TimePoint now = state_.loop.now();
  TimePoint next = TimePoint::max();
  // True when the deadline has passed; otherwise the timer will look again by then.
  const auto over = [&](TimePoint deadline) {
    if (deadline <= now) return true;
    next = std::min(next, deadline);
    return false;
  };

  if (stream_.closed()) return;
  if (stream_.blocked() && over(stream_.blocked_since() + options.write_timeout)) {
    state_.slow_closed.add();
    return destroy("slow client: it takes nothing");
  }
  if (closing_) {
    // The farewell begins when all has been sent; until then the write timeout above watches over it.
    if (backlog() || stream_.blocked()) since_ = Moment(now);
    if (over(since_.near(now) + options.linger)) return stream_.close();
  } else if (!client_) {
    if (over(since_.near(now) + options.handshake_timeout)) return destroy("handshake timeout");
  } else {
    if (options.auth_time.count() > 0 && !client_->authenticated() && over(since_.near(now) + options.auth_time)) {
      return close("authentication timeout", Farewell::kPolicy);
    }
    if (busy_) {
      over(now + std::chrono::seconds(1));  // Nothing is read while a handler runs: silence is not the peer's.
    } else {
      if (partial_ && over(partial_since_.near(now) + options.read_timeout)) {
        return close("read timeout: a message did not come whole", Farewell::kPolicy);
      }
      if (heartbeats_) {
        if (awaiting_pong_ && over(ping_at_.near(now) + options.heartbeat_deadline))
          return destroy("heartbeat timeout");
        if (options.heartbeat_interval.count() > 0 && !awaiting_pong_ &&
            over(ping_at_.near(now) + options.heartbeat_interval)) {
          if (!stream_.blocked()) framer_->ping(stream_);
          ping_at_ = Moment(now);
          awaiting_pong_ = true;
          over(now + options.heartbeat_deadline);
        }
      } else if (options.idle_timeout.count() > 0 && over(last_received_.near(now) + options.idle_timeout)) {
        return close("idle timeout", Farewell::kPolicy);
      }
    }
  }
  if (next != TimePoint::max()) {
    timer_.arm(state_.loop, next);
  }
}

}  // namespace mg::agent
