#include "mg/utils/schedule/schedule.h"

#include <gmock/gmock.h>

#include <set>
#include <stdexcept>

#include "mg/base/log.h"
#include "runtime/testing.h"

namespace mg::schedule {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// A scheduler on a loop whose clock the test moves. It begins on 2020-01-01, 00:00 UTC.
class SchedulerTest : public ::testing::Test {
 protected:
  void advance(std::chrono::nanoseconds time, std::chrono::nanoseconds step = 1s) {
    for (; time.count() > 0; time -= step) {
      clock.advance(std::min(step, time));
      turns();
    }
  }
  void turns() {
    for (int i = 0; i < 4; ++i) loop.poll();
  }
  Scheduler::Function counting(int& n) {
    return [&n] { return ++n, Task<void>::done(); };
  }
  JobInfo info(Scheduler& jobs, std::string_view name) {
    for (auto& job : jobs.list()) {
      if (job.name == name) return job;
    }
    return {};
  }

  ManualClock clock;
  Loop loop{{.clock = &clock}};
};

TEST_F(SchedulerTest, RunsJobsAtTheirTimes) {
  Scheduler jobs(loop);
  turns();
  int every = 0, cron = 0, once = 0;
  ASSERT_TRUE(jobs.every("every", 10s, counting(every)));
  ASSERT_TRUE(jobs.cron("cron", "* * * * *", counting(cron)));
  ASSERT_TRUE(jobs.once("once", clock.wall() + 5s, counting(once)));
  EXPECT_EQ(jobs.list().size(), 3u);
  advance(9s);
  EXPECT_EQ(every, 0);
  EXPECT_EQ(once, 1);
  EXPECT_EQ(jobs.list().size(), 2u) << "what runs once is gone then";
  advance(1s);
  EXPECT_EQ(every, 1);
  advance(10min);
  EXPECT_EQ(every, 61);
  EXPECT_EQ(cron, 10);
}

TEST_F(SchedulerTest, NamesAreUsedOnceAndRulesChecked) {
  Scheduler jobs(loop, {.max_jobs = 2});
  int n = 0;
  ASSERT_TRUE(jobs.every("a", 1s, counting(n)));
  EXPECT_EQ(jobs.every("a", 1s, counting(n)).error().code, code::kExists);
  EXPECT_EQ(jobs.every("", 1s, counting(n)).error().code, code::kInvalid);
  EXPECT_EQ(jobs.every("b", 1us, counting(n)).error().code, code::kInvalid);
  EXPECT_EQ(jobs.cron("b", "* *", counting(n)).error().code, code::kInvalid);
  EXPECT_EQ(jobs.every("b", 1s, counting(n), {.cluster = true}).error().code, code::kInvalid);
  ASSERT_TRUE(jobs.every("b", 1s, counting(n)));
  EXPECT_EQ(jobs.every("c", 1s, counting(n)).error().code, code::kTooMany);
  EXPECT_TRUE(jobs.cancel("a"));
  EXPECT_FALSE(jobs.cancel("a"));
  EXPECT_TRUE(jobs.every("a", 1s, counting(n)));
}

TEST_F(SchedulerTest, MissedTimesAreAsChosen) {
  Scheduler jobs(loop);
  turns();
  int once = 0, skip = 0, all = 0;
  ASSERT_TRUE(jobs.every("once", 10s, counting(once)));
  ASSERT_TRUE(jobs.every("skip", 10s, counting(skip), {.missed = Missed::kSkip}));
  ASSERT_TRUE(jobs.every("all", 10s, counting(all), {.missed = Missed::kAll, .max_catch_up = 3}));
  advance(55s, 55s);  // One long step: 10, 20, 30, 40, 50 have passed.
  EXPECT_EQ(once, 1);
  EXPECT_EQ(skip, 0);
  EXPECT_EQ(all, 3);
  EXPECT_EQ(info(jobs, "once").missed, 4u);
  EXPECT_EQ(info(jobs, "skip").missed, 5u);
  EXPECT_EQ(info(jobs, "all").missed, 2u);
  advance(5s);
  EXPECT_EQ(once, 2) << "the rhythm stays";
  EXPECT_EQ(skip, 1);
}

TEST_F(SchedulerTest, AfterALongSleepTheNextTimeIsTheNext) {
  Scheduler jobs(loop);
  turns();
  int once = 0, skip = 0;
  ASSERT_TRUE(jobs.cron("once", "0 * * * *", counting(once)));
  ASSERT_TRUE(jobs.cron("skip", "0 * * * *", counting(skip), {.missed = Missed::kSkip}));
  clock.advance(24h * 400 + 30min);  // Half past an hour.
  turns();
  EXPECT_EQ(once, 1);
  EXPECT_EQ(skip, 0);
  EXPECT_EQ(info(jobs, "skip").next, clock.wall() + 30min);
  advance(30min, 1min);
  EXPECT_EQ(once, 2);
  EXPECT_EQ(skip, 1);
}

TEST_F(SchedulerTest, AJobNeverOverlapsItself) {
  Scheduler jobs(loop);
  turns();
  int running = 0, most = 0, runs = 0;
  const auto slow = [&]() -> Task<void> {
    most = std::max(most, ++running);
    ++runs;
    co_await loop.sleep_for(25s);
    --running;
  };
  ASSERT_TRUE(jobs.every("slow", 10s, [&] { return slow(); }));
  advance(100s);
  EXPECT_EQ(most, 1);
  EXPECT_EQ(runs, 4) << "at 10, 35, 60, 85: what it misses while it runs is made up once";
  EXPECT_TRUE(info(jobs, "slow").running);
  bool stopped = false;
  const auto stop = [&]() -> Task<void> { stopped = co_await jobs.stop(Deadline::after(clock, 1min)); };
  spawn(stop());
  advance(30s);
  EXPECT_TRUE(stopped);
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(running, 0);
}

TEST_F(SchedulerTest, AThrowIsCountedAndTheJobGoesOn) {
  Scheduler jobs(loop);
  turns();
  log::set_level(log::Level::kOff);
  ASSERT_TRUE(jobs.every("bad", 1s, []() -> Task<void> { throw std::runtime_error("boom"); }));
  advance(3s);
  log::set_level(log::Level::kWarn);
  EXPECT_EQ(info(jobs, "bad").runs, 3u);
  EXPECT_EQ(info(jobs, "bad").failures, 3u);
}

TEST_F(SchedulerTest, AClockThatIsSetIsNoticed) {
  Scheduler jobs(loop);
  turns();
  int n = 0;
  ASSERT_TRUE(jobs.cron("daily", "0 0 * * *", counting(n)));
  clock.set_wall(clock.wall() + 24h);  // Two minutes on the loop, a day on the wall.
  advance(2min, 30s);
  EXPECT_EQ(n, 1);
  clock.set_wall(clock.wall() - 1h);
  advance(50min, 30s);
  EXPECT_EQ(n, 1) << "set back: not again";
}

TEST_F(SchedulerTest, AJobMayCancelItselfAndEndTheScheduler) {
  auto jobs = std::make_unique<Scheduler>(loop);
  turns();
  int n = 0;
  ASSERT_TRUE(jobs->every("self", 1s, [&] { return ++n, jobs->cancel("self"), Task<void>::done(); }));
  ASSERT_TRUE(jobs->every("end", 2s, [&] { return ++n, jobs.reset(), Task<void>::done(); }));
  advance(10s);
  EXPECT_EQ(n, 2);
}

// Remembers who came first.
struct FirstCome final : TickLock {
  std::set<std::string> keys;
  bool broken = false;
  Task<Result<bool>> claim(std::string key, std::chrono::nanoseconds) override {
    if (broken) return Result<bool>(fail(code::kUnavailable, "no store"));
    return Result<bool>(keys.insert(key).second);
  }
};

TEST_F(SchedulerTest, InAClusterOneNodeRunsEachTime) {
  FirstCome lock;
  Scheduler a(loop, {.lock = &lock});
  advance(3s);
  Scheduler b(loop, {.lock = &lock});
  int runs_a = 0, runs_b = 0;
  for (auto* node : {&a, &b}) {
    int& runs = node == &a ? runs_a : runs_b;
    ASSERT_TRUE(node->every("every", 10s, counting(runs), {.cluster = true}));
    ASSERT_TRUE(node->cron("cron", "* * * * *", counting(runs), {.cluster = true}));
  }
  advance(117s);
  EXPECT_EQ(runs_a + runs_b, 12 + 2);
  log::set_level(log::Level::kOff);
  lock.broken = true;
  advance(10s);
  log::set_level(log::Level::kWarn);
  EXPECT_EQ(runs_a + runs_b, 14) << "without the lock nobody runs";
  EXPECT_EQ(info(a, "every").failures, 1u);
}

}  // namespace
}  // namespace mg::schedule
