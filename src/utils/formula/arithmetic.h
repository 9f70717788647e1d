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

#include <cmath>
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

inline constexpr double kWholeMagic =
    0x1.8p52;  // x + kWholeMagic - kWholeMagic is x rounded to an integer, |x| < 2^51.
inline double nearest_whole(double x) {
  return (x + kWholeMagic) - kWholeMagic;
}

// The double nearest to n / 1000, for whole |n| < 2^36: 1/1000 in two parts, of which the first has 17 bits, so that
// its product is exact; the sum's error of 2^-69 is far less than the 2^-61 that n/1000 keeps from any midpoint.
inline double thousandths(double n) {
  constexpr double kHigh = 0x1.0624p-10;
  constexpr double kLow = 0x1.ba5e353f7ced9p-27;
  return n * kHigh + n * kLow;
}

inline bool is_thousandths(double x) {
  return thousandths(nearest_whole(x * 1000)) == x;
}

inline double add(double a, double b) {
  const double sum = a + b;
  const double size = std::abs(a) + std::abs(b);
  if (size < 0x1p50) [[likely]] {  // False for NaN too.
    // Integers: texts and sum are exact.
    if (nearest_whole(a) == a && nearest_whole(b) == b) return sum;
    // Both texts have at most three decimals. Their sum is n/1000, which keeps 2^-61 of its size from any midpoint
    // between doubles; what rounding to 64 bits adds is less while little is cancelled.
    if (size < 0x1p25 && size <= 6 * std::abs(sum) && is_thousandths(a) && is_thousandths(b)) {
      return thousandths(nearest_whole(sum * 1000));
    }
  }
  return add_rare(a, b);
}

inline double subtract(double a, double b) {
  return add(a, -b);
}

inline bool is_normal_size(double x) {
  return std::abs(x) >= std::numeric_limits<double>::min() && std::abs(x) <= std::numeric_limits<double>::max();
}

inline double multiply(double a, double b) {
  const double product = a * b;
  return is_normal_size(product) ? product : multiply_rare(a, b);
}

inline double divide(double a, double b) {
  const double quotient = a / b;
  return is_normal_size(quotient) ? quotient : divide_rare(a, b);
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
