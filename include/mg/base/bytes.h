// mg/base/bytes.h -- views of octets, and integers in them.
//
//   std::uint32_t size = load<std::uint32_t>(in.data() + 6, std::endian::big);
//   store<std::uint16_t>(out.data(), serial, std::endian::big);
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace mg {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads an integer at `from`, which need not be aligned. Requires: sizeof(T) readable octets.
template <std::unsigned_integral T>
T load(const std::byte* from, std::endian endian) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return endian == std::endian::native ? value : std::byteswap(value);
}

// Writes an integer at `to`, which need not be aligned. Requires: sizeof(T) writable octets.
template <std::unsigned_integral T>
void store(std::byte* to, T value, std::endian endian) {
  if (endian != std::endian::native) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace mg
