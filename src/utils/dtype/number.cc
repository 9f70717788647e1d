#include "mg/utils/dtype/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>

#include "base/short_decimal.h"

namespace mg::dtype {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex_digit(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

bool equals_ignoring_case(std::string_view text, std::string_view small) {
  return std::ranges::equal(text, small, {}, lower);
}

// Decimal digits up to `max`. The first eighteen cannot overflow and are read without a look at it.
Scanned<std::uint64_t> scan_digits(std::string_view text, std::uint64_t max) {
  constexpr std::size_t kSafe = 18;
  if (text.empty()) return {0, Fault::kNotANumber};
  std::uint64_t value = 0;
  std::size_t at = 0;
  const std::size_t safe = std::min(text.size(), kSafe);
  for (; at < safe; ++at) {
    const unsigned digit = static_cast<unsigned char>(text[at]) - unsigned{'0'};
    if (digit > 9) break;
    value = value * 10 + digit;
  }
  if (value > max) return {max, Fault::kRange};
  for (; at < text.size(); ++at) {
    const unsigned digit = static_cast<unsigned char>(text[at]) - unsigned{'0'};
    if (digit > 9) return {0, Fault::kNotANumber};
    if (__builtin_mul_overflow(value, 10U, &value) || __builtin_add_overflow(value, digit, &value) || value > max) {
      return {max, Fault::kRange};
    }
  }
  return {value, Fault::kNone};
}

// Whether every _ stands between digits, or between a base prefix and a digit.
bool underscores_fit(std::string_view number, bool hex) {
  char before = '^';
  if (hex) {
    number.remove_prefix(2);
    before = '0';
  }
  for (const char c : number) {
    if (hex ? is_hex_digit(c) : is_digit(c)) {
      before = '0';
    } else if (c == '_') {
      if (before != '0') return false;
      before = '_';
    } else {
      if (before == '_') return false;
      before = '!';
    }
  }
  return before != '_';
}

// Whether a number that does not fit the type is too large, and not too small: the position of its first digit that is
// not 0, counted from the point, with the exponent. `number` has no sign and no underscores.
bool is_large(std::string_view number, bool hex) {
  std::int64_t position = 0;
  std::int64_t scale = 0;
  bool point = false;
  bool found = false;
  std::size_t at = 0;
  for (; at < number.size() && lower(number[at]) != (hex ? 'p' : 'e'); ++at) {
    const char c = number[at];
    if (c == '.') {
      point = true;
    } else {
      found = found || c != '0';
      if (found && !point) ++position;
      if (!found && point) --position;
    }
  }
  if (at < number.size()) {
    std::string_view exponent = number.substr(at + 1);
    const bool negative = exponent.front() == '-';
    if (!is_digit(exponent.front())) exponent.remove_prefix(1);
    scale = static_cast<std::int64_t>(scan_digits(exponent, 1U << 30).value);
    if (negative) scale = -scale;
  }
  return position * (hex ? 4 : 1) + scale > 0;
}

// Any text; scan_float has taken plain decimal numbers already.
template <class T>
Scanned<T> scan_any_float(std::string_view text) {
  if (equals_ignoring_case(text, "nan")) return {std::numeric_limits<T>::quiet_NaN(), Fault::kNone};
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  const auto finish = [&](T magnitude, Fault fault) { return Scanned<T>{negative ? -magnitude : magnitude, fault}; };
  if (equals_ignoring_case(text, "inf") || equals_ignoring_case(text, "infinity")) {
    return finish(std::numeric_limits<T>::infinity(), Fault::kNone);
  }

  const bool hex = text.size() >= 2 && text[0] == '0' && lower(text[1]) == 'x';
  const char mark = hex ? 'p' : 'e';
  std::size_t at = hex ? 2 : 0;
  bool digits = false;
  bool point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (hex ? is_hex_digit(c) : is_digit(c)) {
      digits = true;
    } else if (c == '.' && !point) {
      point = true;
    } else if (c != '_') {
      break;
    }
  }
  if (!digits) return {0, Fault::kNotANumber};
  if (at < text.size() && lower(text[at]) == mark) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (at == text.size() || !is_digit(text[at])) return {0, Fault::kNotANumber};
    while (at < text.size() && (is_digit(text[at]) || text[at] == '_')) ++at;
  } else if (hex) {
    return {0, Fault::kNotANumber};  // A hex float needs its exponent.
  }
  if (at != text.size()) return {0, Fault::kNotANumber};

  std::string plain;
  if (text.find('_') != text.npos) {
    if (!underscores_fit(text, hex)) return {0, Fault::kNotANumber};
    for (const char c : text) {
      if (c != '_') plain += c;
    }
    text = plain;
  }
  if (hex) text.remove_prefix(2);
  T magnitude = 0;
  const auto format = hex ? std::chars_format::hex : std::chars_format::general;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), magnitude, format);
  if (end.ec == std::errc::result_out_of_range) {
    return finish(is_large(text, hex) ? std::numeric_limits<T>::infinity() : 0, Fault::kRange);
  }
  return finish(magnitude, Fault::kNone);
}

template <class T>
Scanned<T> scan_floating(std::string_view text) {
  T value = 0;
  if constexpr (std::same_as<T, double>) {
    if (read_short_decimal(text, value)) return {value, Fault::kNone};
  }
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  // What from_chars took whole is as Go reads it, but for the names of infinities and NaNs.
  if (end.ec == std::errc() && end.ptr == text.data() + text.size() && std::isfinite(value))
    return {value, Fault::kNone};
  return scan_any_float<T>(text);
}

// The digits of to_chars' shortest form, and the power of ten of the first one.
template <class T>
std::string any_float_text(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[40];
  const char* end = std::to_chars(buffer, std::end(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t mark = shortest.find('e');
  int exponent = 0;
  const char* const sign = shortest.data() + mark + 1;
  std::from_chars(*sign == '+' ? sign + 1 : sign, end, exponent);
  if (exponent < -4 || exponent >= 6) return std::string(shortest);
  end = std::to_chars(buffer, std::end(buffer), value, std::chars_format::fixed).ptr;
  return std::string(static_cast<const char*>(buffer), end);
}

}  // namespace

namespace detail {

Scanned<std::int64_t> scan_signed(std::string_view text, std::int64_t min, std::int64_t max) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  // Go reads all 64-bit magnitudes and then compares.
  const auto [magnitude, fault] = scan_digits(text, std::numeric_limits<std::uint64_t>::max());
  if (fault == Fault::kNotANumber) return {0, fault};
  if (negative) {
    const std::uint64_t lowest = std::uint64_t{0} - static_cast<std::uint64_t>(min);
    if (magnitude > lowest) return {min, Fault::kRange};
    return {static_cast<std::int64_t>(std::uint64_t{0} - magnitude), fault};
  }
  if (magnitude > static_cast<std::uint64_t>(max)) return {max, Fault::kRange};
  return {static_cast<std::int64_t>(magnitude), fault};
}

Scanned<std::uint64_t> scan_unsigned(std::string_view text, std::uint64_t max) {
  return scan_digits(text, max);
}

Scanned<float> scan_float(std::string_view text) {
  return scan_floating<float>(text);
}
Scanned<double> scan_double(std::string_view text) {
  return scan_floating<double>(text);
}

}  // namespace detail

std::string float_text(double value) {
  return any_float_text(value);
}
std::string float_text(float value) {
  return any_float_text(value);
}

}  // namespace mg::dtype
