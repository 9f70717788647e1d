// mg/store/tick_lock.h -- jobs of which one node of a cluster runs each time (mg/utils/schedule/schedule.h).
//
//   lock::TickLock ticks(loop, backend);                     // redis::LockBackend, memory::LockBackend
//   schedule::Scheduler jobs(loop, {.lock = &ticks});
//   jobs.cron("daily reset", "0 5 * * *", reset, {.cluster = true});
#pragma once

#include <string>

#include "mg/store/lock.h"
#include "mg/utils/schedule/schedule.h"

namespace mg::lock {

// A claim is a lock LOCK:tick:<key> that nobody gives up: its time ends it. When a node dies after its claim, or the
// answer is lost, nobody runs the job that time. Threads: loop. Lifetime: the backend outlives it.
class TickLock final : public schedule::TickLock {
 public:
  TickLock(Loop& loop, Backend& backend, Ms timeout = Ms(1000)) : loop_(loop), backend_(backend), timeout_(timeout) {}
  // Errors: of the backend; it may have been claimed
  Task<Result<bool>> claim(std::string key, std::chrono::nanoseconds keep) override;

 private:
  Loop& loop_;
  Backend& backend_;
  Ms timeout_;
};

}  // namespace mg::lock
