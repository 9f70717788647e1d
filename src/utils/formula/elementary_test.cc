#include "utils/formula/elementary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace mg::formula::detail {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// The C library's values are within an ulp of the true ones; near a zero ours are as near in absolute terms.
void expect_near(double got, double want, const char* name, double x) {
  EXPECT_LE(std::abs(got - want), 4e-16 * std::max(1.0, std::abs(want))) << name << "(" << x << ")";
}

TEST(FormulaElementary, SinesAreThoseOfTheLibraryForAnySize) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const double x =
        std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), static_cast<int>(random() % 1020) - 80);
    if (!std::isfinite(x)) continue;
    expect_near(sine(x), std::sin(x), "sin", x);
    expect_near(cosine(x), std::cos(x), "cos", x);
  }
}

TEST(FormulaElementary, TangentsAreThoseOfTheLibrary) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 100'000; ++i) {
    const double x = static_cast<double>(static_cast<std::int64_t>(random())) * 0x1p-62;
    if (std::abs(std::cos(x)) > 1e-2) expect_near(tangent(x), std::tan(x), "tan", x);
  }
}

TEST(FormulaElementary, CubeRootsAreThoseOfTheLibrary) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 100'000; ++i) {
    const double x =
        std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), static_cast<int>(random() % 2040) - 1100);
    if (!std::isfinite(x)) continue;
    const auto want = static_cast<double>(std::cbrt(static_cast<long double>(x)));  // The double one is less exact.
    EXPECT_LE(std::abs(cube_root(x) - want), std::abs(want) * 3e-16) << x;
  }
  EXPECT_EQ(cube_root(27), 3);
  EXPECT_EQ(cube_root(-1000), -10);
}

TEST(FormulaElementary, ZerosAndInfinities) {
  EXPECT_TRUE(std::signbit(sine(-0.0)));
  EXPECT_TRUE(std::signbit(tangent(-0.0)));
  EXPECT_EQ(cosine(0), 1);
  EXPECT_TRUE(std::isnan(sine(kInf)));
  EXPECT_TRUE(std::isnan(cosine(-kInf)));
  EXPECT_TRUE(std::isnan(tangent(std::nan(""))));
  EXPECT_EQ(cube_root(-kInf), -kInf);
  EXPECT_TRUE(std::isfinite(sine(std::numeric_limits<double>::max())));
}

}  // namespace
}  // namespace mg::formula::detail
