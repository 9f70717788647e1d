#include "base/short_decimal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <random>
#include <string>

namespace mg {
namespace {

void expect_as_from_chars(const std::string& text) {
  double want = 0;
  double got = 0;
  const char* const end = text.data() + text.size();
  ASSERT_EQ(std::from_chars(text.data(), end, want).ptr, end) << text;
  ASSERT_TRUE(read_short_decimal(text, got)) << text;
  ASSERT_EQ(std::bit_cast<std::uint64_t>(got), std::bit_cast<std::uint64_t>(want)) << text;
}

TEST(ShortDecimal, IsTheDoubleOfFromChars) {
  for (const char* text : {"0", "-0", "-0.0", "7", "1.", ".5", "-.25", "0.1", "123456789012345", "-9999999999999.9",
                           "0.0000000000001", "00012"}) {
    expect_as_from_chars(text);
  }
  std::mt19937_64 random(3);
  for (int i = 0; i < 100'000; ++i) {
    std::string text = fmt::format("{}", random() % 1'000'000'000'000'000 >> random() % 50);
    text = text.substr(0, 14);
    if (random() % 4 != 0) text.insert(random() % (text.size() + 1), ".");
    if (random() % 2 == 0) text.insert(0, "-");
    expect_as_from_chars(text);
  }
}

TEST(ShortDecimal, SaysNothingOfOtherTexts) {
  double value = 3;
  for (const char* text : {"", "-", ".", "-.", "--1", "+1", "1.2.3", "1e3", "1_0", " 1", "1 ", "0x1", "nan", "inf",
                           "1,5", "1234567890123456", "0.12345678901234"}) {
    EXPECT_FALSE(read_short_decimal(text, value)) << text;
  }
  EXPECT_EQ(value, 3);
}

}  // namespace
}  // namespace mg
