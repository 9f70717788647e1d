// utils/formula/number_text.h -- doubles as Go writes them.
//
//   go_g(1234567) == "1.234567e+06"; go_fixed(1e21) == "1000000000000000000000";
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace mg::formula::detail {

// The shortest decimal that reads back as |x|: digits (1..17, no trailing zeros) * 10^exponent. Requires: finite, not
// 0.
struct Shortest {
  std::array<char, 20> text{};
  int count = 0;
  std::uint64_t digits = 0;
  int exponent = 0;
};
Shortest shortest(double x);

// fmt's %g: with an exponent below 1e-04 and from 1e+06.
std::string go_g(double x);

// strconv.FormatFloat(x, 'f', -1, 64).
std::string go_fixed(double x);

}  // namespace mg::formula::detail
