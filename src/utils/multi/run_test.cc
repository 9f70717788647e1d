#include "mg/utils/multi/run.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "runtime/testing.h"

namespace mg::multi {
namespace {

using namespace std::chrono_literals;
using ::mg::testing::await_on;
using ::testing::HasSubstr;

Task<Result<int>> value(int n) {
  return Result<int>(n);
}
Task<Result<int>> later(Loop& loop, int n, int turns) {
  for (int i = 0; i < turns; ++i) co_await loop.yield();
  co_return n;
}
Task<Result<int>> throws() {
  throw std::runtime_error("boom");
  co_return 0;
}
Task<Result<int>> never(Loop& loop, int& alive) {
  struct Count {
    int& n;
    explicit Count(int& c) : n(c) { ++n; }
    ~Count() { --n; }
  } count(alive);
  co_await loop.sleep_for(24h);
  co_return 0;
}

TEST(MultiRun, ResultsStandByIndex) {
  Loop loop;
  std::vector<Job<int>> jobs;
  for (int i = 0; i < 100; ++i) {
    jobs.push_back([&loop, i] { return i % 3 == 0 ? value(i) : later(loop, i, (100 - i) % 7); });
  }
  const auto results = await_on(loop, run<int>(loop, std::move(jobs), {.parallel = 5}));
  ASSERT_EQ(results.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(*results[static_cast<std::size_t>(i)], i);
}

TEST(MultiRun, NothingIsDoneAtOnce) {
  Loop loop;
  EXPECT_TRUE(await_on(loop, run<int>(loop, {})).empty());
}

TEST(MultiRun, NoMoreThanParallelRunAtATime) {
  Loop loop;
  int running = 0;
  int most = 0;
  const auto work = [&](int i) -> Task<Result<int>> {
    most = std::max(most, ++running);
    for (int n = 0; n < 3; ++n) co_await loop.yield();
    --running;
    co_return i;
  };
  std::vector<Job<int>> jobs;
  for (int i = 0; i < 50; ++i) jobs.push_back([&work, i] { return work(i); });
  const auto results = await_on(loop, run<int>(loop, std::move(jobs), {.parallel = 4}));
  EXPECT_EQ(most, 4);
  EXPECT_EQ(*results[49], 49);
}

TEST(MultiRun, AThrowIsTheErrorOfItsTaskAlone) {
  Loop loop;
  std::vector<Job<int>> jobs;
  jobs.push_back([] { return throws(); });
  jobs.push_back([]() -> Task<Result<int>> { throw 7; });
  jobs.push_back([&loop] { return later(loop, 3, 2); });
  const auto results = await_on(loop, run<int>(loop, std::move(jobs)));
  EXPECT_EQ(results[0].error().code, code::kServer);
  EXPECT_THAT(results[0].error().detail, HasSubstr("boom"));
  EXPECT_EQ(results[1].error().code, code::kServer);
  EXPECT_EQ(*results[2], 3);
}

TEST(MultiRun, TheFirstErrorEndsTheRest) {
  Loop loop;
  int alive = 0;
  const auto fails = [](Loop& on) -> Task<Result<int>> {
    co_await on.yield();
    co_return fail(code::kNotFound, "no such role");
  };
  std::vector<Job<int>> jobs;
  int started = 0;
  for (int i = 0; i < 10; ++i) jobs.push_back([&] { return ++started, never(loop, alive); });
  jobs[1] = [&] { return ++started, fails(loop); };
  const auto results = await_on(loop, run<int>(loop, std::move(jobs), {.parallel = 3, .first_error = true}));
  EXPECT_EQ(started, 3) << "what had not begun does not";
  EXPECT_EQ(alive, 0) << "what waits is ended";
  EXPECT_EQ(results[1].error().code, code::kNotFound);
  EXPECT_EQ(results[0].error().code, code::kUnavailable);
  EXPECT_EQ(results[9].error().code, code::kUnavailable);
}

TEST(MultiRun, AnErrorAtOnceEndsTheRestToo) {
  Loop loop;
  int alive = 0;
  std::vector<Job<int>> jobs;
  jobs.push_back([&] { return never(loop, alive); });
  jobs.push_back([]() -> Task<Result<int>> { return Result<int>(fail(code::kInvalid, "at once")); });
  jobs.push_back([&] { return never(loop, alive); });
  const auto results = await_on(loop, run<int>(loop, std::move(jobs), {.first_error = true}));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(results[1].error().code, code::kInvalid);
  EXPECT_FALSE(all_values(results));
}

TEST(MultiRun, AtTheDeadlineWhatWaitsIsEnded) {
  ManualClock clock;
  Loop loop({.clock = &clock});
  int alive = 0;
  std::vector<Job<int>> jobs;
  jobs.push_back([&] { return never(loop, alive); });
  jobs.push_back([&] { return later(loop, 2, 1); });
  std::optional<std::vector<Result<int>>> got;
  const auto store = [&](Task<std::vector<Result<int>>> task) -> Task<void> { got = co_await std::move(task); };
  loop.poll();
  spawn(store(run<int>(loop, std::move(jobs), {.deadline = Deadline::after(clock, 5s)})));
  for (int i = 0; i < 10; ++i) loop.poll();
  EXPECT_FALSE(got);
  EXPECT_EQ(alive, 1);
  clock.advance(6s);
  ASSERT_TRUE(mg::testing::run_until(loop, [&] { return got.has_value(); }));
  EXPECT_EQ((*got)[0].error().code, code::kTimeout);
  EXPECT_EQ(*(*got)[1], 2);
  EXPECT_EQ(alive, 0);
}

TEST(MultiRun, DestroyingTheRunDestroysItsTasks) {
  Loop loop;
  int alive = 0;
  std::vector<Job<int>> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back([&] { return never(loop, alive); });
  {
    auto task = run<int>(loop, std::move(jobs));
    task.start();
    EXPECT_EQ(alive, 3);
  }
  EXPECT_EQ(alive, 0);
}

TEST(MultiRun, AMillionTasksNeedNoStack) {
  Loop loop;
  constexpr int kTasks = 1'000'000;
  std::vector<Job<int>> jobs;
  jobs.reserve(kTasks);
  for (int i = 0; i < kTasks; ++i) jobs.push_back([&loop, i] { return i % 1000 == 0 ? later(loop, i, 1) : value(i); });
  const auto values = all_values(await_on(loop, run<int>(loop, std::move(jobs))));
  ASSERT_TRUE(values);
  EXPECT_EQ(values->back(), kTasks - 1);
}

TEST(MultiRun, BlockingFunctionsRunOnAPool) {
  Loop loop;
  BlockingPool pool({.threads = 3});
  std::vector<std::function<Result<int>()>> functions;
  for (int i = 0; i < 20; ++i) {
    functions.push_back([i]() -> Result<int> {
      if (i == 7) return fail(code::kNotFound, "seven");
      if (i == 8) throw std::runtime_error("eight");
      return i * i;
    });
  }
  const auto results = await_on(loop, run_blocking(loop, pool, std::move(functions), {.parallel = 4}));
  EXPECT_EQ(*results[19], 361);
  EXPECT_EQ(results[7].error().code, code::kNotFound);
  EXPECT_THAT(results[8].error().detail, HasSubstr("eight"));
  pool.stop();
}

}  // namespace
}  // namespace mg::multi
