#include "mg/rpc/grpc/transport.h"

#include "rpc/grpc/client.h"
#include "rpc/grpc/server.h"
#include "rpc/grpc/tls.h"

namespace mg::rpc::grpc {
namespace {

class GrpcTransport final : public Transport {
 public:
  GrpcTransport(GrpcOptions options, TlsTexts server_tls, TlsTexts client_tls, std::span<Loop* const> loops)
      : options_(std::move(options)),
        server_tls_(std::move(server_tls)),
        loops_(loops.begin(), loops.end()),
        caller_(options_, std::move(client_tls), loops_) {}

  Task<Result<std::unique_ptr<Served>>> serve(Serving serving) override {
    co_return grpc::serve(options_, server_tls_, loops_, std::move(serving));  // On the loop that waits for it.
  }
  std::unique_ptr<Route> open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop) override {
    return caller_.open(node, endpoint, caller, loop);
  }

 private:
  const GrpcOptions options_;
  const TlsTexts server_tls_;
  const std::vector<Loop*> loops_;
  Caller caller_;
};

Result<void> check_options(const GrpcOptions& options, std::span<Loop* const> loops) {
  const auto within = [](std::string_view name, std::uint64_t value, std::uint64_t least,
                         std::uint64_t most) -> Result<void> {
    if (value >= least && value <= most) return {};
    return fail(code::kInvalid, "gRPC: {} is {}, it must be {} to {}", name, value, least, most);
  };
  constexpr std::uint64_t kMaxBytes = 1u << 30;
  for (const Result<void>& each :
       {within("pool_size", options.pool_size, 1, 10000), within("pool_calls", options.pool_calls, 1, 1u << 20),
        within("max_message_bytes", options.max_message_bytes, 1, kMaxBytes),
        within("max_metadata_bytes", options.max_metadata_bytes, 1024, kMaxBytes),
        within("max_streams", options.max_streams, 1, 1u << 30),
        within("max_running", options.max_running, 1, 1u << 30),
        within("max_buffer_bytes", options.max_buffer_bytes, 1u << 20, std::uint64_t{1} << 40)}) {
    if (!each) return each;
  }
  if (options.pool_ttl <= Clock::Duration::zero()) return fail(code::kInvalid, "gRPC: pool_ttl must be over 0");
  if (options.connect_timeout < std::chrono::milliseconds(1) || options.connect_timeout > std::chrono::hours(1)) {
    return fail(code::kInvalid, "gRPC: connect_timeout must be 1 ms to 1 h");
  }
  if (loops.empty()) return fail(code::kInvalid, "gRPC: no loops");
  for (std::size_t i = 0; i < loops.size(); ++i) {
    if (loops[i]->index() != i)
      return fail(code::kInvalid, "gRPC: the loops must be all of one Runtime, in their order");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Transport>> make_transport(GrpcOptions options, std::span<Loop* const> loops) {
  if (auto good = check_options(options, loops); !good) return std::unexpected(std::move(good.error()));
  if (options.server_tls.cert_file.empty() && !options.server_tls.ca_file.empty()) {
    return fail(code::kInvalid,
                "gRPC: clients can only be asked for certificates by a server that has one: give "
                "server_tls.cert_file and key_file");
  }
  Result<TlsTexts> server_tls = read_tls(options.server_tls);
  if (!server_tls) return std::unexpected(std::move(server_tls.error()));
  Result<TlsTexts> client_tls = read_tls(options.client_tls);
  if (!client_tls) return std::unexpected(std::move(client_tls.error()));
  return std::make_unique<GrpcTransport>(std::move(options), std::move(*server_tls), std::move(*client_tls), loops);
}

}  // namespace mg::rpc::grpc
