#include "runtime/connecting.h"

#include <sys/socket.h>

#include <cerrno>

namespace mg {

int connect_result(int fd) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  if (error != 0) return error;
  // No error is also what a socket has that is still at it.
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 ? 0 : EINPROGRESS;
}

}  // namespace mg
