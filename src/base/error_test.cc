#include "mg/base/error.h"

#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace mg {
namespace {

namespace json = boost::json;

TEST(StatusText, OursThenHttpThenUnknown) {
  EXPECT_EQ(status_text(code::kInvalid), "invalid");
  EXPECT_EQ(status_text(code::kTooMany), "Too Many Requests");
  EXPECT_EQ(status_text(0), "unknown");
  EXPECT_EQ(status_text(10001), "unknown");
  EXPECT_EQ(status_text(-1), "unknown");
}

TEST(Error, FailFormatsItsText) {
  const Result<int> result = fail(code::kNotFound, "no node \"{}\" of {}", "n1", "game");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{{}, 404, "no node \"n1\" of game", "Not Found"}));
}

TEST(ToJson, LeavesOutWhatIsEmpty) {
  EXPECT_EQ(to_json(Error{{}, 0, {}, {}}), "{}");
  EXPECT_EQ(to_json(Error{"a", 3, "b", "c"}), R"({"id":"a","code":3,"detail":"b","status":"c"})");
  EXPECT_EQ(to_json(Error{{}, -7, {}, "c"}), R"({"code":-7,"status":"c"})");
}

TEST(ToJson, EscapesAsGo) {
  auto detail = [](std::string text) { return to_json(Error{{}, 0, std::move(text), {}}); };
  EXPECT_EQ(detail("<a>&\"\\"), R"({"detail":"\u003ca\u003e\u0026\"\\"})");
  EXPECT_EQ(detail("\b\f\n\r\t\x01\x1f\x7f"), "{\"detail\":\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"}");
  EXPECT_EQ(detail("\u2028\u2029\u2027中😀"), "{\"detail\":\"\\u2028\\u2029\u2027中😀\"}");
  EXPECT_EQ(detail(std::string("\0", 1)), R"({"detail":"\u0000"})");
  EXPECT_EQ(detail("\xff"
                   "a\xe4\xb8"),
            R"({"detail":"\ufffda\ufffd\ufffd"})");
  EXPECT_EQ(detail("\xed\xa0\x80"), R"({"detail":"\ufffd\ufffd\ufffd"})") << "a surrogate is no character";
  EXPECT_EQ(detail("\uFFFD"), "{\"detail\":\"\uFFFD\"}");
}

TEST(ParseError, TakesEveryField) {
  const Error error{"3f0c9a52", 404, "role <missing> \n中\"", "Not Found"};
  EXPECT_EQ(parse_error(to_json(error)), error);
}

TEST(ParseError, KeysFoldAndRepeat) {
  EXPECT_EQ(parse_error(R"({"ID":"i","CoDe":1,"code":null,"code":9,"ſtatuſ":"s"})"), (Error{"i", 9, {}, "s"}));
  EXPECT_EQ(parse_error(R"({"codes":1,"cod":1,"code":2})").code, 2);
  EXPECT_EQ(parse_error(R"({"c\u006fde":5})").code, 5);
  EXPECT_EQ(parse_error(R"({"id":[1],"code":5})"), (Error{{}, 5, {}, {}})) << "an id is not part of the Go parser";
}

TEST(ParseError, ReadsEscapesAndBrokenText) {
  auto detail = [](std::string text) { return parse_error("{\"code\":5,\"detail\":\"" + text + "\"}").detail; };
  EXPECT_EQ(detail(R"(\"\\\/\b\f\n\r\t\u4e2d\ud83d\ude00)"), "\"\\/\b\f\n\r\t中😀");
  EXPECT_EQ(detail(R"(\ud800\u0041)"),
            "\uFFFD"
            "A");
  EXPECT_EQ(detail(R"(\udc00\ud800)"), "\uFFFD\uFFFD");
  EXPECT_EQ(detail("\xff\xc0\xaf"), "\uFFFD\uFFFD\uFFFD");
}

TEST(ParseError, EverythingElseIsUnknownWithItsText) {
  for (std::string text : {
           "",
           " ",
           "plain",
           "null",
           "[]",
           "{}",
           "{",
           "{\"code\"",
           "{\"code\":",
           "{\"code\":5",
           "{\"code\":5,",
           "{\"code\":5}x",
           "{\"code\":5,}",
           "{\"code\":05}",
           "{\"code\":+5}",
           "{\"code\":5.0}",
           "{\"code\":5e1}",
           "{\"code\":.5}",
           "{\"code\":-}",
           "{\"code\":\"5\"}",
           "{\"code\":2147483648}",
           "{\"code\":-2147483649}",
           "{\"code\":0}",
           "{\"code\":-0}",
           "{\"detail\":\"no code\"}",
           "{\"code\":5,\"detail\":7}",
           "{\"code\":5,\"status\":[]}",
           "{\"code\":5,\"x\":[1,]}",
           "{\"code\":5,\"x\":[1 2]}",
           "{\"code\":5,\"x\":{\"a\"}}",
           "{\"code\":5,\"x\":{\"a\":1,}}",
           "{\"code\":5,\"x\":tru}",
           "{\"code\":5,\"detail\":\"\\x\"}",
           "{\"code\":5,\"detail\":\"\\u12g4\"}",
           "{\"code\":5,\"detail\":\"a\tb\"}",
           "{\"code\":5,\"detail\":\"\\",
           "{\"code\":5,\"detail\":\"\\u",
           "{'code':5}",
           "{code:5}",
           "[{\"code\":5}]",
           "{\"code\":5,\"x\":[}}",
           "\xEF\xBB\xBF{\"code\":5}",
       }) {
    EXPECT_EQ(parse_error(text), (Error{{}, code::kUnknown, text, "unknown"}));
  }
}

TEST(ParseError, SkipsOtherFieldsOfAnyShape) {
  EXPECT_EQ(parse_error("{ \"x\" : [ { } , [ ] , -1.5e+3 , {\"a\":[true,false,null,\"\\u0000\"]} ] , \"code\":5}").code,
            5);
  EXPECT_EQ(parse_error("{\"code\":-5,\"y\":{}}").code, -5);
}

TEST(ParseError, DepthIsBoundedAsInGo) {
  auto nested = [](std::size_t depth) {
    return "{\"code\":5,\"x\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_EQ(parse_error(nested(9999)).code, 5);
  EXPECT_EQ(parse_error(nested(10000)).code, code::kUnknown);
  EXPECT_EQ(parse_error(std::string(1000000, '[')).code, code::kUnknown);
  EXPECT_EQ(parse_error("{\"x\":" + std::string(1000000, '[')).code, code::kUnknown);
}

std::vector<json::object> golden_cases(std::string_view group) {
  const char* folder = std::getenv("MG_GOLDEN_DIR");
  const std::string path = std::string(folder != nullptr ? folder : MG_SOURCE_DIR "/tests/golden") + "/errors.json";
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  const std::string text(std::istreambuf_iterator<char>(in), {});
  std::vector<json::object> found;
  for (const auto& item : json::parse(text).at("cases").as_array()) {
    if (item.at("group").as_string() == group) found.push_back(item.as_object());
  }
  return found;
}

std::string text_of(const json::object& from, std::string_view key) {
  return std::string(from.at(key).as_string());
}

TEST(GoldenErrors, Status) {
  for (const auto& item : golden_cases("status")) {
    if (text_of(item, "lang") != "zh-cn") continue;  // The default and only language here.
    EXPECT_EQ(status_text(item.at("code").to_number<std::int32_t>()), text_of(item, "text")) << item.at("id");
  }
}

TEST(GoldenErrors, CodesHaveTheirStatus) {
  for (const auto& item : golden_cases("codes")) {
    if (!item.contains("result")) continue;
    const auto& want = item.at("result").as_object();
    const Error got = make_error(want.at("code").to_number<std::int32_t>(), text_of(want, "detail"));
    EXPECT_EQ(got.status, text_of(want, "status")) << item.at("id");
  }
}

TEST(GoldenErrors, Parse) {
  for (const auto& item : golden_cases("parse")) {
    if (!item.contains("error_text") || !item.at("result").is_object()) continue;  // Go values, not texts.
    const std::string text = text_of(item, "error_text");
    const Error got = parse_error(text);
    const auto& want = item.at("result").as_object();
    const auto code = want.at("code").to_number<std::int32_t>();
    if (code == 0) {  // Go answers success there, which it must never be.
      EXPECT_EQ(got, make_error(code::kUnknown, text)) << item.at("id");
      continue;
    }
    EXPECT_EQ(got.code, code) << item.at("id");
    EXPECT_EQ(got.detail, text_of(want, "detail")) << item.at("id");
    EXPECT_EQ(got.status, text_of(want, "status")) << item.at("id");
  }
}

TEST(GoldenErrors, JsonForm) {
  for (const auto& item : golden_cases("micro")) {
    if (!item.at("result").is_object()) continue;
    const auto& want = item.at("result").as_object();
    const Error error{text_of(want, "id"), want.at("code").to_number<std::int32_t>(), text_of(want, "detail"),
                      text_of(want, "status")};
    EXPECT_EQ(to_json(error), text_of(want, "text")) << item.at("id");
  }
}

}  // namespace
}  // namespace mg
