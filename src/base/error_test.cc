#include "mg/base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace mg {
namespace {

TEST(StatusText, OursThenHttpThenUnknown) {
  EXPECT_EQ(status_text(code::kInvalid), "invalid");
  EXPECT_EQ(status_text(code::kTooMany), "Too Many Requests");
  EXPECT_EQ(status_text(0), "unknown");
  EXPECT_EQ(status_text(10001), "unknown");
  EXPECT_EQ(status_text(-1), "unknown");
}

TEST(StatusText, ALookupIsAskedFirst) {
  set_status_lookup([](std::int32_t code) noexcept { return std::string_view(code == 404 ? "absent" : ""); });
  EXPECT_EQ(make_error(404, "").status, "absent");
  EXPECT_EQ(make_error(3, "").status, "invalid");
  set_status_lookup(nullptr);
  EXPECT_EQ(status_text(404), "Not Found");
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

}  // namespace
}  // namespace mg
