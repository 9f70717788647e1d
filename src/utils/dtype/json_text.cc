#include "mg/utils/dtype/json_text.h"

#include <cmath>
#include <cstdlib>

#include "base/base64.h"
#include "base/utf8.h"

namespace mg::json_text {
namespace {

void append_escape(std::string& out, char32_t code) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[code >> shift & 0xF];
}

template <class T>
void append_float(std::string& out, T value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[40];
  const char* end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const std::size_t mark = text.find('e');
  int exponent = std::atoi(std::string(text.substr(mark + 1)).c_str());
  std::string digits(1, text.front());
  if (mark > 2) digits += text.substr(2, mark - 2);

  const T magnitude = value < 0 ? -value : value;
  if (magnitude != 0 && (magnitude < T(1e-6) || magnitude >= T(1e21))) {
    out += digits[0];
    if (digits.size() > 1) out.append(1, '.').append(digits, 1);
    out += exponent < 0 ? "e-" : "e+";
    out += std::to_string(std::abs(exponent));
    return;
  }
  // Shortest digits filled up with zeros, where to_chars would write out the exact value.
  if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent) - 1, '0').append(digits);
    return;
  }
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) {
    out.append(digits).append(whole - digits.size(), '0');
  } else {
    out.append(digits, 0, whole).append(1, '.').append(digits, whole);
  }
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Rune c = utf8::decode_rune(text.substr(at));
    switch (c.value) {
      case '"':
      case '\\':
        out += '\\';
        out += static_cast<char>(c.value);
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (c.value < 0x20 || c.value == '<' || c.value == '>' || c.value == '&' || c.value == 0x2028 ||
            c.value == 0x2029 || !c.valid) {
          append_escape(out, c.value);
        } else {
          out += text.substr(at, c.size);
        }
    }
    at += c.size;
  }
  out += '"';
}

void append_octets(std::string& out, Bytes octets) {
  (out += '"') += base64::encode(as_text(octets), base64::kStandard);
  out += '"';
}

void append_number(std::string& out, double value) {
  append_float(out, value);
}
void append_number(std::string& out, float value) {
  append_float(out, value);
}

}  // namespace mg::json_text
