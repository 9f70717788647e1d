// utils/formula/arithmetic.h -- the operators of formulas, bit for bit the same on every machine.
//
//   add(0.1, 0.2) == 0.3; divide(1, 3) == 1.0 / 3; power(2, 10) == 1024;
//   std::isnan(add(inf, -inf));     // NaN from + - * / % means: a fault (fault_of names it)
//
// What the Go original computes with big.Float, without it: + and - add the shortest decimal texts of both operands,
// each rounded to a 64-bit mantissa, round the sum to 64 bits and then to a double (so 0.1+0.2 is 0.3); * and / round
// the exact result to 53 bits, and then once more if it is subnormal. No step depends on long double, fused
// multiply-add or the C library.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "utils/formula/fault.h"

namespace mg::formula::detail {

// All of it, for any operands; the inline functions below answer the usual cases. NaN: a fault.
double add_rare(double a, double b);
double multiply_rare(double a, double b);
double divide_rare(double a, double b);

// The plain definition by whole numbers of 1,300 bits: what the others must agree with.
double add_exact(double a, double b);

inline constexpr double kWholeMagic = 0x1.8p52;
// x rounded to an integer. Requires: |x| < 2^51.
inline double nearest_whole(double x) {
  return (x + kWholeMagic) - kWholeMagic;
}

// Whether x is a multiple of 1/8 below 2^39: then its text has at most 15 digits and is x exactly, and so is any sum.
inline bool is_plain(double x) {
  constexpr double kEighths = 0x1.8p49;
  return std::abs(x) < 0x1p39 && (x + kEighths) - kEighths == x;
}

// Whether x is a decimal of up to four places, below 2^36, and how many ten-thousandths: its text, of at most 15
// digits, is that decimal.
inline bool is_short_decimal(double x, double& count) {
  count = nearest_whole(x * 1e4);
  return std::abs(x) < 0x1p36 && count / 1e4 == x;
}

// The sum of two such, or of one and a plain `b`; false where it cannot say. It is the double nearest to n/10^4, which
// keeps 1/1250 ulp from any midpoint between doubles, or is a double. Each rounding of a text or sum to 64 bits adds up
// to 2^-12 of its own ulp (a plain one's nothing): 3 * 2^-12 of the sum's ulp in all while little is cancelled.
template <bool b_plain>
bool add_decimals(double a, double b, double& sum) {
  double count_a = 0;
  double count_b = b * 1e4;
  if (!is_short_decimal(a, count_a)) return false;
  if (!b_plain && !is_short_decimal(b, count_b)) return false;
  sum = (count_a + count_b) / 1e4;
  const double size = std::abs(sum);
  return b_plain ? std::abs(a) <= 2 * size : std::abs(a) <= size && std::abs(b) <= size;
}

// How to find the text of a double in [2^e, 2^(e+1)). With k so that an ulp is 0.1 to 1 of 10^-k, the text is the
// nearest multiple of 10^-k if that is less than half an ulp away, else that of 10^-(k+1).
struct alignas(32) TextScale {
  std::uint64_t factor = 0;  // Times the mantissa, of 64 bits: the number in 10^-k, modulo 1, in 2^-64.
  double by_short = 0;       // That unit, and a tenth of it, negative.
  double by_long = 0;
};
inline constexpr int kLeastTextExponent = -22;  // 5^k takes 53 bits there; smaller powers of two need 17 digits.
inline constexpr int kMostTextExponent = 51;
inline constexpr auto kTextScales = [] {
  std::array<TextScale, kMostTextExponent - kLeastTextExponent + 1> out{};
  for (int exponent = kLeastTextExponent; exponent <= kMostTextExponent; ++exponent) {
    const int shift = 52 - exponent;  // An ulp is 2^-shift.
    double ulps = 1;                  // To one.
    for (int i = 0; i < shift; ++i) ulps *= 2;
    int k = 0;
    double tens = 1;  // Exact up to 10^22.
    std::uint64_t fives = 1;
    for (; tens * 10 <= ulps; ++k) {
      tens *= 10;
      fives *= 5;
    }
    TextScale& scale = out[static_cast<std::size_t>(exponent - kLeastTextExponent)];
    scale.factor = fives << (k + 53 - shift);  // 10^k * 2^(53 - shift), a whole number.
    scale.by_short = -0x1p-64 / tens;
    scale.by_long = -0x1p-64 / 10 / tens;
  }
  return out;
}();

// By how much the shortest text that reads back as x is more than x. Clears `known` if it cannot say.
// Requires: |x| in the range of `scale`.
template <bool in_lanes = false>
double text_rest(std::uint64_t bits, const TextScale& scale, bool& known) {
  const std::uint64_t over = (bits << 11 | std::uint64_t{1} << 63) * scale.factor;  // Modulo 1: signed, to the nearest.
  const std::uint64_t half = scale.factor << 10;                                    // An ulp.
  const bool is_short = over + half < 2 * half;
  const auto chosen = static_cast<std::int64_t>(is_short ? over : over * 10);
  // In vector instructions a look into a table takes longer than a product.
  const double by = in_lanes ? scale.by_short * (is_short ? 1.0 : 0.1) : is_short ? scale.by_short : scale.by_long;
  const double size = static_cast<double>(chosen) * by;
  known &= chosen != std::numeric_limits<std::int64_t>::min();  // Else halfway between two texts.
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(size) ^ (bits & std::uint64_t{1} << 63));
}
inline std::uint64_t text_scale_index(std::uint64_t bits) {
  return (bits >> 52 & 0x7ff) - static_cast<std::uint64_t>(1023 + kLeastTextExponent);
}
// Returns whether it is known.
inline bool text_rest(double x, double& rest) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t index = text_scale_index(bits);
  if (index >= kTextScales.size()) [[unlikely]]
    return false;
  bool known = true;
  rest = text_rest(bits, kTextScales[index], known);
  return known;
}

// What add() says of operands that are not both plain.
struct Sum {
  double value;  // a + b as doubles add.
  double low;    // The sum of the texts, after all roundings, is from low ...
  double high;   // ... to high.
};
inline Sum sum_with_rests(double a, double b, double rest_a, double rest_b) {
  // sum + error is a + b exactly; with the rests it is the sum of both texts, but for three roundings to 64 bits.
  const double sum = a + b;
  const double b_part = sum - a;
  const double error = (a - (sum - b_part)) + (b - b_part);
  const double more = error + (rest_a + rest_b);
  const double doubt = (std::abs(a) + std::abs(b)) * 0x1.04p-63;
  return {sum, sum + (more - doubt), sum + (more + doubt)};
}
inline Sum sum_of_texts(double a, double b, bool a_plain, bool b_plain) {
  double rest_a = 0;
  double rest_b = 0;
  if ((!a_plain && !text_rest(a, rest_a)) || (!b_plain && !text_rest(b, rest_b))) [[unlikely]] {
    return {0, -1, 1};
  }
  return sum_with_rests(a, b, rest_a, rest_b);
}

inline double add(double a, double b) {
  const bool a_plain = is_plain(a);
  const bool b_plain = is_plain(b);
  if (a_plain && b_plain) [[likely]]
    return a + b;
  const Sum sum = sum_of_texts(a, b, a_plain, b_plain);
  return sum.low == sum.high ? sum.low : add_rare(a, b);
}

inline double subtract(double a, double b) {
  return add(a, -b);
}

// Whether a product of doubles is the one that is wanted: it is rounded once, so it must not be subnormal. 0 is right
// even where it stands for less. NaN is not.
inline bool is_product_exact(double x) {
  bool exact = std::abs(x) >= std::numeric_limits<double>::min();
  exact |= x == 0;  // No branches: for loops over columns.
  return exact;
}
// The same of a quotient, where infinity mostly is a fault.
inline bool is_quotient_exact(double x) {
  bool exact = is_product_exact(x);
  exact &= std::abs(x) <= std::numeric_limits<double>::max();
  return exact;
}

inline double multiply(double a, double b) {
  const double product = a * b;
  return is_product_exact(product) ? product : multiply_rare(a, b);
}

inline double divide(double a, double b) {
  const double quotient = a / b;
  return is_quotient_exact(quotient) ? quotient : divide_rare(a, b);
}

// Whether a/by + shifted/by, for a `by` of 10, 100 or 1000 and a plain shifted/by, is (a + shifted) / by: the text of a
// whole number by one of these is that decimal; the sum n/by keeps 2^-61 of its size from any midpoint between
// doubles, and what rounding to 64 bits adds is less while little is cancelled.
inline bool is_percentage(double a, double shifted) {
  const double size = std::abs(a) + std::abs(shifted);
  bool good = size < 0x1p39;
  good &= size <= 6 * std::abs(a + shifted);
  good &= nearest_whole(a) == a;
  return good;
}

// Both cut to integers, the sign of the dividend; a divisor inside (-1, 1), NaN, and an infinite dividend are faults.
double modulo(double a, double b);

// x to the power of n cut to an integer, by squaring; 0 to any power is 0, x^-n is 1/x^n. A NaN exponent is a fault,
// which power_faults tells (the result may be NaN without a fault).
double power(double x, double n);
inline bool power_faults(double n) {
  return std::isnan(n);
}

// Which fault made `a op b` NaN. op: + - * / % ^.
Fault fault_of(char op, double a, double b);

// Go's functions of two numbers: NaN wins over all but an infinity of the wanted sign; +0 is larger than -0.
double maximum(double a, double b);
double minimum(double a, double b);

}  // namespace mg::formula::detail
