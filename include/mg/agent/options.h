// mg/agent/options.h -- everything about a gate that can be set, each limit with a finite default.
//
//   AgentOptions options;
//   options.types = {"websocket", "tcp"};
//   options.add_flags(app.flags());                       // --agent_auth_time 5, GAME_AGENT_AUTH_TIME=5 ...
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mg/codec/options.h"

namespace mg {
class Flags;
}

namespace mg::agent {

// What happens to a write for a client that does not read, when its queue is full.
enum class SlowClient : std::uint8_t {
  kClose,       // The client is closed; nothing is ever silently missing.
  kDrop,        // The new message is dropped.
  kDropOldest,  // The oldest queued messages are dropped until it fits.
  kKeepLatest,  // A queued message of the same key is replaced at once, full or not; else as kDropOldest.
};

struct AgentOptions {
  // What to listen on. Types: websocket (ws), tcp; wss, tcps over TLS. One port an entry ("[host]:port"); where there
  // are fewer, the next number is taken (0 stays 0: any free port).
  std::vector<std::string> types{"websocket"};
  std::vector<std::string> ports{":0"};
  std::string host{};  // Public host of the gate, put into the node's metadata.

  // PEM files. With both, every listener speaks TLS, unless `types` names wss or tcps: then ws and tcp stay plain.
  std::string tls_cert{};
  std::string tls_key{};

  codec::CodecOptions codec{};  // Mix bytes, endian, obfuscation; its max_payload_bytes is set from max_message_bytes.

  std::uint32_t max_message_bytes = 1024 * 1024;  // Of one packet, head included; 64..2^30.
  std::uint32_t write_queue_bytes = 1024 * 1024;  // Waiting for one client; 1024..2^30.
  std::uint32_t conn_max = 100'000;               // Connections of the agent; 0 = no limit of its own.
  std::uint32_t handshakes_per_ip = 10'000;       // Connections per second from one address; 0 = no limit.
  std::uint32_t rate_messages = 20'000;           // Messages per second of one client; it is read slower then. 0 off.
  std::uint64_t rate_bytes = 8 * 1024 * 1024;     // Octets per second of one client, likewise.
  std::uint32_t depth = 1;  // Messages of one client handled at a time; replies keep order. 1..1024.
  std::uint32_t max_groups_per_client = 256;
  SlowClient slow_client = SlowClient::kClose;

  std::chrono::milliseconds auth_time{5'000};            // To set_auth_state(true), from the connection on.
  std::chrono::milliseconds handshake_timeout{10'000};   // WebSocket and TLS handshake.
  std::chrono::milliseconds read_timeout{10'000};        // From the first octet of a message to its last.
  std::chrono::milliseconds write_timeout{10'000};       // A full socket that takes nothing.
  std::chrono::milliseconds idle_timeout{90'000};        // tcp: nothing received.
  std::chrono::milliseconds heartbeat_interval{30'000};  // ws: between pings.
  std::chrono::milliseconds heartbeat_deadline{10'000};  // ws: from a ping to anything received.
  std::chrono::milliseconds drain_timeout{10'000};       // stop(): for messages in flight and last words.
  std::chrono::milliseconds linger{2'000};               // After close(): for the peer to close too.

  // WebSocket only.
  std::vector<std::string> origins{};  // Allowed Origin headers; empty: none, or that of the Host asked for; "*" any.
  std::vector<std::string> trusted_proxies{};  // Addresses or CIDR blocks whose X-Forwarded-For and X-Real-IP count.
  std::uint32_t max_handshake_bytes = 8 * 1024;
  bool deflate = false;  // permessage-deflate.

  // Registers the agent_... flags of wire.md section 9 and the newer ones; they write into this object, which must
  // outlive the parsing.
  void add_flags(Flags& flags);
};

}  // namespace mg::agent
