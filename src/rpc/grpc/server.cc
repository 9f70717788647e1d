#include "rpc/grpc/server.h"

#include <grpc/support/time.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mg/base/check.h"
#include "mg/runtime/event.h"
#include "mg/runtime/in_flight.h"
#include "mg/runtime/listener.h"
#include "rpc/grpc/address.h"
#include "rpc/grpc/debug.h"
#include "rpc/grpc/message.h"
#include "rpc/grpc/metadata.h"
#include "rpc/grpc/node.h"
#include "rpc/grpc/server_call.h"
#include "rpc/grpc/status.h"

namespace mg::rpc::grpc {
namespace {

using ::grpc::StatusCode;
using Reactor = ::grpc::ServerGenericBidiReactor;
using HandlerPtr = const Handler*;  // Within Service the library's own Handler hides ours.

// How long destroying a Served waits for its peers to close their connections.
constexpr auto kGoodbye = std::chrono::milliseconds(100);

// What a request is that never gets to a handler.
class Refused final : public Reactor {
 public:
  explicit Refused(::grpc::Status status) { Finish(std::move(status)); }
  void OnDone() override { delete this; }
};

class Service final : public ::grpc::CallbackGenericService {
 public:
  explicit Service(std::shared_ptr<Node> node) : node_(std::move(node)) {}

  // On a thread of the library, when the headers of a request have come.
  ::grpc::ServerGenericBidiReactor* CreateReactor(::grpc::GenericCallbackServerContext* context) override {
    if (node_->refusing.load(std::memory_order_acquire)) {
      context->AddTrailingMetadata(kNotRunKey, "1");
      return new Refused(to_status(node_->stopped()));
    }
    Result<HandlerPtr> handler = find(context->method());
    if (!handler) return refuse(name_status(handler.error()));
    if (context->method() == "/" || handler.value() == nullptr) {
      return refuse(plain_status(StatusCode::RESOURCE_EXHAUSTED,
                                 fmt::format("malformed method name: \"{}\"", context->method())));
    }
    // The library keeps its limit for each frame of HTTP/2 only, and headers may come in many.
    if (metadata_bytes(*context) > node_->max_metadata_bytes) {
      return refuse(plain_status(StatusCode::RESOURCE_EXHAUSTED,
                                 fmt::format("received metadata larger than max ({} vs. {})", metadata_bytes(*context),
                                             node_->max_metadata_bytes)));
    }
    Incoming in = read_headers(context->client_metadata(), context->host(), remote_of(context->peer()));
    if (!in.node.empty() && in.node != node_->id) {
      // For one that was here before: the address is the same, the node is not.
      context->AddTrailingMetadata(kNotRunKey, "1");
      return refuse(to_status(node_->another(in.node)));
    }
    if (!(*handler)->name.starts_with("Debug.")) {
      if (auto refused = authorise(in)) return refuse(to_status(*refused));
    }
    const Deadline deadline = node_->deadline_of(context->raw_deadline(), in, (*handler)->invoke_stream);
    return start_server_call(node_, context, **handler, std::move(in), deadline);
  }

 private:
  // As HTTP/2 counts them: 32 octets more for each. Source: RFC 9113 10.5.1.
  static std::size_t metadata_bytes(const ::grpc::GenericCallbackServerContext& context) {
    std::size_t bytes = 0;
    for (const auto& [key, value] : context.client_metadata()) bytes += key.size() + value.size() + 32;
    return bytes;
  }

  Reactor* refuse(::grpc::Status status) {
    node_->debug.note_refused();
    return new Refused(std::move(status));
  }

  // Null: the path has one slash only.
  Result<HandlerPtr> find(const std::string& path) const {
    const std::size_t slash = path.find('/', 1);
    if (!path.starts_with('/') || slash == path.npos) return nullptr;
    const Result<EndpointName> name = parse_endpoint({}, path);
    if (!name) return std::unexpected(name.error());
    Result<HandlerPtr> found = node_->handlers->find(name->handler, name->method);
    if (found || name->handler != "Debug") return found;
    return node_->debug.handlers().find(name->handler, name->method);
  }

  // What a server of the Go original lets through when nobody has set up authorisation (wire.md 2.11).
  std::optional<Error> authorise(const Incoming& in) const {
    if (in.authorization.empty()) return std::nullopt;
    std::optional<Error> error;
    if (!in.authorization.starts_with("Bearer ")) {
      error = make_error(code::kUnauthorized, "invalid authorization header. expected Bearer schema");
    } else if (!in.name_space.empty()) {
      error = make_error(code::kForbidden, fmt::format("Account was not issued by {}", in.name_space));
    }
    if (error) error->id = node_->service;
    return error;
  }

  const std::shared_ptr<Node> node_;
};

// Accepts the library's connections for it: its own listening ends for ever when descriptors run out once.
using Acceptor = ::grpc::experimental::ExternalConnectionAcceptor;

class GrpcServed final : public Served {
 public:
  GrpcServed(std::shared_ptr<Node> node, std::unique_ptr<Service> service, std::shared_ptr<Acceptor> acceptor,
             std::unique_ptr<::grpc::Server> server, std::unique_ptr<Listener> listener, std::string address,
             std::vector<std::pair<std::string, std::string>> metadata)
      : node_(std::move(node)),
        service_(std::move(service)),
        acceptor_(std::move(acceptor)),
        server_(std::move(server)),
        listener_(std::move(listener)),
        address_(std::move(address)),
        metadata_(std::move(metadata)) {}
  ~GrpcServed() override {
    node_->refusing.store(true, std::memory_order_release);
    listener_.reset();
    // Requests that are here still end by being cancelled, which takes none of our loops.
    server_->Shutdown(std::chrono::system_clock::now() + kGoodbye);
  }

  std::string address() const override { return address_; }
  std::vector<std::pair<std::string, std::string>> metadata() const override { return metadata_; }
  Task<Result<void>> stop(Deadline deadline) override { return stop_node(node_, deadline); }

 private:
  // What the loops report to.
  struct Stopping {
    std::size_t left;
    std::size_t running = 0;
    Completion<bool> all;
  };
  static Task<Result<void>> stop_node(std::shared_ptr<Node> node, Deadline deadline);
  static Task<void> stop_on(Loop& loop, std::shared_ptr<Node> node, Loop& stopper, std::shared_ptr<Stopping> stopping,
                            Deadline deadline);

  const std::shared_ptr<Node> node_;
  const std::unique_ptr<Service> service_;
  const std::shared_ptr<Acceptor> acceptor_;
  const std::unique_ptr<::grpc::Server> server_;
  std::unique_ptr<Listener> listener_;
  const std::string address_;
  const std::vector<std::pair<std::string, std::string>> metadata_;
};

Task<void> GrpcServed::stop_on(Loop& loop, std::shared_ptr<Node> node, Loop& stopper,
                               std::shared_ptr<Stopping> stopping, Deadline deadline) {
  // Posted, so no handler is on this loop's stack: those that run are suspended and counted.
  InFlight& calls = node->loops[loop.index()].calls;
  calls.close();
  co_await calls.drained(loop, deadline);
  stopper.post_always([stopping, running = calls.count()] {
    stopping->running += running;
    if (--stopping->left == 0) stopping->all.set(true);
  });
}

Task<Result<void>> GrpcServed::stop_node(std::shared_ptr<Node> node, Deadline deadline) {
  Loop* const here = Loop::current();
  check(here != nullptr, "rpc::Served::stop() outside a loop");
  node->refusing.store(true, std::memory_order_release);
  auto stopping = std::make_shared<Stopping>(node->loops.size());
  for (Node::PerLoop& each : node->loops) {
    each.loop->post_always(
        [&each, node, here, stopping, deadline] { spawn(stop_on(*each.loop, node, *here, stopping, deadline)); });
  }
  // The loops' own answers come at the deadline at the latest; a loop that does not run gives none.
  const Deadline patience = deadline.is_never() ? deadline : Deadline::after(deadline.time(), std::chrono::seconds(1));
  if (!co_await stopping->all.wait(*here, patience)) {
    co_return fail(code::kTimeout, "node {}: {} of {} loops did not stop serving in time", node->id, stopping->left,
                   node->loops.size());
  }
  if (stopping->running > 0) {
    co_return fail(code::kTimeout, "node {}: {} requests still run after the time to finish them", node->id,
                   stopping->running);
  }
  co_return Result<void>();
}

std::shared_ptr<::grpc::ServerCredentials> credentials(const TlsTexts& tls) {
  if (tls.cert.empty()) return ::grpc::InsecureServerCredentials();
  ::grpc::SslServerCredentialsOptions options(tls.ca.empty()
                                                  ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                  : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls.ca;
  options.pem_key_cert_pairs.push_back({tls.key, tls.cert});
  return ::grpc::SslServerCredentials(options);
}

}  // namespace

Result<std::unique_ptr<Served>> serve(const GrpcOptions& options, const TlsTexts& tls, std::span<Loop* const> loops,
                                      Serving serving) {
  Result<HostPort> listen = parse_host_port(options.listen);
  if (!listen) return std::unexpected(std::move(listen.error()));
  const std::string bound_to = join_host_port(listen->host, listen->port.empty() ? "0" : listen->port);

  auto node = std::make_shared<Node>(options, loops, std::move(serving));
  auto service = std::make_unique<Service>(node);
  ::grpc::ServerBuilder builder;
  const std::shared_ptr<Acceptor> acceptor = builder.experimental().AddExternalConnectionAcceptor(
      ::grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials(tls));
  builder.RegisterCallbackGenericService(service.get());
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  // No compression, as go-micro; so there is no limit to keep on what a small request unpacks to.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.SetResourceQuota(::grpc::ResourceQuota("mg").Resize(options.max_buffer_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(options.max_metadata_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(options.max_streams));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  // A late reply is sent: who waits for it decides (wire.md 2.6).
  builder.AddChannelArgument(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 0);
  std::unique_ptr<::grpc::Server> server = builder.BuildAndStart();
  if (!server) return fail(code::kServer, "node {}: the gRPC library makes no server", node->id);
  Loop* const here = Loop::current();
  check(here != nullptr, "rpc::grpc::serve() outside a loop");
  auto listener = Listener::open(*here, bound_to, {}, [acceptor](int fd, std::string_view) {
    Acceptor::NewConnectionParameters connection;
    connection.fd = fd;
    acceptor->HandleNewConnection(&connection);
  });
  if (!listener) return fail(code::kUnavailable, "node {}: {}", node->id, listener.error().detail);
  auto metadata = options.node_metadata;
  for (const char* key : {"protocol", "server", "transport"}) {
    std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
    metadata.emplace_back(key, "grpc");
  }
  metadata.emplace_back(kMachineKey, this_machine());
  if (!tls.cert.empty()) metadata.emplace_back(kTlsKey, "1");
  std::ranges::sort(metadata);
  Result<std::string> address = advertised(*listen, (*listener)->port(), options.advertise, interface_addresses());
  if (!address) return std::unexpected(std::move(address.error()));
  return std::make_unique<GrpcServed>(std::move(node), std::move(service), acceptor, std::move(server),
                                      std::move(*listener), std::move(*address), std::move(metadata));
}

}  // namespace mg::rpc::grpc
