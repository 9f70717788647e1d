// mg/rpc/link/link.h -- calls between microgame nodes over one connection for each (loop, node). docs/link.md.
//
//   auto link = rpc::LinkNetwork::make(loops, {.listen = "10.0.0.7:0", .secret = secret});   // Result
//   auto served = co_await (*link)->serve({...});            // an rpc::Transport; metadata() has mg-link
//   rpc::Client client({...}, loops, resolver, {link->get(), grpc.get()}, random);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "mg/rpc/transport.h"

namespace mg::rpc {

// TLS of links, with certificates on both sides (mTLS); off while all are empty. PEM files.
struct LinkTls {
  std::string cert_file;    // Shown to the other side, whether as node or as caller.
  std::string key_file;     // Of the certificate, without a passphrase.
  std::string ca_file;      // Who may sign the other side's.
  std::string server_name;  // What a node's certificate must bear; empty: the IP it is reached at.

  bool enabled() const { return !cert_file.empty() || !key_file.empty() || !ca_file.empty(); }
};

struct LinkOptions {
  std::string listen = ":0";  // Where nodes listen; port 0 is a free one. One socket for each node that is served.
  std::string advertise;      // IP that others are told; empty: that of `listen`, or this machine's if it has none.
  std::string secret;         // Shared by all nodes, 16 octets or more; empty: none is asked for.
  LinkTls tls;
  std::uint32_t max_message = 16 * 1024 * 1024;  // Octets of one request or reply, encoded; 1 KiB .. 1 GiB.
  std::uint32_t max_calls = 65'536;              // Without an answer yet, for each link; 1 .. 2^20.
  std::uint32_t max_waiting = 65'536;            // Calls that wait for a connection or for room; more fail with 429.
  std::uint32_t max_output = 4 * 1024 * 1024;    // Octets the kernel has not taken, before a link counts as full.
  std::uint32_t max_metas = 65'536;              // Metadata that a link knows by number; 1 .. 2^24.
  std::uint32_t max_meta_octets = 64 * 1024 * 1024;             // Their octets together; at least 64 KiB.
  std::uint32_t max_links = 4096;                               // To one node, from all callers.
  Clock::Duration handshake_timeout = std::chrono::seconds(5);  // From connect or accept until calls may begin.
  Clock::Duration ping_interval = std::chrono::seconds(5);
  Clock::Duration silence = std::chrono::seconds(15);     // Nothing heard for so long: the link is lost.
  Clock::Duration idle_close = std::chrono::seconds(30);  // A link that no route leads over any more is closed.
};

// Rare events since the start. Threads: shared.
struct LinkStats {
  std::uint64_t opened = 0;      // Links, as caller or as node, that got through the handshake.
  std::uint64_t lost = 0;        // Of these, ended by anything but a stop.
  std::uint64_t refused = 0;     // Handshakes that failed: version, epoch, secret, too many, time.
  std::uint64_t violations = 0;  // Peers that were cut for breaking a rule.
};

// Nodes reach each other if both have one. A call is written into the output of the loop's connection at once and
// leaves with all others of the turn; its handler runs on the loop that has the connection at the node.
// Route::call errors: as the port says; also
//   500 `node game-…: connection lost (…), the request may have run`
//   429 max_waiting calls wait for the node already · 3 the request is larger than max_message, or its metadata than
//   64 KiB
// Threads: shared; serve() on one of the loops, its Served::stop() on a loop. Lifetime: outlives clients, Served and
// their calls; destroyed on one of the loops or when they run no more.
class LinkNetwork final : public Transport {
 public:
  // Key of the node metadata: "ip:port;epoch".
  static constexpr std::string_view kMetadataKey = "mg-link";

  // Calls can be made and served on these loops, all of one Runtime in their order, which outlive the network.
  // Errors: kInvalid  an option out of range, a secret too short, a certificate that cannot be read; names it
  static Result<std::unique_ptr<LinkNetwork>> make(std::span<Loop* const> loops, LinkOptions options = {});
  LinkNetwork(const LinkNetwork&) = delete;
  LinkNetwork& operator=(const LinkNetwork&) = delete;
  ~LinkNetwork() override;

  // Errors: kExists  somebody listens at `listen` · kInvalid, kServer  it cannot be listened at
  Task<Result<std::unique_ptr<Served>>> serve(Serving serving) override;
  // Null without `mg-link` in the node's metadata.
  std::unique_ptr<Route> open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop) override;

  LinkStats stats() const;

  // Whether `text` is an IP, as LinkOptions::advertise must be.
  static bool can_advertise(std::string_view text);

  class State;

 private:
  explicit LinkNetwork(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace mg::rpc
