// base/base64.h -- octets as letters, strictly: one text for each octets, no white space.
//
//   base64::encode(octets, base64::kUrl);                     // "aGk"
//   if (auto octets = base64::decode(text, base64::kUrl)) …   // nothing for "aGk=" or "aGl"
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mg::base64 {

// Source: RFC 4648 section 4 (with padding) and section 5 (without).
struct Alphabet {
  std::string_view letters;
  bool padding;
};
inline constexpr Alphabet kStandard{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true};
inline constexpr Alphabet kUrl{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false};

inline std::string encode(std::string_view octets, const Alphabet& alphabet) {
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  std::size_t at = 0;
  const auto octet = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(octets[i])}; };
  const auto put = [&](std::uint32_t bits, int letters) {
    for (int shift = 18; letters > 0; shift -= 6, --letters) out += alphabet.letters[bits >> shift & 63];
  };
  for (; at + 3 <= octets.size(); at += 3) put(octet(at) << 16 | octet(at + 1) << 8 | octet(at + 2), 4);
  const std::size_t rest = octets.size() - at;
  if (rest == 1) put(octet(at) << 16, 2);
  if (rest == 2) put(octet(at) << 16 | octet(at + 1) << 8, 3);
  if (rest != 0 && alphabet.padding) out.append(3 - rest, '=');
  return out;
}

inline constexpr std::uint8_t kNoLetter = 0xFF;

constexpr std::array<std::uint8_t, 256> values_of(const Alphabet& alphabet) {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoLetter);
  for (std::size_t i = 0; i < 64; ++i) {
    values[static_cast<unsigned char>(alphabet.letters[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

// Nothing when a character is not of the alphabet, the padding is not as it should be, or bits that mean nothing are
// set.
inline std::optional<std::string> decode(std::string_view text, const Alphabet& alphabet) {
  static constexpr std::array kValues{values_of(kStandard), values_of(kUrl)};
  const auto& values = kValues[alphabet.padding ? 0 : 1];
  if (alphabet.padding) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  const std::size_t rest = text.size() % 4;
  if (rest == 1) return std::nullopt;
  std::string out(text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1), '\0');
  std::size_t to = 0;
  std::uint32_t bits = 0;
  std::uint8_t seen = 0;  // Of all values: has the top bit set once there was a wrong letter.
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::uint8_t value = values[static_cast<unsigned char>(text[at])];
    seen |= value;
    bits = bits << 6 | (value & 63U);
    if (at % 4 == 3) {
      out[to] = static_cast<char>(bits >> 16);
      out[to + 1] = static_cast<char>(bits >> 8);
      out[to + 2] = static_cast<char>(bits);
      to += 3;
    }
  }
  if ((seen & 0x80) != 0) return std::nullopt;
  if (rest == 2) {
    if ((bits & 0xF) != 0) return std::nullopt;
    out[to] = static_cast<char>(bits >> 4);
  } else if (rest == 3) {
    if ((bits & 0x3) != 0) return std::nullopt;
    out[to] = static_cast<char>(bits >> 10);
    out[to + 1] = static_cast<char>(bits >> 2);
  }
  return out;
}

}  // namespace mg::base64
