#include "tests/support/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace mg::testing {
namespace {

bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  ::close(fd);
  return connected;
}

TEST(Server, EachKindServesUntilItIsEnded) {
  for (auto* make : {+[] { return Server::etcd(); }, +[] { return Server::nats(); }, +[] { return Server::redis(); }}) {
    Server server = make();
    EXPECT_TRUE(accepts(server.port()));
    server.stop();
    EXPECT_FALSE(server.running());
    EXPECT_FALSE(accepts(server.port()));
  }
}

TEST(Server, ComesBackOnItsPortWithOrWithoutItsData) {
  Server etcd = Server::etcd();
  const std::uint16_t port = etcd.port();
  const std::string endpoint = "--endpoints=" + etcd.address();
  EXPECT_EQ(run_program({"etcdctl", endpoint, "put", "key", "value"}).status, 0);
  etcd.kill();
  etcd.start();
  EXPECT_EQ(etcd.port(), port);
  EXPECT_EQ(run_program({"etcdctl", endpoint, "get", "key", "--print-value-only"}).text, "value\n");
  etcd.kill();
  etcd.wipe();
  etcd.start();
  EXPECT_EQ(run_program({"etcdctl", endpoint, "get", "key", "--print-value-only"}).text, "");
}

TEST(Server, StandsStillWhilePausedAndEndsAllTheSame) {
  Server redis = Server::redis();
  redis.pause();
  EXPECT_TRUE(redis.running());
  redis.resume();
  redis.pause();
  redis.stop();
  EXPECT_FALSE(redis.running());
}

TEST(Server, LeavesNothingBehind) {
  std::string dir;
  pid_t pid = 0;
  {
    const Server redis = Server::redis();
    dir = redis.dir();
    pid = redis.pid();
    EXPECT_TRUE(std::filesystem::exists(dir));
  }
  EXPECT_FALSE(std::filesystem::exists(dir));
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(Server, SaysWhyItDoesNotComeUp) {
  try {
    const Server redis = Server::redis({"--no-such-option", "1"});
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string(e.what()).find("no-such-option"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace mg::testing
