// store/redis/connect.h -- a TCP connection to a host by name or address, which can be called off.
//
//   Connector connector(loop, "db.local", 6379);
//   Result<int> fd = co_await connector.connect(deadline);     // non-blocking, close it
//   connector.cancel();                                        // from elsewhere: connect() ends with kUnavailable
#pragma once

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::redis {

// Threads: loop. Lifetime: outlives connect(), which runs once.
class Connector final : private IoHandler {
 public:
  Connector(Loop& loop, std::string host, std::uint16_t port);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;
  ~Connector();

  // The addresses of the host one after the other. Errors: kUnavailable  what went wrong with the last one
  Task<Result<int>> connect(Deadline deadline);
  void cancel();

 private:
  struct Address {
    sockaddr_storage at{};
    socklen_t size = 0;
  };
  struct Lookup;  // Shared with Asio's resolver.
  Task<Result<std::vector<Address>>> resolve(Deadline deadline);
  Task<Result<int>> try_one(const Address& address, Deadline deadline);
  void on_events(std::uint32_t events) override;

  Loop& loop_;
  std::string host_;
  std::uint16_t port_;
  int fd_ = -1;
  bool cancelled_ = false;
  std::optional<Completion<int>> arrived_;  // 0 or an errno.
  std::shared_ptr<Lookup> lookup_;
};

}  // namespace mg::redis
