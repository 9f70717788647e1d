#include "mg/agent/options.h"

#include "mg/base/flags.h"

namespace mg::agent {

void AgentOptions::add_flags(Flags& flags) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  constexpr std::uint32_t kMegabytes = 1024 * 1024;
  const FlagRules<milliseconds> seconds{.form = FlagForm::kSeconds, .min = milliseconds(1), .max = hours(24)};
  const FlagRules<milliseconds> seconds_or_off{.form = FlagForm::kSeconds, .min = milliseconds(0), .max = hours(24)};

  flags.section("Agent");
  flags.add("agent_type", &types, "Transports to listen on: websocket (ws), tcp; wss, tcps over TLS",
            {.words = {"websocket", "ws", "wss", "tcp", "tcps"}});
  flags.add("agent_host", &host, "Public host of this gate, put into the node's metadata");
  flags.add("agent_port", &ports, "Listen address of each transport, [host]:port; port 0 is any free one");
  flags.add("agent_tls_cert", &tls_cert, "PEM file with the certificate chain");
  flags.add("agent_tls_key", &tls_key, "PEM file with the private key");
  flags.add("agent_heartbeat_interval", &heartbeat_interval, "WebSocket: time between pings, 0 for none",
            seconds_or_off);
  flags.add("agent_heartbeat_deadline", &heartbeat_deadline, "WebSocket: time to answer a ping", seconds);
  flags.add("agent_conn_max", &conn_max, "Connections at a time, 0 for no limit");
  flags.add("agent_auth_time", &auth_time, "Time a client has to log in, 0 for no limit", seconds_or_off);
  flags.add("agent_max_message", &max_message_bytes, "Largest packet",
            {.form = FlagForm::kBytes, .min = 64, .max = 1024 * kMegabytes});
  flags.add("agent_write_queue", &write_queue_bytes, "Octets that may wait for one client",
            {.form = FlagForm::kBytes, .min = 1024, .max = 1024 * kMegabytes});
  flags.add("agent_slow_client", &slow_client, "What happens to a write when that queue is full",
            {{"close", SlowClient::kClose},
             {"drop", SlowClient::kDrop},
             {"drop_oldest", SlowClient::kDropOldest},
             {"keep_latest", SlowClient::kKeepLatest}});
  flags.add("agent_depth", &depth, "Messages of one client handled at a time; replies keep their order",
            {.min = 1, .max = 1024});
  flags.add("agent_handshake_timeout", &handshake_timeout, "Time for the WebSocket or TLS handshake", seconds);
  flags.add("agent_read_timeout", &read_timeout, "Time from the first octet of a message to its last", seconds);
  flags.add("agent_write_timeout", &write_timeout, "Time a client may take nothing of what waits for it", seconds);
  flags.add("agent_idle_timeout", &idle_timeout, "tcp: time without anything received, 0 for no limit", seconds_or_off);
  flags.add("agent_drain_timeout", &drain_timeout, "Time that stopping gives to messages in flight", seconds);
  flags.add("agent_handshakes_per_ip", &handshakes_per_ip,
            "New connections per second from one address, 0 for no limit");
  flags.add("agent_rate_messages", &rate_messages, "Messages per second of one client, 0 for no limit");
  flags.add("agent_rate_bytes", &rate_bytes, "Octets per second of one client, 0 for no limit",
            {.form = FlagForm::kBytes});
  flags.add("agent_trusted_proxies", &trusted_proxies,
            "Addresses or CIDR blocks whose X-Forwarded-For and X-Real-IP count");
  flags.add("agent_origins", &origins, "Allowed Origin headers; none: the Host asked for; *: any");
  flags.add("agent_deflate", &deflate, "Offer permessage-deflate");
}

}  // namespace mg::agent
