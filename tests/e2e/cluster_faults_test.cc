// Faults around the nodes of a cluster: machine limits, signals, wrong peers, nodes that come and go, clocks.
#include <arpa/inet.h>
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "mg/registry/etcd/etcd_registry.h"
#include "runtime/testing.h"
#include "tests/e2e/member.h"

namespace mg {
namespace {

using test::eventually;
using test::Hammer;
using test::Member;
using test::node;
using test::registry_flag;
using test::rounds;
using test::uuid_of;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Server;

int entries(const std::string& folder) {
  int count = 0;
  if (DIR* const dir = ::opendir(folder.c_str())) {
    while (const dirent* each = ::readdir(dir)) count += each->d_name[0] != '.';
    ::closedir(dir);
  }
  return count;
}
int descriptors(pid_t pid) {
  return entries("/proc/" + std::to_string(pid) + "/fd");
}

// Connections that say nothing, or one that listens and never answers.
class Sockets {
 public:
  Sockets() = default;
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  ~Sockets() {
    for (const int fd : all_) ::close(fd);
  }
  void connect(std::uint16_t port) {
    const sockaddr_in to = loopback(port);
    ASSERT_EQ(::connect(make(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  std::string listen() {
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    const int fd = make();
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(fd, 100), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size), 0);
    return "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }

 private:
  int make() { return all_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
  }
  std::vector<int> all_;
};

void put(const Server& etcd, const std::string& id, const std::string& address) {
  const std::string record = R"({"name":"game","version":"latest","nodes":[{"id":"game-)" + id + R"(","address":")" +
                             address + R"(","metadata":{"protocol":"grpc"}}]})";
  const auto done = testing::run_program(
      {"etcdctl", "--endpoints=" + etcd.address(), "put", "/micro/registry/game/game-" + id, record});
  EXPECT_EQ(done.status, 0) << done.text;
}

TEST(ClusterFaults, ANodeWithoutDescriptorsGoesOnAndAcceptsAgain) {
  const Server etcd = Server::etcd();
  const Server game = node("game", {registry_flag(etcd)}, true, {"prlimit", "--nofile=96"});
  Member gate("gate", {registry_flag(etcd)}), late("late", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(late.start());
  ASSERT_TRUE(gate.sees("game", 1));
  ASSERT_TRUE(late.sees("game", 1));
  EXPECT_EQ(gate.call("game", "Test.Echo", "x"), "x");
  {
    Sockets many;
    for (int i = 0; i < 200; ++i) many.connect(game.port());
    ASSERT_TRUE(eventually([&] { return descriptors(game.pid()) >= 94; }));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(gate.call("game", "Test.Echo", "x"), "x");
  }
  EXPECT_TRUE(eventually([&] { return late.call("game", "Test.Echo", "x") == "x"; }));
  EXPECT_EQ(gate.call("game", "Test.Who"), uuid_of(game));
}

TEST(ClusterFaults, StormsOfSignalsFailNoCall) {
  const Server etcd = Server::etcd();
  const Server game = node("game", {registry_flag(etcd)});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 1));
  Hammer hammer(gate);
  for (int i = 0; i < rounds(500, 20'000); ++i) {
    for (const int signal : {SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) ::kill(game.pid(), signal);
    if (i % 50 != 0) continue;
    const int before = hammer.calls();
    ASSERT_TRUE(eventually([&] { return hammer.calls() > before; }));
  }
  EXPECT_THAT(hammer.stop(), IsEmpty()) << hammer.calls() << " calls";
  EXPECT_EQ(gate.call("game", "Test.Who"), uuid_of(game));
}

TEST(ClusterFaults, AWallClockThatJumpsFailsNoCall) {
  const Server etcd = Server::etcd();
  const Server game = node("game", {registry_flag(etcd), "--register_ttl=4", "--register_interval=1"});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 1));
  Hammer hammer(gate);
  for (const std::int64_t offset : {3600, -3600, 86'400, -86'400, 1'000'000'000, 0}) {
    const std::string clock = gate.call("game", "Test.Clock", std::to_string(offset));
    const std::int64_t jumped = std::atoll(clock.c_str()) - std::time(nullptr);
    EXPECT_LT(std::abs(jumped - offset), 1000) << clock;
    const int before = hammer.calls();
    ASSERT_TRUE(eventually([&] { return hammer.calls() > before + 200; }));
  }
  EXPECT_THAT(hammer.stop(), IsEmpty()) << hammer.calls() << " calls";
  EXPECT_EQ(gate.ids("game"), std::vector<std::string>{uuid_of(game)});
}

TEST(ClusterFaults, WhatIsNoNodeIsSetAside) {
  const Server etcd = Server::etcd();
  const Server redis = Server::redis(), nats = Server::nats();  // They speak something else, one of them first.
  const Server game = node("game", {registry_flag(etcd)});
  Sockets silent;
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  put(etcd, "nonsense", redis.address());
  put(etcd, "banner", nats.address());
  put(etcd, "silent", silent.listen());
  put(etcd, "nobody", "127.0.0.1:" + std::to_string(testing::free_port()));
  put(etcd, "nowhere", "no address at all");
  ASSERT_TRUE(gate.sees("game", 6));
  int in_a_row = 0;
  EXPECT_TRUE(eventually([&] {
    const std::string who = gate.call("game", "Test.Who", "", nullptr, std::chrono::seconds(2));
    // Once in a while the silent one is tried, which takes what time the call has.
    EXPECT_THAT(who, AnyOf(uuid_of(game), HasSubstr("\"code\":408"), HasSubstr("\"code\":503")));
    in_a_row = who == uuid_of(game) ? in_a_row + 1 : 0;
    return in_a_row == 100;
  }));
  for (const char* each : {"nonsense", "banner", "nobody", "nowhere"}) {
    EXPECT_THAT(gate.call("game", "Test.Who", "", each, std::chrono::seconds(20)), HasSubstr("\"code\":50")) << each;
  }
  EXPECT_THAT(gate.call("game", "Test.Who", "", "silent", std::chrono::milliseconds(50)),
              AnyOf(HasSubstr("\"code\":408"), HasSubstr("\"code\":503")));
}

TEST(ClusterFaults, AServiceThatFlapsLeavesNothingBehind) {
  const Server etcd = Server::etcd();
  const Server game = node("game", {registry_flag(etcd)});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 1));
  Loop loop;
  const auto registry = registry::etcd::connect({.endpoints = {etcd.address()}}, loop);
  ASSERT_TRUE(registry);
  const auto own = [](const char* what) { return entries(std::string("/proc/self/") + what); };
  int files = 0, threads = 0;
  for (int i = 0; i < rounds(200, 1000); ++i) {
    const std::string uuid = "flap-" + std::to_string(i), id = "flap-" + uuid;
    const registry::Service service{.name = "flap",
                                    .version = "latest",
                                    .metadata = {},
                                    .endpoints = {},
                                    .nodes = {{.id = id, .address = game.address(), .metadata = {}}}};
    ASSERT_TRUE(testing::await_on(loop, (*registry)->add(service, {})));
    ASSERT_TRUE(eventually([&] { return gate.ids("flap") == std::vector<std::string>{uuid}; }));
    EXPECT_EQ(gate.call("flap", "Test.Who"), uuid_of(game));
    ASSERT_TRUE(testing::await_on(loop, (*registry)->remove("flap", id, Deadline::never())));
    ASSERT_TRUE(gate.sees("flap", 0));
    if (i == 20) files = own("fd"), threads = own("task");
  }
  EXPECT_LE(own("fd"), files + 4);
  EXPECT_LE(own("task"), threads + 4);
  EXPECT_EQ(gate.call("game", "Test.Who"), uuid_of(game));
}

}  // namespace
}  // namespace mg
