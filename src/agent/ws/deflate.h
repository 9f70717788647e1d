// agent/ws/deflate.h -- permessage-deflate: negotiation, compression and bounded decompression (RFC 7692).
//
//   std::string answer;                                       // goes into Sec-WebSocket-Extensions
//   auto params = negotiate_deflate(offers, options, answer); // nullopt: no acceptable offer, no header
//   if (params) parser.use_deflate(*params);                  // receiving; sending: Deflater(params->..)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/bytes.h"

namespace mg::agent::ws {

// What both sides agreed on. Shape: window bits 8..15.
struct DeflateParams {
  bool server_no_context_takeover = false;  // The server forgets its history after each message ...
  bool client_no_context_takeover = false;  // ... and so does the client.
  std::uint8_t server_max_window_bits = 15;
  std::uint8_t client_max_window_bits = 15;

  friend bool operator==(const DeflateParams&, const DeflateParams&) = default;
};

struct DeflateOptions {
  bool enabled = false;
  // Ask for no history between messages, both ways: an idle connection then holds no zlib state (300 KiB otherwise).
  bool no_context_takeover = true;
  std::uint8_t server_max_window_bits = 15;  // Most that we use for sending, 9..15.
  std::uint8_t client_max_window_bits = 15;  // Most that the client may use, if it lets us choose, 9..15.
};

// Takes the first acceptable offer of the values of Sec-WebSocket-Extensions (several header lines: joined by ", "),
// and writes the header's value of the answer. Offers of other extensions, with unknown, repeated or bad parameters are
// passed over. Source: RFC 7692 section 7.1, RFC 6455 section 9.1.
std::optional<DeflateParams> negotiate_deflate(std::string_view offers, const DeflateOptions& options,
                                               std::string& answer);

// What a client offers, and how it reads the answer (nullopt: an answer it must fail the connection for).
std::string offer_deflate();
std::optional<DeflateParams> accept_deflate(std::string_view answer);

// Decompresses the messages of one direction of one connection.
// Shape: zlib state exists from the first message on; only inside a message without context takeover.
// Threads: loop.
class Inflater {
 public:
  enum class Status : std::uint8_t { kOk, kBadData, kTooBig };

  Inflater(std::uint8_t window_bits, bool no_context_takeover);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Decompresses one frame's payload and appends it to `out`, which never grows past `limit` octets (+ 1).
  // `fin`: the message ends here. Requires: no call after another status than kOk.
  // Errors: kBadData not deflate, or a message cut short · kTooBig more than `limit` octets.
  // Cost: linear in input plus output.
  Status feed(Bytes in, bool fin, std::size_t limit, std::vector<std::byte>& out);

  std::size_t heap_bytes() const;  // Estimate.

 private:
  struct State;
  Status run(Bytes in, std::size_t limit, std::vector<std::byte>& out);
  std::unique_ptr<State> state_;
  std::uint8_t window_bits_;
  bool no_context_takeover_;
};

// Compresses messages, each whole, for frames with RSV1 set.
// Threads: loop. Shape: with history about 256 KiB at 15 window bits, from the first message on; without, 16 octets,
// and one zlib state a thread and window for all of them.
class Deflater {
 public:
  // `level`: zlib's 0..9; low ones suit messages on a loop.
  Deflater(std::uint8_t window_bits, bool no_context_takeover, int level = 1);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Appends the compressed message to `out`. False: zlib could not get memory; nothing was appended.
  bool compress(Bytes message, std::vector<std::byte>& out);

 private:
  struct State;
  std::unique_ptr<State> state_;  // With history only.
  std::int8_t level_;
  std::uint8_t window_bits_;
  bool no_context_takeover_;
};

}  // namespace mg::agent::ws
