// mg/utils/schedule/schedule.h -- jobs at their times on a loop: once, every so often, by cron.
//
//   Scheduler jobs(loop, {.zone = *tool::Zone::find("Asia/Shanghai")});
//   (void)jobs.cron("daily reset", "0 5 * * *", [&] { return reset_all(); });      // Task<void> reset_all()
//   (void)jobs.every("save", 30s, [&] { return save(); }, {.missed = Missed::kSkip});
//   jobs.cancel("save"); co_await jobs.stop(deadline);
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/in_flight.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"
#include "mg/utils/schedule/cron.h"
#include "mg/utils/tool/zone.h"

namespace mg::schedule {

// A lock that a cluster shares, for jobs of which one node runs each time. Threads: callback, on the scheduler's loop.
class TickLock {
 public:
  virtual ~TickLock() = default;
  // Whether this node is the one: true for the first who asks for `key`, which is to be remembered for `keep`.
  virtual Task<Result<bool>> claim(std::string key, std::chrono::nanoseconds keep) = 0;
};

// What becomes of a time that passed while the loop was busy, the machine slept, or the job still ran.
enum class Missed : std::uint8_t {
  kOnce,  // The job runs once as soon as it can, however many times were missed.
  kSkip,  // It does not; the next time counts.
  kAll,   // It runs once for each, one after the other, up to `max_catch_up`.
};

struct JobOptions {
  Missed missed = Missed::kOnce;
  std::uint32_t max_catch_up = 10;
  std::chrono::nanoseconds tolerance{std::chrono::seconds(1)};  // Late by less than this is in time.
  bool cluster = false;  // Only on the node that gets the lock for this time. Requires: SchedulerOptions::lock
};

struct SchedulerOptions {
  tool::Zone zone{};         // Of cron expressions.
  TickLock* lock = nullptr;  // Lifetime: of the scheduler.
  std::size_t max_jobs = 10'000;
};

struct JobInfo {
  std::string name;
  std::string rule;      // "0 5 * * *", "every 30s", "once".
  Clock::WallTime next;  // WallTime::max(): none.
  bool running = false;
  std::uint64_t runs = 0;
  std::uint64_t missed = 0;    // Times without a run.
  std::uint64_t failures = 0;  // Runs that threw, and claims that failed.
};

// By the wall clock of the loop: a clock that is set forward misses times, one set back by an hour repeats none.
// A job never runs twice at a time. Threads: loop. Lifetime: what jobs refer to outlives their runs; see stop().
class Scheduler {
 public:
  using Function = std::function<Task<void>()>;

  Scheduler(Loop& loop, SchedulerOptions options = {});
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler();

  // Errors of these: kExists   there is a job of that name
  //                  kInvalid  no name, a rule that is none, an interval below 1 ms, `cluster` without a lock
  //                  kTooMany  max_jobs
  Result<void> cron(std::string name, std::string_view expression, Function function, JobOptions options = {});
  // The first time is one interval from now; of a cluster's jobs, at multiples of it since 1970.
  Result<void> every(std::string name, std::chrono::nanoseconds interval, Function function, JobOptions options = {});
  // A time that has passed is now.
  Result<void> once(std::string name, Clock::WallTime when, Function function, JobOptions options = {});

  // False: no such job. A run under way goes on.
  bool cancel(std::string_view name);
  std::vector<JobInfo> list() const;

  // No job begins any more; waits for those that run. False: some still ran at the deadline.
  Task<bool> stop(Deadline deadline);

  struct Job;

 private:
  Result<void> add(std::shared_ptr<Job> job);
  static void on_time(Job& job);
  static void arm(Job& job);
  static Task<void> run(std::shared_ptr<Job> job, std::uint64_t times, Clock::WallTime tick);

  Loop& loop_;
  const SchedulerOptions options_;
  std::map<std::string, std::shared_ptr<Job>, std::less<>> jobs_;
  std::shared_ptr<InFlight> in_flight_ = std::make_shared<InFlight>();  // Runs may outlive this.
};

}  // namespace mg::schedule
