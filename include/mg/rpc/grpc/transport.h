// mg/rpc/grpc/transport.h -- calls over gRPC: to and from every process that speaks it, Go services first (wire.md 2).
//
//   auto grpc = rpc::grpc::make_transport({.listen = "127.0.0.1:0"}, loops);     // Result<unique_ptr<Transport>>
//   auto served = co_await (*grpc)->serve({.service = "game", .uuid = id, .handlers = &handlers});
//   registry.put(served->address(), served->metadata());                         // [fd00::2]:39261, protocol=grpc …
//
// Differences from a go-micro server and client, all forced by the gRPC library:
// * It hides the content type: a request is JSON when its first octet is `{`, which no proto3 message starts with (or,
//   after white space, when `x-content-type` says so); a reply is of the request's kind and says `application/grpc`.
// * It sends no metadata that is not printable ASCII (check_header()): such a call fails before it is sent.
// * Requests over the limits and compressed ones are refused with its own words.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/rpc/transport.h"
#include "mg/runtime/loop.h"

namespace mg::rpc::grpc {

// Key of the node metadata that says, with value `1`, that the node is called over TLS. Go peers do not know it.
inline constexpr std::string_view kTlsKey = "mg-tls";

// PEM files, read when the transport is made. Empty: not used.
struct TlsFiles {
  std::string cert_file = {};  // Our certificate and then its chain.
  std::string key_file = {};   // Its private key, without a passphrase.
  std::string ca_file = {};    // Who signs the peers' certificates. Of a server: clients must show one (mTLS).
};

// A line of the log, as Debug.Log sends it.
struct LogLine {
  std::int64_t timestamp = 0;  // Seconds since 1970.
  std::string message;
};

struct GrpcOptions {
  // host:port that is served on. Empty host: all interfaces; port 0: any that is free.
  std::string listen = ":0";
  // host:port that the registry is told, if not that of `listen`; its port 0 or none: the one served on. An empty,
  // 0.0.0.0 or :: host is an address of this machine, a private one if there is one (wire.md 1.4).
  std::string advertise = {};
  // What the registry is told besides `protocol`, `server`, `transport` = grpc.
  std::vector<std::pair<std::string, std::string>> node_metadata = {{"broker", "nats"}, {"registry", "etcd"}};

  TlsFiles server_tls = {};          // With a certificate: served over TLS, and nothing else.
  TlsFiles client_tls = {};          // `ca_file` empty: those the system trusts.
  std::string tls_server_name = {};  // What a server's certificate must name; empty: the host called.
  bool client_tls_always = false;    // Else by the node: kTlsKey, address https://…, port 443, no port.

  std::uint32_t pool_size = 100;                       // Connections to one address, 1..10000 (flag client_pool_size).
  Clock::Duration pool_ttl = std::chrono::minutes(1);  // Unused for so long, one is closed (flag client_pool_ttl).
  std::uint32_t pool_calls = 64;                       // Calls at once on a connection, before another is opened.
  Clock::Duration connect_timeout = std::chrono::seconds(5);

  std::uint32_t max_message_bytes = 4 * 1024 * 1024;  // Requests and replies, both ways.
  std::uint32_t max_metadata_bytes = 64 * 1024;       // All headers of a request, of a reply.
  std::uint32_t max_streams = 10000;                  // Requests at once on a connection served.
  std::uint32_t max_running = 65536;                  // Requests at once on a loop; more are refused with 429.
  std::size_t max_buffer_bytes = 512 * 1024 * 1024;   // What the library holds for the connections of a node.

  // The newest `count` lines from `since` (seconds since 1970) on, for Debug.Log. Empty: there are none.
  // Threads: callback, on any loop.
  std::function<std::vector<LogLine>(std::int64_t since, std::int64_t count)> log = {};
};

// Serving: gRPC's threads read a request and decode it; the handler runs on one of `loops`: always the same for a
// Client-Id, else each in turn. A handler whose caller has gone runs on; its reply is dropped.
// Debug.Health, Stats, Trace, Cache and Log are served beside the handlers (wire.md 2.10).
// stop(): refuses new requests, waits for those that run; the socket is closed when the Served is destroyed.
// Calling: connections are of a loop, opened when the first call needs one, closed when idle for `pool_ttl`. Nothing is
// repeated, no pings are sent. Errors: 503 not_run() when no connection was made or the node says that it did not run
// the request; a 503 of another's that a handler passes on arrives with the node's UUID as id, so that it is not taken
// for one.
// Threads: shared. Requires: `loops` are all of one Runtime, in their order.
// Lifetime: outlives clients, Served and their calls; when it is destroyed no loop runs, and calls that still wait for
// an answer never end. Cost: about 25 µs of CPU a call on either side, most of it in the library.
// Errors: kInvalid  an option is out of range, a file cannot be read; says which
Result<std::unique_ptr<Transport>> make_transport(GrpcOptions options, std::span<Loop* const> loops);

}  // namespace mg::rpc::grpc
