// base/utf8.h -- one code point at a time, with Go's rules for broken text.
//
//   for (std::size_t i = 0; i < text.size();) {
//     Rune rune = decode_rune(text.substr(i));      // A bad octet: value U+FFFD, valid false, size 1.
//     i += rune.size;
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mg::utf8 {

struct Rune {
  char32_t value = 0xFFFD;
  std::uint8_t size = 1;  // Octets used, 1..4.
  bool valid = false;     // False: the first octet starts no valid code point.
};

// The first code point of `text`. Requires: text is not empty. Source: RFC 3629.
inline Rune decode_rune(std::string_view text) {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::uint8_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {};
  // The second octet has a smaller range after some leads: no overlong forms, surrogates or values over 10FFFF.
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (at(1) < low || at(1) > high) return {};
  char32_t value = lead & (0x7Fu >> size);
  for (std::uint8_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (at(i) & 0x3F);
  }
  return {value, size, true};
}

// Appends a code point. Requires: value <= 10FFFF and no surrogate.
inline void append_rune(std::string& out, char32_t value) {
  auto put = [&](char32_t octet) { out += static_cast<char>(octet); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | value >> 6), put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | value >> 12), put(0x80 | (value >> 6 & 0x3F)), put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | value >> 18), put(0x80 | (value >> 12 & 0x3F)), put(0x80 | (value >> 6 & 0x3F)),
        put(0x80 | (value & 0x3F));
  }
}

}  // namespace mg::utf8
