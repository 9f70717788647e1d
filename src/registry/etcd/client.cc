#include "registry/etcd/client.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include "mg/base/log.h"
#include "mg/runtime/event.h"

namespace mg::registry::etcd {
namespace {

constexpr std::string_view kDefaultPort = "2379";

// Calls whose callbacks gRPC has still to make: what a destructor waits for.
class Outstanding {
 public:
  void enter() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [&] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;  // docs/threads.md: "etcd calls"
  std::condition_variable none_;
  std::size_t count_ = 0;
};

// Something that waits for gRPC or for time to pass, and ends early when the client is closed. Threads: loop.
class Waiting {
 public:
  virtual void cancel() = 0;   // Any number of times.
  virtual void abandon() = 0;  // Resumes who waits. After cancel(), and when gRPC has no callback left to make.

 protected:
  ~Waiting() = default;
};

// One question. Kept by its callback and by who asked.
struct Call {
  grpc::ClientContext context;
  grpc::Status status;
  Completion<bool> done;
};
template <class Request, class Response>
struct CallOf final : Call {
  Request request;
  Response response;
};

Error error_of(const grpc::Status& status, std::string_view endpoint, std::string_view method) {
  std::int32_t kind = code::kServer;
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      kind = code::kUnavailable;
      break;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      kind = code::kTimeout;
      break;
    case grpc::StatusCode::UNAUTHENTICATED:
      kind = code::kUnauthorized;
      break;
    case grpc::StatusCode::PERMISSION_DENIED:
      kind = code::kForbidden;
      break;
    case grpc::StatusCode::NOT_FOUND:
      kind = code::kNotFound;
      break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      kind = code::kTooMany;
      break;
    case grpc::StatusCode::INVALID_ARGUMENT:
      kind = code::kInvalid;
      break;
    default:
      break;
  }
  return make_error(kind, fmt::format("etcd {}: {}: {}", endpoint, method.substr(method.rfind('/') + 1),
                                      status.error_message().empty() ? "failed" : status.error_message()));
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file || text.empty()) return fail(code::kInvalid, "etcd: TLS file {} cannot be read or is empty", path);
  return text;
}

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials_of(const EtcdTls& tls) {
  if (!tls.on) return grpc::InsecureChannelCredentials();
  std::string ca, cert, key;
  const std::pair<const std::string&, std::string&> files[] = {
      {tls.ca_file, ca}, {tls.cert_file, cert}, {tls.key_file, key}};
  for (const auto& [path, text] : files) {
    if (path.empty()) continue;
    auto read = read_file(path);
    if (!read) return std::unexpected(read.error());
    text = std::move(*read);
  }
  if (cert.empty() != key.empty()) {
    return fail(code::kInvalid, "etcd: cert_file and key_file belong together, {} is missing",
                cert.empty() ? "cert_file" : "key_file");
  }
  if (tls.verify) {
    return grpc::SslCredentials({.pem_root_certs = ca, .pem_private_key = key, .pem_cert_chain = cert});
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  if (!cert.empty()) {
    options.set_certificate_provider(std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
        std::vector{grpc::experimental::IdentityKeyCertPair{.private_key = key, .certificate_chain = cert}}));
    options.watch_identity_key_cert_pairs();
  }
  return grpc::experimental::TlsCredentials(options);
}

// gRPC's own clock: a jump of the time of day changes nothing.
gpr_timespec in(Clock::Duration time) {
  const auto limited = std::clamp<Clock::Duration>(time, Clock::Duration(0), std::chrono::hours(24));
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(limited.count(), GPR_TIMESPAN));
}

// ---- the watch ------------------------------------------------------------------------------------------------------

// gRPC calls this object on its threads; it posts what it gets. It holds itself until gRPC is done with it.
// One message is read, handed over, and only then the next one: nothing piles up.
class Reactor final : public grpc::ClientBidiReactor<pb::WatchRequest, pb::WatchResponse>,
                      public std::enable_shared_from_this<Reactor> {
 public:
  Reactor(Loop& home, std::shared_ptr<Outstanding> outstanding) : home_(home), outstanding_(std::move(outstanding)) {}

  grpc::ClientContext context;

  // Threads: loop, all of these.
  void start(pb::WatchRequest request) {
    self_ = shared_from_this();
    request_ = std::move(request);
    outstanding_->enter();
    AddHold();  // For reads that begin outside of gRPC's callbacks.
    StartWrite(&request_);
    StartCall();
  }
  void read() {
    if (reading_ || ended_ || closed_) return;
    reading_ = true;
    StartRead(&incoming_);
  }
  void close() {
    context.TryCancel();
    release();
  }
  bool ended() const { return ended_; }

  std::optional<pb::WatchResponse> message;  // The one that was read.
  grpc::Status status;                       // Once it has ended.
  Completion<bool>* waiting = nullptr;       // Told when there is one of them.

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      home_.post_always([self = shared_from_this(), got = std::move(incoming_)]() mutable {
        self->reading_ = false;
        self->message = std::move(got);
        self->tell();
      });
    } else {
      home_.post_always([self = shared_from_this()] {  // Nothing more comes; OnDone says why.
        self->reading_ = false;
        self->release();
      });
    }
  }
  void OnDone(const grpc::Status& why) override {
    home_.post_always([self = shared_from_this(), why] {
      self->ended_ = true;
      self->status = why;
      self->tell();
    });
    const auto outstanding = outstanding_;
    self_.reset();  // May be the end of this.
    outstanding->leave();
  }
  void release() {
    if (!std::exchange(closed_, true)) RemoveHold();
  }
  void tell() {
    if (Completion<bool>* const told = std::exchange(waiting, nullptr)) told->set(true);
  }

  Loop& home_;
  const std::shared_ptr<Outstanding> outstanding_;
  std::shared_ptr<Reactor> self_;
  pb::WatchRequest request_;
  pb::WatchResponse incoming_;  // Written by gRPC while reading_.
  bool reading_ = false;
  bool closed_ = false;
  bool ended_ = false;
};

}  // namespace

std::vector<std::string> endpoints_of(const std::vector<std::string>& items) {
  std::vector<std::string> all;
  for (std::string item : items) {
    while (item.starts_with(' ')) item.erase(0, 1);
    while (item.ends_with(' ')) item.pop_back();
    if (item.empty() || item.contains("://")) continue;
    const std::size_t bracket = item.rfind(']');
    const std::size_t colon = item.rfind(':');
    const bool bare_v6 = item[0] != '[' && item.find(':') != colon;
    if (bare_v6) item = "[" + item + "]";
    if (bare_v6 || colon == std::string::npos || (bracket != std::string::npos && colon < bracket)) {
      item += ":";
      item += kDefaultPort;
    }
    all.push_back(std::move(item));
  }
  if (all.empty()) all.push_back("127.0.0.1:2379");
  return all;
}

// ---- Client ---------------------------------------------------------------------------------------------------------

class Client::Impl {
 public:
  Impl(const EtcdOptions& options, std::shared_ptr<grpc::ChannelCredentials> credentials, Loop& home)
      : options_(options), credentials_(std::move(credentials)), home_(home) {
    for (std::string& each : endpoints_of(options.endpoints)) endpoints_.push_back({std::move(each), nullptr});
  }

  template <class Request, class Response>
  Task<Result<Response>> ask(const char* method, Request request, Deadline deadline) {
    if (waiting_.size() >= options_.max_pending) {
      co_return fail(code::kTooMany, "etcd: {} questions are in flight", waiting_.size());
    }
    deadline = std::min(deadline, Deadline::after(home_.clock(), options_.request_timeout));
    bool renewed = false;
    for (std::size_t attempt = 1;; ++attempt) {
      if (auto ok = co_await log_in(deadline); !ok) co_return std::unexpected(ok.error());
      const std::size_t used = current_;
      auto call = std::make_shared<CallOf<Request, Response>>();
      call->request = request;
      const grpc::Status status = co_await run(*call, call, method, attempt_time(deadline, attempt));
      if (status.ok()) co_return std::move(call->response);
      if (closed_) co_return fail(code::kUnavailable, "etcd: closed");
      if (!options_.user.empty() && !renewed && token_is_stale(status)) {
        renewed = true;
        token_.clear();
        no_auth_ = false;
        continue;
      }
      const bool elsewhere = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                             status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
      if (elsewhere && used == current_) turn_away();
      if (!elsewhere || attempt >= endpoints_.size() || deadline.expired(home_.clock().now())) {
        co_return std::unexpected(error_of(status, endpoints_[used].name, method));
      }
    }
  }

  Task<Result<std::unique_ptr<WatchStream>>> watch(pb::WatchCreateRequest create, Deadline deadline);

  Task<void> pause(Clock::Duration time) {
    Pause pause(*this);
    if (!closed_) co_await pause.done.wait(home_, Deadline::after(home_.clock(), time));
  }

  void turn_away() {
    current_ = (current_ + 1) % endpoints_.size();
    token_.clear();
  }
  bool closed() const { return closed_; }

  void close() {
    closed_ = true;
    for (Waiting* each : waiting_) each->cancel();
    outstanding_->wait();
    while (!waiting_.empty()) (*waiting_.begin())->abandon();  // Which takes it out.
  }

 private:
  class Stream;
  friend class Stream;

  // In the list while it lives.
  class Listed : public Waiting {
   public:
    explicit Listed(Impl& impl) : impl_(impl) { impl_.waiting_.insert(this); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;
    virtual ~Listed() { leave(); }

   protected:
    void leave() { impl_.waiting_.erase(this); }
    Impl& impl_;
  };
  struct Pause final : Listed {
    using Listed::Listed;
    void cancel() override {}
    void abandon() override {
      leave();
      done.set(true);
    }
    Completion<bool> done;
  };
  struct Asking final : Listed {
    Asking(Impl& impl, std::shared_ptr<Call> c) : Listed(impl), call(std::move(c)) {}
    ~Asking() { call->context.TryCancel(); }
    void cancel() override { call->context.TryCancel(); }
    void abandon() override {
      leave();
      call->status = grpc::Status(grpc::StatusCode::CANCELLED, "closed");
      call->done.set(true);
    }
    const std::shared_ptr<Call> call;
  };

  struct Endpoint {
    std::string name;
    std::shared_ptr<grpc::Channel> channel;  // Made when it is first used.
  };

  std::shared_ptr<grpc::Channel> channel() {
    Endpoint& endpoint = endpoints_[current_];
    if (endpoint.channel) return endpoint.channel;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetMaxReceiveMessageSize(static_cast<int>(std::min<std::uint32_t>(options_.max_message_bytes, 1u << 30)));
    // Back within a second of etcd's coming back; a connection that hangs is given up soon.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    // A peer that is gone without a word is noticed by pings. etcd allows one in five seconds.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 4'000);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    if (!options_.tls.server_name.empty()) arguments.SetSslTargetNameOverride(options_.tls.server_name);
    endpoint.channel = grpc::CreateCustomChannel(endpoint.name, credentials_, arguments);
    return endpoint.channel;
  }

  void prepare(grpc::ClientContext& context) {
    if (!token_.empty()) context.AddMetadata("token", token_);
  }

  template <class Request, class Response>
  Task<grpc::Status> run(CallOf<Request, Response>& call, std::shared_ptr<Call> owner, const char* method,
                         Clock::Duration time) {
    if (closed_) co_return grpc::Status(grpc::StatusCode::CANCELLED, "closed");
    const Asking asking(*this, owner);
    call.context.set_deadline(in(time));
    prepare(call.context);
    outstanding_->enter();
    grpc::TemplatedGenericStub<Request, Response>(channel()).UnaryCall(
        &call.context, method, {}, &call.request, &call.response,
        [owner, &home = home_, outstanding = outstanding_](const grpc::Status& status) {
          owner->status = status;
          home.post_always([owner] { owner->done.set(true); });
          outstanding->leave();
        });
    co_await call.done.wait(home_, Deadline::never());  // gRPC keeps the deadline.
    co_return call.status;
  }

  // The share of an attempt when other endpoints are left to try.
  Clock::Duration attempt_time(Deadline deadline, std::size_t attempt) const {
    const Clock::Duration all = deadline.remaining(home_.clock().now());
    const std::size_t left = endpoints_.size() - std::min(endpoints_.size() - 1, attempt - 1);
    return all / static_cast<std::int64_t>(left);
  }

  static bool token_is_stale(const grpc::Status& status) {
    const std::string& text = status.error_message();
    return status.error_code() == grpc::StatusCode::UNAUTHENTICATED || text.contains("user name is empty") ||
           text.contains("revision of auth store is old");
  }

  // Gets a token when there is none. An etcd without authentication needs none.
  Task<Result<void>> log_in(Deadline deadline) {
    if (options_.user.empty() || !token_.empty() || no_auth_) co_return Result<void>();
    constexpr const char* kMethod = "/etcdserverpb.Auth/Authenticate";
    for (std::size_t attempt = 1;; ++attempt) {
      const std::size_t used = current_;
      auto call = std::make_shared<CallOf<pb::AuthenticateRequest, pb::AuthenticateResponse>>();
      call->request.set_name(options_.user);
      call->request.set_password(options_.password);
      const grpc::Status status = co_await run(*call, call, kMethod, attempt_time(deadline, attempt));
      if (status.ok()) {
        token_ = call->response.token();
        co_return Result<void>();
      }
      if (status.error_message().contains("authentication is not enabled")) {
        no_auth_ = true;
        co_return Result<void>();
      }
      const bool elsewhere = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                             status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
      if (elsewhere && used == current_) turn_away();
      if (!elsewhere || attempt >= endpoints_.size() || closed_) {
        co_return std::unexpected(error_of(status, endpoints_[used].name, kMethod));
      }
    }
  }

  const EtcdOptions& options_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  Loop& home_;
  std::vector<Endpoint> endpoints_;
  std::size_t current_ = 0;
  std::string token_;
  bool no_auth_ = false;  // etcd has said that it wants no token; until a question is refused.
  bool closed_ = false;
  std::set<Waiting*> waiting_;
  const std::shared_ptr<Outstanding> outstanding_ = std::make_shared<Outstanding>();
};

class Client::Impl::Stream final : public WatchStream, private Listed {
 public:
  Stream(Impl& impl, pb::WatchRequest request)
      : Listed(impl),
        endpoint_(impl.endpoints_[impl.current_].name),
        reactor_(std::make_shared<Reactor>(impl.home_, impl.outstanding_)) {
    impl.prepare(reactor_->context);
    // An endpoint that has lost the others of its cluster ends the stream instead of being silent.
    reactor_->context.AddMetadata("hasleader", "true");
    grpc::TemplatedGenericStub<pb::WatchRequest, pb::WatchResponse>(impl.channel())
        .PrepareBidiStreamingCall(&reactor_->context, "/etcdserverpb.Watch/Watch", {}, reactor_.get());
    reactor_->start(std::move(request));
  }
  ~Stream() override {
    reactor_->waiting = nullptr;
    reactor_->close();
  }

  Task<Result<pb::WatchResponse>> next(Deadline deadline) override {
    for (;;) {
      if (impl_.closed_) co_return fail(code::kUnavailable, "etcd: closed");
      if (reactor_->message) {
        pb::WatchResponse message = std::move(*reactor_->message);
        reactor_->message.reset();
        co_return message;
      }
      if (reactor_->ended()) co_return std::unexpected(error_of(reactor_->status, endpoint_, "Watch"));
      reactor_->read();
      Completion<bool> told;
      reactor_->waiting = &told;
      const bool in_time = (co_await told.wait(impl_.home_, deadline)).has_value();
      reactor_->waiting = nullptr;
      if (!in_time) co_return fail(code::kTimeout, "etcd {}: Watch: no message", endpoint_);
    }
  }

 private:
  void cancel() override { reactor_->close(); }
  void abandon() override {
    leave();
    if (Completion<bool>* const told = std::exchange(reactor_->waiting, nullptr)) told->set(true);
  }

  const std::string endpoint_;
  const std::shared_ptr<Reactor> reactor_;
};

Task<Result<std::unique_ptr<WatchStream>>> Client::Impl::watch(pb::WatchCreateRequest create, Deadline deadline) {
  deadline = std::min(deadline, Deadline::after(home_.clock(), options_.request_timeout));
  if (auto ok = co_await log_in(deadline); !ok) co_return std::unexpected(ok.error());
  if (closed_) co_return fail(code::kUnavailable, "etcd: closed");
  pb::WatchRequest request;
  *request.mutable_create() = std::move(create);
  auto stream = std::make_unique<Stream>(*this, std::move(request));
  const Result<pb::WatchResponse> first = co_await stream->next(deadline);
  if (!first) co_return std::unexpected(first.error());
  if (!first->created() || first->canceled()) {
    if (first->cancel_reason().contains("auth") || first->cancel_reason().contains("permission")) token_.clear();
    co_return fail(code::kUnavailable, "etcd: Watch: refused: {}", first->cancel_reason());
  }
  co_return std::move(stream);
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() {
  close();
}

Result<std::unique_ptr<Client>> Client::make(const EtcdOptions& options, Loop& home) {
  auto credentials = credentials_of(options.tls);
  if (!credentials) return std::unexpected(credentials.error());
  return std::unique_ptr<Client>(new Client(std::make_unique<Impl>(options, std::move(*credentials), home)));
}

Task<Result<pb::RangeResponse>> Client::range(pb::RangeRequest request, Deadline deadline) {
  return impl_->ask<pb::RangeRequest, pb::RangeResponse>("/etcdserverpb.KV/Range", std::move(request), deadline);
}
Task<Result<pb::PutResponse>> Client::put(pb::PutRequest request, Deadline deadline) {
  return impl_->ask<pb::PutRequest, pb::PutResponse>("/etcdserverpb.KV/Put", std::move(request), deadline);
}
Task<Result<pb::DeleteRangeResponse>> Client::erase(pb::DeleteRangeRequest request, Deadline deadline) {
  return impl_->ask<pb::DeleteRangeRequest, pb::DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange", std::move(request),
                                                                     deadline);
}
Task<Result<pb::LeaseGrantResponse>> Client::grant(pb::LeaseGrantRequest request, Deadline deadline) {
  return impl_->ask<pb::LeaseGrantRequest, pb::LeaseGrantResponse>("/etcdserverpb.Lease/LeaseGrant", std::move(request),
                                                                   deadline);
}
Task<Result<pb::LeaseRevokeResponse>> Client::revoke(pb::LeaseRevokeRequest request, Deadline deadline) {
  return impl_->ask<pb::LeaseRevokeRequest, pb::LeaseRevokeResponse>("/etcdserverpb.Lease/LeaseRevoke",
                                                                     std::move(request), deadline);
}
Task<Result<pb::LeaseKeepAliveResponse>> Client::keep_alive(pb::LeaseKeepAliveRequest request, Deadline deadline) {
  return impl_->ask<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>("/etcdserverpb.Lease/LeaseKeepAlive",
                                                                           std::move(request), deadline);
}
Task<Result<std::unique_ptr<WatchStream>>> Client::watch(pb::WatchCreateRequest request, Deadline deadline) {
  return impl_->watch(std::move(request), deadline);
}
Task<void> Client::pause(Clock::Duration time) {
  return impl_->pause(time);
}
void Client::turn_away() {
  impl_->turn_away();
}
bool Client::closed() const {
  return impl_->closed();
}
void Client::close() {
  impl_->close();
}

}  // namespace mg::registry::etcd
