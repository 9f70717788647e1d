#include "rpc/grpc/message.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rpc_wire.pb.h"

namespace mg::rpc::grpc {
namespace {

using google::protobuf::StringValue;

::grpc::ByteBuffer buffer(std::string_view text, std::size_t pieces = 1) {
  std::vector<::grpc::Slice> slices;
  const std::size_t each = (text.size() + pieces - 1) / pieces;
  for (std::size_t at = 0; at < text.size(); at += each) {
    const std::string_view part = text.substr(at, each);
    slices.emplace_back(part.data(), part.size());
  }
  return {slices.data(), slices.size()};
}
std::string text_of(const ::grpc::ByteBuffer& from) {
  std::vector<::grpc::Slice> slices;
  EXPECT_TRUE(from.Dump(&slices).ok());
  std::string out;
  for (const auto& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

TEST(GrpcMessage, IsJsonWhenItBeginsLikeIt) {
  EXPECT_EQ(format_of(buffer("{}"), ""), Format::kJson);
  EXPECT_EQ(format_of(buffer("{\"id\":1}", 8), "application/grpc+proto"), Format::kJson);
  EXPECT_EQ(format_of(buffer(" \n{}"), "application/json"), Format::kJson);
  EXPECT_EQ(format_of(buffer("\n\x01{"), "application/grpc+json"), Format::kProto);
  EXPECT_EQ(format_of(buffer("\n{}"), "application/grpc+proto"), Format::kProto);
  EXPECT_EQ(format_of(buffer(""), "application/json"), Format::kProto);
  EXPECT_EQ(format_of(buffer(std::string(300, ' ') + "{}"), "application/json"), Format::kProto);
}

TEST(GrpcMessage, ProtobufOfAnyNumberOfPiecesIsRead) {
  StringValue in;
  in.set_value(std::string(1000, 'x'));
  for (const std::size_t pieces : {1, 2, 500}) {
    StringValue out;
    ASSERT_TRUE(decode(buffer(in.SerializeAsString(), pieces), Format::kProto, out));
    EXPECT_EQ(out.value(), in.value());
  }
  StringValue empty;
  EXPECT_TRUE(decode(buffer(""), Format::kProto, empty));
}

TEST(GrpcMessage, WhatIsNoMessageIsRefused) {
  const std::string eleven_octet_varint = "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
  std::string nested;  // Unknown groups in each other: only the parser's own limit stops them.
  for (int i = 0; i < 10000; ++i) nested += "\x1b";
  for (const std::string& bad : {std::string("\x0a\xff"), std::string("\x0a\x05xx"), std::string("\x0a\x02\xff\xfe"),
                                 eleven_octet_varint, nested}) {
    StringValue out;
    const auto done = decode(buffer(bad), Format::kProto, out);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().detail, "grpc: failed to unmarshal the received message unexpected EOF");
  }
}

TEST(GrpcMessage, UnknownFieldsAndOtherWireTypesAreKept) {
  const std::string strange =
      "\x10\x07\x2a\x03"
      "abc";
  StringValue out;
  ASSERT_TRUE(decode(buffer(strange), Format::kProto, out));
  EXPECT_EQ(text_of(*encode(out, Format::kProto, 100)), strange);
}

TEST(GrpcMessage, JsonUsesNamesAsWritten) {
  wire::Span span;
  const std::string_view json =
      R"({"trace":"t","started":"18446744073709551615","type":"OUTBOUND","metadata":{"a":"b"}})";
  ASSERT_TRUE(decode(buffer(json), Format::kJson, span));
  EXPECT_EQ(span.started(), UINT64_MAX);
  EXPECT_EQ(text_of(*encode(span, Format::kJson, 1000)),
            R"({"trace":"t","started":"18446744073709551615","metadata":{"a":"b"},"type":"OUTBOUND"})");
  wire::Any any;
  for (const char* spelling : {R"({"type_url":"x","value":"AAE="})", R"({"typeUrl":"x","value":"AAE="})"}) {
    ASSERT_TRUE(decode(buffer(spelling), Format::kJson, any)) << spelling;
    EXPECT_EQ(any.type_url(), "x");
    EXPECT_EQ(any.value(), std::string("\0\1", 2));
  }
  EXPECT_EQ(text_of(*encode(any, Format::kJson, 1000)), R"({"type_url":"x","value":"AAE="})");
}

TEST(GrpcMessage, BadJsonIsRefused) {
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += R"({"a":)";
  for (const std::string& bad : {std::string("{"), std::string(R"({"nope":1})"), std::string(R"({"code":"x"})"), deep,
                                 std::string("{\"id\":\"\xff\"}")}) {
    wire::Error out;
    const auto done = decode(buffer(bad), Format::kJson, out);
    ASSERT_FALSE(done) << bad.substr(0, 40);
    EXPECT_TRUE(done.error().detail.starts_with("grpc: failed to unmarshal")) << done.error().detail;
  }
}

TEST(GrpcMessage, SizeIsLimited) {
  StringValue message;
  message.set_value(std::string(98, 'x'));  // 100 octets.
  EXPECT_TRUE(encode(message, Format::kProto, 100));
  const auto over = encode(message, Format::kProto, 99);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().detail, "grpc: trying to send message larger than max (100 vs. 99)");
  EXPECT_FALSE(encode(message, Format::kJson, 99));
}

}  // namespace
}  // namespace mg::rpc::grpc
