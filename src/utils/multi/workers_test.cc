#include "mg/utils/multi/workers.h"

#include <gmock/gmock.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>

namespace mg::multi {
namespace {

using ::testing::HasSubstr;

TEST(Workers, RunEverythingThatWasTaken) {
  Workers workers({.threads = 3});
  std::atomic<int> sum = 0;
  for (int i = 1; i <= 1000; ++i) ASSERT_TRUE(workers.submit([&sum, i] { sum += i; }));
  workers.wait_idle();
  EXPECT_EQ(sum, 500'500);
}

TEST(Workers, AThrowIsReportedAndTheWorkGoesOn) {
  std::atomic<int> told = 0;
  Workers workers({.threads = 2, .on_throw = [&](std::string_view what) { told += what == "boom" ? 1 : 100; }});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(workers.submit([] { throw std::runtime_error("boom"); }));
  ASSERT_TRUE(workers.submit([] { throw 7; }));
  workers.wait_idle();
  EXPECT_EQ(told, 110);
}

TEST(Workers, FunctionsMaySubmitThemselves) {
  Workers workers({.threads = 2, .max_queued = 4});
  std::atomic<int> left = 10'000;
  std::function<void()> again = [&] {
    if (--left > 0) (void)workers.submit_wait(again);
  };
  ASSERT_TRUE(workers.submit(again));
  workers.wait_idle();
  EXPECT_EQ(left, 0);
}

TEST(Workers, AFullQueueIsAnErrorAndNeverADeadlock) {
  Workers workers({.threads = 1, .max_queued = 2});
  std::latch go(1);
  std::latch running(1);
  std::atomic<int> refused = 0;
  ASSERT_TRUE(workers.submit([&] {
    running.count_down();
    go.wait();
    for (int i = 0; i < 5; ++i) refused += !workers.submit_wait([] {});  // On a worker: it does not wait.
  }));
  running.wait();
  ASSERT_TRUE(workers.submit([] {}));
  ASSERT_TRUE(workers.submit([] {}));
  EXPECT_EQ(workers.submit([] {}).error().code, code::kTooMany);
  go.count_down();
  workers.wait_idle();
  EXPECT_EQ(refused, 5);
}

TEST(Workers, StopWhileFullWakesWhoWaitsForRoom) {
  auto workers = std::make_unique<Workers>(WorkersOptions{.threads = 1, .max_queued = 1});
  std::latch go(1);
  std::latch running(1);
  ASSERT_TRUE(workers->submit([&] {
    running.count_down();
    go.wait();
  }));
  running.wait();
  ASSERT_TRUE(workers->submit([] {}));
  std::atomic<int> code = 0;
  std::thread waiter([&] { code = workers->submit_wait([] {}).error().code; });
  std::thread stopper([&] { workers->stop(); });
  waiter.join();  // Ends although the worker is busy.
  EXPECT_EQ(code, code::kUnavailable);
  go.count_down();
  stopper.join();
  EXPECT_EQ(workers->dropped(), 1u);
  EXPECT_EQ(workers->submit([] {}).error().code, code::kUnavailable);
  workers->stop();
}

TEST(Workers, AMillionFunctionsFromFourThreads) {
  Workers workers({.threads = 2, .max_queued = 1000});
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250'000; ++i)
        (void)workers.submit_wait([&] { done.fetch_add(1, std::memory_order_relaxed); });
    });
  }
  for (auto& thread : threads) thread.join();
  workers.wait_idle();
  EXPECT_EQ(done, 1'000'000);
}

TEST(ForEachIndex, CallsEachIndexOnceAndTellsTheFirstError) {
  std::vector<std::atomic<int>> calls(1000);
  const auto done = for_each_index(1000,
                                   [&](std::size_t i) -> Result<void> {
                                     ++calls[i];
                                     if (i == 500 || i == 700) return fail(code::kInvalid, "index {}", i);
                                     if (i == 900) throw std::runtime_error("boom");
                                     return {};
                                   },
                                   {.threads = 4});
  EXPECT_EQ(done.error().detail, "index 500");
  for (const auto& count : calls) EXPECT_EQ(count, 1);
  EXPECT_TRUE(for_each_index(0, [](std::size_t) -> Result<void> { return fail(code::kInvalid, "none"); }));
}

TEST(ForEachIndex, MayStopAtTheFirstError) {
  std::atomic<int> calls = 0;
  const auto done = for_each_index(1'000'000,
                                   [&](std::size_t) -> Result<void> {
                                     ++calls;
                                     return fail(code::kInvalid, "no");
                                   },
                                   {.threads = 2, .first_error = true});
  EXPECT_FALSE(done);
  EXPECT_LE(calls, 2);
}

}  // namespace
}  // namespace mg::multi
