// rpc/forward_wire.h -- the octets of a forwarded message: protobuf's, of `uint32 = 1; bytes = 2;`, without a message.
//
//   std::byte* end = write_forward(to, {code, data});          // to[0 .. forward_size(...))
//   if (const auto seen = read_forward(octets)) use(seen->number, seen->data);
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace mg::rpc {

struct ForwardOctets {
  std::uint32_t number = 0;
  std::string_view data;
};

namespace detail {
inline constexpr std::byte kForwardNumber{0x08};  // Field 1, varint.
inline constexpr std::byte kForwardData{0x12};    // Field 2, octets.

inline std::size_t varint_size(std::uint64_t value) noexcept {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}
inline std::byte* write_varint(std::byte* to, std::uint64_t value) noexcept {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<std::byte>(value | 0x80);
  *to++ = static_cast<std::byte>(value);
  return to;
}
// Null when it is cut short or has more than 32 bits.
inline const std::byte* read_varint(const std::byte* at, const std::byte* end, std::uint32_t& value) noexcept {
  std::uint64_t sum = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (at == end) return nullptr;
    const auto octet = std::to_integer<std::uint64_t>(*at++);
    sum |= (octet & 0x7F) << shift;
    if (octet < 0x80) {
      value = static_cast<std::uint32_t>(sum);
      return sum >> 32 ? nullptr : at;
    }
  }
  return nullptr;
}
}  // namespace detail

inline std::size_t forward_size(const ForwardOctets& of) noexcept {
  return (of.number ? 1 + detail::varint_size(of.number) : 0) +
         (of.data.empty() ? 0 : 1 + detail::varint_size(of.data.size()) + of.data.size());
}

// Writes forward_size() octets, as protobuf would, and returns their end.
inline std::byte* write_forward(std::byte* to, const ForwardOctets& of) noexcept {
  if (of.number) {
    *to++ = detail::kForwardNumber;
    to = detail::write_varint(to, of.number);
  }
  if (!of.data.empty()) {
    *to++ = detail::kForwardData;
    to = detail::write_varint(to, of.data.size());
    std::memcpy(to, of.data.data(), of.data.size());
    to += of.data.size();
  }
  return to;
}

// Each field at most once and in order, as every writer of these messages puts them; nothing for what is well-formed
// in another way or not at all, which protobuf is to judge. Lifetime: a view into `in`.
inline std::optional<ForwardOctets> read_forward(std::string_view in) noexcept {
  ForwardOctets seen;
  const auto* at = reinterpret_cast<const std::byte*>(in.data());
  const std::byte* const end = at + in.size();
  if (at != end && *at == detail::kForwardNumber) {
    at = detail::read_varint(at + 1, end, seen.number);
    if (!at) return std::nullopt;
  }
  if (at != end && *at == detail::kForwardData) {
    std::uint32_t size = 0;
    at = detail::read_varint(at + 1, end, size);
    if (!at || size > static_cast<std::size_t>(end - at)) return std::nullopt;
    seen.data = {reinterpret_cast<const char*>(at), size};
    at += size;
  }
  if (at != end) return std::nullopt;
  return seen;
}

}  // namespace mg::rpc
