// mg/store/memory/lock_backend.h -- locks within one process, with the behaviour of those in Redis.
//
//   memory::LockTable table;                        // one for the process
//   memory::LockBackend backend(loop, table);       // one for each loop
//   lock::Locks locks(loop, backend);
#pragma once

#include <memory>
#include <string>

#include "mg/store/lock.h"

namespace mg::memory {

// Threads: shared. Lifetime: outlives its backends.
class LockTable {
 public:
  // `clock`: the system's when null.
  explicit LockTable(const Clock* clock = nullptr);
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;
  ~LockTable();

  class Impl;

 private:
  friend class LockBackend;
  std::unique_ptr<Impl> impl_;
};

// Threads: loop.
class LockBackend final : public lock::Backend {
 public:
  LockBackend(Loop& loop, LockTable& table);
  ~LockBackend() override;

  Task<Result<std::optional<std::uint64_t>>> take(std::string name, std::string value, lock::Ms ttl,
                                                  std::uint64_t after, Deadline deadline) override;
  Task<Result<bool>> renew(std::string name, std::string value, lock::Ms ttl, Deadline deadline) override;
  Task<Result<bool>> give(std::string name, std::string value, Deadline deadline) override;
  Task<Result<std::optional<lock::Ms>>> left(std::string name, std::string value, Deadline deadline) override;
  Task<void> wait(std::string name, Deadline until) override;

 private:
  Loop& loop_;
  LockTable::Impl& table_;
};

}  // namespace mg::memory
