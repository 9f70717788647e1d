// mg/store/redis/local/service.h -- the Redis of a program and its locks: a server's when one is named in the flags,
// else within this process. The same code either way.
//
//   redis::Service redis;                                     // before the app
//   redis.add_to(app.flags());
//   app.before_start([&] { return redis.open(app.runtime()); });
//   app.after_stop([&](Deadline deadline) { return redis.close(deadline); });
//   co_await redis.here().incr("logins");                     // on any loop
//   auto lock = co_await redis.locks().obtain("role", 42);
#pragma once

#include <memory>
#include <vector>

#include "mg/runtime/runtime.h"
#include "mg/store/lock.h"
#include "mg/store/redis/local/local.h"
#include "mg/store/redis/options.h"

namespace mg {
class Flags;
}

namespace mg::redis {

class Service {
 public:
  explicit Service(Options defaults = {});
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service();  // Requires: close() is done, or open() was not called.

  // redis, redis_db, redis_idle_conns, redis_max_pool
  void add_to(Flags& flags) { options_.add_to(flags); }
  // Makes a client for each loop; returns when all are connected. Errors: a bad option · kUnavailable  no server there
  Task<Result<void>> open(Runtime& runtime);
  // Of the loop that it is called on. Requires: between open() and close()
  Redis& here();
  lock::Locks& locks();
  // Waits for calls and releases on their way, until the deadline. Without open(): nothing.
  Task<Result<void>> close(Deadline deadline);
  // Whether it is the twin.
  bool is_local() const { return options_.url.empty(); }

 private:
  struct Here;
  using Work = Task<Result<void>> (*)(Service& self, Loop& loop, Deadline deadline);
  Task<Result<void>> on_all(Work work, Deadline deadline);

  Options options_;
  LocalData data_;
  Runtime* runtime_ = nullptr;
  std::vector<std::unique_ptr<Here>> heres_;  // One for each loop, touched by it alone.
};

}  // namespace mg::redis
