// mg/store/redis/lock_backend.h -- locks in Redis, as Go services take them (wire.md section 7).
//
//   redis::LockBackend backend(client);
//   lock::Locks locks(loop, backend);
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mg/runtime/event.h"
#include "mg/store/lock.h"
#include "mg/store/redis/redis.h"

namespace mg::redis {

struct LockBackendOptions {
  // Who waits is woken by a message of the one who gives the lock up, over a subscription that begins with the first
  // wait. Not through a proxy. A Go holder sends none: then it is asked again at lock::Options::retry.
  bool messages = true;
  // False: by WATCH and MULTI instead of scripts; for the twin in this process, which has none.
  bool scripts = true;
};

// A lock is a key with a time, its value the holder's token. Its fencing number is the server's clock in microseconds,
// or one more than the last one, kept for a week in FENCE:<key>: it grows also when the server has lost its data, as
// long as its clock does not go back (then lock::Options::fence_after helps). Threads: loop. Lifetime: the client
// outlives it; it outlives its waits.
class LockBackend final : public lock::Backend {
 public:
  explicit LockBackend(Redis& redis, LockBackendOptions options = {});
  ~LockBackend() override;

  Task<Result<std::optional<std::uint64_t>>> take(std::string name, std::string value, lock::Ms ttl,
                                                  std::uint64_t after, Deadline deadline) override;
  Task<Result<bool>> renew(std::string name, std::string value, lock::Ms ttl, Deadline deadline) override;
  Task<Result<bool>> give(std::string name, std::string value, Deadline deadline) override;
  Task<Result<std::optional<lock::Ms>>> left(std::string name, std::string value, Deadline deadline) override;
  Task<void> wait(std::string name, Deadline until) override;

 private:
  struct Messages;
  // Runs `commands` in one, when `value` holds the lock. Returns: their replies; nothing when it does not.
  Task<Result<std::optional<std::vector<Reply>>>> if_held(std::string name, std::string value,
                                                          std::vector<Command> commands, Deadline deadline);
  Task<Result<std::optional<std::uint64_t>>> take_plainly(std::string name, std::string value, lock::Ms ttl,
                                                          std::uint64_t after, Deadline deadline);
  Redis& redis_;
  LockBackendOptions options_;
  std::shared_ptr<Messages> messages_;
};

}  // namespace mg::redis
