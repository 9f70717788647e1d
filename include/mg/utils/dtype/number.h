// mg/utils/dtype/number.h -- numbers out of texts as Go's strconv reads them, and the text of a float as Go's %v.
//
//   scan<std::int32_t>("-7");              // {-7, kNone}
//   scan<std::uint8_t>("300");             // {255, kRange}: the nearest limit
//   scan<double>("1e400");                 // {+Inf, kRange}
//   float_text(1e6);                       // "1e+06"
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mg::dtype {

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && sizeof(T) <= 8;

enum class Fault : std::uint8_t {
  kNone,
  kNotANumber,  // The value is 0.
  kRange,       // The value is the nearest one there is: a limit, an infinity, 0.
};

template <class T>
struct Scanned {
  T value{};
  Fault fault = Fault::kNone;
};

namespace detail {
Scanned<std::int64_t> scan_signed(std::string_view text, std::int64_t min, std::int64_t max);
Scanned<std::uint64_t> scan_unsigned(std::string_view text, std::uint64_t max);
Scanned<float> scan_float(std::string_view text);
Scanned<double> scan_double(std::string_view text);
}  // namespace detail

// The whole text as a number. Shape:
//   signed    [+-]digits
//   unsigned  digits, no sign
//   floats    decimal, hex with exponent (0x1p4), digits grouped by _, inf, infinity, nan in any case
//   bool      1 t T true True TRUE, 0 f F false False FALSE
// No spaces. Once the digits read are out of range, the rest is not looked at, as in Go.
// Threads: shared. Cost: no allocation, but for floats with _.
template <class T>
  requires Integer<T> || std::floating_point<T> || std::same_as<T, bool>
Scanned<T> scan(std::string_view text) {
  if constexpr (std::same_as<T, bool>) {
    const bool yes = text == "1" || text == "t" || text == "T" || text == "true" || text == "True" || text == "TRUE";
    const bool no = text == "0" || text == "f" || text == "F" || text == "false" || text == "False" || text == "FALSE";
    return {yes, yes || no ? Fault::kNone : Fault::kNotANumber};
  } else if constexpr (std::same_as<T, float>) {
    return detail::scan_float(text);
  } else if constexpr (std::floating_point<T>) {
    const auto found = detail::scan_double(text);
    return {static_cast<T>(found.value), found.fault};
  } else if constexpr (std::signed_integral<T>) {
    const auto found = detail::scan_signed(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    return {static_cast<T>(found.value), found.fault};
  } else {
    const auto found = detail::scan_unsigned(text, std::numeric_limits<T>::max());
    return {static_cast<T>(found.value), found.fault};
  }
}

// Shortest digits that read back the same; exponent form below 1e-4 and from 1e6 (1.5e-07, 1e+06); NaN, +Inf, -Inf.
std::string float_text(double value);
std::string float_text(float value);

// Whether a number, once cut toward zero, is a To.
template <Integer To, std::floating_point From>
constexpr bool fits(From value) {
  // The lower limit is exact as a float; the upper one is the first whole number that is out of range.
  constexpr From kEnd = static_cast<From>(std::uint64_t{1} << (std::numeric_limits<To>::digits - 1)) * 2;
  if constexpr (std::unsigned_integral<To>) return value > From{-1} && value < kEnd;
  constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
  return (value >= kLow || value > kLow - 1) && value < kEnd;
}

// The integer nearest to a number: cut toward zero, the limit when out of range, 0 for NaN. Never undefined.
template <Integer To, std::floating_point From>
constexpr To to_integer(From value) {
  if (fits<To>(value)) return static_cast<To>(value);
  if (value != value) return 0;
  return value < 0 ? std::numeric_limits<To>::min() : std::numeric_limits<To>::max();
}
template <Integer To, Integer From>
constexpr To to_integer(From value) {
  if (std::in_range<To>(value)) return static_cast<To>(value);
  return value < 0 ? std::numeric_limits<To>::min() : std::numeric_limits<To>::max();
}

// The nearest float; an infinity when out of range (IEEE 754, which all our machines have).
template <std::floating_point To, class From>
  requires std::is_arithmetic_v<From>
constexpr To to_float(From value) {
  static_assert(std::numeric_limits<To>::is_iec559);
  return static_cast<To>(value);
}

}  // namespace mg::dtype
