#include "agent/ws/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace mg::agent::ws {
namespace {

std::string encode(std::uint32_t value) {
  std::string out;
  auto put = [&](std::uint32_t octet) { out += static_cast<char>(octet); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | value >> 6), put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | value >> 12), put(0x80 | (value >> 6 & 0x3F)), put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | value >> 18), put(0x80 | (value >> 12 & 0x3F)), put(0x80 | (value >> 6 & 0x3F)),
        put(0x80 | (value & 0x3F));
  }
  return out;
}

TEST(Utf8Check, TakesEveryCodePointAndNoSurrogate) {
  for (std::uint32_t value = 0; value < 0x120000; ++value) {
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    ASSERT_EQ(is_utf8(as_bytes(encode(value))), !surrogate && value <= 0x10FFFF) << std::hex << value;
  }
}

TEST(Utf8Check, RefusesEveryBadPairOfOctets) {
  for (unsigned lead = 0x80; lead <= 0xFF; ++lead) {
    for (unsigned next = 0; next <= 0xFF; ++next) {
      bool good = next >= 0x80 && next <= 0xBF && lead >= 0xC2 && lead <= 0xF4;
      if (lead == 0xE0) good = good && next >= 0xA0;
      if (lead == 0xED) good = good && next <= 0x9F;
      if (lead == 0xF0) good = good && next >= 0x90;
      if (lead == 0xF4) good = good && next <= 0x8F;
      Utf8Check check;
      const std::string text{static_cast<char>(lead), static_cast<char>(next)};
      ASSERT_EQ(check.feed(as_bytes(text)), good) << std::hex << lead << ' ' << next;
    }
  }
}

TEST(Utf8Check, AnswersTheSameHoweverTheTextIsCut) {
  const std::string good = "plain ascii, long enough for words; \xC2\xB5 \xE2\x82\xAC \xF0\x9F\x98\x80 end";
  for (std::size_t cut = 0; cut <= good.size(); ++cut) {
    Utf8Check check;
    ASSERT_TRUE(check.feed(as_bytes(good.substr(0, cut))) && check.feed(as_bytes(good.substr(cut))));
    ASSERT_TRUE(check.complete());
  }
  Utf8Check open;
  EXPECT_TRUE(open.feed(as_bytes("\xF0\x9F\x98")));
  EXPECT_FALSE(open.complete());
}

}  // namespace
}  // namespace mg::agent::ws
