#include "mg/base/uuid.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace mg {
namespace {

constexpr std::string_view kText = "00112233-4455-6677-8899-aabbccddeeff";

TEST(Uuid, V4HasVersionAndVariant) {
  SeededRandom random(1);
  std::unordered_set<Uuid> seen;
  for (int i = 0; i < 1000; ++i) {
    const Uuid id = Uuid::v4(random);
    EXPECT_EQ(id.text()[14], '4');
    EXPECT_NE(std::string_view("89ab").find(id.text()[19]), std::string_view::npos);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Uuid, TextGoesRoundTrip) {
  const auto id = Uuid::parse(kText);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->octets[0], 0x00);
  EXPECT_EQ(id->octets[15], 0xFF);
  EXPECT_EQ(id->text(), kText);
  EXPECT_EQ(Uuid::parse("00112233-4455-6677-8899-AABBCCDDEEFF"), id);
}

TEST(Uuid, ParseRejectsEveryOtherForm) {
  EXPECT_FALSE(Uuid::parse(""));
  EXPECT_FALSE(Uuid::parse("00112233445566778899aabbccddeeff"));
  EXPECT_FALSE(Uuid::parse("{00112233-4455-6677-8899-aabbccddeeff}"));
  EXPECT_FALSE(Uuid::parse(std::string(kText) + " "));
  EXPECT_FALSE(Uuid::parse("001122334-455-6677-8899-aabbccddeeff"));
  for (std::size_t i = 0; i < kText.size(); ++i) {
    std::string text(kText);
    text[i] = text[i] == '-' ? '0' : 'g';
    EXPECT_FALSE(Uuid::parse(text)) << text;
    text[i] = '\0';
    EXPECT_FALSE(Uuid::parse(text)) << i;
  }
}

TEST(Uuid, OrdersAsItsText) {
  SeededRandom random(2);
  for (int i = 0; i < 100; ++i) {
    const Uuid a = Uuid::v4(random), b = Uuid::v4(random);
    EXPECT_EQ(a < b, a.text() < b.text());
  }
  EXPECT_TRUE(Uuid{}.is_nil());
  EXPECT_FALSE(Uuid::parse(kText)->is_nil());
}

}  // namespace
}  // namespace mg
