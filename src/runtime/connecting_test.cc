#include "runtime/connecting.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace mg {
namespace {

// What connecting to the address of `server` comes to.
int connect_to(int server) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(server, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  EXPECT_EQ(connect_result(fd), EINPROGRESS);
  (void)::connect(fd, reinterpret_cast<const sockaddr*>(&address), size);
  pollfd ready{fd, POLLOUT, 0};
  EXPECT_EQ(::poll(&ready, 1, 30'000), 1);
  const int result = connect_result(fd);
  ::close(fd);
  return result;
}

TEST(ConnectResult, TellsArrivedFromRefusedAndFromNotYet) {
  const int server = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  ASSERT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  EXPECT_EQ(connect_to(server), ECONNREFUSED);  // Bound, and nobody listens.
  ASSERT_EQ(::listen(server, 1), 0);
  EXPECT_EQ(connect_to(server), 0);
  ::close(server);
}

TEST(ConnectResult, NoSocketIsAnError) {
  EXPECT_EQ(connect_result(-1), EBADF);
}

}  // namespace
}  // namespace mg
