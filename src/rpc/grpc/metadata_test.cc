#include "rpc/grpc/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace mg::rpc::grpc {
namespace {

using ::testing::Optional;

TEST(GrpcTimeout, IsDecimalNanoseconds) {
  EXPECT_THAT(parse_timeout("10000000000"), Optional(std::chrono::nanoseconds(std::chrono::seconds(10))));
  EXPECT_THAT(parse_timeout("0"), Optional(std::chrono::nanoseconds(0)));
  EXPECT_THAT(parse_timeout("9223372036854775807"), Optional(std::chrono::nanoseconds::max()));
  // Go keeps them as a signed number.
  EXPECT_THAT(parse_timeout("9223372036854775808"), Optional(std::chrono::nanoseconds(-1)));
}

TEST(GrpcTimeout, JunkIsIgnored) {
  for (const char* junk : {"", "-1", "+1", "1s", " 1", "1 ", "0x1", "1e9", "18446744073709551616", "１"}) {
    EXPECT_EQ(parse_timeout(junk), std::nullopt) << junk;
  }
}

Incoming read(const std::multimap<std::string, std::string>& headers) {
  std::multimap<::grpc::string_ref, ::grpc::string_ref> refs;
  for (const auto& [key, value] : headers) refs.emplace(key, value);
  return read_headers(refs, "127.0.0.1:23040", "127.0.0.1:59536");
}

TEST(GrpcHeaders, AreReadAsAHandlerOfTheGoOriginalSeesThem) {
  const Incoming in = read({{"client-id", "cid-1"},
                            {"dot.key", "v4"},
                            {"snake_key", "v2"},
                            {"upper-key", "v3"},
                            {"camelcasekey", "v"},
                            {"role-id", "42"},
                            {"account-id", ""},
                            {"list", "[1,2]"},
                            {"twice", "a"},
                            {"twice", "b"},
                            {"bin-key-bin", std::string("\0\xff", 2)},
                            {"name", "张三"},
                            {"timeout", "10000000000"},
                            {"x-content-type", "application/grpc+proto"},
                            {"micro-from-service", "gate"},
                            {"user-agent", "grpc-go/1.26.0"},
                            {"grpc-accept-encoding", "identity"},
                            {"mg-deadline", "5"}});
  const Meta expected{{":Authority", "127.0.0.1:23040"},
                      {"Account-Id", ""},
                      {"Bin-Key-Bin", std::string_view("\0\xff", 2)},
                      {"Camelcasekey", "v"},
                      {"Client-Id", "cid-1"},
                      {"Content-Type", "application/grpc+proto"},
                      {"Dot.Key", "v4"},
                      {"List", "[1,2]"},
                      {"Micro-From-Service", "gate"},
                      {"Name", "张三"},
                      {"Remote", "127.0.0.1:59536"},
                      {"Role-Id", "42"},
                      {"Snake_key", "v2"},
                      {"Twice", "a, b"},
                      {"Upper-Key", "v3"},
                      {"User-Agent", "grpc-go/1.26.0"}};
  EXPECT_EQ(in.meta, expected);
  EXPECT_EQ(in.caller, "gate");
  EXPECT_EQ(in.x_content_type, "application/grpc+proto");
  EXPECT_THAT(in.timeout, Optional(std::chrono::nanoseconds(std::chrono::seconds(10))));
  EXPECT_THAT(in.deadline, Optional(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(5))));
}

TEST(GrpcHeaders, NoneAtAllIsEnough) {
  const Incoming in = read({});
  EXPECT_EQ(in.meta.get("Content-Type"), "application/grpc");
  EXPECT_EQ(in.caller, "");
  EXPECT_EQ(in.timeout, std::nullopt);
}

TEST(GrpcHeaders, WhatCannotBeSentIsRefusedBeforeItIs) {
  SeededRandom random(1);
  const auto send = [&](const Meta& meta) {
    ::grpc::ClientContext context;
    return write_headers(meta, {.caller = "gate"}, random, context);
  };
  EXPECT_TRUE(send(Meta{{"Role-Id", "42"}, {"Empty", ""}, {"x-bin", std::string_view("\0\xff", 2)}}));
  for (const Meta& bad : {Meta{{"Name", "张三"}}, Meta{{"A b", "x"}}, Meta{{"", "x"}}, Meta{{"K", "line\n"}}}) {
    const auto done = send(bad);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, code::kInvalid);
  }
  // The library's own, forwarded from another call.
  EXPECT_TRUE(send(Meta{{":Authority", "a"}, {"Grpc-Timeout", "\n"}, {"Te", "\n"}, {"Timeout", "\n"}}));
}

TEST(GrpcHeaders, AMachineKnowsItself) {
  EXPECT_EQ(this_machine(), this_machine());
}

}  // namespace
}  // namespace mg::rpc::grpc
