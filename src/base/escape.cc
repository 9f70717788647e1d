#include "base/escape.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.h"

namespace mg {
namespace {

bool is_plain(char c) {
  return c >= 0x20 && c < 0x7F;
}

// Code points beyond ASCII that change how a line is shown: C1 controls, line separators, direction marks and
// overrides.
bool is_tricky(char32_t c) {
  return (c >= 0x80 && c < 0xA0) || (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

void append_hex(std::string& out, unsigned value, int digits) {
  while (digits-- > 0) out += "0123456789abcdef"[value >> (4 * digits) & 0xF];
}

// One code point that is not plain. Requires: text is not empty.
void append_one(std::string& out, std::string_view text, const utf8::Rune& rune) {
  if (!rune.valid || rune.value < 0x80) {
    switch (text[0]) {
      case '\n':
        out += "\\n";
        return;
      case '\r':
        out += "\\r";
        return;
      case '\t':
        out += "\\t";
        return;
      default:
        out += "\\x";
        append_hex(out, static_cast<unsigned char>(text[0]), 2);
        return;
    }
  }
  if (!is_tricky(rune.value)) {
    out += text.substr(0, rune.size);
    return;
  }
  out += "\\u";
  append_hex(out, rune.value, 4);
}

}  // namespace

std::size_t append_escaped(std::string& out, std::string_view text, std::size_t limit) {
  std::size_t at = 0;
  while (at < text.size() && out.size() < limit) {
    const auto run = std::find_if_not(text.begin() + at, text.end(), is_plain) - (text.begin() + at);
    const std::size_t take = std::min<std::size_t>(run, limit - out.size());
    out += text.substr(at, take);
    at += take;
    if (take < static_cast<std::size_t>(run) || at == text.size()) break;
    const std::size_t before = out.size();
    const utf8::Rune rune = utf8::decode_rune(text.substr(at));
    append_one(out, text.substr(at), rune);
    if (out.size() > limit) {
      out.resize(before);
      break;
    }
    at += rune.size;
  }
  return at;
}

std::string quote(std::string_view text, std::size_t limit) {
  std::string out = "\"";
  const bool whole = append_escaped(out, text, limit + 1) == text.size();
  return out += whole ? "\"" : "...\"";
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const utf8::Rune rune = utf8::decode_rune(text.substr(i));
    if (!rune.valid) {
      out += "\\ufffd";
    } else if (rune.value == '"' || rune.value == '\\') {
      (out += '\\') += static_cast<char>(rune.value);
    } else if (rune.value == '\b') {
      out += "\\b";
    } else if (rune.value == '\f') {
      out += "\\f";
    } else if (rune.value == '\n') {
      out += "\\n";
    } else if (rune.value == '\r') {
      out += "\\r";
    } else if (rune.value == '\t') {
      out += "\\t";
    } else if (rune.value < 0x20 || rune.value == '<' || rune.value == '>' || rune.value == '&' ||
               rune.value == 0x2028 || rune.value == 0x2029) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(rune.value));
    } else {
      out += text.substr(i, rune.size);
    }
    i += rune.size;
  }
  out += '"';
}

}  // namespace mg
