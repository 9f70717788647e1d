// mg/store/tick_claims.h -- which node of a cluster runs a job at each of its times, by the locks of mg/store/lock.h.
//
//   lock::TickClaims claims(loop, backend);            // redis::LockBackend; memory::LockBackend in one process
//   schedule::Scheduler jobs(loop, {.lock = &claims});
//   (void)jobs.cron("daily reset", "0 5 * * *", [&] { return reset_all(); }, {.cluster = true});
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/runtime/loop.h"
#include "mg/store/lock.h"
#include "mg/utils/schedule/schedule.h"

namespace mg::lock {

// A lock for each time of a job, that is never given up: it ends by itself. When the backend does not answer nobody
// runs the job, or the one whose claim was taken although the answer was lost does not.
// Threads: loop. Lifetime: the loop and the backend outlive it, and it the scheduler. Cost: one question to the backend
// for each time and node; Redis keeps the lock's name for an hour and its fencing number for a week.
class TickClaims final : public schedule::TickLock {
 public:
  // `timeout`: of one question.
  TickClaims(Loop& loop, Backend& backend, Ms timeout = Ms(1000)) : loop_(loop), backend_(backend), timeout_(timeout) {}

  Task<Result<bool>> claim(std::string key, std::chrono::nanoseconds keep) override {
    const auto ttl = std::max(std::chrono::ceil<Ms>(keep), Ms(1));
    auto taken = co_await backend_.take(lock_name(key, ""), "claimed", ttl, 0, Deadline::after(loop_.now(), timeout_));
    if (!taken) co_return std::unexpected(std::move(taken).error());
    co_return taken->has_value();
  }

 private:
  Loop& loop_;
  Backend& backend_;
  const Ms timeout_;
};

}  // namespace mg::lock
