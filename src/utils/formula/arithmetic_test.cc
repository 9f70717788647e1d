#include "utils/formula/arithmetic.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cfloat>
#include <cstdlib>
#include <random>
#include <vector>

#include "utils/formula/number_text.h"

namespace mg::formula::detail {
namespace {

std::uint64_t bits(double x) {
  return std::bit_cast<std::uint64_t>(x);
}

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNotANumber = std::nan("");

// Numbers as formulas meet them, and nastier ones.
class Numbers {
 public:
  double next() {
    switch (random_() % 10) {
      case 0:
        return static_cast<double>(static_cast<std::int64_t>(random_() % 2'000'001) - 1'000'000);
      case 1:
        return decimals(2, 1'000'000);
      case 2:
        return decimals(3, 100'000'000'000);
      case 3:
        return decimals(4, 1'000'000'000);
      case 4:
        return decimals(static_cast<int>(random_() % 18), 1'000'000'000'000'000);
      case 5:
        return static_cast<double>(random_() % 1000 + 1) / static_cast<double>(random_() % 1000 + 1);
      case 6:
        return std::ldexp(static_cast<double>(random_() >> 11), static_cast<int>(random_() % 90) - 80);
      case 7:
        return std::bit_cast<double>(random_());
      case 8:
        return std::nextafter(decimals(3, 1'000'000), random_() % 2 == 0 ? kInf : -kInf);
      default:
        return last_ = -last_ * (1 + static_cast<double>(random_() % 3) * 0x1p-52);
    }
  }

 private:
  double decimals(int count, std::int64_t limit) {
    const auto n = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(2 * limit)) - limit;
    return last_ = std::strtod((std::to_string(n) + "e-" + std::to_string(count)).c_str(), nullptr);
  }
  std::mt19937_64 random_{20240607};
  double last_ = 0.1;
};

TEST(FormulaArithmetic, AddsAsDecimals) {
  EXPECT_EQ(add(0.1, 0.2), 0.3);
  EXPECT_EQ(subtract(0.3, 0.1), 0.2);
  EXPECT_EQ(subtract(subtract(1, 0.9), 0.1), 0);
  EXPECT_EQ(add(1e-5, 2e-5), 3e-5);
  EXPECT_EQ(add(1.0 / 3, add(1.0 / 3, 1.0 / 3)), 0.9999999999999999);  // The texts have 16 digits.
  EXPECT_EQ(add(5e-324, 5e-324), 1e-323);
  EXPECT_EQ(add(1e308, 1e308), kInf);
  EXPECT_EQ(add(kInf, -1), kInf);
}

TEST(FormulaArithmetic, KeepsTheSignsOfZero) {
  for (const double a : {0.0, -0.0, 1.5, -0.1}) {
    EXPECT_EQ(bits(add(a, 0.0)), bits(a + 0.0));
    EXPECT_EQ(bits(add(a, -0.0)), bits(a - 0.0));
    EXPECT_EQ(bits(subtract(a, a)), bits(0.0));
    EXPECT_EQ(bits(add_exact(a, -a)), bits(a - a));
    EXPECT_EQ(bits(multiply(a, -0.0)), bits(a * -0.0));
  }
}

TEST(FormulaArithmetic, ShortcutsOfAddAgreeWithItsDefinition) {
  Numbers numbers;
  for (int i = 0; i < 400'000; ++i) {
    const double a = numbers.next();
    const double b = numbers.next();
    const double got = add(a, b);
    const double want = add_exact(a, b);
    ASSERT_TRUE(bits(got) == bits(want) || (std::isnan(got) && std::isnan(want)))
        << go_fixed(a) << " + " << go_fixed(b) << " = " << go_fixed(got) << ", not " << go_fixed(want);
  }
}

TEST(FormulaArithmetic, SumsOfShortDecimalsAgreeWithTheDefinition) {
  Numbers numbers;
  std::mt19937_64 random(11);
  const auto decimal = [&] {  // n/10^k, of all sizes.
    const auto n = static_cast<std::int64_t>(random() >> (12 + random() % 50)) * (random() % 2 == 0 ? 1 : -1);
    return static_cast<double>(n) / std::array{1.0, 10.0, 100.0, 1e3, 1e4, 1e5}[random() % 6];
  };
  std::size_t known = 0;
  const auto check = [&](double a, double b, double sum) {
    ++known;
    ASSERT_EQ(bits(sum), bits(add_exact(a, b))) << go_fixed(a) << " + " << go_fixed(b) << ", not " << go_fixed(sum);
  };
  for (int i = 0; i < 300'000 && !HasFatalFailure(); ++i) {
    const double a = random() % 8 == 0 ? numbers.next() : decimal();
    double b = random() % 8 == 0 ? numbers.next() : decimal();
    if (random() % 4 == 0) b = std::round(-a * static_cast<double>(random() % 4000)) / 2000;  // Most is cancelled.
    double sum = 0;
    if (add_decimals<false>(a, b, sum)) check(a, b, sum);
    if (is_plain(b) && add_decimals<true>(a, b, sum)) check(a, b, sum);
  }
  EXPECT_GT(known, 50'000u);
}

#if LDBL_MANT_DIG == 64 && defined(__x86_64__)
// An x87 register has the mantissa of Go's big.Float.
TEST(FormulaArithmetic, DefinitionOfAddAgreesWithTheX87) {
  Numbers numbers;
  for (int i = 0; i < 100'000; ++i) {
    const double a = numbers.next();
    const double b = numbers.next();
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const long double exact = std::strtold(go_fixed(a).c_str(), nullptr) + std::strtold(go_fixed(b).c_str(), nullptr);
    ASSERT_EQ(bits(add_exact(a, b)), bits(static_cast<double>(exact))) << go_fixed(a) << " + " << go_fixed(b);
  }
}
#endif

TEST(FormulaArithmetic, RoundsSubnormalProductsTwice) {
  // The exact product lies below a midpoint of subnormals, its 53-bit rounding on it.
  const double a = 0x1.0000000000001p-537;
  const double b = 0x1.7ffffffffffffp-537;
  EXPECT_EQ(bits(multiply(a, b)), bits(std::ldexp(0x1.0000000000001p0 * 0x1.7ffffffffffffp0, -1074)));
  EXPECT_EQ(multiply(5e-324, 0.5), 0);
  EXPECT_EQ(divide(1e-308, 10), 1e-309);
  EXPECT_EQ(multiply(1e-300, 1e-300), 0);
  EXPECT_EQ(divide(1e300, 1e-300), kInf);
}

TEST(FormulaArithmetic, FaultsAreNaNWithAReason) {
  const auto kind = [](char op, double a, double b) { return fault_of(op, a, b).kind; };
  EXPECT_TRUE(std::isnan(add(kInf, -kInf)));
  EXPECT_EQ(kind('+', kInf, -kInf), FaultKind::kAddInfinities);
  EXPECT_TRUE(std::isnan(subtract(kInf, kInf)));
  EXPECT_EQ(kind('-', kInf, kInf), FaultKind::kSubInfinities);
  EXPECT_TRUE(std::isnan(multiply(0, kInf)));
  EXPECT_EQ(kind('*', 0, kInf), FaultKind::kMulZeroInfinity);
  EXPECT_TRUE(std::isnan(divide(1, 0)));
  EXPECT_EQ(kind('/', 1, -0.0), FaultKind::kDivisionByZero);
  EXPECT_TRUE(std::isnan(divide(kInf, kInf)));
  EXPECT_EQ(kind('/', kInf, kInf), FaultKind::kDivInfinities);
  for (const char op : {'+', '-', '*', '/', '%'}) EXPECT_EQ(kind(op, kNotANumber, 1), FaultKind::kNan);
  EXPECT_TRUE(std::isnan(add(kNotANumber, 1)));
  EXPECT_TRUE(std::isnan(add(1, kNotANumber)));
}

TEST(FormulaArithmetic, ModuloCutsToIntegersOfAnySize) {
  EXPECT_EQ(modulo(-8.5, 3.5), -2);
  EXPECT_EQ(bits(modulo(-6, 3)), bits(0.0));
  EXPECT_EQ(bits(modulo(-0x1p63, -1)), bits(0.0));
  EXPECT_EQ(modulo(0x1p63, 10), 8);
  EXPECT_EQ(modulo(1e30, 7), std::fmod(1e30, 7));
  EXPECT_EQ(modulo(7, 1e30), 7);
  EXPECT_EQ(modulo(3, kInf), 3);
  EXPECT_TRUE(std::isnan(modulo(kInf, 3)));
  EXPECT_TRUE(std::isnan(modulo(5, 0.999)));
  EXPECT_EQ(fault_of('%', 5, 0.999).kind, FaultKind::kModuloByZero);
  EXPECT_EQ(fault_of('%', kInf, 3).kind, FaultKind::kModuloInfinite);
}

TEST(FormulaArithmetic, PowersBySquaring) {
  EXPECT_EQ(power(2, 10), 1024);
  EXPECT_EQ(power(2, 0.5), 1);
  EXPECT_EQ(power(2, -1), 0.5);
  EXPECT_EQ(power(10, -3), 1 / 1000.0);
  EXPECT_EQ(power(2, -0.999), 1);
  EXPECT_EQ(power(0, -3), 0);
  EXPECT_EQ(power(0.5, -1100), kInf);
  EXPECT_EQ(power(2, 1e19), kInf);
  EXPECT_EQ(power(-2, -1e30), 0);
  EXPECT_EQ(power(-1, 1e30), 1);
  EXPECT_EQ(power(-0.5, kInf), 0);
  EXPECT_EQ(power(2, -0x1p63), 0);
  EXPECT_EQ(power(kNotANumber, 0), 1);
  EXPECT_TRUE(std::isnan(power(2, kNotANumber)));
  EXPECT_TRUE(power_faults(kNotANumber));
}

TEST(FormulaArithmetic, ExtremesOrderZerosAndNaN) {
  EXPECT_EQ(bits(maximum(-0.0, 0.0)), bits(0.0));
  EXPECT_EQ(bits(minimum(0.0, -0.0)), bits(-0.0));
  EXPECT_TRUE(std::isnan(maximum(1, kNotANumber)));
  EXPECT_EQ(maximum(kNotANumber, kInf), kInf);
  EXPECT_EQ(minimum(-kInf, kNotANumber), -kInf);
}

TEST(FormulaNumberText, IsGos) {
  EXPECT_EQ(go_g(1), "1");
  EXPECT_EQ(go_g(99.9), "99.9");
  EXPECT_EQ(go_g(100000), "100000");
  EXPECT_EQ(go_g(1234567), "1.234567e+06");
  EXPECT_EQ(go_g(-0.0001), "-0.0001");
  EXPECT_EQ(go_g(0.00001), "1e-05");
  EXPECT_EQ(go_g(-kInf), "-Inf");
  EXPECT_EQ(go_fixed(1e21), "1000000000000000000000");
  EXPECT_EQ(go_fixed(1e-7), "0.0000001");
  EXPECT_EQ(go_fixed(123456789.125), "123456789.125");
}

}  // namespace
}  // namespace mg::formula::detail
