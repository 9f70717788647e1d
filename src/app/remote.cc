#include "app/remote.h"

#include <string>
#include <utility>
#include <vector>

#include "mg/broker/nats/nats_broker.h"
#include "mg/registry/etcd/etcd_registry.h"
#include "mg/rpc/grpc/transport.h"
#include "mg/rpc/local/network.h"

namespace mg {
namespace {

registry::etcd::EtcdOptions etcd_options(const CommonFlags& flags) {
  const bool files = !flags.registry_tls_ca.empty() || !flags.registry_tls_cert.empty();
  return {.endpoints = flags.registry_address,
          .user = flags.registry_user,
          .password = flags.registry_password,
          .tls = {.on = flags.registry_tls || files,
                  .ca_file = flags.registry_tls_ca,
                  .cert_file = flags.registry_tls_cert,
                  .key_file = flags.registry_tls_key}};
}

rpc::grpc::GrpcOptions grpc_options(const CommonFlags& flags) {
  rpc::grpc::GrpcOptions options{
      .listen = flags.rpc_address.empty() ? ":0" : flags.rpc_address,
      .advertise = flags.rpc_advertise,
      .node_metadata = {},  // The app says the words for its broker and registry.
      .server_tls = {.cert_file = flags.rpc_tls_cert, .key_file = flags.rpc_tls_key},
      .client_tls = {.cert_file = flags.rpc_tls_cert, .key_file = flags.rpc_tls_key, .ca_file = flags.rpc_tls_ca},
      .tls_server_name = flags.rpc_tls_server_name,
      .client_tls_always = flags.rpc_tls};
  if (!flags.rpc_tls_cert.empty()) options.server_tls.ca_file = flags.rpc_tls_ca;
  if (flags.client_pool_size != 0) options.pool_size = flags.client_pool_size;
  if (flags.client_pool_ttl.count() != 0) options.pool_ttl = flags.client_pool_ttl;
  return options;
}

// The transports of a process that others call: in one process without a socket, then the fastest that a node offers.
Result<void> add_transports(Backends& backends, const CommonFlags& flags, Runtime& runtime) {
  std::vector<Loop*> loops;
  for (std::size_t i = 0; i < runtime.size(); ++i) loops.push_back(&runtime.loop(i));
  backends.transports.push_back(std::make_shared<rpc::LocalNetwork>(loops));
  // The link between microgame nodes (docs/link.md) goes here.
  Result<std::unique_ptr<rpc::Transport>> grpc = rpc::grpc::make_transport(grpc_options(flags), loops);
  if (!grpc) return std::unexpected(std::move(grpc.error()));
  backends.transports.push_back(std::move(*grpc));
  return {};
}

}  // namespace

Result<void> make_remote(Backends& backends, const CommonFlags& flags, std::string_view name, Runtime& runtime) {
  if (!backends.broker && !flags.broker_address.empty()) {
    backends.broker = std::make_shared<broker::NatsBroker>(
        broker::NatsOptions{.addresses = flags.broker_address, .name = std::string(name)});
  }
  const bool remote = !flags.registry_address.empty() || !flags.rpc_address.empty();
  if (!backends.registry && !flags.registry_address.empty()) {
    auto registry = registry::etcd::connect(etcd_options(flags), runtime.loop(0));
    if (!registry) return std::unexpected(std::move(registry.error()));
    backends.registry = std::move(*registry);
  }
  if (backends.transports.empty() && remote) return add_transports(backends, flags, runtime);
  return {};
}

}  // namespace mg
