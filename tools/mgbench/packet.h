// packet.h -- what the generator sends and what it accepts: client packets, bare or in WebSocket frames.
//
//   RequestTemplate echo(10005, message(1, data), /*ws=*/true);
//   echo.write(out, serial, tag);                      // one memcpy and six patched octets
//   auto frame = parse_frame(in);                      // WebSocket frame from a server
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mgbench {

inline constexpr std::size_t kClientHead = 10;  // serial:u16 cmd:u32 size:u32, big endian
inline constexpr std::size_t kServerHead = 14;  // serial:u16 cmd:u32 code:u32 size:u32
inline constexpr std::size_t kTagSize = 4;

// A protobuf message with one field, `number` (1..15) of type string or bytes.
std::string message(unsigned number, std::string_view value);

// `size` octets of ASCII to echo; the first four are where a tag goes.
std::string filler(std::size_t size);

// Four ASCII octets that tell one connection's payload from another's.
std::array<char, kTagSize> make_tag(std::uint32_t connection);

struct ServerHead {
  std::uint16_t serial = 0;
  std::uint32_t cmd = 0;
  std::uint32_t code = 0;
  std::uint32_t size = 0;
};
// Requires: kServerHead readable octets.
ServerHead load_head(const std::byte* at);

// One request, encoded once; what differs from message to message is patched into the copy.
// Shape: a client packet, or a masked binary frame around it (the mask is fixed: the peer's work is the same).
class RequestTemplate {
 public:
  RequestTemplate() = default;
  RequestTemplate(std::uint32_t cmd, std::string_view body, bool ws, std::size_t tag_offset = kNoTag);

  std::size_t size() const { return octets_.size(); }

  // Requires: size() writable octets.
  void write(std::byte* to, std::uint16_t serial, const std::array<char, kTagSize>& tag) const;

  // True if `body` is the body given, with `tag` in its place.
  bool matches(std::span<const std::byte> body, const std::array<char, kTagSize>& tag) const;

  static constexpr std::size_t kNoTag = ~std::size_t{0};

 private:
  std::vector<std::byte> octets_;
  std::string body_;
  std::size_t head_ = 0;             // Of the frame; 0 without one.
  std::size_t tag_offset_ = kNoTag;  // In the body.
  std::array<std::byte, 4> mask_{};  // All zero without a frame.
};

// A masked control frame: opcode 8 close, 10 pong.
std::string control_frame(unsigned opcode, std::string_view payload);

struct Frame {
  enum class State : std::uint8_t { kShort, kBad, kWhole } state = State::kShort;
  unsigned opcode = 0;
  std::span<const std::byte> payload;
  std::size_t size = 0;  // Of the whole frame; while kShort, what is known to be needed.
};
// The frame at the front of `in`. kBad: masked, fragmented, or a reserved bit set.
Frame parse_frame(std::span<const std::byte> in);

// The upgrade request; every connection sends the same key, so that there is one right answer.
std::string upgrade_request(std::string_view host, std::string_view path);
inline constexpr std::string_view kUpgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

}  // namespace mgbench
