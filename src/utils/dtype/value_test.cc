#include "mg/utils/dtype/value.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/base64.h"
#include "mg/utils/dtype/convert.h"

namespace mg::dtype {
namespace {

using testing::HasSubstr;

std::string round(std::string_view text) {
  const auto value = parse_json(text);
  return value ? to_json(*value) : "fault: " + value.error().detail;
}

TEST(ParseJson, KeepsWholeNumbersExact) {
  EXPECT_EQ(parse_json("9007199254740993")->as_int(), 9007199254740993);
  EXPECT_EQ(parse_json("18446744073709551615")->as_uint(), 18446744073709551615u);
  EXPECT_EQ(parse_json("-9223372036854775808")->as_int(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_json("18446744073709551616")->as_double(), 18446744073709551616.0);
  EXPECT_EQ(parse_json("1.0")->as_double(), 1.0);
  EXPECT_TRUE(std::signbit(parse_json("-0")->as_double()));
}

TEST(ParseJson, WritesWhatItRead) {
  for (const char* text : {"null", "true", "false", "0", "-1", "1.5", "1e+21", "\"\"", "[]", "{}", "[1,[2,[]],{}]",
                           R"({"a":null,"b":[true,"x"],"c":{"d":1}})", "\"中😀\\\"\\\\\\n\""}) {
    EXPECT_EQ(round(text), text);
  }
  EXPECT_EQ(round(" \t\r\n[ 1 , { \"b\" : 2 , \"a\" : 1 } ] "), R"([1,{"a":1,"b":2}])") << "keys are sorted";
}

TEST(ParseJson, OfKeysThatRepeatTheLastCounts) {
  EXPECT_EQ(round(R"({"b":0,"a":1,"a":2,"a":3})"), R"({"a":3,"b":0})");
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += fmt::format("\"{}\":{},", i % 7, i);
  many.back() = '}';
  EXPECT_EQ(round(many), R"({"0":98,"1":99,"2":93,"3":94,"4":95,"5":96,"6":97})");
}

TEST(ParseJson, KeysThatRepeatCanBeRefused) {
  EXPECT_FALSE(parse_json(R"({"a":{"b":1,"c":2,"b":1}})", {.unique_keys = true}));
  EXPECT_TRUE(parse_json(R"({"a":{"a":1}})", {.unique_keys = true}));
}

TEST(ParseJson, RepairsTexts) {
  EXPECT_EQ(parse_json(R"("\ud83d\ude00 \ud800 \udc00x")")->as_text(), "😀 \uFFFD \uFFFDx");
  EXPECT_EQ(parse_json("\"\xff\xe4\xb8\"")->as_text(), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(parse_json(R"("\/\b\f\n\r\t\u0000")")->as_text(), std::string("/\b\f\n\r\t\0", 7));
}

TEST(ParseJson, SaysWhereAndWhatIsWrong) {
  const std::pair<const char*, const char*> kFaults[] = {
      {"", "octet 0: the text ends too early"},
      {"x", "octet 0: \"x\" where a value"},
      {"{\"a\":1,}", "octet 7: \"}\" where a key in quotes"},
      {"[1 2]", "octet 3: \"2\" where ',' or ']'"},
      {"{\"a\" 1}", "octet 5: \"1\" where ':'"},
      {"1 2", "octet 2: a second value"},
      {"01", "octet 1: a second value"},
      {"[1.]", "octet 3: \"]\" where a digit"},
      {"1e400", "octet 0: \"1e400\" is too large a number"},
      {"\"a\nb\"", "a control character"},
      {"\"\\x\"", "where an escape"},
      {"\"\\u12g4\"", "where four hex digits"},
      {"\"abc", "the text ends inside quotes"},
      {"tru", "where a value"},
      {"+1", "where a value"},
      {"NaN", "where a value"},
  };
  for (const auto& [text, wanted] : kFaults) {
    const auto got = parse_json(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code, code::kInvalid);
    EXPECT_THAT(got.error().detail, HasSubstr(wanted)) << text;
  }
}

TEST(ParseJson, DepthAndLengthAreBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(512)));
  EXPECT_THAT(parse_json(nested(513)).error().detail, HasSubstr("512 levels"));
  EXPECT_FALSE(parse_json(std::string(10'000'000, '[')));
  EXPECT_TRUE(parse_json(nested(3), {.max_depth = 3}));
  EXPECT_FALSE(parse_json(nested(4), {.max_depth = 3}));
  EXPECT_THAT(parse_json("[1,2,3]", {.max_bytes = 6}).error().detail, HasSubstr("longer than 6"));
}

TEST(ParseJson, PrefixLeavesTheRest) {
  std::string_view rest;
  EXPECT_EQ(to_json(*parse_json_prefix(" {\"a\":1} x", rest)), "{\"a\":1}");
  EXPECT_EQ(rest, " x");
}

TEST(Value, AtIsNullWhereThereIsNothing) {
  const Value value = Dict{{"list", List{1, "x"}}, {"n", 1}};
  EXPECT_EQ(value.at("list").at(1), Value("x"));
  EXPECT_TRUE(value.at("list").at(2).is_null());
  EXPECT_TRUE(value.at("none").at("deeper").at(0).is_null());
}

TEST(Value, EqualNumbersAreEqualValues) {
  EXPECT_EQ(Value(7), Value(7u));
  EXPECT_EQ(Value(std::uint64_t{7}), Value(std::int8_t{7}));
  EXPECT_NE(Value(7), Value(7.0));
  EXPECT_EQ(Value(0.1F), Value(0.1));
}

TEST(Dict, StaysSorted) {
  Dict dict{{"c", 1}, {"a", 2}};
  dict["b"] = 3;
  dict["a"] = 4;
  EXPECT_EQ(to_json(dict), R"({"a":4,"b":3,"c":1})");
  EXPECT_TRUE(dict.erase("b"));
  EXPECT_FALSE(dict.erase("b"));
  EXPECT_EQ(dict.size(), 2u);
  EXPECT_EQ(dict.find("b"), nullptr);
}

TEST(Base64, IsStrict) {
  using base64::decode, base64::encode, base64::kStandard, base64::kUrl;
  for (const auto& [octets, text] : {std::pair("", ""), std::pair("f", "Zg=="), std::pair("fo", "Zm8="),
                                     std::pair("foo", "Zm9v"), std::pair("foob", "Zm9vYg==")}) {
    EXPECT_EQ(encode(octets, kStandard), text);
    EXPECT_EQ(decode(text, kStandard), octets);
  }
  EXPECT_EQ(encode("\xfb\xff", kUrl), "-_8");
  EXPECT_EQ(decode("-_8", kUrl), "\xfb\xff");
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v=", "Zm 9", "Zm9v\n", "-_8="}) {
    EXPECT_FALSE(decode(text, kStandard)) << text;
  }
  for (const char* text : {"Zg==", "Z", "Zh", "Zm9", "+/8", "Zm9v ", "\xff\xff"}) {
    EXPECT_FALSE(decode(text, kUrl)) << text;
  }
}

}  // namespace
}  // namespace mg::dtype
