#include "store/redis/connection.h"

#include <algorithm>
#include <utility>

#include "mg/base/random.h"
#include "mg/utils/errors/convert.h"

namespace mg::redis {

Connection::Connection(Loop& loop, std::shared_ptr<const Options> options, std::shared_ptr<const Endpoint> endpoint,
                       std::shared_ptr<Counters> counters, Kind kind)
    : loop_(loop),
      options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      counters_(std::move(counters)),
      kind_(kind),
      idle_since_(loop.now()) {}

Connection::~Connection() = default;

std::string Connection::where() const {
  return fmt::format("{}:{}", endpoint_->host, endpoint_->port);
}

// ---- calls ----------------------------------------------------------------------------------------------------------

Result<void> Connection::submit(const Command& command, Call& call) {
  if (closed_) return fail(code::kUnavailable, "redis at {}: closed; {} was not sent", where(), command.name());
  if (command.too_large()) {
    return fail(code::kInvalid, "an argument of {} has more than {} octets", command.name(), Command::kMaxArgument);
  }
  if (in_flight() >= options_->max_calls) {
    ++counters_->stats.refused;
    return fail(code::kTooMany, "redis at {}: {} calls are on their way; {} was not sent", where(), in_flight(),
                command.name());
  }
  if (!is_ready()) {
    if (hopeless_) return fail(code::kUnavailable, "redis at {}: {}", where(), last_failure_);
    call.encoded = command.encoded();
    call.replies = static_cast<std::uint32_t>(command.replies());
    call.owner = this;
    call.number = next_waiting_++;
    waiting_.emplace(call.number, &call);
    open();
    return {};
  }
  if (stream_->queued() > options_->max_output_bytes) {
    ++counters_->stats.refused;
    return fail(code::kTooMany, "redis at {}: {} octets wait to be sent; {} was not", where(), stream_->queued(),
                command.name());
  }
  write(command);
  put_slot(call, static_cast<std::uint32_t>(command.replies()));
  return {};
}

void Connection::say(const Command& command) {
  if (is_ready()) write(command);
}

void Connection::write(const Command& command) {
  const std::size_t size = command.wire_size();
  command.encode(stream_->reserve(size));
  stream_->commit(size);
}

void Connection::put_slot(Call& call, std::uint32_t replies) {
  ++counters_->stats.calls;
  call.owner = this;
  call.number = first_slot_ + slots_.size();
  call.link = link_;
  call.replies = replies;
  slots_.push_back({&call, loop_.now(), replies});
  if (!silence_.armed()) watch_silence();
}

void Connection::forget(Call& call) {
  call.owner = nullptr;
  if (call.link == 0) {
    waiting_.erase(call.number);
    check_quiet();
  } else {
    slots_[call.number - first_slot_].call = nullptr;
  }
}

// A reply to its call; false: nobody has asked for it.
bool Connection::deliver(Reply reply) {
  if (slots_.empty()) return false;
  Slot& slot = slots_.front();
  if (--slot.left > 0) {
    if (slot.call && reply.is_error() && !slot.call->fault) slot.call->fault = std::move(reply);
    return true;
  }
  Call* const call = slot.call;
  slots_.pop_front();
  ++first_slot_;
  if (slots_.empty()) idle_since_ = loop_.now();
  if (!call) {
    ++counters_->stats.late;
    check_quiet();
    return true;
  }
  call->owner = nullptr;
  if (call->fault && reply.is_error()) reply = *std::move(call->fault);
  call->done.set(std::move(reply));
  check_quiet();
  return true;
}

void Connection::check_quiet() {
  if (slots_.empty() && waiting_.empty() && on_quiet) on_quiet();
}

Error Connection::too_late(const Call& call, std::string_view name) const {
  if (call.link == 0) {
    return make_error(code::kUnavailable,
                      fmt::format("redis at {}: no connection ({}); {} was not sent", where(), last_failure_, name));
  }
  return make_error(code::kTimeout, fmt::format("redis at {}: no reply to {} in time; it may have run", where(), name));
}

// ---- its life -------------------------------------------------------------------------------------------------------

void Connection::open() {
  if (state_ != State::kIdle || closed_) return;
  state_ = State::kConnecting;
  spawn(serve(shared_from_this()));
}

Task<Result<void>> Connection::ready(Deadline deadline) {
  if (closed_) co_return fail(code::kUnavailable, "redis at {}: closed", where());
  if (is_ready()) co_return Result<void>();
  open();
  const auto self = shared_from_this();
  Waiter waiter;
  waiters_.push_back(&waiter);
  struct Leave {
    Connection& connection;
    Waiter* waiter;
    ~Leave() { std::erase(connection.waiters_, waiter); }
  } leave{*this, &waiter};
  auto done = co_await waiter.done.wait(loop_, deadline);
  if (!done) co_return fail(code::kUnavailable, "redis at {}: no connection in time ({})", where(), last_failure_);
  co_return *std::move(done);
}

void Connection::tell_waiters(const Result<void>& result) {
  while (!waiters_.empty()) {
    Waiter* const waiter = waiters_.back();
    waiters_.pop_back();
    waiter->done.set(result);
  }
}

// One life after the other.
Task<void> Connection::serve(std::shared_ptr<Connection> self) {
  Connection& me = *self;
  const Options& options = *me.options_;
  Clock::Duration pause = options.first_pause;
  while (!me.closed_) {
    ++me.counters_->stats.connects;
    me.state_ = State::kConnecting;
    me.hopeless_ = false;
    me.drop_reason_.clear();
    const Deadline deadline = Deadline::after(me.loop_.now(), options.connect_timeout);
    me.connector_.emplace(me.loop_, me.endpoint_->host, me.endpoint_->port);
    Result<int> fd = co_await me.connector_->connect(deadline);
    me.connector_.reset();
    bool was_ready = false;
    if (!fd) {
      me.last_failure_ = fd.error().detail;
    } else if (me.closed_) {
      me.stream_.emplace(me.loop_, *fd, nullptr);
    } else {
      me.stream_.emplace(me.loop_, *fd, nullptr);
      me.silence_.arm(me.loop_, deadline.time());
      me.begin_handshake();
      me.last_failure_ = co_await me.converse();
      was_ready = me.state_ == State::kReady;
    }
    me.silence_.cancel();
    me.stream_.reset();
    me.state_ = State::kPausing;
    if (was_ready) {
      ++me.counters_->stats.lost;
      pause = options.first_pause;
    }
    const bool over = me.closed_ || me.kind_ == Kind::kDedicated;
    me.closed_ = over;
    me.end_link(make_error(code::kUnavailable, fmt::format("redis at {}: {}", me.where(), me.last_failure_)),
                me.hopeless_ || over);
    if (me.closed_) break;
    // A random half is left out, so that many clients do not come back in step.
    const auto ns = static_cast<std::uint64_t>(pause.count());
    const Clock::Duration part(static_cast<Clock::Duration::rep>(ns / 2 + SystemRandom().below(ns / 2 + 1)));
    me.pause_.emplace();
    co_await me.pause_->wait(me.loop_, Deadline::after(me.loop_.now(), part));
    me.pause_.reset();
    pause = std::min(pause * 2, options.longest_pause);
  }
  me.closed_ = true;
  me.state_ = State::kIdle;
  if (me.on_gone) std::exchange(me.on_gone, nullptr)();
}

void Connection::begin_handshake() {
  state_ = State::kHandshake;
  link_ = counters_->next_link++;
  parser_ = ReplyParser({.max_bulk_bytes = options_->max_reply_bytes, .max_reply_bytes = options_->max_reply_bytes});
  handshake_.clear();
  const auto say = [this](Command command) {
    handshake_.insert(handshake_.begin(), std::string(command.name()));
    write(command);
  };
  if (!endpoint_->user.empty()) {
    say(Command("AUTH", endpoint_->user, endpoint_->password));
  } else if (!endpoint_->password.empty()) {
    say(Command("AUTH", endpoint_->password));
  }
  if (options_->db != 0) say(Command("SELECT", options_->db));
  if (!options_->name.empty()) say(Command("CLIENT", "SETNAME", options_->name));
  say(Command("PING"));
}

// False: we are refused.
bool Connection::on_handshake(Reply reply) {
  const std::string name = std::move(handshake_.back());
  handshake_.pop_back();
  if (reply.is_error()) {
    const Error error = errors::from_redis(reply.text);
    drop_reason_ = fmt::format("{} was refused ({})", name, reply.text);
    // A server that loads its data, or has not enough connections, will be there soon.
    hopeless_ = error.code == code::kUnauthorized || error.code == code::kInvalid || error.code == code::kForbidden;
    return false;
  }
  if (reply.kind != Reply::Kind::kStatus) {
    drop_reason_ = fmt::format("the reply to {} is {}", name, describe(reply));
    return false;
  }
  if (handshake_.empty()) become_ready();
  return true;
}

void Connection::become_ready() {
  state_ = State::kReady;
  silence_.cancel();
  idle_since_ = loop_.now();
  while (!waiting_.empty()) {
    Call& call = *waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    stream_->write(as_bytes(call.encoded));
    std::string().swap(call.encoded);
    put_slot(call, call.replies);
  }
  if (on_ready) on_ready();
  tell_waiters({});
}

// From the handshake to the end of the connection. Returns: why it ended.
Task<std::string> Connection::converse() {
  for (;;) {
    const Stream::Input got = co_await stream_->fill(parser_.want());
    if (got == Stream::Input::kMore) {
      for (;;) {
        if (!drop_reason_.empty()) break;
        std::size_t used = 0;
        const auto status = parser_.next(stream_->input(), &used);
        stream_->consume(used);
        if (status == ReplyParser::Status::kMore) break;
        if (status == ReplyParser::Status::kBroken) {
          drop_reason_ = fmt::format("it does not speak RESP: {}", parser_.error());
          break;
        }
        if (state_ == State::kHandshake) {
          if (!on_handshake(parser_.take())) break;
        } else if (on_push) {
          on_push(parser_.take());
        } else if (!deliver(parser_.take())) {
          drop_reason_ = "it sent a reply that nobody asked for";
        }
      }
    }
    if (!drop_reason_.empty()) {
      if (!stream_->closed()) stream_->abort();
      co_return drop_reason_;
    }
    if (got != Stream::Input::kMore) {
      co_return fmt::format("connection lost ({})",
                            stream_->failure().empty() ? std::string_view("closed by the server") : stream_->failure());
    }
  }
}

// What was sent may have run. What was not waits on, unless there is no hope.
void Connection::end_link(const Error& error, bool hopeless) {
  while (!slots_.empty()) {
    Call* const call = slots_.front().call;
    slots_.pop_front();
    ++first_slot_;
    if (!call) continue;
    call->owner = nullptr;
    call->done.set(fail(code::kServer, "{}; the command may have run", error.detail));
  }
  if (hopeless) {
    while (!waiting_.empty()) {
      Call& call = *waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      call.owner = nullptr;
      call.done.set(fail(code::kUnavailable, "{}; the command was not sent", error.detail));
    }
  }
  tell_waiters(std::unexpected(error));
  check_quiet();
}

void Connection::drop(std::string_view why) {
  if (!stream_ || !drop_reason_.empty()) return;
  drop_reason_ = why;
  stream_->abort();
}

void Connection::close() {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  if (connector_) connector_->cancel();
  if (pause_) pause_->set(true);
  drop("closed");
  if (state_ == State::kIdle && on_gone) std::exchange(on_gone, nullptr)();
}

// ---- a server that says nothing -------------------------------------------------------------------------------------

void Connection::watch_silence() {
  if (kind_ == Kind::kShared) silence_.arm(loop_, loop_.now() + options_->silence);
}

void Connection::on_silence() {
  if (state_ == State::kHandshake) return drop("no answer to the handshake in time");
  if (slots_.empty()) return;
  const TimePoint due = slots_.front().at + options_->silence;
  if (due > loop_.now()) return silence_.arm(loop_, due);
  drop(fmt::format("no reply for {} ms", std::chrono::ceil<std::chrono::milliseconds>(options_->silence).count()));
}

}  // namespace mg::redis
