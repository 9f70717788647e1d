// agent/ws/utf8.h -- is this text UTF-8, asked piece by piece and answered at the first wrong octet.
//
//   Utf8Check check;
//   if (!check.feed(part1) || !check.feed(part2)) refuse();
//   if (!check.complete()) refuse();  // ended inside a character
#pragma once

#include <cstdint>

#include "mg/base/bytes.h"

namespace mg::agent::ws {

// Validator of one text. Shape: 3 octets of state, so that it fits into every connection.
// Source: RFC 3629; the well-formed sequences of Unicode table 3-7 (no surrogates, no over-long forms, <= U+10FFFF).
class Utf8Check {
 public:
  // False as soon as no continuation could make the text valid. After false only reset() is of use.
  // Cost: eight octets a step while they are ASCII.
  bool feed(Bytes text);

  // The text ends on a character boundary.
  bool complete() const { return missing_ == 0; }

  void reset() { *this = Utf8Check(); }

 private:
  std::uint8_t missing_ = 0;  // Continuation octets the open character still needs.
  std::uint8_t low_ = 0x80;   // Range of the next one.
  std::uint8_t high_ = 0xBF;
};

inline bool is_utf8(Bytes text) {
  Utf8Check check;
  return check.feed(text) && check.complete();
}

}  // namespace mg::agent::ws
