#include "mg/meta/header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "meta/title_case.h"

namespace mg {
namespace {

TEST(CanonicalKey, TitleLettersAfterSeparators) {
  EXPECT_EQ(canonical_key("client-id"), "Client-Id");
  EXPECT_EQ(canonical_key("dot.key"), "Dot.Key");
  EXPECT_EQ(canonical_key("snake_key"), "Snake_key");
  EXPECT_EQ(canonical_key("camelCaseKey"), "CamelCaseKey");
  EXPECT_EQ(canonical_key(":authority"), ":Authority");
  EXPECT_EQ(canonical_key("bin-key-bin"), "Bin-Key-Bin");
  EXPECT_EQ(canonical_key("a1b-2c d"), "A1b-2c D");
  EXPECT_EQ(canonical_key(""), "");
}

TEST(CanonicalKey, KnowsLettersBeyondAscii) {
  EXPECT_EQ(canonical_key("élan-жук"), "Élan-Жук");
  EXPECT_EQ(canonical_key("ǆ-ß-中"), "ǅ-ß-中");
  EXPECT_EQ(canonical_key("中a"), "中a") << "no separator";
  EXPECT_EQ(canonical_key("a\u3000b"), "A\u3000B") << "white space is one";
  EXPECT_EQ(canonical_key("a\xff"), "A\uFFFD");
}

TEST(TitleCase, IsItselfOutsideTheTable) {
  EXPECT_EQ(title_case(U'a'), U'A');
  EXPECT_EQ(title_case(U'A'), U'A');
  EXPECT_EQ(title_case(0x7F), 0x7Fu);
  EXPECT_EQ(title_case(0xFF), 0x178u);
  EXPECT_EQ(title_case(0x100), 0x100u);
  EXPECT_EQ(title_case(0x101), 0x100u);
  EXPECT_EQ(title_case(0x1E943), 0x1E921u);
  EXPECT_EQ(title_case(0x10FFFF), 0x10FFFFu);
}

TEST(HeaderKey, IsSmall) {
  EXPECT_EQ(header_key("Micro-From_Service.X1"), "micro-from_service.x1");
}

TEST(CheckHeader, RefusesWhatGrpcRefuses) {
  EXPECT_TRUE(check_header("role-id", ""));
  EXPECT_TRUE(check_header("a.b_c-1", "[1,\"~\"]"));
  EXPECT_TRUE(check_header("x-bin", std::string("\0\xff", 2)));
  EXPECT_FALSE(check_header("", "v"));
  EXPECT_FALSE(check_header("Role-Id", "v"));
  EXPECT_FALSE(check_header(":authority", "v"));
  EXPECT_FALSE(check_header("中", "v"));
  EXPECT_FALSE(check_header("name", "张三"));
  EXPECT_FALSE(check_header("name", "a\nb"));
}

TEST(MetaFromHeaders, SpellsJoinsAndLeavesOut) {
  const std::vector<Meta::Entry> headers{
      {"role-id", "42"}, {"timeout", "10"}, {"x-content-type", "a"}, {"list", "a"},
      {"list", "b"},     {"List", "c"},     {"empty", ""},           {":authority", "host:80"}};
  EXPECT_EQ(
      meta_from_headers(headers, "1.2.3.4:5"),
      (Meta{
          {"Role-Id", "42"}, {"List", "a, b, c"}, {"Empty", ""}, {":Authority", "host:80"}, {"Remote", "1.2.3.4:5"}}));
  EXPECT_TRUE(meta_from_headers({}).empty());
}

TEST(RequireMeta, RefusesNone) {
  EXPECT_TRUE(require_meta(Meta{{"A", ""}}));
  EXPECT_EQ(require_meta(Meta()).error().detail, "no meta context");
}

}  // namespace
}  // namespace mg
