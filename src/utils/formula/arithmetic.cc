#include "utils/formula/arithmetic.h"

#include <algorithm>
#include <array>
#include <bit>

#include "utils/formula/number_text.h"

namespace mg::formula::detail {
namespace {

using U128 = unsigned __int128;
using I128 = __int128;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- + by integers: any operands --------------------------------------------------------------------------------

// mantissa * 2^exponent; normalised (top bit set), or 0.
struct Wide {
  std::uint64_t mantissa = 0;
  int exponent = 0;
};

// The 64-bit number nearest to (high . sticky) * 2^exponent, ties to even. Requires: high != 0.
Wide round_to_64(U128 high, bool sticky, int exponent) {
  const auto upper = static_cast<std::uint64_t>(high >> 64);
  const int zeros = upper != 0 ? std::countl_zero(upper) : 64 + std::countl_zero(static_cast<std::uint64_t>(high));
  high <<= zeros;
  exponent -= zeros;
  auto mantissa = static_cast<std::uint64_t>(high >> 64);
  const auto rest = static_cast<std::uint64_t>(high);
  exponent += 64;
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
  if (rest > kHalf || (rest == kHalf && (sticky || (mantissa & 1) != 0))) {
    if (++mantissa == 0) {
      mantissa = kHalf;
      ++exponent;
    }
  }
  return {mantissa, exponent};
}

// A natural number of up to 1,344 bits, least significant word first.
class Natural {
 public:
  explicit Natural(std::uint64_t value) {
    words_[0] = static_cast<std::uint32_t>(value);
    words_[1] = static_cast<std::uint32_t>(value >> 32);
    size_ = value >> 32 != 0 ? 2 : 1;
  }
  void multiply(std::uint32_t factor) {
    std::uint64_t carry = 0;
    for (int i = 0; i < size_; ++i) {
      carry += std::uint64_t{words_[at(i)]} * factor;
      words_[at(i)] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) words_[at(size_++)] = static_cast<std::uint32_t>(carry);
  }
  void shift_left_words(int count) {
    for (int i = size_ - 1; i >= 0; --i) words_[at(i + count)] = words_[at(i)];
    std::fill_n(words_.begin(), count, 0u);
    size_ += count;
  }
  // Whether there was a remainder.
  bool divide(std::uint32_t divisor) {
    std::uint64_t rest = 0;
    for (int i = size_ - 1; i >= 0; --i) {
      rest = rest << 32 | words_[at(i)];
      words_[at(i)] = static_cast<std::uint32_t>(rest / divisor);
      rest %= divisor;
    }
    while (size_ > 1 && words_[at(size_ - 1)] == 0) --size_;
    return rest != 0;
  }
  Wide top(bool sticky, int exponent) const {
    U128 high = 0;
    const int first = std::max(0, size_ - 4);
    for (int i = size_ - 1; i >= first; --i) high = high << 32 | words_[at(i)];
    for (int i = 0; i < first; ++i) sticky = sticky || words_[at(i)] != 0;
    return round_to_64(high, sticky, exponent + 32 * first);
  }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  std::array<std::uint32_t, 42> words_{};
  int size_ = 1;
};

// The 64-bit number nearest to digits * 10^exponent.
Wide from_decimal(std::uint64_t digits, int exponent) {
  constexpr std::uint32_t kStep = 1'000'000'000;
  constexpr std::array<std::uint32_t, 9> kPowers{1,       10,        100,        1'000,      10'000,
                                                 100'000, 1'000'000, 10'000'000, 100'000'000};
  Natural number(digits);
  if (exponent >= 0) {
    for (; exponent >= 9; exponent -= 9) number.multiply(kStep);
    number.multiply(kPowers[static_cast<std::size_t>(exponent)]);
    return number.top(false, 0);
  }
  int tens = -exponent;
  // Enough bits in front: 10^tens has fewer than 3.33 * tens; 96 more leave at least 65 of the quotient.
  const int words = (tens * 333 / 100 + 96) / 32 + 1;
  number.shift_left_words(words);
  bool sticky = false;
  for (; tens >= 9; tens -= 9) sticky = number.divide(kStep) || sticky;
  sticky = number.divide(kPowers[static_cast<std::size_t>(tens)]) || sticky;
  return number.top(sticky, -32 * words);
}

// The double nearest to mantissa * 2^exponent, ties to even; subnormal, 0 or infinite where it must be.
double to_double(Wide wide) {
  constexpr int kLeast = -1074;  // Of the last bit of a subnormal.
  const int drop = std::max(11, kLeast - wide.exponent);
  if (drop > 64) return 0;
  std::uint64_t kept = drop == 64 ? 0 : wide.mantissa >> drop;
  const std::uint64_t rest = drop == 64 ? wide.mantissa : wide.mantissa & ((std::uint64_t{1} << drop) - 1);
  const std::uint64_t half = std::uint64_t{1} << (drop - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) ++kept;
  return std::ldexp(static_cast<double>(kept), wide.exponent + drop);  // Exact, or infinite.
}

Wide decimal_of(double x) {
  const Shortest text = shortest(x);
  return from_decimal(text.digits, text.exponent);
}

// ---- + by the decimals' distance from the doubles: operands of middling size ------------------------------------

constexpr int kMostDecimals = 19;
constexpr std::array<std::uint64_t, kMostDecimals + 1> kTens = [] {
  std::array<std::uint64_t, kMostDecimals + 1> tens{1};
  for (std::size_t i = 1; i < tens.size(); ++i) tens[i] = tens[i - 1] * 10;
  return tens;
}();
// 2^11 / 10^k.
constexpr std::array<double, kMostDecimals + 1> kUnitsOfTens = [] {
  std::array<double, kMostDecimals + 1> units{};
  for (std::size_t i = 0; i < units.size(); ++i) units[i] = 2048.0 / static_cast<double>(kTens[i]);
  return units;
}();

constexpr int kLeastExponent = -16;  // 2^-16 <= |x| < 2^52
constexpr int kMostExponent = 51;
// By the exponent of x: the most decimals with which any |x| < 2^(e+1) has at most 15 digits.
constexpr auto kDecimals = [] {
  std::array<std::int8_t, kMostExponent - kLeastExponent + 1> out{};
  for (int e = kLeastExponent; e <= kMostExponent; ++e) {
    double limit = 1;
    for (int i = 0; i < e + 1; ++i) limit *= 2;
    for (int i = 0; i > e + 1; --i) limit /= 2;
    int k = 0;
    while (k < kMostDecimals && limit * static_cast<double>(kTens[static_cast<std::size_t>(k + 1)]) <= 1e15) ++k;
    out[static_cast<std::size_t>(e - kLeastExponent)] = static_cast<std::int8_t>(k);
  }
  return out;
}();

// What the shortest decimal of x, rounded to 64 bits, is more than x. Exact, or false: not decided here.
bool decimal_rest(double x, double& rest) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1023;
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  rest = 0;
  if (exponent < kLeastExponent || exponent > kMostExponent) return x == 0;
  if (fraction == 0) return true;  // 2^-16 has 12 digits: its own shortest text.
  const std::uint64_t mantissa = fraction | std::uint64_t{1} << 52;
  const int shift = 52 - exponent;  // |x| = mantissa / 2^shift, an ulp is 2^-shift. 1..68.
  const U128 half = U128{1} << (shift - 1);
  int k = kDecimals[static_cast<std::size_t>(exponent - kLeastExponent)];
  // With 15 digits at most one decimal reads back as x; with 16 and 17 the nearest of them is the shortest.
  for (const int last = std::min(k + 3, kMostDecimals); k <= last; ++k) {
    const std::uint64_t tens = kTens[static_cast<std::size_t>(k)];
    const U128 scaled = U128{mantissa} * tens;
    const U128 nearest = ((scaled + half) >> shift) << shift;
    const I128 over = static_cast<I128>(scaled) - static_cast<I128>(nearest);  // x is more by over / tens ulp.
    const U128 size = static_cast<U128>(over < 0 ? -over : over);
    if (size * 2 > tens) continue;                       // Outside half an ulp: reads back as a neighbour.
    if (size * 2 == tens || size == half) return false;  // On the edge, or two texts are equally near.
    const double units =
        -static_cast<double>(static_cast<std::int64_t>(over)) * kUnitsOfTens[static_cast<std::size_t>(k)];
    const double whole = nearest_whole(units);             // In units of a 64-bit mantissa, 2^-11 ulp.
    if (std::abs(units - whole) > 0.499999) return false;  // Rounds either way: decided exactly.
    rest = whole * std::bit_cast<double>(static_cast<std::uint64_t>(exponent - 52 - 11 + 1023) << 52);
    if (bits >> 63 != 0) rest = -rest;
    return true;
  }
  return false;
}

}  // namespace

double add_exact(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return kNan;
  if (std::isinf(a) || std::isinf(b) || a == -b) return a + b;  // Infinity - infinity is NaN.
  if (a == 0) return to_double(decimal_of(b)) * (b < 0 ? -1 : 1);
  if (b == 0) return to_double(decimal_of(a)) * (a < 0 ? -1 : 1);
  Wide large = decimal_of(a);
  Wide small = decimal_of(b);
  bool negative = a < 0;
  const bool opposite = (a < 0) != (b < 0);
  if (large.exponent < small.exponent || (large.exponent == small.exponent && large.mantissa < small.mantissa)) {
    std::swap(large, small);
    negative = b < 0;
  }
  // 62 bits behind the larger one; what of the smaller one lies beyond is only a sign that there is more.
  const int distance = large.exponent - small.exponent;
  const U128 upper = U128{large.mantissa} << 62;
  const U128 whole = U128{small.mantissa} << 62;
  const U128 lower = distance < 128 ? whole >> distance : 0;
  const bool sticky = distance >= 128 || lower << distance != whole;
  const U128 sum = opposite ? upper - lower - (sticky ? 1 : 0) : upper + lower;
  if (sum == 0 && !sticky) return 0.0;
  const double size = to_double(round_to_64(sum, sticky, large.exponent - 62));
  return negative ? -size : size;
}

double add_rare(double a, double b) {
  const double sum = a + b;
  double rest_a = 0;
  double rest_b = 0;
  if (std::abs(sum) > 0 && decimal_rest(a, rest_a) && decimal_rest(b, rest_b)) {
    // sum + error is a + b exactly; with the rests it is the sum of both texts, but for the last roundings.
    const double b_part = sum - a;
    const double error = (a - (sum - b_part)) + (b - b_part);
    const double more = error + (rest_a + rest_b);
    const double doubt = std::abs(sum) * 0x1p-63 + (std::abs(a) + std::abs(b)) * 0x1p-100;
    const double low = sum + (more - doubt);
    const double high = sum + (more + doubt);
    if (low == high) return low;
  }
  return add_exact(a, b);
}

double multiply_rare(double a, double b) {
  const double product = a * b;
  if (std::isnan(product) || std::isinf(product) || a == 0 || b == 0) return product;
  // Subnormal or underflown: first to 53 bits, in a range where that is exact, then to what there is room for.
  int exponent_a = 0;
  int exponent_b = 0;
  const double scaled = std::frexp(a, &exponent_a) * std::frexp(b, &exponent_b);
  return std::ldexp(scaled, exponent_a + exponent_b);
}

double divide_rare(double a, double b) {
  if (b == 0) return kNan;
  const double quotient = a / b;
  if (std::isnan(quotient) || std::isinf(quotient) || a == 0 || std::isinf(b)) return quotient;
  int exponent_a = 0;
  int exponent_b = 0;
  const double scaled = std::frexp(a, &exponent_a) / std::frexp(b, &exponent_b);
  return std::ldexp(scaled, exponent_a - exponent_b);
}

double modulo(double a, double b) {
  if (!(std::abs(b) >= 1) || std::isnan(a) || std::isinf(a)) return kNan;
  if (std::abs(a) < 0x1p63 && std::abs(b) < 0x1p63) {
    const auto whole_b = static_cast<std::int64_t>(b);
    if (whole_b == -1) return 0;  // The least integer % -1 traps.
    return static_cast<double>(static_cast<std::int64_t>(a) % whole_b);
  }
  return std::fmod(std::trunc(a), std::trunc(b)) + 0.0;
}

double power(double x, double n) {
  if (std::isnan(n)) return kNan;
  if (x == 0) return 0;
  if (std::abs(n) >= 0x1p63) {  // Even, and more than any finite power needs.
    const double size = std::abs(x);
    if (std::isnan(x) || size == 1) return size;
    return (size > 1) == (n > 0) ? kInfinity : 0;
  }
  const auto whole = static_cast<std::int64_t>(n);
  const std::uint64_t times = whole < 0 ? -static_cast<std::uint64_t>(whole) : static_cast<std::uint64_t>(whole);
  double result = 1;
  for (int bit = 63 - std::countl_zero(times); bit >= 0; --bit) {
    result *= result;
    if ((times >> bit & 1) != 0) result *= x;
  }
  return whole < 0 ? 1 / result : result;
}

Fault fault_of(char op, double a, double b) {
  const auto fault = [&](FaultKind kind) { return Fault{kind, op, a, b}; };
  if (op == '/' && b == 0) return fault(FaultKind::kDivisionByZero);
  if (std::isnan(a) || std::isnan(b)) return fault(FaultKind::kNan);
  switch (op) {
    case '+':
      return fault(FaultKind::kAddInfinities);
    case '-':
      return fault(FaultKind::kSubInfinities);
    case '*':
      return fault(FaultKind::kMulZeroInfinity);
    case '/':
      return fault(FaultKind::kDivInfinities);
    default:
      return fault(std::abs(b) < 1 ? FaultKind::kModuloByZero : FaultKind::kModuloInfinite);
  }
}

double maximum(double a, double b) {
  if (a == kInfinity || b == kInfinity) return kInfinity;
  if (std::isnan(a) || std::isnan(b)) return kNan;
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

double minimum(double a, double b) {
  if (a == -kInfinity || b == -kInfinity) return -kInfinity;
  if (std::isnan(a) || std::isnan(b)) return kNan;
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

}  // namespace mg::formula::detail
