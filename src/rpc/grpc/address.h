// Addresses of nodes: what a server binds and tells, what a client dials (wire.md 1.4).
//
//   std::string told = advertised(*parse_host_port(":0"), 39261, "", interface_addresses());   // "10.0.0.7:39261"
//   auto target = dial_target("[fd00::2]:39261", false);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg::rpc::grpc {

struct HostPort {
  std::string host;  // Without brackets.
  std::string port;  // "" when there is none.
};

// Shape: host:port, [v6]:port, :port, or a host alone. Errors: kInvalid  none of them
Result<HostPort> parse_host_port(std::string_view text);
// A host with a colon gets brackets; no port, no colon.
std::string join_host_port(std::string_view host, std::string_view port);

// An address of an interface of this machine.
struct InterfaceAddress {
  std::string ip;
  bool loopback = false;
};
std::vector<InterfaceAddress> interface_addresses();

// What the registry is told of a server that listens at `listen` and got `port`. `advertise` as in GrpcOptions.
// Errors: kInvalid  `advertise` is no address
Result<std::string> advertised(const HostPort& listen, std::uint16_t port, std::string_view advertise,
                               std::span<const InterfaceAddress> interfaces);

// What the registry tells as a channel's target.
struct DialTarget {
  std::string target;  // "dns:///host:port": never the same text as a connected peer's.
  bool tls = false;
};
// Errors: kInvalid  no address, another scheme than https
Result<DialTarget> dial_target(std::string_view address, bool tls);

// "ipv4:10.0.0.9:59536" as a handler sees it: "10.0.0.9:59536"; "[::1]:59536" for IPv6.
std::string remote_of(std::string_view peer);

}  // namespace mg::rpc::grpc
