#include "utils/formula/arithmetic.h"

#include <algorithm>
#include <array>
#include <bit>

#include "utils/formula/number_text.h"

namespace mg::formula::detail {
namespace {

using U128 = unsigned __int128;

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

constexpr int kLeastExponent = -11;  // 2^-11 <= |x| < 2^52
constexpr int kMostExponent = 51;

// How x with a given exponent is scaled to v = |x| * 10^k, k so that an ulp is more than 1 and at most 10: then an
// integer reads back as x, and at most one multiple of ten.
struct Scale {
  std::uint64_t tens;  // 10^k
  double half_ulp;     // Of x, in units of v.
  double units;        // One of v, in units of the last bit of x as a 64-bit number (2^-11 ulp).
};
constexpr auto kScales = [] {
  std::array<Scale, kMostExponent - kLeastExponent + 1> out{};
  for (int exponent = kLeastExponent; exponent <= kMostExponent; ++exponent) {
    const double ulps = static_cast<double>(std::uint64_t{1} << (52 - exponent));  // To one.
    std::uint64_t tens = 1;
    while (static_cast<double>(tens) <= ulps) tens *= 10;
    out[static_cast<std::size_t>(exponent - kLeastExponent)] = {tens, static_cast<double>(tens) / ulps / 2,
                                                                2048 * ulps / static_cast<double>(tens)};
  }
  return out;
}();

constexpr double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

// By how much the shortest decimal of x, rounded to 64 bits, is more than x. Sets `unsure` if that is too close to
// call. Requires: x is 0 or of middling size. No branches: which digits an x has is chance.
double decimal_rest(double x, bool& unsure) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1023;
  const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) | std::uint64_t{1} << 52;
  const Scale& scale = kScales[static_cast<std::size_t>(exponent - kLeastExponent)];
  const int shift = 52 - exponent;  // |x| = mantissa / 2^shift; 1..63.
  const U128 scaled = U128{mantissa} * scale.tens;
  const auto whole = static_cast<std::uint64_t>(scaled >> shift);
  const std::uint64_t fraction = static_cast<std::uint64_t>(scaled) & ((std::uint64_t{1} << shift) - 1);
  // v is more than a multiple of ten by `over`, or than the nearest one by `over_ten`; than the nearest integer by
  // over_one.
  const double over = static_cast<double>(static_cast<std::int64_t>(whole % 10)) +
                      static_cast<double>(static_cast<std::int64_t>(fraction)) * power_of_two(-shift);
  const double over_ten = over < 5 ? over : over - 10;
  const double over_one = over - nearest_whole(over);
  const bool by_ten = std::abs(over_ten) < scale.half_ulp;  // The shorter text reads back as x.
  const double chosen = by_ten ? over_ten : over_one;
  const double units = chosen * -scale.units;
  const double rounded = nearest_whole(units);
  constexpr double kClose = 1e-9;  // The sums above are exact to 1e-15, the units to 1e-11.
  unsure |= std::abs(std::abs(over_ten) - scale.half_ulp) < kClose;
  unsure |= !by_ten && std::abs(over_one) > 0.5 - kClose;
  unsure |= std::abs(units - rounded) > 0.5 - kClose;
  return std::copysign(1.0, x) * rounded * power_of_two(exponent - 52 - 11);
}

bool is_middling(double x) {
  return std::abs(x) >= power_of_two(kLeastExponent) && std::abs(x) < power_of_two(kMostExponent + 1);
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
  if (a == -b) return a + b;
  const double sum = a + b;
  const bool whole_a = nearest_whole(a) == a && std::abs(a) < 0x1p51;
  const bool whole_b = nearest_whole(b) == b && std::abs(b) < 0x1p51;
  if (sum != 0 && (whole_a || is_middling(a)) && (whole_b || is_middling(b))) {
    bool unsure = false;
    const double rest_a = whole_a ? 0 : decimal_rest(a, unsure);
    const double rest_b = whole_b ? 0 : decimal_rest(b, unsure);
    // sum + error is a + b exactly; with the rests it is the sum of both texts, but for the last roundings.
    const double b_part = sum - a;
    const double error = (a - (sum - b_part)) + (b - b_part);
    const double more = error + (rest_a + rest_b);
    const double doubt = std::abs(sum) * 0x1p-63 + (std::abs(a) + std::abs(b)) * 0x1p-100;
    const double low = sum + (more - doubt);
    const double high = sum + (more + doubt);
    if (low == high && !unsure) return low;
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
