// mg/app/common_flags.h -- the flags every service has (wire.md section 9), by their names.
//
//   if (!app.process().common().registry_address.empty()) ...
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace mg {

class Flags;

struct CommonFlags {
  bool dev = false;                                          // Log each request and message.
  std::uint32_t loops = 0;                                   // 0: one for each core.
  std::chrono::milliseconds stop_timeout{10'000};            // For a graceful stop, of all apps together.
  std::chrono::milliseconds drain_delay{200};                // Of a stop: between deregistration and refusing calls.
  std::chrono::milliseconds client_request_timeout{10'000};  // Of calls without a deadline.
  std::uint32_t client_retries = 0;              // Further attempts of a call after 408, 500 and one that did not run.
  std::uint32_t client_pool_size = 0;            // 0: 100 connections for each address.
  std::chrono::milliseconds client_pool_ttl{0};  // 0: a minute.
  std::vector<std::string> registry_address;     // Empty: built in.
  std::string registry_user;
  std::string registry_password;
  bool registry_tls = false;    // Also when one of the files is given.
  std::string registry_tls_ca;  // PEM files. Empty: authorities that the system trusts.
  std::string registry_tls_cert;
  std::string registry_tls_key;
  std::chrono::seconds register_ttl{60};
  std::chrono::seconds register_interval{30};  // 0: never refreshed.
  std::vector<std::string> broker_address;     // Empty: built in.
  std::string broker_user;
  std::string broker_password;
  std::string broker_token;  // Instead of a user.
  bool broker_tls = false;   // As registry_tls and its files.
  std::string broker_tls_ca;
  std::string broker_tls_cert;
  std::string broker_tls_key;
  // Where others call this process over gRPC. Empty: nowhere without a registry_address, any port with one.
  std::string rpc_address;
  std::string rpc_advertise;  // host:port that others are told; empty: by rpc_address and this machine's addresses.
  bool rpc_tls = false;       // Every node is called over TLS; else those that say they want it.
  std::string rpc_tls_cert;   // PEM files. With a certificate this process serves over TLS.
  std::string rpc_tls_key;
  std::string rpc_tls_ca;           // Whose certificates count: nodes' and, when serving over TLS, callers' (mTLS).
  std::string rpc_tls_server_name;  // What nodes' certificates must name; empty: the host called.
  // The link between microgame nodes (docs/link.md), before gRPC: "on", or "off". With certificates it needs all three
  // files, on every node, and is off when only some are given.
  std::string rpc_link = "on";
  std::string rpc_link_address;    // host:port; empty: any port at the host of rpc_address.
  std::string rpc_link_advertise;  // IP that others are told; empty: that of rpc_advertise or of this machine.
  std::string rpc_link_secret;     // The same on every node, 16 octets or more; empty: none is asked for.
  std::string selector;            // mg/rpc/selector.h, picker_of().
  std::string lang = "zh-cn";      // Of error texts, only when it is given (mg/utils/errors/language.h).
  std::string gops;
  std::string profile;
  std::string runtime = "local";
  std::string runtime_source;
  std::string tracer;
  std::string tracer_address;

  void add_to(Flags& flags);
};

}  // namespace mg
