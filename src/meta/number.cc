#include "meta/number.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>
#include <string>

namespace mg {
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

struct Digits {
  std::uint64_t value = 0;
  bool valid = false;
};

// Decimal digits; stops at the first one beyond `max`, before it looks at the rest, as Go does.
Digits read_digits(std::string_view text, std::uint64_t max) {
  if (text.empty()) return {};
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return {};
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value) || value > max) {
      return {max, true};
    }
  }
  return {value, true};
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
    scale = static_cast<std::int64_t>(read_digits(exponent, 1U << 30).value);
    if (negative) scale = -scale;
  }
  return position * (hex ? 4 : 1) + scale > 0;
}

}  // namespace

std::int64_t parse_int64(std::string_view text) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  const std::uint64_t magnitude = read_digits(text, std::numeric_limits<std::uint64_t>::max()).value;
  if (!negative) return static_cast<std::int64_t>(std::min<std::uint64_t>(magnitude, kMax));
  return magnitude > static_cast<std::uint64_t>(kMax) ? -kMax - 1 : -static_cast<std::int64_t>(magnitude);
}

std::uint64_t parse_uint64(std::string_view text, std::uint64_t max) {
  return read_digits(text, max).value;
}

bool parse_bool(std::string_view text) {
  return text == "1" || text == "t" || text == "T" || text == "true" || text == "True" || text == "TRUE";
}

template <class T>
bool parse_float(std::string_view text, T& value) {
  value = 0;
  if (equals_ignoring_case(text, "nan")) {
    value = std::numeric_limits<T>::quiet_NaN();
    return true;
  }
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  const auto finish = [&](T magnitude) {
    value = negative ? -magnitude : magnitude;
    return true;
  };
  if (equals_ignoring_case(text, "inf") || equals_ignoring_case(text, "infinity")) {
    return finish(std::numeric_limits<T>::infinity());
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
  if (!digits) return false;
  if (at < text.size() && lower(text[at]) == mark) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (at == text.size() || !is_digit(text[at])) return false;
    while (at < text.size() && (is_digit(text[at]) || text[at] == '_')) ++at;
  } else if (hex) {
    return false;  // A hex float needs its exponent.
  }
  if (at != text.size()) return false;

  std::string plain;
  if (text.find('_') != text.npos) {
    if (!underscores_fit(text, hex)) return false;
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
    magnitude = is_large(text, hex) ? std::numeric_limits<T>::infinity() : 0;
  }
  return finish(magnitude);
}

template bool parse_float<float>(std::string_view, float&);
template bool parse_float<double>(std::string_view, double&);

}  // namespace mg
