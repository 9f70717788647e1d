// agent/ws/handshake.h -- the opening handshake, on octets received so far (RFC 6455 section 4).
//
//   Upgrade got = read_upgrade(unread, options);
//   if (got.state == HandshakeState::kNeedMore) receive_more();     // at most options.max_header_bytes in all
//   write(got.response);                                            // 101, or an error to send before closing
//   if (got.state == HandshakeState::kAccepted) unread = unread.subspan(got.consumed);  // frames may follow already
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/ws/deflate.h"
#include "mg/base/bytes.h"

namespace mg::agent::ws {

struct HandshakeOptions {
  std::uint32_t max_header_bytes = 8 * 1024;  // Request line, header and the empty line; 1..2^31-1.
  // Origins let in, each compared octet by octet. Empty: only http:// or https:// + the Host asked for. "*": any.
  // A request without Origin does not come from a browser and is let in always.
  std::vector<std::string> origins{};
  DeflateOptions deflate{};
};

enum class HandshakeState : std::uint8_t {
  kNeedMore,
  kAccepted,
  kRefused,  // Send `response`, if there is any, and drop.
};

// Lifetime: the views are of the input.
struct Upgrade {
  HandshakeState state = HandshakeState::kNeedMore;
  int status = 0;            // HTTP: 101, 400, 403, 405, 414, 426, 431.
  std::size_t consumed = 0;  // kAccepted: octets of the request; what follows are frames.
  std::string response;      // Status line to empty line, and the body of a refusal.
  std::string_view reason;   // kRefused: why, for the log; a literal.

  std::string_view target;  // Path and query as sent.
  std::string_view host;
  std::string_view origin;               // Empty: not sent.
  std::string_view real_ip;              // X-Real-IP, unchecked: see mg/agent/peer.h.
  std::string forwarded_for;             // X-Forwarded-For, all its lines joined by ", ", unchecked.
  std::optional<DeflateParams> deflate;  // Agreed on.
};

// Reads a client's request. Octets that no request starts with (TLS, HTTP/2, noise) are refused as soon as they show,
// as are a body, folded lines, NUL, bare CR or LF, and a header over the limit.
// Errors (kRefused, status): 405 not GET · 403 origin · 426 not version 13 · 414 or 431 over the limit, in the request
//   line or after it · 400 everything else.
// Threads: const-shared. Cost: no allocation while more is needed. Source: RFC 6455 section 4.2; wire.md 5.5.
Upgrade read_upgrade(Bytes in, const HandshakeOptions& options);

// The origin rule alone.
bool origin_allowed(std::string_view origin, std::string_view host, const std::vector<std::string>& allowed);

// A client's side.
using Nonce = std::array<std::byte, 16>;  // Random octets, new for each connection.

struct UpgradeRequest {
  std::string host{};  // host:port, or host at the default port.
  std::string target = "/";
  std::string origin{};                                        // Empty: not sent.
  bool deflate = false;                                        // Offer permessage-deflate.
  std::vector<std::pair<std::string, std::string>> headers{};  // Further ones.
};

// The request. Requires: no line breaks in the texts.
std::string make_upgrade(const UpgradeRequest& request, const Nonce& nonce);

struct UpgradeReply {
  HandshakeState state = HandshakeState::kNeedMore;
  int status = 0;            // As the server gave it; 0: not HTTP.
  std::size_t consumed = 0;  // kAccepted: octets of the response; what follows are frames.
  std::string_view reason;   // kRefused: why; a literal.
  std::optional<DeflateParams> deflate;
};

// Checks a server's answer to make_upgrade(). `deflate_offered`: as in the request.
UpgradeReply read_upgrade_reply(Bytes in, const Nonce& nonce, bool deflate_offered = false,
                                std::uint32_t max_header_bytes = 8 * 1024);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

}  // namespace mg::agent::ws
