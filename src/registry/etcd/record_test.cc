#include "registry/etcd/record.h"

#include <gtest/gtest.h>

#include "registry/etcd/client.h"

namespace mg::registry::etcd {
namespace {

constexpr std::size_t kMax = 64 * 1024;

TEST(Record, KeysAreThoseOfGo) {
  const std::string prefix = "/micro/registry/";
  EXPECT_EQ(node_key(prefix, "game", "game-1574ff96-5fc7-4cc7-a965-07440711c025"),
            "/micro/registry/game/game-1574ff96-5fc7-4cc7-a965-07440711c025");
  EXPECT_EQ(node_key(prefix, "a/b", "a/b-fe73bee9"), "/micro/registry/a-b/a-b-fe73bee9");
  EXPECT_EQ(service_prefix(prefix, "dbg"), "/micro/registry/dbg/");
  EXPECT_EQ(range_end("/micro/registry/dbg/"), "/micro/registry/dbg0");
  EXPECT_EQ(range_end("a\xff\xff"), "b");
  EXPECT_EQ(range_end("\xff"), std::string(1, '\0'));
}

// As captured from a Go service.
constexpr std::string_view kCaptured =
    R"({"name":"game","version":"latest","metadata":null,"endpoints":[],"nodes":[{"id":"game-1574ff96",)"
    R"("address":"127.0.0.1:23040","metadata":{"agent":"127.0.0.1:9000","broker":"nats","type":"websocket"}}]})";

TEST(Record, IsWrittenAsGoWritesIt) {
  Service game{.name = "game", .version = "latest", .metadata = {}, .endpoints = {}, .nodes = {}};
  game.nodes.push_back({.id = "game-1574ff96",
                        .address = "127.0.0.1:23040",
                        .metadata = {{"type", "websocket"}, {"agent", "127.0.0.1:9000"}, {"broker", "nats"}}});
  EXPECT_EQ(encode_record(game), kCaptured);

  game.nodes[0].metadata = {{"m", "<&>\""}};
  game.endpoints.push_back(
      {.name = "Pub.Flow",
       .request = Value{.name = "Context", .type = "Context", .values = {{.name = "a", .type = "int32", .values = {}}}},
       .response = std::nullopt,
       .metadata = {}});
  EXPECT_EQ(encode_record(game),
            R"({"name":"game","version":"latest","metadata":null,"endpoints":[{"name":"Pub.Flow","request":)"
            R"({"name":"Context","type":"Context","values":[{"name":"a","type":"int32","values":null}]},)"
            R"("response":null,"metadata":{}}],"nodes":[{"id":"game-1574ff96","address":"127.0.0.1:23040",)"
            R"("metadata":{"m":"\u003c\u0026\u003e\""}}]})");
}

TEST(Record, WhatIsWrittenIsRead) {
  EXPECT_EQ(encode_record(decode_record(kCaptured, kMax).value()), kCaptured);
}

TEST(Record, IsReadAsGoReadsIt) {
  const auto least = decode_record(
      R"({"name":"pysvc","version":"latest","nodes":[{"id":"pysvc-1","address":"127.0.0.1:23050"}]})", kMax);
  ASSERT_TRUE(least);
  EXPECT_EQ(least->nodes.at(0).address, "127.0.0.1:23050");
  const auto other_case =
      decode_record(R"({"NAME":"g","Nodes":[{"ID":"g-1","x":[{}],"metadata":null}],"more":1})", kMax);
  ASSERT_TRUE(other_case);
  EXPECT_EQ(other_case->name, "g");
  EXPECT_EQ(other_case->version, "");
}

TEST(Record, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "x", "null", "[]", "{}", R"({"name":"g"})", R"({"name":"g","nodes":[]})", R"({"name":"g","nodes":{}})",
        R"({"name":"g","nodes":[1]})", R"({"name":"g","nodes":[{}]})", R"({"name":1,"nodes":[{"id":"g-1"}]})",
        R"({"name":"g","nodes":[{"id":"g-1","metadata":{"a":1}}]})", R"({"name":"g","nodes":[{"id":"g-1"}]} x)",
        R"({"name":"g","metadata":[],"nodes":[{"id":"g-1"}]})", R"({"nodes":[{"id":"g-1"}]})",
        R"({"name":"g","endpoints":[{"request":7}],"nodes":[{"id":"g-1"}]})"}) {
    EXPECT_FALSE(decode_record(bad, kMax)) << bad;
  }
  EXPECT_FALSE(decode_record(std::string(kMax, '['), kMax));
  EXPECT_FALSE(decode_record(std::string(1 << 20, ' ') + std::string(kCaptured), kMax));
}

TEST(Endpoints, AreReadAsGoReadsThem) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(endpoints_of({}), Names{"127.0.0.1:2379"});
  EXPECT_EQ(endpoints_of({"", "http://a:1"}), Names{"127.0.0.1:2379"});
  EXPECT_EQ(endpoints_of({"a", " b:1 ", "https://c", "[::1]", "[::1]:2", "fd00::2"}),
            (Names{"a:2379", "b:1", "[::1]:2379", "[::1]:2", "[fd00::2]:2379"}));
}

}  // namespace
}  // namespace mg::registry::etcd
