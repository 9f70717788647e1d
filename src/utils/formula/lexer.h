// utils/formula/lexer.h -- formula text to tokens.
//
//   Tokens tokens;
//   if (auto ok = tokenize("1 + pi", names, tokens); !ok) return ok.error();   // symbol errors
//   for (const Token& t : tokens) use(t.kind, t.view(text));
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg::formula::detail {

enum class TokenKind : std::uint8_t { kNumber, kName, kOperator, kComma };

struct Token {
  TokenKind kind;
  char symbol;  // Of an operator or comma; 0 for numbers and names.
  std::uint32_t offset;
  std::uint32_t size;

  std::string_view view(std::string_view text) const { return text.substr(offset, size); }
};

// Which names may have letters beyond ASCII letters and digits: `_` and UTF-8.
class NameRule {
 public:
  virtual ~NameRule() = default;
  virtual bool is_name(std::string_view run) const = 0;  // `run` is a longest run of name octets, not led by a digit.
};

// Tokens of `text`, appended to `out`. A number runs over digits . _ e and the sign after an e: whether it is one is
// seen when it is read. `rule` may be null: names are ASCII letters and digits then. Errors: kInvalid  an octet that
// begins no token
Result<> tokenize(std::string_view text, const NameRule* rule, std::vector<Token>& out);

// A name that a variable may have: letters, digits, `_`, UTF-8; not led by a digit.
bool is_variable_name(std::string_view name);

// A number token without its underscores.
std::string number_text(std::string_view token);

enum class NumberStatus : std::uint8_t { kOk, kSyntax, kRange };
// The value of a number token as strconv.ParseFloat reads it.
NumberStatus read_number(std::string_view token, double& value);

// Three lines that show where: dashes, the text, a caret under octet `position`, dashes. Of a long text only the part
// around it.
std::string caret_lines(std::string_view text, std::size_t position);

}  // namespace mg::formula::detail
