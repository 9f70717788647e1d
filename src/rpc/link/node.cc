#include "rpc/link/node.h"

#include <ifaddrs.h>
#include <unistd.h>

#include <exception>
#include <utility>

#include "mg/base/log.h"
#include "mg/base/random.h"
#include "rpc/forward_wire.h"
#include "rpc/link/advertise.h"

namespace mg::rpc::link {
namespace {

constexpr auto kLastWords = std::chrono::seconds(1);  // What callers get to close a link that is drained.

std::uint64_t random_number() {
  SystemRandom random;
  return random.next();
}

// A descriptor on its way to its loop, which may not run any more.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace

// ---- the node -------------------------------------------------------------------------------------------------------

ServedNode::ServedNode(std::span<Loop* const> loops, std::shared_ptr<const Shared> with, Serving serving)
    : id(serving.service + "-" + serving.uuid),
      uuid(serving.uuid),
      epoch(random_number()),
      handlers(serving.handlers),
      observer(std::move(serving.observer)),
      shared(std::move(with)),
      loop_count_(loops.size()),
      per_loop_(std::make_unique<PerLoop[]>(loops.size())) {
  for (std::size_t i = 0; i < loop_count_; ++i) per_loop_[i].loop = loops[i];
}

ServedNode::~ServedNode() = default;

Result<void> ServedNode::listen() {
  listens_on_ = Loop::current();
  auto listener = Listener::open(*listens_on_, shared->options.listen, {},
                                 [this](int fd, std::string_view peer) { on_accept(fd, peer); });
  if (!listener) return std::unexpected(std::move(listener.error()));
  auto ip = advertised_ip(shared->options.advertise, (*listener)->address());
  if (!ip) return std::unexpected(std::move(ip.error()));
  listener_ = std::move(*listener);
  ip_ = std::move(*ip);
  port_ = listener_->port();
  return {};
}

std::string ServedNode::address() const {
  return ip_.contains(':') ? fmt::format("[{}]:{}", ip_, port_) : fmt::format("{}:{}", ip_, port_);
}

std::string ServedNode::place() const {
  return encode(Place{.ip = ip_, .port = port_, .epoch = epoch});
}

// Links go to the loops in turn.
void ServedNode::on_accept(int fd, std::string_view peer) {
  Loop& loop = *per_loop_[next_loop_++ % loop_count_].loop;
  if (&loop == listens_on_) return accept_on(loop, fd, std::string(peer));
  loop.post([self = shared_from_this(), &loop, fd = Fd(fd), peer = std::string(peer)]() mutable {
    self->accept_on(loop, fd.release(), std::move(peer));
  });
}

void ServedNode::accept_on(Loop& loop, int fd, std::string peer) {
  PerLoop& own = at(loop);
  auto token = own.links.enter();
  if (!token) {  // It has stopped.
    ::close(fd);
    return;
  }
  // As many again as may be links can be in their handshakes.
  if (sockets_.fetch_add(1, std::memory_order_relaxed) >= std::uint64_t{2} * shared->options.max_links) {
    forget_socket();
    shared->counters.refused.fetch_add(1, std::memory_order_relaxed);
    ::close(fd);
    return;
  }
  const LoopPtr<Accepted> link(new Accepted(shared_from_this(), own, std::move(peer), std::move(*token)));
  link->at = own.accepted.insert(own.accepted.end(), link);
  link->accept(fd);
}

// What the loops report to.
struct ServedNode::Stopping {
  Loop& loop;
  std::size_t left;
  std::size_t running = 0;
  Completion<bool> all;
};

Task<void> ServedNode::stop_on(std::shared_ptr<ServedNode> self, Loop& loop, std::shared_ptr<Stopping> stopping,
                               Deadline deadline) {
  PerLoop& own = self->at(loop);
  if (&loop == self->listens_on_) self->listener_.reset();
  // Posted, so no handler is on this loop's stack: those that run are suspended and counted.
  own.calls.close();
  own.links.close();
  for (auto next = own.accepted.begin(); next != own.accepted.end();) {
    const LoopPtr<Accepted> link = *next++;
    link->drain();
  }
  co_await own.calls.drained(loop, deadline);
  const std::size_t running = own.calls.count();
  if (running == 0) {
    // Callers close when they have read their answers.
    co_await own.links.drained(loop, std::min(deadline, Deadline::after(loop.now(), kLastWords)));
    for (auto next = own.accepted.begin(); next != own.accepted.end();) {
      const LoopPtr<Accepted> link = *next++;
      link->finish_soon();
    }
  }
  stopping->loop.post_always([stopping, running] {
    stopping->running += running;
    if (--stopping->left == 0) stopping->all.set(true);
  });
}

Task<Result<void>> ServedNode::stop(Deadline deadline) {
  Loop& here = *Loop::current();
  auto stopping = std::make_shared<Stopping>(here, loop_count_);
  for (std::size_t i = 0; i < loop_count_; ++i) {
    Loop& loop = *per_loop_[i].loop;
    loop.post(
        [self = shared_from_this(), &loop, stopping, deadline] { spawn(stop_on(self, loop, stopping, deadline)); });
  }
  // The loops' own answers come at the deadline at the latest; a loop that does not run gives none.
  const Deadline patience = deadline.is_never() ? deadline : Deadline::after(deadline.time(), std::chrono::seconds(1));
  if (!co_await stopping->all.wait(here, patience)) {
    co_return fail(code::kTimeout, "node {}: {} of {} loops did not stop serving in time", id, stopping->left,
                   loop_count_);
  }
  if (stopping->running > 0) {
    co_return fail(code::kTimeout, "node {}: {} requests still run after the time to finish them", id,
                   stopping->running);
  }
  co_return Result<void>();
}

void ServedNode::destroy() {
  listener_.reset();
  for (std::size_t i = 0; i < loop_count_; ++i) {
    PerLoop& own = per_loop_[i];
    own.calls.close();
    own.links.close();
    const auto accepted = std::exchange(own.accepted, {});
    for (const LoopPtr<Accepted>& link : accepted) link->destroy();
  }
}

// ---- calls at work --------------------------------------------------------------------------------------------------

Pool::~Pool() {
  while (free) delete std::exchange(free, free->next);
}

LoopPtr<Running> Running::take(Pool& pool) {
  Running* running = pool.free;
  if (running) [[likely]] {
    pool.free = running->next;
    --pool.free_count;
  } else {
    running = new Running;
    running->request.reset(pool.handler.request->New());
    running->reply.reset(pool.handler.reply->New());
  }
  running->pool = &pool;
  return LoopPtr(running);
}

void Running::recycle(Running* running) {
  const LoopPtr<Accepted> link = std::move(running->link);  // Keeps the pool.
  Pool& pool = *running->pool;
  if (pool.free_count >= Pool::kKeep || running->octets > Pool::kKeepOctets || !mg::detail::pooling()) {
    delete running;
    return;
  }
  if (!running->forwarded) {
    running->request->Clear();
    running->reply->Clear();
  }
  running->forwarded = false;
  running->answer.code = 0;
  running->answer.data.clear();
  running->call = kNobody;
  running->next = std::exchange(pool.free, running);
  ++pool.free_count;
}

// ---- one link -------------------------------------------------------------------------------------------------------

Accepted::Accepted(std::shared_ptr<ServedNode> node, ServedNode::PerLoop& own, std::string peer, InFlight::Token token)
    : Connection(*own.loop, *node->shared),
      node_(std::move(node)),
      own_(own),
      peer_(std::move(peer)),
      token_(std::move(token)),
      metas_(shared_.options.max_metas, shared_.options.max_meta_octets) {}

Accepted::~Accepted() {
  if (has_place_) node_->give_place();
  node_->forget_socket();
}

void Accepted::accept(int fd) {
  zero_ = loop_.clock().now();
  handshake_.arm(loop_, loop_.now() + shared_.options.handshake_timeout);
  open(fd, shared_.node_tls.get());
  start();
}

void Accepted::on_handshake_timeout() {
  shared_.counters.refused.fetch_add(1, std::memory_order_relaxed);
  cut("no handshake in time", false);
}

void Accepted::drain() {
  if (state_ != State::kReady) return refuse(Refusal::kStopping, "the node is stopping");
  if (is_open()) write_numbers(Type::kDrain, {});
}

void Accepted::finish_soon() {
  finish();
}

void Accepted::on_lost(std::string_view why) {
  handshake_.cancel();
  for (Running* const running : running_) {
    if (running) running->call = Running::kNobody;
  }
  running_.clear();
  if (state_ == State::kReady && !own_.links.closed()) {
    shared_.counters.lost.fetch_add(1, std::memory_order_relaxed);
    log::debug("link from {} to node {}: {}", peer_, node_->id, why);
  }
  const LoopPtr<Accepted> self(this);
  token_.release();
  own_.accepted.erase(at);
}

std::uint32_t Accepted::link_time() const {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::milliseconds>(loop_.clock().now() - zero_).count());
}

// ---- frames ---------------------------------------------------------------------------------------------------------

std::size_t Accepted::most(const Head& head) const {
  if (state_ != State::kReady) return kMaxHandshake;
  return head.type == Type::kCall ? std::size_t{shared_.options.max_message} + kMessageRoom : kMaxPlain;
}

std::size_t Accepted::on_input(Bytes in) {
  return take_frames(
      in, &want_, [this](const Head& head) { return most(head); },
      [this](const Head& head, const std::byte* body) { return on_frame(head, body); },
      [this](const Head&) {
        if (state_ == State::kHello) return end("the first frame is no HELLO");
        cut("a frame larger than its type may be");
      });
}

bool Accepted::on_frame(const Head& head, const std::byte* body) {
  if (!is_open()) return false;
  const Bytes octets(body, head.size);
  if (state_ == State::kReady && head.type == Type::kCall) [[likely]] {
    on_call(head, body);
  } else if (state_ == State::kHello) {
    on_hello(head, octets);
  } else if (state_ == State::kProof) {
    on_proof(head, octets);
  } else if (head.type == Type::kMeta) {
    const std::string_view wrong = head.number == 0 ? metas_.apply(head.flags, octets) : "META with a number";
    if (!wrong.empty()) cut(wrong);
  } else if (head.flags != 0) {
    cut("unknown flags");
  } else if (head.type == Type::kMethod) {
    on_method(head, octets);
  } else if (head.number != 0) {
    cut("a number where there is none");
  } else if (head.type == Type::kCancel && head.size == 4) {
    on_cancel(get<std::uint32_t>(body));
  } else if (head.type == Type::kPing && head.size == 4) {
    write_numbers(Type::kPong, {get<std::uint32_t>(body), link_time()});
  } else if (head.type == Type::kBye) {
    end(fmt::format("the caller says: {}", as_text(octets)));
  } else {
    cut("a frame that is not expected");
  }
  if (!is_open()) return false;
  if (output_full()) [[unlikely]] {
    stop_reading();
    return false;
  }
  return true;
}

void Accepted::refuse(Refusal number, std::string_view why) {
  shared_.counters.refused.fetch_add(1, std::memory_order_relaxed);
  end(why, encode_text(Type::kRefuse, static_cast<std::uint16_t>(number), why));
}

void Accepted::on_hello(const Head& head, Bytes body) {
  const Result<Hello> hello = decode_hello(head, body);
  if (!hello) {
    shared_.counters.violations.fetch_add(1, std::memory_order_relaxed);
    return end(hello.error().detail);
  }
  if (hello->oldest > kVersion || hello->newest < kVersion) {
    return refuse(Refusal::kVersion, fmt::format("this node speaks version {}", kVersion));
  }
  if (hello->node != node_->id || hello->epoch != node_->epoch) {
    return refuse(Refusal::kNode, fmt::format("here is node {}, epoch {:016x}", node_->id, node_->epoch));
  }
  const std::string& secret = shared_.options.secret;
  if (hello->has_secret != !secret.empty()) {
    return refuse(Refusal::kSecret, secret.empty() ? "this node has no secret" : "this node asks for the secret");
  }
  max_reply_ = hello->max_message;
  if (secret.empty()) return welcome();
  hello_.resize(kHeadSize);
  write_head(reinterpret_cast<std::byte*>(hello_.data()), head);
  hello_.append(as_text(body));
  Nonce nonce;
  SystemRandom().fill(nonce);
  challenge_ = encode_challenge(nonce, kVersion);
  write(challenge_);
  state_ = State::kProof;
}

void Accepted::on_proof(const Head& head, Bytes body) {
  if (head.type != Type::kProof || head.flags != 0 || head.number != 0 || body.size() != kProofSize) {
    return cut("no PROOF");
  }
  if (!equal(caller_proof(shared_.options.secret, hello_, challenge_), body)) {
    return refuse(Refusal::kSecret, "the proof is wrong");
  }
  welcome();
}

void Accepted::welcome() {
  has_place_ = node_->take_place();
  if (!has_place_) return refuse(Refusal::kTooMany, "too many links");
  handshake_.cancel();
  state_ = State::kReady;
  const LinkOptions& options = shared_.options;
  Welcome made{.version = kVersion,
               .epoch = node_->epoch,
               .time = link_time(),
               .max_calls = options.max_calls,
               .max_message = options.max_message,
               .max_metas = options.max_metas,
               .max_meta_octets = options.max_meta_octets,
               .proof = {}};
  if (!options.secret.empty()) made.proof = node_proof(options.secret, hello_, challenge_, encode(made));
  hello_ = {};
  challenge_ = {};
  shared_.counters.opened.fetch_add(1, std::memory_order_relaxed);
  write(encode(made));
}

void Accepted::on_method(const Head& head, Bytes body) {
  if (head.number != methods_.size()) return cut("METHOD with another number than the next");
  if (body.size() < 2) return cut("METHOD too short");
  const auto handler_size = static_cast<std::size_t>(body[0]);
  const auto method_size = static_cast<std::size_t>(body[1]);
  body = body.subspan(2);
  if (body.size() < handler_size + method_size || body.size() - handler_size - method_size > kMaxName) {
    return cut("METHOD with bad names");
  }
  auto made = std::make_unique<Method>();
  made->caller = as_text(body.subspan(handler_size + method_size));
  if (!own_.calls.closed()) {
    Result<const Handler*> found =
        node_->handlers->find(as_text(body.first(handler_size)), as_text(body.subspan(handler_size, method_size)));
    if (found) {
      made->handler = *found;
      std::unique_ptr<Pool>& pool = own_.pools[*found];
      if (!pool) pool = std::make_unique<Pool>(**found);
      made->pool = pool.get();
    } else {
      made->unknown = std::make_unique<Error>(std::move(found.error()));
    }
  }
  methods_.push_back(std::move(made));
}

// ---- calls ----------------------------------------------------------------------------------------------------------

void Accepted::on_call(const Head& head, const std::byte* body) {
  if (head.size < kCallFields || head.flags != 0) [[unlikely]] {
    return cut("a bad CALL");
  }
  const auto call = get<std::uint32_t>(body);
  const auto meta = get<std::uint32_t>(body + 4);
  const auto deadline = get<std::uint32_t>(body + 8);
  if (head.number >= methods_.size() || call >= shared_.options.max_calls ||
      (meta >= metas_.size() && meta != kNoMeta) || (call < running_.size() && running_[call])) [[unlikely]] {
    return cut("CALL with a bad number");
  }
  Method& method = *methods_[head.number];
  if (own_.calls.closed()) [[unlikely]] {
    return send_failure(
        call, make_error(code::kUnavailable, fmt::format("node {}: stopped, the request did not run", node_->id)),
        true);
  }
  if (method.unknown) [[unlikely]] {
    return send_failure(call, *method.unknown, false);
  }
  if (running_count_ / 2 >= shared_.options.max_calls) [[unlikely]] {
    return send_failure(
        call,
        client_error(code::kTooMany, fmt::format("node {}: {} calls of one link run already, the request did not run",
                                                 node_->id, running_count_)),
        false);
  }
  // The link's clock has 32 bits: the difference to now says on which side of it the deadline is.
  const auto now_ms = std::chrono::floor<std::chrono::milliseconds>(loop_.now() - zero_).count();
  const auto left = static_cast<std::int32_t>(deadline - static_cast<std::uint32_t>(now_ms));
  if (left <= 0) [[unlikely]] {
    return send_failure(call, deadline_exceeded(), false);
  }
  const LoopPtr<Running> running = Running::take(*method.pool);
  if (meta == kNoMeta) {
    if (running->meta.identity()) running->meta = AgentMeta();
  } else if (!running->meta.is_copy_of(metas_[meta])) {
    running->meta = AgentMeta(metas_[meta]);
  }
  running->link = LoopPtr<Accepted>(this);
  running->call = call;
  running->octets = head.size;
  running->context =
      Context(running->meta, Deadline(zero_ + std::chrono::milliseconds(now_ms + left)), method.caller, peer_);
  const std::string_view octets(reinterpret_cast<const char*>(body) + kCallFields, head.size - kCallFields);
  std::optional<ForwardOctets> forwarded;
  if (method.handler->forward && (forwarded = read_forward(octets))) [[likely]] {
    running->forwarded = true;
  } else if (!running->request->ParsePartialFromArray(octets.data(), static_cast<int>(octets.size()))) [[unlikely]] {
    return send_failure(
        call, client_error(code::kServer, "grpc: failed to unmarshal the received message unexpected EOF"), false);
  }
  if (node_->observer) running->started = loop_.clock().now();
  run(method, running, forwarded ? Forwarded{forwarded->number, forwarded->data} : Forwarded());
}

// `in`: what came, when the call is handed on unread.
void Accepted::run(Method& method, LoopPtr<Running> running, const Forwarded& in) {
  const Handler& handler = *method.handler;
  try {
    if (handler.immediate) {
      settle(*running,
             handler.invoke_immediate(handler.target.get(), running->context, *running->request, *running->reply));
      return;
    }
    Task<Result<void>> task =
        running->forwarded ? handler.forward(handler.target.get(), running->context, in, running->answer)
                           : handler.invoke(handler.target.get(), running->context, *running->request, *running->reply);
    task.start();
    if (task.ready()) [[likely]] {
      settle(*running, task.take());
      return;
    }
    // Never refused: whether it is closed was asked before, and only this loop closes it.
    if (auto token = own_.calls.enter()) running->token = std::move(*token);
    if (running_.size() <= running->call) running_.resize(running->call + 1);
    running_[running->call] = running.get();
    ++running_count_;
    drive(std::move(running), std::move(task));
  } catch (...) {
    settle(*running, std::unexpected(panic_error(std::current_exception())));
  }
}

// Runs the handler's coroutine to its end, whoever still waits.
Detached Accepted::drive(LoopPtr<Running> running, Task<Result<void>> task) {
  Result<void> result;
  try {
    const Task<Result<void>> ends_here = std::move(task);  // What the handler holds goes before its caller goes on.
    result = co_await const_cast<Task<Result<void>>&>(ends_here);
  } catch (...) {
    result = std::unexpected(panic_error(std::current_exception()));
  }
  Accepted& link = *running->link;
  co_await link.loop_.resume_here();
  --link.running_count_;
  if (running->call != Running::kNobody) link.running_[running->call] = nullptr;
  settle(*running, std::move(result));
  running->token.release();
}

// The handler is done: its caller gets the answer, if there is one.
void Accepted::settle(Running& running, Result<void> result) {
  Accepted& link = *running.link;
  const ServedNode& node = *link.node_;
  if (!result) [[unlikely]] {
    result = std::unexpected(handler_error(std::move(result.error()), node.uuid));
  }
  if (node.observer) {
    node.observer({.endpoint = running.pool->handler.name,
                   .context = running.context,
                   .took = link.loop_.clock().now() - running.started,
                   .error = result ? nullptr : &result.error()});
  }
  if (running.call == Running::kNobody || !link.is_open()) return;
  if (result) [[likely]] {
    link.send_reply(running);
  } else {
    link.send_failure(running.call, result.error(), false);
  }
}

void Accepted::send_reply(Running& running) {
  const ForwardOctets answer{running.answer.code, running.answer.data};
  const std::size_t size = running.forwarded ? forward_size(answer) : running.reply->ByteSizeLong();
  running.octets += size;
  if (size > max_reply_) [[unlikely]] {
    return send_failure(
        running.call,
        client_error(code::kServer, fmt::format("node {}: the reply has {} octets, more than the {} its caller takes",
                                                node_->id, size, max_reply_)),
        false);
  }
  const std::size_t frame = kHeadSize + kReplyFields + size;
  std::byte* const at_end = reserve(frame);
  write_head(at_end, {static_cast<std::uint32_t>(kReplyFields + size), Type::kReply, 0, 0});
  put(at_end + kHeadSize, running.call);
  std::byte* const to = at_end + kHeadSize + kReplyFields;
  if (running.forwarded) {
    write_forward(to, answer);
  } else {
    running.reply->SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(to));
  }
  commit(frame);
}

void Accepted::send_failure(std::uint32_t call, const Error& error, bool did_not_run) {
  constexpr std::size_t kFields = 12;
  constexpr std::size_t kMostName = 1024;
  const std::string_view id = std::string_view(error.id).substr(0, kMostName);
  const std::string_view status = std::string_view(error.status).substr(0, kMostName);
  const std::string_view detail = std::string_view(error.detail).substr(0, kMaxPlain - kFields - 2 * kMostName);
  const std::size_t size = kFields + id.size() + status.size() + detail.size();
  std::byte* to = reserve(kHeadSize + size);
  write_head(to, {static_cast<std::uint32_t>(size), Type::kFailure,
                  static_cast<std::uint8_t>(did_not_run ? kDidNotRun : 0), 0});
  to += kHeadSize;
  put(to, call);
  put(to + 4, static_cast<std::uint32_t>(error.code));
  put(to + 8, static_cast<std::uint16_t>(id.size()));
  put(to + 10, static_cast<std::uint16_t>(status.size()));
  to += kFields;
  for (const std::string_view text : {id, status, detail}) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to += text.size();
  }
  commit(kHeadSize + size);
}

// Its caller has given up. If it still runs it is answered now, so that the number is free again.
void Accepted::on_cancel(std::uint32_t call) {
  if (call >= shared_.options.max_calls) return cut("CANCEL with a bad number");
  if (call >= running_.size() || !running_[call]) return;  // The answer is on its way.
  std::exchange(running_[call], nullptr)->call = Running::kNobody;
  send_failure(call, deadline_exceeded(), false);
}

}  // namespace mg::rpc::link
