// mg/store/lock.h -- locks that nodes share: held by one at a time, renewed while it lives, with a number that grows.
//
//   lock::Locks locks(loop, backend);                 // redis::LockBackend; memory::LockBackend in one process
//   auto lock = co_await locks.obtain("role", 42);    // kTimeout: somebody else has it
//   co_await save(role, lock->fence());               // the store refuses what comes with an older number
//   co_await lock->release();
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::lock {

using Ms = std::chrono::milliseconds;

// LOCK:<key>:<index>, as the Go original writes it (wire.md section 7): texts as they are, numbers in decimals.
std::string lock_name(std::string_view key, std::string_view index);

// Where locks are kept. All functions end at their deadline. Threads: loop.
// Errors of all: kUnavailable, kServer, kTimeout  the backend did not answer; the lock may have been taken or given
class Backend {
 public:
  virtual ~Backend() = default;
  // Takes the lock `name` for `ttl` when nobody has it, and notes `value` as its holder. Returns: its fencing number,
  // greater than every one before and than `after`; nothing: somebody has it.
  virtual Task<Result<std::optional<std::uint64_t>>> take(std::string name, std::string value, Ms ttl,
                                                          std::uint64_t after, Deadline deadline) = 0;
  // Sets its time anew when `value` holds it. Returns: whether it does.
  virtual Task<Result<bool>> renew(std::string name, std::string value, Ms ttl, Deadline deadline) = 0;
  // Gives it up when `value` holds it. Returns: whether it did.
  virtual Task<Result<bool>> give(std::string name, std::string value, Deadline deadline) = 0;
  // What is left of its time when `value` holds it; nothing when it does not.
  virtual Task<Result<std::optional<Ms>>> left(std::string name, std::string value, Deadline deadline) = 0;
  // Returns at `until`, or sooner when the lock was perhaps given up.
  virtual Task<void> wait(std::string name, Deadline until) = 0;
};

struct Options {
  Ms ttl{3000};                   // Kept so long when the holder dies. At least 1 ms.
  Ms retry{100};                  // Between attempts when nothing tells that it was given up; 0 or less: one attempt.
  Ms wait{-1};                    // For the lock; negative: as long as ttl, as in the Go original.
  Ms timeout{1000};               // Of one question to the backend.
  bool renew = true;              // While the guard lives, at a third of ttl.
  std::string metadata = {};      // Put behind the token in the stored value.
  std::uint64_t fence_after = 0;  // The fencing number is greater: what the guarded store has seen, if it is known.
  // The lock is not ours any more, and why: it expired, somebody else has it. Once; never after release().
  std::function<void(std::string_view why)> on_lost = {};
};

struct Stats {
  std::uint64_t obtained = 0, missed = 0, released = 0, renewed = 0, lost = 0;
  std::uint32_t waiting = 0;
};

namespace detail {
struct Shared;
struct Held;
}  // namespace detail

// A lock that is held, until release() or it dies: then it is released in the background, as long as the loop runs.
// Threads: loop. Movable.
class Guard {
 public:
  Guard() = default;
  Guard(Guard&& other) noexcept : held_(std::move(other.held_)) {}
  Guard& operator=(Guard&& other) noexcept;
  ~Guard();

  // Certain until held_until(), unless the backend lost its data. A process that was stopped must ask again, or better:
  // let the store compare fence().
  bool held() const;
  Deadline held_until() const;
  // Greater than that of every holder before. Stores refuse writes with a number below one that they have seen.
  std::uint64_t fence() const;
  const std::string& token() const;  // 22 characters, unique.
  const std::string& name() const;
  // Sets its time anew. Errors: kFinished  it is not ours any more (on_lost was called)
  Task<Result<void>> refresh(Ms ttl);
  // What the backend says is left. Errors: kFinished
  Task<Result<Ms>> ttl();
  // Errors: kFinished  it was not ours any more; what was done may have been done twice · of the backend
  Task<Result<void>> release();

 private:
  friend class Locks;
  explicit Guard(std::shared_ptr<detail::Held> held);
  std::shared_ptr<detail::Held> held_;
};

// Obtains locks; those who wait for one lock here get it in turn. Threads: loop. Lifetime: outlives its guards' use;
// the backend outlives it, and the tasks in the background, which end within Options::timeout.
class Locks {
 public:
  Locks(Loop& loop, Backend& backend);
  ~Locks();

  // Errors: kTimeout  somebody else has it, for as long as it waits · of the backend
  Task<Result<Guard>> obtain(std::string key, std::string index, Options options = {});
  Task<Result<Guard>> obtain(std::string key, std::integral auto index, Options options = {}) {
    return obtain(std::move(key), std::to_string(index), std::move(options));
  }
  Task<Result<Guard>> obtain(std::string key, Options options = {}) {
    return obtain(std::move(key), std::string(), std::move(options));
  }
  // Waits until releases in the background are done, for `deadline` at most.
  Task<void> drain(Deadline deadline);
  Stats stats() const;

 private:
  std::shared_ptr<detail::Shared> shared_;
};

}  // namespace mg::lock
