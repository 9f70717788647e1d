// store/redis/testing.h -- for tests: the end of a client.
//
//   Client client(loop, {.url = server.address()});
//   CloseAtEnd end(client);
#pragma once

#include <chrono>

#include "mg/store/redis/client.h"
#include "runtime/testing.h"

namespace mg::redis {

inline void close(Loop& loop, Client& client) {
  const auto end = [](Client& each) -> Task<Result<void>> {
    co_await each.close(std::chrono::seconds(5));
    co_return Result<void>();
  };
  (void)mg::testing::await_on(loop, end(client));
}

class CloseAtEnd {
 public:
  explicit CloseAtEnd(Client& client) : client_(client) {}
  CloseAtEnd(const CloseAtEnd&) = delete;
  CloseAtEnd& operator=(const CloseAtEnd&) = delete;
  ~CloseAtEnd() { close(client_.loop(), client_); }

 private:
  Client& client_;
};

}  // namespace mg::redis
