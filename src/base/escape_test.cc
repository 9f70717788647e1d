#include "base/escape.h"

#include <gtest/gtest.h>

namespace mg {
namespace {

std::string escaped(std::string_view text, std::size_t limit = std::string::npos) {
  std::string out;
  append_escaped(out, text, limit);
  return out;
}

TEST(Escape, PlainAndForeignLettersStay) {
  EXPECT_EQ(escaped("a \\ \"b\" %n 中文 é 😀"), "a \\ \"b\" %n 中文 é 😀");
}

TEST(Escape, NothingStartsALineOrSteersATerminal) {
  EXPECT_EQ(escaped("a\r\nb\tc"), "a\\r\\nb\\tc");
  EXPECT_EQ(escaped(std::string_view("\x1b[31m\0\x7f", 7)), "\\x1b[31m\\x00\\x7f");
  EXPECT_EQ(escaped("\u009b2J\u2028\u202e\u2066\ufeff"), "\\u009b2J\\u2028\\u202e\\u2066\\ufeff");
}

TEST(Escape, BrokenUtf8IsShownByOctet) {
  EXPECT_EQ(escaped("\xff\xe4\xb8z\x80"), "\\xff\\xe4\\xb8z\\x80");
}

TEST(Escape, NeverExceedsTheLimitNorCutsACharacter) {
  const std::string text = "ab\n中\x1b z";
  for (std::size_t limit = 0; limit < 20; ++limit) {
    std::string out;
    const std::size_t taken = append_escaped(out, text, limit);
    EXPECT_LE(out.size(), limit);
    EXPECT_EQ(out, escaped(std::string_view(text).substr(0, taken)));
  }
}

TEST(Quote, CutsLongTexts) {
  EXPECT_EQ(quote("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(quote("abcd", 4), "\"abcd\"");
  EXPECT_EQ(quote("abcde", 4), "\"abcd...\"");
}

}  // namespace
}  // namespace mg
