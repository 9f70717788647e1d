#include "broker/nats/envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mg::broker {
namespace {

std::string error_of(std::string_view text) {
  const auto decoded = decode_envelope(text);
  return decoded ? "none" : decoded.error().detail;
}

// What a Go service wrote (wire.md 3.1).
TEST(Envelope, ReadsAndWritesWhatGoDoes) {
  const std::string_view go =
      R"({"Header":{"Content-Type":"application/grpc+proto","Micro-From-Service":"gate","Micro-Topic":"evt"},"Body":"CAUSA3h5eg=="})";
  const auto message = decode_envelope(go);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->body, "\x08\x05\x12\x03xyz");
  EXPECT_EQ(message->headers.at("Micro-Topic"), "evt");
  EXPECT_EQ(encode_envelope(*message), go);
}

TEST(Envelope, NothingIsNull) {
  EXPECT_EQ(encode_envelope({}), R"({"Header":{},"Body":null})");
  for (const char* text : {"{}", R"({"Header":null,"Body":null})", R"({"Body":"","other":[1]})"}) {
    const auto message = decode_envelope(text);
    ASSERT_TRUE(message) << text;
    EXPECT_TRUE(message->headers.empty());
    EXPECT_EQ(message->body, "");
  }
}

TEST(Envelope, KeysAreReadInAnyCase) {
  const auto message = decode_envelope(R"({"header":{"x-y":"1","null":null},"body":"AA=="})");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->headers.at("x-y"), "1");
  EXPECT_EQ(message->headers.at("null"), "");
  EXPECT_EQ(message->body, std::string(1, '\0'));
}

TEST(Envelope, AnyBodyAndHeaderComesBack) {
  std::string body;
  for (int size = 0; size < 300; ++size) {
    const auto back = decode_envelope(encode_envelope({.headers = {{"K", "\"\n\t张"}}, .body = body}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->body, body);
    EXPECT_EQ(back->headers.at("K"), "\"\n\t张");
    body += static_cast<char>(size * 7);
  }
  const auto broken = decode_envelope(encode_envelope({.headers = {{"K", "a\xFFz"}}, .body = {}}));
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->headers.at("K"), "a\xEF\xBF\xBDz");
}

TEST(Envelope, RefusesWhatItIsNot) {
  EXPECT_THAT(error_of("abc"), ::testing::HasSubstr("no JSON"));
  EXPECT_THAT(error_of(""), ::testing::HasSubstr("no JSON"));
  EXPECT_EQ(error_of("[]"), "no JSON object");
  EXPECT_EQ(error_of(R"({"Header":[]})"), "Header is no object");
  EXPECT_EQ(error_of(R"({"Header":{"a":1}})"), "a value of Header is no text");
  EXPECT_EQ(error_of(R"({"Body":1})"), "Body is no text");
  for (const char* body : {"A", "AA", "AAA", "AA=A", "A===", "AA==AA==", "-_==", "AAAA====", "A A="}) {
    EXPECT_THAT(error_of(std::string("{\"Body\":\"") + body + "\"}"), ::testing::HasSubstr("base64")) << body;
  }
  EXPECT_THAT(error_of(std::string(100'000, '[')), ::testing::HasSubstr("no JSON"));
}

}  // namespace
}  // namespace mg::broker
