#include "mg/utils/tool/validate.h"

#include <algorithm>
#include <chrono>

#include "base/utf8.h"

namespace mg::tool {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_';
}

bool all(std::string_view text, auto rule) {
  return !text.empty() && std::ranges::all_of(text, rule);
}

// Every character a Chinese letter, or of ASCII and as the rule says.
bool chinese_or(std::string_view text, auto rule) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const utf8::Rune rune = utf8::decode_rune(text);
    const bool good = rune.size == 1 ? rune.valid && rule(text[0]) : rune.value >= 0x4E00 && rune.value <= 0x9FA5;
    if (!good) return false;
    text.remove_prefix(rune.size);
  }
  return true;
}

// Words with one of `between` between two; counts the dots. False: it is something else.
bool words(std::string_view text, std::string_view between, std::size_t& dots) {
  bool in_word = false;
  for (const char c : text) {
    if (is_word(c)) {
      in_word = true;
    } else if (in_word && between.contains(c)) {
      in_word = false;
      dots += c == '.';
    } else {
      return false;
    }
  }
  return in_word;
}

int two(std::string_view digits) {
  return (digits[0] - '0') * 10 + (digits[1] - '0');
}

}  // namespace

bool is_alpha(std::string_view text) {
  return all(text, is_letter);
}
bool is_alnum(std::string_view text) {
  return all(text, [](char c) { return is_letter(c) || is_digit(c); });
}
bool is_alnum_dash(std::string_view text) {
  return all(text, [](char c) { return is_word(c) || c == '-'; });
}

bool is_chinese(std::string_view text) {
  return chinese_or(text, [](char) { return false; });
}
bool is_chinese_alpha(std::string_view text) {
  return chinese_or(text, is_letter);
}
bool is_chinese_alnum(std::string_view text) {
  return chinese_or(text, [](char c) { return is_letter(c) || is_digit(c); });
}
bool is_chinese_dash(std::string_view text) {
  return chinese_or(text, [](char c) { return is_word(c) || c == '-'; });
}

bool is_number(std::string_view text) {
  return std::ranges::all_of(text, is_digit);
}
bool is_integer(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return all(text, is_digit);
}
bool is_decimal(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t dot = text.find('.');
  if (dot == text.npos) return all(text, is_digit);
  return all(text.substr(0, dot), is_digit) && all(text.substr(dot + 1), is_digit);
}
bool is_positive_integer(std::string_view text) {
  return all(text, is_digit) && text[0] != '0';
}
bool is_negative_integer(std::string_view text) {
  return text.starts_with('-') && is_positive_integer(text.substr(1));
}

bool is_mobile(std::string_view text) {
  return text.size() == 11 && text[0] == '1' && text[1] >= '3' && is_number(text);
}
bool is_zip(std::string_view text) {
  return text.size() == 6 && is_number(text);
}

bool is_email(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == text.npos) return false;
  std::size_t dots = 0;
  if (!words(text.substr(0, at), "-+.", dots)) return false;
  dots = 0;
  return words(text.substr(at + 1), "-.", dots) && dots > 0;
}

bool is_id_card(std::string_view text) {
  if (text.size() != 18 || !is_number(text.substr(0, 17)) || text[0] == '0') return false;
  const char last = text[17] == 'x' ? 'X' : text[17];
  if (!is_digit(last) && last != 'X') return false;
  const int century = two(text.substr(6));
  const int month = two(text.substr(10));
  const int day = two(text.substr(12));
  if (century < 18 || century > 39 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  constexpr int kWeights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  int sum = 0;
  for (std::size_t i = 0; i < 17; ++i) sum += (text[i] - '0') * kWeights[i];
  return "10X98765432"[sum % 11] == last;
}

std::optional<IdCard> read_id_card(std::string_view text) {
  if (!is_id_card(text)) return std::nullopt;
  IdCard card;
  for (const char c : text.substr(0, 6)) card.region = card.region * 10 + (c - '0');
  card.year = two(text.substr(6)) * 100 + two(text.substr(8));
  card.month = two(text.substr(10));
  card.day = two(text.substr(12));
  card.female = (text[16] - '0') % 2 == 0;
  const std::chrono::year_month_day date(std::chrono::year(card.year),
                                         std::chrono::month(static_cast<unsigned>(card.month)),
                                         std::chrono::day(static_cast<unsigned>(card.day)));
  if (!date.ok()) return std::nullopt;
  return card;
}

}  // namespace mg::tool
