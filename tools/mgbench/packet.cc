#include "packet.h"

#include <cstring>

#include "fmt/core.h"
#include "mg/base/bytes.h"

namespace mgbench {
namespace {

using mg::load;
using mg::store;

constexpr auto kBig = std::endian::big;
constexpr std::array<std::byte, 4> kMask{std::byte{0x37}, std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};

std::vector<std::byte> masked_head(unsigned first, std::size_t payload) {
  std::vector<std::byte> head(payload < 126 ? 2 : payload < 65536 ? 4 : 10);
  head[0] = static_cast<std::byte>(first);
  if (payload < 126) {
    head[1] = static_cast<std::byte>(0x80 | payload);
  } else if (payload < 65536) {
    head[1] = std::byte{0x80 | 126};
    store<std::uint16_t>(head.data() + 2, static_cast<std::uint16_t>(payload), kBig);
  } else {
    head[1] = std::byte{0x80 | 127};
    store<std::uint64_t>(head.data() + 2, payload, kBig);
  }
  head.insert(head.end(), kMask.begin(), kMask.end());
  return head;
}

}  // namespace

std::string message(unsigned number, std::string_view value) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  std::size_t size = value.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
  out += static_cast<char>(size);
  out += value;
  return out;
}

std::string filler(std::size_t size) {
  std::string out(size, ' ');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + i % 26);
  return out;
}

std::array<char, kTagSize> make_tag(std::uint32_t connection) {
  std::array<char, kTagSize> tag;
  for (char& c : tag) {
    c = static_cast<char>('0' + (connection & 63));
    connection >>= 6;
  }
  return tag;
}

ServerHead load_head(const std::byte* at) {
  return {load<std::uint16_t>(at, kBig), load<std::uint32_t>(at + 2, kBig), load<std::uint32_t>(at + 6, kBig),
          load<std::uint32_t>(at + 10, kBig)};
}

RequestTemplate::RequestTemplate(std::uint32_t cmd, std::string_view body, bool ws, std::size_t tag_offset)
    : body_(body), tag_offset_(tag_offset) {
  if (tag_offset != kNoTag && tag_offset + kTagSize > body.size()) tag_offset_ = kNoTag;
  if (ws) {
    octets_ = masked_head(0x82, kClientHead + body.size());
    mask_ = kMask;
    head_ = octets_.size();
  }
  octets_.resize(head_ + kClientHead + body.size());
  std::byte* packet = octets_.data() + head_;
  store<std::uint16_t>(packet, 0, kBig);
  store<std::uint32_t>(packet + 2, cmd, kBig);
  store<std::uint32_t>(packet + 6, static_cast<std::uint32_t>(body.size()), kBig);
  if (!body.empty()) std::memcpy(packet + kClientHead, body.data(), body.size());
  for (std::size_t i = 0; i < kClientHead + body.size(); ++i) packet[i] ^= mask_[i & 3];
}

void RequestTemplate::write(std::byte* to, std::uint16_t serial, const std::array<char, kTagSize>& tag) const {
  std::memcpy(to, octets_.data(), octets_.size());
  std::byte* packet = to + head_;
  packet[0] = static_cast<std::byte>(serial >> 8) ^ mask_[0];
  packet[1] = static_cast<std::byte>(serial & 0xFF) ^ mask_[1];
  if (tag_offset_ == kNoTag) return;
  const std::size_t at = kClientHead + tag_offset_;
  for (std::size_t i = 0; i < kTagSize; ++i) packet[at + i] = static_cast<std::byte>(tag[i]) ^ mask_[(at + i) & 3];
}

bool RequestTemplate::matches(std::span<const std::byte> body, const std::array<char, kTagSize>& tag) const {
  if (body.size() != body_.size()) return false;
  if (tag_offset_ == kNoTag) return std::memcmp(body.data(), body_.data(), body_.size()) == 0;
  const std::size_t rest = tag_offset_ + kTagSize;
  return std::memcmp(body.data() + tag_offset_, tag.data(), kTagSize) == 0 &&
         std::memcmp(body.data(), body_.data(), tag_offset_) == 0 &&
         std::memcmp(body.data() + rest, body_.data() + rest, body_.size() - rest) == 0;
}

std::string control_frame(unsigned opcode, std::string_view payload) {
  const auto head = masked_head(0x80 | opcode, payload.size());
  std::string out(reinterpret_cast<const char*>(head.data()), head.size());
  for (std::size_t i = 0; i < payload.size(); ++i) {
    out += static_cast<char>(static_cast<std::byte>(payload[i]) ^ kMask[i & 3]);
  }
  return out;
}

Frame parse_frame(std::span<const std::byte> in) {
  Frame frame;
  frame.size = 2;
  if (in.size() < 2) return frame;
  const auto first = std::to_integer<unsigned>(in[0]);
  const auto second = std::to_integer<unsigned>(in[1]);
  if ((first & 0xF0) != 0x80 || (first & 0x0F) == 0 || (second & 0x80) != 0) {
    frame.state = Frame::State::kBad;
    return frame;
  }
  std::size_t head = 2;
  std::uint64_t size = second;
  if (second == 126) {
    frame.size = head = 4;
    if (in.size() < head) return frame;
    size = load<std::uint16_t>(in.data() + 2, kBig);
  } else if (second == 127) {
    frame.size = head = 10;
    if (in.size() < head) return frame;
    size = load<std::uint64_t>(in.data() + 2, kBig);
    if (size > (std::uint64_t{1} << 32)) {
      frame.state = Frame::State::kBad;
      return frame;
    }
  }
  frame.size = head + size;
  if (in.size() < frame.size) return frame;
  frame.state = Frame::State::kWhole;
  frame.opcode = first & 0x0F;
  frame.payload = in.subspan(head, size);
  return frame;
}

std::string upgrade_request(std::string_view host, std::string_view path) {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      path, host);
}

}  // namespace mgbench
