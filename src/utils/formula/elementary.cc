#include "utils/formula/elementary.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace mg::formula::detail {
namespace {

using U128 = unsigned __int128;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kQuarterPi = std::numbers::pi / 4;

// An angle of 0 or more as octant * pi/4 + rest, octant even, 0..6, |rest| <= pi/4.
struct Octant {
  int octant;
  double rest;
};

// 4/pi: the first word is its integer part.
constexpr std::array<std::uint64_t, 20> kFourOverPi = {
    0x0000000000000001, 0x45f306dc9c882a53, 0xf84eafa3ea69bb81, 0xb6c52b3278872083, 0xfca2c757bd778ac3,
    0x6e48dc74849ba5c0, 0x0c925dd413a32439, 0xfc3bd63962534e7d, 0xd1046bea5d768909, 0xd338e04d68befc82,
    0x7323ac7306a673e9, 0x3908bf177bf25076, 0x3ff12fffbc0b301f, 0xde5e2316b414da3e, 0xda6cfd9e4f96136e,
    0x9e8c7ecd3cbfd45a, 0xea4f758fd7cbe2f6, 0x7a0e73ef14a525d4, 0xd7f6bf623f1aba10, 0xac06608df8f6d757};

// 64 bits of 4/pi from bit `at` on.
std::uint64_t bits_at(unsigned at) {
  const unsigned word = at / 64;
  const unsigned shift = at % 64;
  return shift == 0 ? kFourOverPi[word] : kFourOverPi[word] << shift | kFourOverPi[word + 1] >> (64 - shift);
}

// x * 4/pi modulo 8, of which only 192 bits of 4/pi matter: those before make multiples of 8.
Octant reduce_large(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const auto exponent = static_cast<unsigned>(bits >> 52) - 1023 - 52;
  const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) | std::uint64_t{1} << 52;
  const unsigned first = exponent + 61;
  const U128 upper = U128{bits_at(first)} * mantissa << 64;
  const U128 middle = U128{bits_at(first + 64)} * mantissa;
  const U128 lower = U128{bits_at(first + 128)} * mantissa >> 64;
  const U128 product = upper + middle + lower;
  auto octant = static_cast<int>(product >> 125);
  const U128 fraction = product << 3;
  double part = 0;
  if (fraction != 0) {
    const auto high = static_cast<std::uint64_t>(fraction >> 64);
    const int zeros = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<std::uint64_t>(fraction));
    part = std::ldexp(static_cast<double>(static_cast<std::uint64_t>((fraction << zeros) >> 75)), -53 - zeros);
  }
  if (octant % 2 != 0) {
    octant = (octant + 1) % 8;
    part -= 1;
  }
  return {octant, part * kQuarterPi};
}

// Requires: x finite, 0 or more.
Octant reduce(double x) {
  if (x >= 0x1p29) return reduce_large(x);
  auto octants = static_cast<std::uint64_t>(x * (4 / std::numbers::pi));
  octants += octants % 2;
  const auto count = static_cast<double>(octants);
  // pi/4 in three parts, the products with the first two exact.
  const double rest = ((x - count * 7.85398125648498535156e-1) - count * 3.77489470793079817668e-8) -
                      count * 2.69515142907905952645e-15;
  return {static_cast<int>(octants % 8), rest};
}

double sine_near_zero(double z) {
  const double zz = z * z;
  return z + z * zz *
                 ((((((1.58962301576546568060e-10 * zz) - 2.50507477628578072866e-8) * zz + 2.75573136213857245213e-6) *
                        zz -
                    1.98412698295895385996e-4) *
                       zz +
                   8.33333333332211858878e-3) *
                      zz -
                  1.66666666666666307295e-1);
}

double cosine_near_zero(double z) {
  const double zz = z * z;
  return 1.0 - 0.5 * zz +
         zz * zz *
             ((((((-1.13585365213876817300e-11 * zz) + 2.08757008419747316778e-9) * zz - 2.75573141792967388112e-7) *
                    zz +
                2.48015872888517045348e-5) *
                   zz -
               1.38888888888730564116e-3) *
                  zz +
              4.16666666666665929218e-2);
}

}  // namespace

double sine(double x) {
  if (x == 0 || std::isnan(x)) return x;
  if (std::isinf(x)) return kNan;
  const auto [octant, rest] = reduce(std::abs(x));
  const double size = octant % 4 == 2 ? cosine_near_zero(rest) : sine_near_zero(rest);
  return (octant >= 4) != (x < 0) ? -size : size;
}

double cosine(double x) {
  if (std::isnan(x) || std::isinf(x)) return kNan;
  const auto [octant, rest] = reduce(std::abs(x));
  const double size = octant % 4 == 2 ? sine_near_zero(rest) : cosine_near_zero(rest);
  return octant == 2 || octant == 4 ? -size : size;
}

double tangent(double x) {
  if (x == 0 || std::isnan(x)) return x;
  if (std::isinf(x)) return kNan;
  const auto [octant, rest] = reduce(std::abs(x));
  const double zz = rest * rest;
  double size = rest;
  if (zz > 1e-14) {
    size =
        rest +
        rest *
            (zz * (((-1.30936939181383734205e4 * zz) + 1.15351664838587416140e6) * zz - 1.79565251976484877988e7) /
             ((((zz + 1.36812963470692954678e4) * zz - 1.32089234440210967447e6) * zz + 2.50083801823357915839e7) * zz -
              5.38695755929454629881e7));
  }
  if (octant % 4 == 2) size = -1 / size;
  return x < 0 ? -size : size;
}

double cube_root(double x) {
  if (x == 0 || std::isnan(x) || std::isinf(x)) return x;
  const double size = std::abs(x);
  // A third of the exponent: 5 bits.
  double root = std::bit_cast<double>(std::bit_cast<std::uint64_t>(size) / 3 + (std::uint64_t{715094163} << 32));
  if (size < std::numeric_limits<double>::min()) {
    root = 0x1p54 * size;
    root = std::bit_cast<double>(std::bit_cast<std::uint64_t>(root) / 3 + (std::uint64_t{696219795} << 32));
  }
  // 23 bits.
  const double error = root * root / size;
  const double s = 19.0 / 35 + error * root;
  root *= 5.0 / 14 + 45.0 / 28 / (s + 99.0 / 70 + -864.0 / 1225 / s);
  // Cut to 22 bits and made larger than the root, so that its square is exact; then one step of Newton.
  root = std::bit_cast<double>((std::bit_cast<std::uint64_t>(root) & std::uint64_t{0xFFFFFFFFC} << 28) +
                               (std::uint64_t{1} << 30));
  const double quotient = size / (root * root);
  root = root + root * ((quotient - root) / (root + root + quotient));
  return std::copysign(root, x);
}

}  // namespace mg::formula::detail
