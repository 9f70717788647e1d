#include "utils/formula/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace mg::formula::detail {

Shortest shortest(double x) {
  // d[.ddd]e[+-]XX, always the shortest.
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::abs(x), std::chars_format::scientific).ptr;
  Shortest out;
  const char* at = buffer;
  for (; *at != 'e'; ++at) {
    if (*at == '.') continue;
    out.text[static_cast<std::size_t>(out.count++)] = *at;
    out.digits = out.digits * 10 + static_cast<std::uint64_t>(*at - '0');
  }
  ++at;
  if (*at == '+') ++at;
  std::from_chars(at, end, out.exponent);
  out.exponent -= out.count - 1;
  return out;
}

namespace {

// NaN, infinities and zeros; empty for the rest.
std::string special_text(double x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x > 0 ? "+Inf" : "-Inf";
  if (x == 0) return std::signbit(x) ? "-0" : "0";
  return {};
}

void append_fixed(std::string& out, const Shortest& s) {
  const std::string_view digits(s.text.data(), static_cast<std::size_t>(s.count));
  const int point = s.count + s.exponent;  // Digits before the point.
  if (point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0');
    out += digits;
  } else if (point >= s.count) {
    out += digits;
    out.append(static_cast<std::size_t>(point - s.count), '0');
  } else {
    out += digits.substr(0, static_cast<std::size_t>(point));
    out += '.';
    out += digits.substr(static_cast<std::size_t>(point));
  }
}

}  // namespace

std::string go_fixed(double x) {
  std::string out = special_text(x);
  if (!out.empty()) return out;
  if (x < 0) out += '-';
  append_fixed(out, shortest(x));
  return out;
}

std::string go_g(double x) {
  std::string out = special_text(x);
  if (!out.empty()) return out;
  if (x < 0) out += '-';
  const Shortest s = shortest(x);
  const int exponent = s.count + s.exponent - 1;
  if (exponent >= -4 && exponent < 6) {
    append_fixed(out, s);
    return out;
  }
  out += s.text[0];
  if (s.count > 1) {
    out += '.';
    out.append(s.text.data() + 1, static_cast<std::size_t>(s.count - 1));
  }
  out += exponent < 0 ? "e-" : "e+";
  const int size = std::abs(exponent);
  if (size < 10) out += '0';
  out += std::to_string(size);
  return out;
}

}  // namespace mg::formula::detail
