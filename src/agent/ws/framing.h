// agent/ws/framing.h -- WebSocket framing on a connection's own read buffer (RFC 6455 section 5).
//
//   FrameParser parser(options);                            // one per connection
//   for (FrameEvent e; (e = parser.next(unread)).kind != FrameKind::kNeedMore; unread = unread.subspan(e.consumed))
//     handle(e);                                            // e.payload views the buffer, already unmasked
//
// It knows no socket and no clock: the caller receives, keeps the octets of an unfinished frame in one piece, and
// answers pings, closes and errors with the encoders below.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "agent/ws/utf8.h"
#include "mg/base/bytes.h"

namespace mg::agent::ws {

struct DeflateParams;  // agent/ws/deflate.h

enum class Opcode : std::uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// Close codes used here. Source: RFC 6455 section 7.4.1.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocol = 1002;
inline constexpr std::uint16_t kUnsupported = 1003;
inline constexpr std::uint16_t kNone = 1005;  // A close frame without a code; never sent as a number.
inline constexpr std::uint16_t kBadData = 1007;
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternal = 1011;
inline constexpr std::uint16_t kTryLater = 1013;
}  // namespace close_code

// True for a code that a peer may put into a close frame: 1000-1003, 1007-1014, 3000-4999.
bool valid_close_code(std::uint16_t code);

inline constexpr std::size_t kMaxHeaderBytes = 14;        // Of any frame: 2 + 8 length + 4 mask.
inline constexpr std::size_t kMaxServerHeaderBytes = 10;  // Of an unmasked one.
inline constexpr std::size_t kMaxControlPayloadBytes = 125;

struct FrameOptions {
  std::uint32_t max_message_bytes = 1024 * 1024;  // Of a whole message, after decompression; 0..2^32-15.
  std::uint32_t max_fragments = 16384;            // Frames of one message; empty ones count. 1..2^32-1.
  bool accept_text = false;                       // false: a text message is refused with 1003.
  bool masked = true;  // Frames read must be masked (a server reads); false: must not be (a client reads).
};

// How many octets more than its content a compressed frame may have: data that does not compress grows a little.
constexpr std::uint32_t deflate_slack(std::uint32_t max_message_bytes) {
  return max_message_bytes / 1024 + 64;
}

enum class FrameKind : std::uint8_t {
  kNeedMore,  // Nothing whole yet: receive until `needed` octets are there, then ask again.
  kMessage,   // `payload` is a whole message; `opcode` is kBinary or kText.
  kPing,      // Answer with a pong of the same `payload` (one pong may answer several pings).
  kPong,
  kClose,  // `code` (kNone: none given) and `reason`. Answer with encode_close(code), then drop.
  kError,  // Protocol broken or limit passed: send encode_close(code, reason), then drop.
};

// What came out of the octets. Lifetime: payload and reason live until the next next() or change of the buffer.
struct FrameEvent {
  FrameKind kind = FrameKind::kNeedMore;
  Opcode opcode = Opcode::kContinuation;
  std::uint16_t code = 0;
  std::size_t consumed = 0;  // Octets at the front of the input that are done with (also for kNeedMore).
  std::size_t needed = 0;    // kNeedMore: octets after `consumed`, counted from there, that allow progress;
                             // at most max_message_bytes + kMaxHeaderBytes (with compression agreed, deflate_slack()
                             // more). 0 once closed: nothing is awaited.
  MutableBytes payload;      // Unmasked; may be changed in place.
  std::string_view reason;
};

// Parser of one direction of one connection, incremental.
// Shape: 24 octets; heap only inside a fragmented message or with permessage-deflate.
// Threads: loop. Source: RFC 6455 sections 5 and 7; RFC 7692 section 6.
class FrameParser {
 public:
  // `options` must outlive the parser and stay as they are.
  explicit FrameParser(const FrameOptions& options);
  explicit FrameParser(FrameOptions&&) = delete;
  FrameParser(FrameParser&&) noexcept;
  FrameParser& operator=(FrameParser&&) noexcept;
  ~FrameParser();

  // Accepts compressed messages from now on, as negotiated in the handshake.
  void use_deflate(const DeflateParams& params);

  // Next event in `in`, which starts at the first octet not consumed yet. The payload is unmasked in place, part of an
  // unfinished frame too: after kNeedMore the next call must see the same octets again (moved or not), and more.
  // A message in one frame is a view of `in`; one in fragments, or compressed, a view of the parser's own block,
  // which the next call frees. After kClose or kError everything is swallowed.
  // Errors (kind kError, code): 1002 protocol · 1003 text · 1007 not UTF-8, not deflate · 1008 too many fragments ·
  //   1009 over the limit, seen in the header before anything is kept.
  // Cost: no allocation for an unfragmented plain message; a call on an unfinished frame costs what is new in it.
  FrameEvent next(MutableBytes in);

  // In the middle of a fragmented message, or after close or error.
  bool fragmented() const { return (flags_ & kInMessage) != 0; }
  bool closed() const { return (flags_ & kClosed) != 0; }
  // Octets held on the heap for this connection.
  std::size_t heap_bytes() const;

 private:
  struct Heap;  // Block of a message in pieces; inflater.
  enum Flag : std::uint8_t {
    kInMessage = 1,   // Fragments came, the last one has not.
    kIsText = 2,      // The message under way is text ...
    kCompressed = 4,  // ... or is compressed.
    kDelivered = 8,   // The block was handed out: free it on the next call.
    kClosed = 16,
  };

  bool take(MutableBytes in, FrameEvent& event);
  FrameEvent next_of_any_kind(MutableBytes in);
  FrameEvent frame(MutableBytes in);
  FrameEvent data_frame(MutableBytes in, std::size_t header, std::size_t length);
  FrameEvent control_frame(MutableBytes in, std::size_t header, std::size_t length);
  FrameEvent fragment(MutableBytes payload, bool fin, Opcode opcode, bool compressed, std::size_t consumed);
  FrameEvent error(std::uint16_t code, std::string_view reason);
  void release();

  const FrameOptions* options_;
  std::unique_ptr<Heap> heap_;
  std::uint32_t done_ = 0;  // Payload octets of the unfinished frame that are unmasked (and checked).
  std::uint8_t flags_ = 0;
  Utf8Check utf8_;
};
static_assert(sizeof(void*) != 8 || sizeof(FrameParser) == 24);

using MaskKey = std::array<std::byte, 4>;

// XORs `data` with the key, whose first octet meets data[0] when phase % 4 == 0. Masks and unmasks.
void apply_mask(MutableBytes data, MaskKey key, std::size_t phase = 0);

// Octets that encode_header() writes for a payload of this size.
constexpr std::size_t header_size(std::uint64_t payload_bytes) {
  return payload_bytes <= 125 ? 2 : payload_bytes <= 0xFFFF ? 4 : 10;
}

// Writes the header of an unmasked (server) frame; returns its size. The payload follows as it is.
std::size_t encode_header(Opcode opcode, std::uint64_t payload_bytes, std::span<std::byte, kMaxServerHeaderBytes> out,
                          bool fin = true, bool rsv1 = false);

// Writes the header of a masked (client) frame; returns its size. The payload follows after apply_mask(payload, key).
std::size_t encode_masked_header(Opcode opcode, std::uint64_t payload_bytes, MaskKey key,
                                 std::span<std::byte, kMaxHeaderBytes> out, bool fin = true, bool rsv1 = false);

// A whole control frame in a small block of its own.
struct ControlFrame {
  std::array<std::byte, kMaxHeaderBytes + kMaxControlPayloadBytes> data;
  std::uint8_t size = 0;
  Bytes bytes() const { return Bytes(data).first(size); }
};

// Ping, pong or close frame around `payload`, of which at most 125 octets are taken. With `key`: masked, for a client.
ControlFrame encode_control(Opcode opcode, Bytes payload, const MaskKey* key = nullptr);

// Close frame; the reason is cut to 123 octets at a character boundary. kNone gives a frame without code or reason.
ControlFrame encode_close(std::uint16_t code, std::string_view reason = {}, const MaskKey* key = nullptr);

}  // namespace mg::agent::ws
