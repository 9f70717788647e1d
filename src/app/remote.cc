#include "app/remote.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "mg/base/log.h"
#include "mg/broker/nats/nats_broker.h"
#include "mg/registry/etcd/etcd_registry.h"
#include "mg/rpc/grpc/transport.h"
#include "mg/rpc/link/link.h"
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

broker::NatsOptions nats_options(const CommonFlags& flags, std::string_view name) {
  const bool files = !flags.broker_tls_ca.empty() || !flags.broker_tls_cert.empty();
  return {.addresses = flags.broker_address,
          .user = flags.broker_user,
          .password = flags.broker_password,
          .token = flags.broker_token,
          .tls = {.on = flags.broker_tls || files,
                  .ca_file = flags.broker_tls_ca,
                  .cert_file = flags.broker_tls_cert,
                  .key_file = flags.broker_tls_key},
          .name = std::string(name)};
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

// "10.0.0.7" of "10.0.0.7:80", "[::1]" of "[::1]:80".
std::string host_of(const std::string& address) {
  return address.substr(0, std::min(address.rfind(':'), address.size()));
}

// Whether calls may take the link; never without the TLS that the same flags want of gRPC.
bool has_link(const CommonFlags& flags) {
  if (flags.rpc_link == "off") return false;
  const int files = !flags.rpc_tls_cert.empty() + !flags.rpc_tls_key.empty() + !flags.rpc_tls_ca.empty();
  if (files == 3 || (files == 0 && !flags.rpc_tls)) return true;
  log::warn("the link is off: over TLS it needs rpc_tls_cert, rpc_tls_key and rpc_tls_ca");
  return false;
}

rpc::LinkOptions link_options(const CommonFlags& flags) {
  rpc::LinkOptions options;
  options.listen = flags.rpc_link_address.empty() ? host_of(flags.rpc_address) + ":0" : flags.rpc_link_address;
  options.advertise = flags.rpc_link_advertise;
  if (options.advertise.empty() && rpc::LinkNetwork::can_advertise(host_of(flags.rpc_advertise))) {
    options.advertise = host_of(flags.rpc_advertise);
  }
  options.secret = flags.rpc_link_secret;
  options.tls = {.cert_file = flags.rpc_tls_cert,
                 .key_file = flags.rpc_tls_key,
                 .ca_file = flags.rpc_tls_ca,
                 .server_name = flags.rpc_tls_server_name};
  return options;
}

// The transports of a process that others call: in one process without a socket, then the fastest that a node offers.
Result<void> add_transports(Backends& backends, const CommonFlags& flags, Runtime& runtime) {
  std::vector<Loop*> loops;
  for (std::size_t i = 0; i < runtime.size(); ++i) loops.push_back(&runtime.loop(i));
  backends.transports.push_back(std::make_shared<rpc::LocalNetwork>(loops));
  if (has_link(flags)) {
    auto link = rpc::LinkNetwork::make(loops, link_options(flags));
    if (!link) return std::unexpected(std::move(link.error()));
    backends.transports.push_back(std::move(*link));
  }
  Result<std::unique_ptr<rpc::Transport>> grpc = rpc::grpc::make_transport(grpc_options(flags), loops);
  if (!grpc) return std::unexpected(std::move(grpc.error()));
  backends.transports.push_back(std::move(*grpc));
  return {};
}

}  // namespace

Result<void> make_remote(Backends& backends, const CommonFlags& flags, std::string_view name, Runtime& runtime) {
  if (!backends.broker && !flags.broker_address.empty()) {
    backends.broker = std::make_shared<broker::NatsBroker>(nats_options(flags, name));
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
