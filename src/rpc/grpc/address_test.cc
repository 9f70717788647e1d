#include "rpc/grpc/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mg::rpc::grpc {
namespace {

std::string parsed(std::string_view text) {
  const auto got = parse_host_port(text);
  return got ? got->host + "|" + got->port : "error";
}

TEST(GrpcAddress, IsHostAndPort) {
  EXPECT_EQ(parsed("127.0.0.1:9000"), "127.0.0.1|9000");
  EXPECT_EQ(parsed(":0"), "|0");
  EXPECT_EQ(parsed("[fd00::2]:39261"), "fd00::2|39261");
  EXPECT_EQ(parsed("[::]:1"), "::|1");
  EXPECT_EQ(parsed("game.example"), "game.example|");
  EXPECT_EQ(parsed("::1"), "::1|");
  EXPECT_EQ(parsed("[fe80::1%eth0]:5"), "fe80::1%eth0|5");
}

TEST(GrpcAddress, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "a:b", "a:99999", "[::1", "[::1]5", "http://a:1", "a b:1", "a:", "x/y:1", "a:-1", "a:+1"}) {
    EXPECT_EQ(parsed(bad), "error") << bad;
  }
}

std::string told(std::string_view listen, std::string_view advertise, std::vector<InterfaceAddress> interfaces) {
  const auto got = advertised(*parse_host_port(listen), 39261, advertise, interfaces);
  return got ? *got : got.error().detail;
}

TEST(GrpcAddress, TellsAPrivateAddressOfAnInterface) {
  const std::vector<InterfaceAddress> many = {{"127.0.0.1", true}, {"203.0.113.7"}, {"172.31.0.9"}, {"10.0.0.7"}};
  for (const char* any : {":0", "0.0.0.0:0", "[::]:0"}) EXPECT_EQ(told(any, "", many), "172.31.0.9:39261");
  EXPECT_EQ(told(":0", "", {{"203.0.113.7"}, {"fd00::2"}}), "[fd00::2]:39261");
  EXPECT_EQ(told(":0", "", {{"172.32.0.1"}, {"100.64.1.1"}}), "100.64.1.1:39261");
  EXPECT_EQ(told(":0", "", {{"100.128.0.1"}, {"192.168.3.4"}}), "192.168.3.4:39261");
}

TEST(GrpcAddress, WithoutAPrivateAddressTellsTheLastSeen) {
  EXPECT_EQ(told(":0", "", {{"127.0.0.1", true}, {"::1", true}}), "[::1]:39261");
  EXPECT_EQ(told(":0", "", {{"127.0.0.1", true}, {"203.0.113.7"}}), "127.0.0.1:39261");
  EXPECT_EQ(told(":0", "", {}), "127.0.0.1:39261");
}

TEST(GrpcAddress, TellsWhatItIsGiven) {
  EXPECT_EQ(told("127.0.0.1:0", "", {{"10.0.0.7"}}), "127.0.0.1:39261");
  EXPECT_EQ(told("[::1]:0", "", {{"10.0.0.7"}}), "[::1]:39261");
  EXPECT_EQ(told(":0", "game.example:7000", {{"10.0.0.7"}}), "game.example:7000");
  EXPECT_EQ(told(":0", "game.example", {{"10.0.0.7"}}), "game.example:39261");
  EXPECT_EQ(told(":0", "game.example:0", {{"10.0.0.7"}}), "game.example:39261");
  EXPECT_EQ(told("127.0.0.1:0", ":7000", {{"10.0.0.7"}}), "10.0.0.7:7000");
  EXPECT_EQ(told(":0", "a b", {}), "address \"a b\": use host:port or [host]:port");
}

TEST(GrpcAddress, ThisMachineHasOne) {
  EXPECT_FALSE(interface_addresses().empty());
}

TEST(GrpcAddress, DialsWithTlsAsTheGoClientDoes) {
  const auto dial = [](std::string_view address, bool tls = false) {
    const auto got = dial_target(address, tls);
    return got ? got->target + (got->tls ? " tls" : "") : "error";
  };
  EXPECT_EQ(dial("[fd00::2]:39261"), "dns:///[fd00::2]:39261");
  EXPECT_EQ(dial("game.example:1", true), "dns:///game.example:1 tls");
  EXPECT_EQ(dial("https://game.example:1"), "dns:///game.example:1 tls");
  EXPECT_EQ(dial("game.example:443"), "dns:///game.example:443 tls");
  EXPECT_EQ(dial("game.example"), "dns:///game.example:443 tls");
  EXPECT_EQ(dial("[fe80::1%eth0]:5"), "dns:///[fe80::1%25eth0]:5");
  for (const char* bad : {"", ":1", "http://a:1", "unix:/x", "local x"}) EXPECT_EQ(dial(bad), "error") << bad;
}

TEST(GrpcAddress, RemoteIsAnAddress) {
  EXPECT_EQ(remote_of("ipv4:10.0.0.9:59536"), "10.0.0.9:59536");
  EXPECT_EQ(remote_of("ipv6:%5B::1%5D:59536"), "[::1]:59536");
  EXPECT_EQ(remote_of("ipv6:%5Bfe80::1%252%5D:5"), "[fe80::1%2]:5");
  EXPECT_EQ(remote_of("unix:/tmp/x"), "unix:/tmp/x");
  EXPECT_EQ(remote_of("ipv4:%"), "%");
  EXPECT_EQ(remote_of(""), "");
}

}  // namespace
}  // namespace mg::rpc::grpc
