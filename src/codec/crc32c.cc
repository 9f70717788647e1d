#include "codec/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace mg::codec {
namespace {

constexpr auto kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
    table[i] = crc;
  }
  return table;
}();

std::uint32_t by_table(Bytes data, std::uint32_t crc) {
  for (const std::byte octet : data) crc = crc >> 8 ^ kTable[(crc ^ static_cast<std::uint32_t>(octet)) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(Bytes data, std::uint32_t crc) {
  std::uint64_t wide = crc;
  while (data.size() >= 8) {
    wide = _mm_crc32_u64(wide, load<std::uint64_t>(data.data(), std::endian::little));
    data = data.subspan(8);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (const std::byte octet : data) crc = _mm_crc32_u8(crc, static_cast<std::uint8_t>(octet));
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(Bytes data, std::uint32_t before) {
#if defined(__x86_64__)
  static const bool kHasInstruction = __builtin_cpu_supports("sse4.2") != 0;
  if (kHasInstruction) return ~by_instruction(data, ~before);
#endif
  return ~by_table(data, ~before);
}

}  // namespace mg::codec
