#include "rpc/link/caller.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "mg/base/random.h"
#include "mg/runtime/fetch.h"
#include "rpc/forward_wire.h"
#include "runtime/connecting.h"

namespace mg::rpc::link {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(50);
constexpr auto kLongestPause = std::chrono::seconds(2);
constexpr auto kLongestDeadline = std::chrono::hours(24 * 20);  // Below 2^31 ms.
constexpr std::size_t kZeros = 8;
// What is fetched of the coroutines that wait for a reply: wait(), and who awaits that.
constexpr std::size_t kWaitOctets = 128;
constexpr std::size_t kAwaiterOctets = 320;

Error error_of(std::int32_t code, std::string detail) {
  return client_error(code, std::move(detail));
}

}  // namespace

// The right to an answer, in the frame of whoever waits for it.
class Caller::Ticket {
 public:
  Ticket(Caller* caller, Pending* pending) : caller_(caller), pending_(pending) {}
  Ticket(Ticket&& other) noexcept
      : caller_(std::move(other.caller_)), pending_(std::exchange(other.pending_, nullptr)) {}
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() {
    if (pending_) caller_->give_up(*pending_);
  }

  bool await_ready() const noexcept { return pending_->done; }
  void await_suspend(Waiter waiter) const noexcept { pending_->waiter = waiter; }
  void await_resume() const noexcept {}
  std::unique_ptr<Error>& error() const { return pending_->error; }

 private:
  LoopPtr<Caller> caller_;
  Pending* pending_;
};

Caller::Caller(Callers& owner, std::string key, std::string node, Place place)
    : Connection(owner.loop(), owner.shared()),
      owner_(owner),
      key_(std::move(key)),
      node_(std::move(node)),
      place_(std::move(place)) {}

Caller::~Caller() {
  drop_connecting();
}

void Caller::destroy() {
  Connection::destroy();
  handshake_.cancel();
  deadline_.cancel();
  unused_.cancel();
  drop_connecting();
  state_ = State::kIdle;
}

Caller::Way& Caller::way(EndpointName endpoint, std::string_view caller) {
  std::string key;
  key.append(endpoint.handler).append(1, '\0').append(endpoint.method).append(1, '\0').append(caller);
  std::unique_ptr<Way>& way = ways_[key];
  if (!way) {
    way = std::make_unique<Way>();
    way->handler = endpoint.handler;
    way->method = endpoint.method;
    way->caller = caller.substr(0, kMaxName);
  }
  return *way;
}

void Caller::List::push(Pending& pending) {
  pending.list = this;
  pending.previous = last;
  pending.next = nullptr;
  (last ? last->next : first) = &pending;
  last = &pending;
  ++count;
}

void Caller::List::remove(Pending& pending) {
  pending.list = nullptr;
  (pending.previous ? pending.previous->next : first) = pending.next;
  (pending.next ? pending.next->previous : last) = pending.previous;
  --count;
}

Caller::Pending* Caller::List::pop() {
  Pending* const pending = first;
  if (pending) remove(*pending);
  return pending;
}

// ---- calls ----------------------------------------------------------------------------------------------------------

Task<Result<void>> Caller::call(Way& way, const Context& context, const Messages& messages) {
  if (state_ != State::kReady || !is_open() || queue_.first || !has_room() || output_full()) [[unlikely]] {
    return call_later(way, context, messages);
  }
  Pending* const pending = take_pending(context, messages);
  if (const auto error = send(*pending, way, context.meta(), messages)) [[unlikely]] {
    give_up(*pending);
    return std::unexpected(*error);
  }
  watch_deadline(pending->deadline);
  return wait(Ticket(this, pending));
}

// The call waits for a connection, or for room on it.
Task<Result<void>> Caller::call_later(Way& way, const Context& context, const Messages& messages) {
  if (state_ == State::kDraining) return std::unexpected(unreachable("it is stopping"));
  if (queue_.count >= shared_.options.max_waiting) {
    return std::unexpected(error_of(
        code::kTooMany,
        fmt::format("node {}: {} calls wait for its link already; the request did not run", node_, queue_.count)));
  }
  if (state_ == State::kIdle) {
    if (const auto error = connect()) return std::unexpected(*error);
  }
  Pending* const pending = take_pending(context, messages);
  pending->unsent.reset(new Unsent{way, context.meta(), messages});
  queue_.push(*pending);
  watch_deadline(pending->deadline);
  return wait(Ticket(this, pending));
}

Task<Result<void>> Caller::wait(Ticket ticket) {
  co_await ticket;
  if (ticket.error()) [[unlikely]] {
    co_return std::unexpected(std::move(*ticket.error()));
  }
  co_return Result<void>();
}

// Writes the call's frames. Returns why it cannot be sent; nothing is written then.
std::unique_ptr<Error> Caller::send(Pending& pending, Way& way, const Meta& meta, const Messages& messages) {
  const MessageLite* const request = messages.request;
  const Forwarded& in = messages.forward.in;  // Unless there is a message.
  const std::size_t size = request ? request->ByteSizeLong() : forward_size({in.cmd, in.data});
  if (size > max_message_) [[unlikely]] {
    return std::make_unique<Error>(error_of(
        code::kInvalid, fmt::format("node {}: the request has {} octets, more than the {} it takes; it did not run",
                                    node_, size, max_message_)));
  }
  const MetaNumbers::Named metadata = metas_.name(meta);
  if (!metadata.frame.empty()) [[unlikely]] {
    write(metadata.frame);
  } else if (metadata.too_large) [[unlikely]] {
    return std::make_unique<Error>(error_of(
        code::kInvalid, fmt::format("node {}: the metadata is larger than 64 KiB; the request did not run", node_)));
  }
  if (way.link != link_) [[unlikely]] {
    if (methods_ >= kMaxMethods) {
      return std::make_unique<Error>(error_of(
          code::kTooMany, fmt::format("node {}: too many methods on one link; the request did not run", node_)));
    }
    name(way);
  }
  std::uint32_t call = 0;
  if (!free_calls_.empty()) {
    call = free_calls_.back();
    free_calls_.pop_back();
    calls_[call] = &pending;
  } else {
    call = static_cast<std::uint32_t>(calls_.size());
    calls_.push_back(&pending);
  }
  pending.call = call;
  const std::size_t frame = kHeadSize + kCallFields + size;
  std::byte* const at = reserve(frame);
  write_head(at, {static_cast<std::uint32_t>(kCallFields + size), Type::kCall, 0, way.number});
  put(at + kHeadSize, call);
  put(at + kHeadSize + 4, metadata.number);
  put(at + kHeadSize + 8, link_time(pending.deadline));
  std::byte* const body = at + kHeadSize + kCallFields;
  if (request) {
    request->SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(body));
  } else {
    write_forward(body, {in.cmd, in.data});
  }
  commit(frame);
  return nullptr;
}

void Caller::name(Way& way) {
  way.link = link_;
  way.number = static_cast<std::uint16_t>(methods_++);
  const std::size_t size = 2 + way.handler.size() + way.method.size() + way.caller.size();
  std::byte* at = reserve(kHeadSize + size);
  write_head(at, {static_cast<std::uint32_t>(size), Type::kMethod, 0, way.number});
  at += kHeadSize;
  at[0] = static_cast<std::byte>(way.handler.size());
  at[1] = static_cast<std::byte>(way.method.size());
  at += 2;
  for (const std::string* text : {&way.handler, &way.method, &way.caller}) {
    std::memcpy(at, text->data(), text->size());
    at += text->size();
  }
  commit(kHeadSize + size);
}

// A moment as the node counts; rounded down, so that it does not give a call more time than its caller does.
std::uint32_t Caller::link_time(TimePoint when) const {
  const TimePoint latest = loop_.now() + kLongestDeadline;
  return static_cast<std::uint32_t>(
      std::chrono::floor<std::chrono::milliseconds>(std::min(when, latest) - zero_).count());
}

Caller::Pending* Caller::take_pending(const Context& context, const Messages& messages) {
  Pending* pending = nullptr;
  if (free_.empty()) [[unlikely]] {
    pending = new Pending;
  } else {
    pending = free_.back().release();
    free_.pop_back();
    if (!free_.empty()) fetch(free_.back().get(), sizeof(Pending));  // The next call's.
  }
  pending->answer = {messages.reply, messages.forward.messages, messages.forward.code, messages.forward.data};
  pending->deadline = context.deadline().time();
  return pending;
}

// Nobody waits for it any more: it is done, or its Task was destroyed, or it could not be sent.
void Caller::give_up(Pending& pending) {
  if (!pending.done) [[unlikely]] {
    if (pending.list) pending.list->remove(pending);
    if (pending.call != Pending::kNotSent) {
      calls_[pending.call] = nobody();
      if (is_open()) write_numbers(Type::kCancel, {pending.call});
    }
  }
  if (!mg::detail::pooling() || free_.size() >= kKeepPending) {
    delete &pending;
    return;
  }
  pending.call = Pending::kNotSent;
  pending.done = false;
  pending.waiter = {};
  pending.error.reset();
  pending.unsent.reset();
  free_.emplace_back(&pending);
}

// The call's outcome is there; whoever waits goes on, and may destroy or begin anything.
void Caller::settle(Pending& pending, std::unique_ptr<Error> error) {
  pending.done = true;
  pending.error = std::move(error);
  if (pending.waiter) std::exchange(pending.waiter, {}).resume();
}

// One after the other: those that are given up meanwhile leave the list by themselves.
void Caller::settle_all(List& list, const Error& error) {
  while (Pending* const pending = list.pop()) settle(*pending, std::make_unique<Error>(error));
}

void Caller::send_queued() {
  while (queue_.first && state_ == State::kReady && is_open() && has_room() && !output_full()) {
    Pending& pending = *queue_.pop();
    const auto unsent = std::move(pending.unsent);
    if (auto error = send(pending, unsent->way, unsent->meta, unsent->messages)) settle(pending, std::move(error));
  }
}

// ---- deadlines ------------------------------------------------------------------------------------------------------

// One timer for all: it fires for the soonest deadline of any call since it fired last, then looks at all of them.
// Calls that are answered in time cost a comparison.
void Caller::watch_deadline(TimePoint deadline) {
  if (!deadline_.armed() || deadline < deadline_.when()) deadline_.arm(loop_, deadline);
}

void Caller::on_deadline() {
  const LoopPtr<Caller> self(this);
  const TimePoint now = loop_.now();
  TimePoint next = TimePoint::max();
  List late;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    Pending* const pending = calls_[i];
    if (!pending || pending == nobody()) continue;
    if (pending->deadline > now) {
      next = std::min(next, pending->deadline);
      continue;
    }
    calls_[i] = nobody();
    pending->call = Pending::kNotSent;
    late.push(*pending);
    if (is_open()) write_numbers(Type::kCancel, {static_cast<std::uint32_t>(i)});
  }
  for (Pending* pending = queue_.first; pending;) {
    Pending& one = *std::exchange(pending, pending->next);
    if (one.deadline > now) {
      next = std::min(next, one.deadline);
      continue;
    }
    queue_.remove(one);
    late.push(one);
  }
  if (next != TimePoint::max()) watch_deadline(next);
  settle_all(late, deadline_exceeded());
}

// ---- answers --------------------------------------------------------------------------------------------------------

std::size_t Caller::most(const Head& head) const {
  switch (head.type) {
    case Type::kReply:
      return std::size_t{shared_.options.max_message} + kMessageRoom;
    case Type::kFailure:
      return kMaxPlain;
    default:
      return kMaxHandshake;
  }
}

std::size_t Caller::on_input(Bytes in) {
  const std::byte* fetched = in.data();
  const std::size_t used = take_frames(
      in, &want_, [this](const Head& head) { return most(head); },
      [&](const Head& head, const std::byte* body) {
        if (body >= fetched) fetched = fetch_ahead(body - kHeadSize, in.data() + in.size());
        return on_frame(head, body);
      },
      [this](const Head&) { cut("a frame larger than its type may be"); });
  if (queue_.first) [[unlikely]] {
    send_queued();
  }
  return used;
}

// Fetches what the next replies will touch, and returns where the frames behind them begin. With thousands of calls
// under way it is in no near cache, and each step needs what the one before has fetched: so several replies take it
// together.
const std::byte* Caller::fetch_ahead(const std::byte* at, const std::byte* end) const {
  std::array<const Pending*, 8> next{};
  std::size_t count = 0;
  while (count < next.size() && static_cast<std::size_t>(end - at) >= kHeadSize + kReplyFields) {
    const Head head = read_head(at);
    if (head.type != Type::kReply) break;
    const auto call = get<std::uint32_t>(at + kHeadSize);
    const Pending* const pending = call < calls_.size() ? calls_[call] : nullptr;
    if (pending && pending != nobody()) fetch(next[count++] = pending, sizeof(Pending));
    if (static_cast<std::size_t>(end - at) - kHeadSize < head.size) break;
    at += kHeadSize + head.size;
  }
  const std::span seen(next.data(), count);
  for (const Pending* const pending : seen) fetch(pending->waiter.address(), kWaitOctets);
  for (const Pending* const pending : seen) {
    if (pending->waiter) fetch(pending->waiter.promise().continuation.load(std::memory_order_relaxed), kAwaiterOctets);
  }
  return at + kHeadSize;
}

bool Caller::on_frame(const Head& head, const std::byte* body) {
  if (!is_open()) return false;
  if (head.type == Type::kReply && state_ >= State::kReady) [[likely]] {
    on_reply(head, body);
    return is_open();
  }
  const Bytes octets(body, head.size);
  if (head.type == Type::kBye) {
    end(fmt::format("the node says: {}", text_at(body, head.size)));
    return false;
  }
  if (state_ < State::kReady) {
    on_handshake(head, octets);
    return is_open();
  }
  if (head.type == Type::kFailure) {
    on_failure(head, octets);
  } else if (head.flags != 0 || head.number != 0) {
    cut("unknown flags");
  } else if (head.type == Type::kPong && head.size == 8) {
    if (!ping_out_ || get<std::uint32_t>(body) != ping_) {
      cut("PONG without PING");
    } else {
      ping_out_ = false;
      learn_time(get<std::uint32_t>(body + 4));
    }
  } else if (head.type == Type::kDrain && head.size == 0) {
    state_ = State::kDraining;
    List queued;
    take_queue(queued);
    settle_all(queued, unreachable("it is stopping"));
    maybe_drained();
  } else {
    cut("a frame that is not expected");
  }
  return is_open();
}

// The call with this number has its answer. Null: cut, there is none.
Caller::Pending* Caller::answered(std::uint32_t call) {
  if (call >= calls_.size() || !calls_[call]) [[unlikely]] {
    cut("an answer without a call");
    return nullptr;
  }
  free_calls_.push_back(call);
  return std::exchange(calls_[call], nullptr);
}

// False when the octets are no reply of the expected type.
bool Caller::take_reply(const Answer& answer, std::string_view octets) {
  const int size = static_cast<int>(octets.size());
  if (!answer.forward) return answer.message->ParsePartialFromArray(octets.data(), size);
  if (const auto seen = read_forward(octets)) [[likely]] {
    *answer.code = seen->number;
    answer.data->assign(seen->data);
    return true;
  }
  const std::unique_ptr<MessageLite> reply(answer.forward->reply().New());
  if (!reply->ParsePartialFromArray(octets.data(), size)) return false;
  answer.forward->take(*reply, *answer.code, *answer.data);
  return true;
}

void Caller::on_reply(const Head& head, const std::byte* body) {
  if (head.size < kReplyFields || head.flags != 0 || head.number != 0) [[unlikely]] {
    return cut("a bad REPLY");
  }
  Pending* const pending = answered(get<std::uint32_t>(body));
  if (!pending) [[unlikely]] {
    return;
  }
  if (pending == nobody()) [[unlikely]] {
    return maybe_drained();
  }
  if (take_reply(pending->answer, {reinterpret_cast<const char*>(body) + kReplyFields, head.size - kReplyFields}))
      [[likely]] {
    pending->done = true;
    if (pending->waiter) std::exchange(pending->waiter, {}).resume();
  } else {
    settle(*pending, std::make_unique<Error>(error_of(
                         code::kServer, fmt::format("node {}: its reply is no message of the expected type", node_))));
  }
  if (state_ == State::kDraining) [[unlikely]] {
    maybe_drained();
  }
}

void Caller::on_failure(const Head& head, Bytes body) {
  constexpr std::size_t kFields = 12;
  if (body.size() < kFields || (head.flags & ~kDidNotRun) != 0 || head.number != 0) return cut("a bad FAILURE");
  const std::size_t id = get<std::uint16_t>(body.data() + 8);
  const std::size_t status = get<std::uint16_t>(body.data() + 10);
  if (body.size() - kFields < id + status) return cut("a bad FAILURE");
  Pending* const pending = answered(get<std::uint32_t>(body.data()));
  if (!pending) return;
  if (pending != nobody()) {
    const std::byte* const texts = body.data() + kFields;
    auto error = std::make_unique<Error>();
    error->code = static_cast<std::int32_t>(get<std::uint32_t>(body.data() + 4));
    error->id = text_at(texts, id);
    error->status = text_at(texts + id, status);
    error->detail = text_at(texts + id + status, body.size() - kFields - id - status);
    if ((head.flags & kDidNotRun) != 0) *error = not_run(std::move(error->detail));
    settle(*pending, std::move(error));
  }
  maybe_drained();
}

// ---- connecting -----------------------------------------------------------------------------------------------------

Error Caller::unreachable(std::string_view why) const {
  return not_run(fmt::format("node {} at {}: {}, the request did not run", node_, encode(place_), why));
}

// Begins to. Returns why not.
std::unique_ptr<Error> Caller::connect() {
  if (loop_.now() < not_before_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(not_before_ - loop_.now());
    return std::make_unique<Error>(
        unreachable(fmt::format("{}; not tried again for {} ms", last_failure_, left.count())));
  }
  if (const LinkTls& tls = shared_.options.tls; tls.enabled() && !tls_) {
    auto made = TlsContext::client({.cert_file = tls.cert_file,
                                    .key_file = tls.key_file,
                                    .ca_file = tls.ca_file,
                                    .peer_name = tls.server_name.empty() ? place_.ip : tls.server_name});
    if (!made) {
      pause_attempts(made.error().detail);
      return std::make_unique<Error>(unreachable(made.error().detail));
    }
    tls_ = std::move(*made);
  }
  const bool v6 = place_.ip.contains(':');
  sockaddr_storage to{};
  socklen_t size = 0;
  if (v6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(to);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(place_.port);
    ::inet_pton(AF_INET6, place_.ip.c_str(), &address.sin6_addr);
    size = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(to);
    address.sin_family = AF_INET;
    address.sin_port = htons(place_.port);
    ::inet_pton(AF_INET, place_.ip.c_str(), &address.sin_addr);
    size = sizeof address;
  }
  fd_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  const int on = 1;
  if (fd_ < 0 || ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      (::connect(fd_, reinterpret_cast<sockaddr*>(&to), size) != 0 && errno != EINPROGRESS)) {
    const std::string why = fmt::format("cannot connect ({})", std::strerror(errno));
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    pause_attempts(why);
    return std::make_unique<Error>(unreachable(why));
  }
  state_ = State::kConnecting;
  loop_.watch(fd_, *this, EPOLLOUT | EPOLLET);
  handshake_.arm(loop_, loop_.now() + shared_.options.handshake_timeout);
  return nullptr;
}

void Caller::drop_connecting() {
  if (fd_ < 0) return;
  loop_.unwatch(fd_, *this);
  ::close(std::exchange(fd_, -1));
}

void Caller::on_events(std::uint32_t) {
  const int error = connect_result(fd_);
  if (error == EINPROGRESS) return;
  if (error == 0) {
    const int fd = std::exchange(fd_, -1);
    loop_.unwatch(fd, *this);
    return connected(fd);
  }
  drop_connecting();
  failed(fmt::format("cannot connect ({})", std::strerror(error)));
}

void Caller::connected(int fd) {
  open(fd, tls_.get());
  ++link_;
  Hello hello;
  hello.has_secret = !shared_.options.secret.empty();
  hello.epoch = place_.epoch;
  hello.instance = shared_.instance;
  SystemRandom().fill(hello.nonce);
  hello.max_message = shared_.options.max_message;
  hello.node = node_;
  hello_ = encode(hello);
  state_ = State::kHello;
  write(hello_);
  start();
}

void Caller::on_handshake_timeout() {
  if (state_ == State::kConnecting) {
    drop_connecting();
    failed("no connection in time");
  } else {
    cut("no answer to the handshake in time", false);
  }
}

void Caller::pause_attempts(std::string_view why) {
  pause_ = std::clamp<Clock::Duration>(pause_ * 2, kFirstPause, kLongestPause);
  not_before_ = loop_.now() + pause_;
  last_failure_ = why;
}

// No link came about.
void Caller::failed(std::string_view why) {
  const LoopPtr<Caller> self(this);
  handshake_.cancel();
  state_ = State::kIdle;
  pause_attempts(why);
  const Error error = unreachable(why);
  fail_all(error, error);
  close_if_unused();
}

void Caller::on_handshake(const Head& head, Bytes body) {
  const auto refused = [this](std::string_view why) {
    shared_.counters.refused.fetch_add(1, std::memory_order_relaxed);
    end(why);
  };
  if (head.type == Type::kRefuse && head.flags == 0) {
    return refused(fmt::format("it refuses the link: {}", as_text(body)));
  }
  const std::string& secret = shared_.options.secret;
  if (state_ == State::kHello && !secret.empty()) {
    if (head.type == Type::kWelcome) return refused("it does not know the secret");
    if (head.type != Type::kChallenge || head.flags != 0 || body.size() != kNonceSize || head.number != kVersion) {
      return cut("a bad CHALLENGE");
    }
    challenge_.resize(kHeadSize);
    write_head(reinterpret_cast<std::byte*>(challenge_.data()), head);
    challenge_.append(as_text(body));
    write(encode_proof(caller_proof(secret, hello_, challenge_)));
    state_ = State::kProof;
    return;
  }
  on_welcome(head, body);
}

void Caller::on_welcome(const Head& head, Bytes body) {
  const Result<Welcome> welcome = decode_welcome(head, body);
  if (!welcome || welcome->version != kVersion) return cut("a bad WELCOME");
  if (welcome->epoch != place_.epoch) {
    shared_.counters.refused.fetch_add(1, std::memory_order_relaxed);
    return end("it is another incarnation of the node");
  }
  const std::string& secret = shared_.options.secret;
  if (!secret.empty() && !equal(node_proof(secret, hello_, challenge_, encode(*welcome)), welcome->proof)) {
    shared_.counters.refused.fetch_add(1, std::memory_order_relaxed);
    return end("it does not know the secret");
  }
  shared_.counters.opened.fetch_add(1, std::memory_order_relaxed);
  handshake_.cancel();
  hello_.clear();
  challenge_.clear();
  state_ = State::kReady;
  pause_ = {};
  not_before_ = {};
  max_calls_ = std::min(welcome->max_calls, shared_.options.max_calls);
  max_message_ = welcome->max_message;
  methods_ = 0;
  metas_.reset(std::min(welcome->max_metas, shared_.options.max_metas),
               std::min(welcome->max_meta_octets, shared_.options.max_meta_octets));
  calls_.clear();
  free_calls_.clear();
  zeros_.clear();
  learn_time(welcome->time);
  on_tick();
  send_queued();
}

// The link's clock said `time` before now, so it did not begin later than this.
void Caller::learn_time(std::uint32_t time) {
  const TimePoint now = loop_.clock().now();
  std::int64_t ms = time;
  if (zeros_.empty()) {
    zeros_.reserve(kZeros + 1);
  } else {
    // 32 bits of a time that is about the one expected.
    ms = std::chrono::floor<std::chrono::milliseconds>(now - zeros_.back()).count();
    ms += static_cast<std::int32_t>(time - static_cast<std::uint32_t>(ms));
  }
  zeros_.push_back(now - std::chrono::milliseconds(ms));
  if (zeros_.size() > kZeros) zeros_.erase(zeros_.begin());
  zero_ = *std::ranges::min_element(zeros_);
}

void Caller::on_tick() {
  if (state_ < State::kReady || ping_out_) return;
  ping_out_ = true;
  write_numbers(Type::kPing, {++ping_});
}

// ---- the end --------------------------------------------------------------------------------------------------------

void Caller::on_lost(std::string_view why) {
  const LoopPtr<Caller> self(this);
  ping_out_ = false;
  if (state_ < State::kReady) return failed(why);
  const bool stopped = state_ == State::kDraining || routes_ == 0;
  state_ = State::kIdle;
  if (!stopped) shared_.counters.lost.fetch_add(1, std::memory_order_relaxed);
  fail_all(error_of(code::kServer, fmt::format("node {} at {}: connection lost ({}), the request may have run", node_,
                                               encode(place_), why)),
           unreachable(fmt::format("connection lost ({})", why)));
  close_if_unused();
}

// Those that wait to be sent, in a list of their own.
void Caller::take_queue(List& into) {
  while (Pending* const pending = queue_.pop()) into.push(*pending);
}

// Ends all calls. They may begin new ones, which then wait for another connection.
void Caller::fail_all(const Error& sent, const Error& not_sent) {
  List running;
  List queued;
  for (Pending* const pending : std::exchange(calls_, {})) {
    if (!pending || pending == nobody()) continue;
    pending->call = Pending::kNotSent;
    running.push(*pending);
  }
  free_calls_.clear();
  take_queue(queued);
  settle_all(running, sent);
  settle_all(queued, not_sent);
}

void Caller::maybe_drained() {
  if (state_ != State::kDraining || free_calls_.size() != calls_.size()) return;
  end("it has stopped");
}

void Caller::drop_route() {
  if (--routes_ == 0) unused_.arm(loop_, loop_.now() + shared_.options.idle_close);
}

// No route has led over it for a while.
void Caller::close_if_unused() {
  if (routes_ != 0 || unused_.armed()) return;
  const bool at_work = queue_.first || free_calls_.size() != calls_.size();
  if (at_work || (state_ != State::kIdle && state_ < State::kReady)) {
    unused_.arm(loop_, loop_.now() + shared_.options.idle_close);
    return;
  }
  const LoopPtr<Caller> self(this);
  if (state_ == State::kIdle) return owner_.forget(key_);
  end("no longer used");
}

// ---- Callers --------------------------------------------------------------------------------------------------------

Callers::~Callers() {
  for (auto& [key, caller] : callers_) caller->destroy();
}

LoopPtr<Caller> Callers::find_or_make(const std::string& node, std::string_view place_text, const Place& place) {
  std::string key = fmt::format("{}\n{}", node, place_text);
  LoopPtr<Caller>& caller = callers_[key];
  if (!caller) caller = LoopPtr<Caller>(new Caller(*this, key, node, place));
  return caller;
}

}  // namespace mg::rpc::link
