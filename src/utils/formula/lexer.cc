#include "utils/formula/lexer.h"

#include <algorithm>
#include <charconv>

#include "base/short_decimal.h"
#include "base/utf8.h"

namespace mg::formula::detail {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_beyond(char c) {
  return c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t number_end(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '+' || c == '-') {
      if (text[at - 1] != 'e') break;
    } else if (!is_digit(c) && c != '.' && c != '_' && c != 'e') {
      break;
    }
  }
  return at;
}

// An octet as the original shows it: the Latin-1 letter of that number, in UTF-8.
std::string latin1(char c) {
  const auto octet = static_cast<unsigned char>(c);
  if (octet < 0x80) return {c};
  return {static_cast<char>(0xc0 | octet >> 6), static_cast<char>(0x80 | (octet & 0x3f))};
}

}  // namespace

Result<> tokenize(std::string_view text, const NameRule* rule, std::vector<Token>& out) {
  const std::size_t size = text.size();
  for (std::size_t at = 0; at < size;) {
    const char c = text[at];
    if (is_space(c)) {
      ++at;
      continue;
    }
    std::size_t end = at + 1;
    TokenKind kind = TokenKind::kOperator;
    char symbol = 0;
    if (is_digit(c)) {
      kind = TokenKind::kNumber;
      end = number_end(text, at);
    } else if (is_letter(c) || (is_beyond(c) && rule != nullptr)) {
      kind = TokenKind::kName;
      while (end < size && (is_letter(text[end]) || is_digit(text[end]))) ++end;
      if (is_beyond(c) || (rule != nullptr && end < size && is_beyond(text[end]))) {
        std::size_t run = end;
        while (run < size && (is_letter(text[run]) || is_digit(text[run]) || is_beyond(text[run]))) ++run;
        if (rule->is_name(text.substr(at, run - at))) {
          end = run;
        } else if (is_beyond(c)) {
          kind = TokenKind::kOperator;  // Not a name: no token at all, as the switch below finds.
        }
      }
    }
    if (kind == TokenKind::kOperator) {
      switch (c) {
        case '(':
        case ')':
        case '+':
        case '-':
        case '*':
        case '/':
        case '^':
        case '%':
          break;
        case ',':
          kind = TokenKind::kComma;
          break;
        default:
          return fail(code::kInvalid, "symbol error: unkown '{}', pos [{}:]\n{}", latin1(c), at, caret_lines(text, at));
      }
      symbol = c;
    }
    out.push_back({kind, symbol, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end - at)});
    at = end;
  }
  return {};
}

bool is_variable_name(std::string_view name) {
  if (name.empty() || is_digit(name[0])) return false;
  for (std::size_t i = 0; i < name.size();) {
    const utf8::Rune rune = utf8::decode_rune(name.substr(i));
    if (!rune.valid || (rune.size == 1 && !is_letter(name[i]) && !is_digit(name[i]) && name[i] != '_')) return false;
    i += rune.size;
  }
  return true;
}

std::string number_text(std::string_view token) {
  std::string text(token);
  std::erase(text, '_');
  return text;
}

namespace {

// Whether a decimal that is out of a double's range is too large, and not too small.
bool is_large(std::string_view number) {
  const std::size_t e = std::min(number.find('e'), number.size());
  const std::size_t point = std::min(number.find('.'), e);
  const std::size_t first = number.find_first_not_of("0.");
  if (first >= e) return false;  // 0e999999
  const auto leading = static_cast<std::ptrdiff_t>(point) - static_cast<std::ptrdiff_t>(first);
  std::string_view exponent = number.substr(std::min(e + 1, number.size()));
  const bool negative = exponent.starts_with('-');
  if (negative || exponent.starts_with('+')) exponent.remove_prefix(1);
  std::ptrdiff_t size = 0;
  for (const char c : exponent) size = std::min<std::ptrdiff_t>(size * 10 + (c - '0'), 1'000'000'000);
  return leading + (negative ? -size : size) > 0;
}

}  // namespace

NumberStatus read_number(std::string_view token, double& value) {
  if (read_short_decimal(token, value)) return NumberStatus::kOk;
  std::string without;
  if (token.find('_') != token.npos) token = without = number_text(token);
  const char* const end = token.data() + token.size();
  const auto [stop, error] = std::from_chars(token.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) return NumberStatus::kSyntax;
  if (error == std::errc::result_out_of_range) {
    if (is_large(token)) return NumberStatus::kRange;
    value = 0;
  }
  return NumberStatus::kOk;
}

std::string caret_lines(std::string_view text, std::size_t position) {
  constexpr std::size_t kMost = 16 * 1024;
  constexpr std::size_t kAround = 60;
  if (text.size() > kMost) {
    const std::size_t from = position > kAround ? position - kAround : 0;
    text = text.substr(from, 2 * kAround);
    position -= from;
  }
  const std::string dashes(text.size(), '-');
  return fmt::format("{0}\n{1}\n{2}^\n{0}\n", dashes, text, std::string(position, ' '));
}

}  // namespace mg::formula::detail
