#include "utils/formula/lexer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mg::formula::detail {
namespace {

std::string tokens(std::string_view text, const NameRule* rule = nullptr) {
  std::vector<Token> out;
  if (const auto ok = tokenize(text, rule, out); !ok) return ok.error().detail.substr(0, ok.error().detail.find('\n'));
  std::string joined;
  for (const Token& token : out) joined.append(token.view(text)).append("|");
  return joined;
}

struct Declared : NameRule {
  bool is_name(std::string_view run) const override { return run == "crit_rate" || run == "攻击" || run == "_x"; }
};

TEST(FormulaLexer, WhiteSpaceMayStandAnywhere) {
  EXPECT_EQ(tokens(" 1\t+\r\n2\v\f"), "1|+|2|");
  EXPECT_EQ(tokens("1\n"), "1|");
  EXPECT_EQ(tokens("\t"), "");
  EXPECT_EQ(tokens(""), "");
}

TEST(FormulaLexer, ASignBelongsToANumberAfterE) {
  EXPECT_EQ(tokens("1e-2-3"), "1e-2|-|3|");
  EXPECT_EQ(tokens("1e--2"), "1e-|-|2|");
  EXPECT_EQ(tokens("1-2"), "1|-|2|");
}

TEST(FormulaLexer, NamesTheOctetThatBeginsNoToken) {
  EXPECT_EQ(tokens("1#2"), "symbol error: unkown '#', pos [1:]");
  EXPECT_EQ(tokens("2×3"), "symbol error: unkown 'Ã', pos [1:]");
  EXPECT_EQ(tokens("a_b"), "symbol error: unkown '_', pos [1:]");
}

TEST(FormulaLexer, DeclaredNamesMayHaveUnderscoresAndUtf8) {
  const Declared rule;
  EXPECT_EQ(tokens("crit_rate*攻击+_x", &rule), "crit_rate|*|攻击|+|_x|");
  EXPECT_EQ(tokens("crit_rat", &rule), "symbol error: unkown '_', pos [4:]");
  EXPECT_EQ(tokens("攻", &rule), "symbol error: unkown 'æ', pos [0:]");
  EXPECT_EQ(tokens("2×3", &rule), "symbol error: unkown 'Ã', pos [1:]");
}

TEST(FormulaLexer, ReadsNumbersAsGoDoes) {
  const auto read = [](std::string_view text) {
    double value = -1;
    switch (read_number(text, value)) {
      case NumberStatus::kSyntax:
        return std::string("syntax");
      case NumberStatus::kRange:
        return std::string("range");
      case NumberStatus::kOk:
        break;
    }
    return fmt::format("{}", value);
  };
  EXPECT_EQ(read("1."), "1");
  EXPECT_EQ(read("0.1"), "0.1");
  EXPECT_EQ(read("1.e2"), "100");
  EXPECT_EQ(read("1__2_"), "12");
  EXPECT_EQ(read("123456789012345678901234567890"), "1.2345678901234568e+29");
  EXPECT_EQ(read("4.9e-324"), "5e-324");
  EXPECT_EQ(read("1e-400"), "0");
  EXPECT_EQ(read("0e999999999999"), "0");
  EXPECT_EQ(read("1e-1000000000"), "0");
  EXPECT_EQ(read("1e309"), "range");
  EXPECT_EQ(read("0.00001e400"), "range");
  EXPECT_EQ(read("100000e-400"), "0");
  EXPECT_EQ(read("1e1000000000000000000000000"), "range");
  EXPECT_EQ(read("1e"), "syntax");
  EXPECT_EQ(read("1.5.2"), "syntax");
  EXPECT_EQ(read("+"), "syntax");
}

TEST(FormulaLexer, TheCaretOfALongTextShowsItsSurroundings) {
  EXPECT_EQ(caret_lines("abc", 1), "---\nabc\n ^\n---\n");
  const std::string lines = caret_lines(std::string(100'000, '1') + "#", 100'000);
  EXPECT_LT(lines.size(), 1000u);
  EXPECT_NE(lines.find('#'), lines.npos);
}

}  // namespace
}  // namespace mg::formula::detail
