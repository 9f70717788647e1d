#include "mg/utils/tool/strings.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <unordered_set>

#include "base/utf8.h"

namespace mg::tool {
namespace {

// The C library's tables of Unicode; null: it has none, ASCII is all.
locale_t unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}
constexpr bool in(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}
bool is_ascii_letter(char32_t c) {
  return in(c, 'a', 'z') || in(c, 'A', 'Z');
}

// Digraphs that have a third form for the begin of a word: dz with and without caron, lj, nj.
bool is_digraph(char32_t c) {
  return in(c, 0x1C4, 0x1CC) || in(c, 0x1F1, 0x1F3);
}
char32_t to_title(char32_t c) {
  if (c < 0x80) return in(c, 'a', 'z') ? c - 32 : c;
  if (in(c, 0x1C4, 0x1CC)) return 0x1C4 + (c - 0x1C4) / 3 * 3 + 1;
  if (in(c, 0x1F1, 0x1F3)) return 0x1F2;
  if (in(c, 0x10D0, 0x10FF) || unicode() == nullptr) return c;  // Georgian has no large initials.
  return static_cast<char32_t>(towupper_l(static_cast<wint_t>(c), unicode()));
}
char32_t to_lower(char32_t c) {
  if (c < 0x80) return in(c, 'A', 'Z') ? c + 32 : c;
  return unicode() == nullptr ? c : static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), unicode()));
}
// A large letter: numerals and letters in circles are none, nor are forms for the begin of a word.
bool is_upper(char32_t c) {
  if (c < 0x80) return in(c, 'A', 'Z');
  if (in(c, 0x2160, 0x216F) || in(c, 0x24B6, 0x24CF) || (is_digraph(c) && to_title(c) == c)) return false;
  if (in(c, 0x1F88, 0x1FAF) && (c & 8) != 0) return false;
  if (c == 0x1FBC || c == 0x1FCC || c == 0x1FFC || unicode() == nullptr) return false;
  return iswupper_l(static_cast<wint_t>(c), unicode()) != 0 && to_lower(c) != c;
}
bool is_separator(char32_t c) {
  if (c < 0x80) return !is_ascii_letter(c) && !in(c, '0', '9') && c != '_';
  return c == 0x85 || c == 0xA0 || c == 0x1680 || in(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

void for_each_rune(std::string_view text, auto use) {
  while (!text.empty()) {
    const utf8::Rune rune = utf8::decode_rune(text);
    use(rune.value, rune.size);
    text.remove_prefix(rune.size);
  }
}

}  // namespace

std::string snake_to_camel(std::string_view text) {
  std::string out;
  char32_t before = ' ';
  for_each_rune(text, [&](char32_t c, std::size_t) {
    if (c == '_') c = ' ';
    const char32_t shown = is_separator(before) ? to_title(c) : c;
    before = c;
    if (shown != ' ') utf8::append_rune(out, shown);
  });
  return out;
}

std::string camel_to_snake(std::string_view text) {
  std::string out;
  for_each_rune(text, [&](char32_t c, std::size_t) {
    if (!is_upper(c)) return utf8::append_rune(out, c);
    if (!out.empty()) out += '_';
    utf8::append_rune(out, to_lower(c));
  });
  return out;
}

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = separator.empty() ? text.npos : text.find(separator);
    const std::string_view part = text.substr(0, end);
    if (!part.empty()) out.emplace_back(part);
    if (end == text.npos) break;
    text.remove_prefix(end + separator.size());
  }
  return out;
}

std::vector<std::string> split_unique(std::string_view text, std::string_view separator) {
  std::vector<std::string> out;
  std::unordered_set<std::string> seen;
  for (std::string& part : split(text, separator)) {
    if (seen.insert(part).second) out.push_back(std::move(part));
  }
  return out;
}

std::string mask(std::string_view text, std::size_t head, std::size_t tail, std::string_view star) {
  std::size_t count = 0;
  for_each_rune(text, [&](char32_t, std::size_t) { ++count; });
  const bool all = head >= count || tail >= count - head;
  std::string out;
  std::size_t index = 0;
  std::size_t at = 0;
  for_each_rune(text, [&](char32_t, std::size_t size) {
    const bool shown = !all && (index < head || index >= count - tail);
    out += shown ? text.substr(at, size) : star;
    at += size;
    ++index;
  });
  return out;
}

}  // namespace mg::tool
