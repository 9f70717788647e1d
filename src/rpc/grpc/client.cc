#include "rpc/grpc/client.h"

#include <grpc/support/time.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mg/base/check.h"
#include "mg/base/random.h"
#include "mg/runtime/event.h"
#include "rpc/grpc/address.h"
#include "rpc/grpc/message.h"
#include "rpc/grpc/metadata.h"
#include "rpc/grpc/status.h"
#include "rpc/grpc/stream_operation.h"

namespace mg::rpc::grpc {
namespace {

using ::grpc::StatusCode;

constexpr std::string_view kTargetScheme = "dns:";
constexpr auto kFirstBackoff = std::chrono::milliseconds(100);
constexpr auto kLongestBackoff = std::chrono::seconds(1);
constexpr auto kLetGo = std::chrono::seconds(10);  // Waiting for the library when a Caller is destroyed.

int milliseconds(Clock::Duration time) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

gpr_timespec from_now(Clock::Duration time) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(time.count(), GPR_TIMESPAN));
}

// A connection and the calls on it. Threads: loop.
struct Connection {
  explicit Connection(std::shared_ptr<::grpc::Channel> channel) : stub(std::move(channel)) {}
  ::grpc::GenericStub stub;
  std::uint32_t pending = 0;
  Clock::TimePoint unused_since{};
};

// The connections of one loop to one address. Threads: loop.
// Lifetime: of the routes and calls that use it.
class Pool {
 public:
  Pool(const GrpcOptions& options, DialTarget target, std::shared_ptr<::grpc::ChannelCredentials> credentials,
       Loop& loop)
      : options_(options), target_(std::move(target)), credentials_(std::move(credentials)), loop_(loop) {}

  std::shared_ptr<Connection> take();
  void give_back(Connection& connection);
  std::size_t size() const { return connections_.size(); }

 private:
  std::shared_ptr<::grpc::Channel> dial() const;
  void expire();

  const GrpcOptions& options_;
  const DialTarget target_;
  const std::shared_ptr<::grpc::ChannelCredentials> credentials_;
  Loop& loop_;
  std::vector<std::shared_ptr<Connection>> connections_;
  Timer timer_{[](void* self) { static_cast<Pool*>(self)->expire(); }, this};
};

std::shared_ptr<::grpc::Channel> Pool::dial() const {
  ::grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(static_cast<int>(options_.max_message_bytes));
  args.SetMaxSendMessageSize(static_cast<int>(options_.max_message_bytes));
  args.SetInt(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(options_.max_metadata_bytes));
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // Else all channels to an address share one connection.
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, milliseconds(kFirstBackoff));
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, milliseconds(kLongestBackoff));
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, milliseconds(options_.connect_timeout));
  args.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
  if (target_.tls && !options_.tls_server_name.empty()) args.SetSslTargetNameOverride(options_.tls_server_name);
  return ::grpc::CreateCustomChannel(target_.target, credentials_, args);
}

std::shared_ptr<Connection> Pool::take() {
  std::shared_ptr<Connection> best;
  for (const auto& each : connections_) {
    if (each->pending < options_.pool_calls) {
      best = each;
      break;
    }
    if (!best || each->pending < best->pending) best = each;
  }
  if (!best || (best->pending >= options_.pool_calls && connections_.size() < options_.pool_size)) {
    best = connections_.emplace_back(std::make_shared<Connection>(dial()));
  }
  ++best->pending;
  return best;
}

void Pool::give_back(Connection& connection) {
  if (--connection.pending > 0) return;
  connection.unused_since = loop_.now();
  if (!timer_.armed()) timer_.arm(loop_, loop_.now() + options_.pool_ttl);
}

void Pool::expire() {
  const Clock::TimePoint old = loop_.now() - options_.pool_ttl;
  std::erase_if(connections_, [&](const auto& each) { return each->pending == 0 && each->unused_since <= old; });
  Clock::TimePoint next = Clock::TimePoint::max();
  for (const auto& each : connections_) {
    if (each->pending == 0) next = std::min(next, each->unused_since);
  }
  if (next != Clock::TimePoint::max()) timer_.arm(loop_, next + options_.pool_ttl);
}

}  // namespace

namespace {

// Ordered calls to one node from one client: the first is on its way, the others wait. Threads: loop.
using Line = std::deque<Completion<bool>*>;

}  // namespace

// What routes and calls share. Threads: PerLoop on its loop, the rest shared.
class Caller::State {
 public:
  // A call that the library has, for cancelling.
  struct Live {
    ::grpc::ClientContext context;
    std::list<Live*>::iterator place;
  };
  struct alignas(64) PerLoop {
    Loop* loop = nullptr;
    std::unordered_map<std::string, std::weak_ptr<Pool>> pools;
    std::list<Live*> live;
    std::unordered_map<std::string, Line> lines;  // Of ordered calls, by node and Client-Id.
    std::unique_ptr<SeededRandom> random;
  };

  State(const GrpcOptions& o, TlsTexts tls, std::span<Loop* const> l) : options(o), loops(l.size()) {
    SystemRandom seed;
    for (std::size_t i = 0; i < l.size(); ++i) {
      loops[i].loop = l[i];
      loops[i].random = std::make_unique<SeededRandom>(seed.next());
    }
    plain = ::grpc::InsecureChannelCredentials();
    secure = ::grpc::SslCredentials({.pem_root_certs = tls.ca, .pem_private_key = tls.key, .pem_cert_chain = tls.cert});
  }

  std::shared_ptr<Pool> pool(PerLoop& own, DialTarget target) {
    std::erase_if(own.pools, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<Pool>& known = own.pools[target.target + (target.tls ? " tls" : "")];
    if (auto found = known.lock()) return found;
    const auto& credentials = target.tls ? secure : plain;
    auto made = std::make_shared<Pool>(options, std::move(target), credentials, *own.loop);
    known = made;
    return made;
  }

  // The library's calls: begun on a loop, let go on one of its threads.
  void begun() { out_.fetch_add(1, std::memory_order_relaxed); }
  void let_go() {
    if (out_.fetch_sub(1, std::memory_order_acq_rel) == 1 && closing_.load(std::memory_order_acquire)) {
      const std::lock_guard lock(mutex_);
      none_.notify_all();
    }
  }
  void cancel_all() {
    closing_.store(true, std::memory_order_release);
    for (PerLoop& each : loops) {
      for (Live* call : each.live) call->context.TryCancel();
    }
    std::unique_lock lock(mutex_);
    const auto end = std::chrono::steady_clock::now() + kLetGo;
    // let_go() may miss `closing_`: look again now and then.
    while (out_.load(std::memory_order_acquire) != 0 && std::chrono::steady_clock::now() < end) {
      none_.wait_for(lock, std::chrono::milliseconds(10));
    }
  }

  const GrpcOptions options;
  std::vector<PerLoop> loops;
  std::shared_ptr<::grpc::ChannelCredentials> plain;
  std::shared_ptr<::grpc::ChannelCredentials> secure;

 private:
  std::atomic<std::uint64_t> out_{0};
  std::atomic<bool> closing_{false};
  std::mutex mutex_;  // docs/threads.md: "grpc calls"; taken when a Caller is destroyed.
  std::condition_variable none_;
};

namespace {

using State = Caller::State;
using StatePtr = std::shared_ptr<State>;

// What a route knows of its node.
struct Way {
  StatePtr state;
  State::PerLoop& own;
  std::shared_ptr<Pool> pool;
  std::string path;
  std::string node_id;
  std::string uuid;
  std::string address;
  std::string caller;
  bool ours;          // It understands our headers.
  bool same_machine;  // It has our clock.
};
using WayPtr = std::shared_ptr<const Way>;

// A place in a Line, until it is destroyed. Lifetime: of the loop's state.
class Turn {
 public:
  Turn(StatePtr state, State::PerLoop& own, std::string key)
      : state_(std::move(state)), own_(own), key_(std::move(key)) {
    Line& line = own_.lines[key_];
    if (line.empty()) mine_.set(true);
    line.push_back(&mine_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    const auto at = own_.lines.find(key_);
    Line& line = at->second;
    const bool first = line.front() == &mine_;
    std::erase(line, &mine_);
    if (line.empty()) {
      own_.lines.erase(at);
    } else if (first) {
      // Later: whoever goes on now may make this loop's next ordered call itself, or destroy others that wait.
      own_.loop->post_always([state = std::move(state_), &own = own_, key = std::move(key_)] {
        const auto next = own.lines.find(key);
        if (next != own.lines.end() && !next->second.front()->is_set()) next->second.front()->set(true);
      });
    }
  }
  // False: the deadline came first.
  Task<bool> come(Deadline deadline) { return come_to(*own_.loop, mine_, deadline); }

 private:
  static Task<bool> come_to(Loop& loop, Completion<bool>& mine, Deadline deadline) {
    co_return (co_await mine.wait(loop, deadline)).has_value();
  }

  StatePtr state_;
  State::PerLoop& own_;
  std::string key_;
  Completion<bool> mine_;
};

// One call as the library has it; on the loop until `release`.
class OutCall : public State::Live {
 public:
  explicit OutCall(WayPtr w) : way(std::move(w)) {}

  // Deadline and headers. Errors: kInvalid  metadata that cannot be sent
  Result<void> prepare(const Context& seen, bool stream) {
    Outgoing outgoing{.caller = way->caller, .node = way->ours ? std::string_view(way->node_id) : std::string_view()};
    if (!seen.deadline().is_never()) {
      // Read before the loop's: see Node::deadline_of().
      const auto now = std::chrono::steady_clock::now();
      const Clock::Duration left = seen.deadline().remaining(way->own.loop->clock().now());
      context.set_deadline(from_now(left));
      if (way->same_machine) outgoing.deadline = now + left;
      if (!stream) outgoing.timeout = left;
    }
    auto done = write_headers(seen.meta(), outgoing, *way->own.random, context);
    if (!done) done.error().id = kClientId;
    return done;
  }
  void enter() {
    pool = way->pool;
    connection = pool->take();
    place = way->own.live.insert(way->own.live.end(), this);
    way->state->begun();
  }
  // On the loop, when the library has let go of it.
  void release() {
    way->own.live.erase(place);
    pool->give_back(*connection);
    pool.reset();
    connection.reset();
  }

  // What the caller gets for a status that is no success.
  Error error_of(const ::grpc::Status& status) {
    const auto& trailers = context.GetServerTrailingMetadata();
    const bool refused = trailers.find(kNotRunKey) != trailers.end();
    // Before a call has a connection, its peer is the channel's target.
    const bool sent = !std::string_view(context.peer()).starts_with(kTargetScheme);
    const bool detailed = !status.error_details().empty();
    if (status.error_code() == StatusCode::DEADLINE_EXCEEDED && !detailed && trailers.empty() &&
        (status.error_message() == "Deadline Exceeded" || !sent)) {
      return deadline_exceeded();
    }
    // REFUSED_STREAM promises that nothing was done (RFC 9113 8.7).
    const bool unsent = !sent || (status.error_message() == "Received RST_STREAM with error code 7" && !detailed);
    if (unsent && status.error_code() == StatusCode::UNAVAILABLE) {
      return not_run(fmt::format("node {} at {}: {}", way->node_id, way->address, status.error_message()));
    }
    if (status.error_code() == StatusCode::UNAVAILABLE && !detailed && trailers.empty() &&
        !status.error_message().empty() && !status.error_message().starts_with('{')) {
      return client_error(code::kServer, fmt::format("node {} at {}: connection lost ({}), the request may have run",
                                                     way->node_id, way->address, status.error_message()));
    }
    Error error = from_status(status);
    if (refused) return not_run(std::move(error.detail));
    if (is_not_run(error)) error.id = way->uuid;  // The handler's, about another node: it did run.
    return error;
  }

  const WayPtr way;
  std::shared_ptr<Pool> pool;
  std::shared_ptr<Connection> connection;
};

struct UnaryCall final : OutCall {
  using OutCall::OutCall;
  ::grpc::ByteBuffer request;
  ::grpc::ByteBuffer reply;
  ::grpc::Status status;
  Completion<bool> done;  // On the loop.
};

// A stream, kept by the library until it lets go and by its end while the caller has that.
// Operations are started on the loop only, and none after release_hold().
class StreamCall final : public OutCall,
                         public ::grpc::ClientBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer>,
                         public std::enable_shared_from_this<StreamCall> {
 public:
  using OutCall::OutCall;

  void start(Deadline deadline) {
    deadline_ = deadline;
    library_ = shared_from_this();
    enter();
    connection->stub.PrepareBidiStreamingCall(&context, way->path, ::grpc::StubOptions(), this);
    AddHold();
    StartCall();
  }

  void OnReadDone(bool ok) override { tell(&StreamCall::reading_, ok); }
  void OnWriteDone(bool ok) override { tell(&StreamCall::writing_, ok); }
  void OnDone(const ::grpc::Status& status) override {
    const StatePtr state = way->state;
    loop().post_always([it = std::move(library_), status] {
      it->status_ = status;
      it->release();
      it->over_.begin();
      it->over_.end(true);
    });
    state->let_go();
  }

  Task<Result<bool>> read(MessageLite& message) { return read_one(shared_from_this(), message); }
  Task<Result<void>> write(const MessageLite& message) { return write_one(shared_from_this(), message); }
  void close_writes() {
    if (held_ && !closed_ && !writing_.busy()) StartWritesDone();
    close_wanted_ = !closed_ && writing_.busy();
    closed_ = true;
  }
  void give_up() {
    if (!status_) context.TryCancel();
    release_hold();
  }

 private:
  Loop& loop() const { return *way->own.loop; }
  void release_hold() {
    if (std::exchange(held_, false)) RemoveHold();
  }
  void tell(StreamOperation StreamCall::* which, bool ok) {
    loop().post_always([it = library_, which, ok] {
      ((*it).*which).end(ok);
      if (which == &StreamCall::writing_ && std::exchange(it->close_wanted_, false) && it->held_) it->StartWritesDone();
    });
  }

  static Task<Result<bool>> read_one(std::shared_ptr<StreamCall> it, MessageLite& message) {
    if (it->held_) {
      if (it->reading_.idle()) {
        it->reading_.begin();
        it->StartRead(&it->in_);
      }
      if (!co_await it->reading_.wait(it->loop(), it->deadline_)) co_return it->late();
      if (it->reading_.take()) {
        message.Clear();
        auto done = decode(it->in_, format_of(it->in_, {}), message);
        if (done) co_return true;
        it->give_up();
        co_return std::unexpected(client_error(code::kServer, std::move(done.error().detail)));
      }
      it->release_hold();  // No more messages: the status comes.
    }
    if (!it->status_) {
      if (!it->over_.busy() && it->over_.idle()) it->over_.begin();
      if (!co_await it->over_.wait(it->loop(), it->deadline_)) co_return it->late();
    }
    if (it->status_->ok()) co_return false;
    co_return std::unexpected(it->error_of(*it->status_));
  }
  std::unexpected<Error> late() {
    give_up();
    return std::unexpected(deadline_exceeded());
  }

  static Task<Result<void>> write_one(std::shared_ptr<StreamCall> it, const MessageLite& message) {
    Result<::grpc::ByteBuffer> out = encode(message, Format::kProto, it->way->state->options.max_message_bytes);
    if (!out) co_return std::unexpected(client_error(code::kServer, std::move(out.error().detail)));
    if (it->writing_.busy() && !co_await it->writing_.wait(it->loop(), it->deadline_)) co_return it->late();
    (void)it->writing_.take();
    if (it->closed_) co_return std::unexpected(client_error(code::kServer, "write to a stream after close_writes()"));
    if (!it->held_) co_return ended();
    it->out_.Swap(&*out);
    it->writing_.begin();
    it->StartWrite(&it->out_);
    if (!co_await it->writing_.wait(it->loop(), it->deadline_)) co_return it->late();
    if (!it->writing_.take()) co_return ended();
    co_return Result<void>();
  }
  static std::unexpected<Error> ended() {
    return std::unexpected(client_error(code::kServer, "the stream has ended; read() tells why"));
  }

  std::shared_ptr<StreamCall> library_;
  Deadline deadline_ = Deadline::never();
  bool held_ = true;
  bool closed_ = false;
  bool close_wanted_ = false;  // When the write at hand is done.
  ::grpc::ByteBuffer in_;
  ::grpc::ByteBuffer out_;
  StreamOperation reading_;
  StreamOperation writing_;
  StreamOperation over_;
  std::optional<::grpc::Status> status_;
};

class GrpcStreamEnd final : public CallerStreamEnd {
 public:
  explicit GrpcStreamEnd(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~GrpcStreamEnd() override { call_->give_up(); }
  Task<Result<bool>> read(MessageLite& message) override { return call_->read(message); }
  Task<Result<void>> write(const MessageLite& message) override { return call_->write(message); }
  void close_writes() override { call_->close_writes(); }

 private:
  const std::shared_ptr<StreamCall> call_;
};

class GrpcRoute final : public Route {
 public:
  explicit GrpcRoute(WayPtr way) : way_(std::move(way)) {}

  Task<Result<void>> call(const Context& context, const Messages& messages) override {
    if (messages.forward.messages) return call_with_messages(*this, context, messages.forward);
    if (context.ordered()) {
      if (const std::string_view client = context.meta().get(meta_key::kClientId); !client.empty()) {
        return call_in_turn(way_, context, messages, fmt::format("{} {}", way_->node_id, client));
      }
    }
    return start(way_, context, messages);
  }

  Result<std::unique_ptr<CallerStreamEnd>> open_stream(const Context& context) override {
    auto call = std::make_shared<StreamCall>(way_);
    if (auto done = call->prepare(context, true); !done) return std::unexpected(std::move(done.error()));
    call->start(context.deadline());
    return std::make_unique<GrpcStreamEnd>(std::move(call));
  }

 private:
  static Task<Result<void>> call_in_turn(WayPtr way, Context context, Messages messages, std::string key) {
    Turn turn(way->state, way->own, std::move(key));
    if (!co_await turn.come(context.deadline())) co_return std::unexpected(deadline_exceeded());
    co_return co_await start(way, context, messages);
  }

  static Task<Result<void>> start(const WayPtr& way, const Context& context, const Messages& messages) {
    auto call = std::make_shared<UnaryCall>(way);
    if (auto done = call->prepare(context, false); !done) return done;
    Result<::grpc::ByteBuffer> request =
        encode(*messages.request, Format::kProto, way->state->options.max_message_bytes);
    if (!request) {
      Error error = client_error(code::kServer, std::move(request.error().detail));
      return std::unexpected(std::move(error));
    }
    call->request.Swap(&*request);
    call->enter();
    call->connection->stub.UnaryCall(&call->context, way->path, ::grpc::StubOptions(), &call->request, &call->reply,
                                     [call](::grpc::Status status) { on_done(call, std::move(status)); });
    return wait(Hold(std::move(call)), context.deadline(), *messages.reply);
  }

  // On a thread of the library.
  static void on_done(const std::shared_ptr<UnaryCall>& call, ::grpc::Status status) {
    call->status = std::move(status);
    const StatePtr state = call->way->state;
    call->way->own.loop->post_always([call] {
      call->release();
      call->done.set(true);
    });
    state->let_go();
  }

  // A caller's hold of its call; a call that nobody waits for any more is cancelled. A parameter of the coroutine, and
  // not in it: that may be destroyed before it has begun.
  struct Hold {
    explicit Hold(std::shared_ptr<UnaryCall> held) : call(std::move(held)) {}
    Hold(Hold&&) = default;
    ~Hold() {
      if (call && !call->done.is_set()) call->context.TryCancel();
    }
    std::shared_ptr<UnaryCall> call;
  };

  static Task<Result<void>> wait(Hold hold, Deadline deadline, MessageLite& reply) {
    const std::shared_ptr<UnaryCall>& call = hold.call;
    if (!co_await call->done.wait(*call->way->own.loop, deadline)) co_return std::unexpected(deadline_exceeded());
    if (!call->status.ok()) co_return std::unexpected(call->error_of(call->status));
    if (auto done = decode(call->reply, Format::kProto, reply); !done) {
      co_return std::unexpected(client_error(code::kServer, std::move(done.error().detail)));
    }
    co_return Result<void>();
  }

  const WayPtr way_;
};

}  // namespace

Caller::Caller(const GrpcOptions& options, TlsTexts tls, std::span<Loop* const> loops)
    : state_(std::make_shared<State>(options, std::move(tls), loops)) {}

Caller::~Caller() {
  state_->cancel_all();
}

std::unique_ptr<Route> Caller::open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop) {
  if (loop.index() >= state_->loops.size() || state_->loops[loop.index()].loop != &loop) return nullptr;
  const std::string_view protocol = node.get("protocol");
  if (!protocol.empty() && protocol != "grpc") return nullptr;
  Result<DialTarget> target = dial_target(node.address, state_->options.client_tls_always || node.get(kTlsKey) == "1");
  if (!target) return nullptr;
  State::PerLoop& own = state_->loops[loop.index()];
  std::string path = "/";
  if (!endpoint.service.empty()) path.append(endpoint.service).append(".");
  path.append(endpoint.handler).append("/").append(endpoint.method);
  return std::make_unique<GrpcRoute>(std::make_shared<const Way>(
      Way{.state = state_,
          .own = own,
          .pool = state_->pool(own, std::move(*target)),
          .path = std::move(path),
          .node_id = node.id,
          .uuid = std::string(node.uuid(endpoint.service)),
          .address = node.address,
          .caller = std::string(caller),
          .ours = !node.get(kMachineKey).empty(),
          .same_machine = this_machine() != kNoMachine && node.get(kMachineKey) == this_machine()}));
}

}  // namespace mg::rpc::grpc
