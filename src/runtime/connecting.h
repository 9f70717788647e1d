// runtime/connecting.h -- what a connect() that was begun has come to.
//
//   ::connect(fd, ...);  loop.watch(fd, handler, EPOLLOUT | EPOLLET);
//   if (const int error = connect_result(fd); error != EINPROGRESS) done(error);   // in on_events()
#pragma once

namespace mg {

// Of a non-blocking TCP socket, after an event. Returns: 0 it is connected · EINPROGRESS not yet, the event said
// something else · why it cannot be, which the socket then forgets
int connect_result(int fd) noexcept;

}  // namespace mg
