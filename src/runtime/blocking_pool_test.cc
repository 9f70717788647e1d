#include "mg/runtime/blocking_pool.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/clock.h"
#include "runtime/testing.h"

namespace mg {
namespace {

using std::chrono::seconds;
using testing::run_until;

class BlockingPoolTest : public ::testing::Test {
 protected:
  void SetUp() override { loop_.poll(); }  // This thread is the loop's.

  template <class T, class Function>
  static Task<void> call(BlockingPool& pool, Loop& loop, Deadline deadline, Function function,
                         std::optional<Result<T>>& out) {
    out = co_await pool.run(loop, deadline, std::move(function));
  }

  ManualClock clock_;
  Loop loop_{LoopOptions{.clock = &clock_}};
};

TEST_F(BlockingPoolTest, RunsOnAnotherThreadAndContinuesOnTheLoop) {
  BlockingPool pool({.threads = 2});
  std::optional<Result<std::thread::id>> got;
  std::thread::id continued;
  const auto body = [](BlockingPool& p, Loop& l, std::optional<Result<std::thread::id>>& o,
                       std::thread::id& c) -> Task<void> {
    o = co_await p.run(l, Deadline::never(), [] { return std::this_thread::get_id(); });
    c = std::this_thread::get_id();
  };
  spawn(body(pool, loop_, got, continued));
  ASSERT_TRUE(run_until(loop_, [&] { return got.has_value(); }));
  EXPECT_NE(got->value(), std::this_thread::get_id());
  EXPECT_EQ(continued, std::this_thread::get_id());
}

TEST_F(BlockingPoolTest, PassesOnResultsVoidsAndMoveOnlyValues) {
  BlockingPool pool({.threads = 1});
  std::optional<Result<int>> failed;
  std::optional<Result<void>> nothing;
  std::optional<Result<std::unique_ptr<int>>> owned;
  spawn(call<int>(
      pool, loop_, Deadline::never(), []() -> Result<int> { return fail(code::kNotFound, "row 5"); }, failed));
  spawn(call<void>(pool, loop_, Deadline::never(), [] {}, nothing));
  spawn(call<std::unique_ptr<int>>(
      pool, loop_, Deadline::never(), [p = std::make_unique<int>(3)]() mutable { return std::move(p); }, owned));
  ASSERT_TRUE(run_until(loop_, [&] { return failed && nothing && owned; }));
  EXPECT_EQ(failed->error().detail, "row 5");
  EXPECT_TRUE(nothing->has_value());
  EXPECT_EQ(*owned->value(), 3);
}

TEST_F(BlockingPoolTest, AnExceptionBecomesAnError) {
  BlockingPool pool({.threads = 1});
  std::optional<Result<int>> got, other;
  spawn(call<int>(pool, loop_, Deadline::never(), []() -> int { throw std::runtime_error("disk gone"); }, got));
  spawn(call<int>(pool, loop_, Deadline::never(), []() -> int { throw 5; }, other));
  ASSERT_TRUE(run_until(loop_, [&] { return got && other; }));
  EXPECT_EQ(got->error().code, code::kServer);
  EXPECT_EQ(got->error().detail, "disk gone");
  EXPECT_EQ(other->error().code, code::kServer);
}

TEST_F(BlockingPoolTest, RefusesCallsOverTheQueueLimit) {
  BlockingPool pool({.threads = 1, .max_queued = 1});
  std::binary_semaphore go(0), begun(0);
  std::optional<Result<int>> first, second, third;
  spawn(call<int>(
      pool, loop_, Deadline::never(),
      [&] {
        begun.release();
        go.acquire();
        return 1;
      },
      first));
  begun.acquire();
  spawn(call<int>(pool, loop_, Deadline::never(), [] { return 2; }, second));
  spawn(call<int>(pool, loop_, Deadline::never(), [] { return 3; }, third));
  ASSERT_TRUE(third);
  EXPECT_EQ(third->error().code, code::kUnavailable);
  EXPECT_FALSE(second);
  go.release();
  ASSERT_TRUE(run_until(loop_, [&] { return first && second; }));
  EXPECT_EQ(second->value(), 2);
}

TEST_F(BlockingPoolTest, AtTheDeadlineTheWaitEndsAndTheResultIsDropped) {
  BlockingPool pool({.threads = 1});
  std::binary_semaphore go(0), begun(0);
  std::promise<void> freed;
  struct Owner {
    std::promise<void>* promise;
    explicit Owner(std::promise<void>* p) : promise(p) {}
    ~Owner() { promise->set_value(); }
  };
  std::optional<Result<int>> got, queued;
  std::atomic<bool> queued_ran{false};
  spawn(call<int>(
      pool, loop_, Deadline::after(clock_, seconds(1)),
      [&, owner = std::make_shared<Owner>(&freed)] {
        begun.release();
        go.acquire();
        return 1;
      },
      got));
  begun.acquire();
  spawn(call<int>(pool, loop_, Deadline::after(clock_, seconds(1)), [&] { return queued_ran = true, 1; }, queued));
  clock_.advance(seconds(1));
  loop_.poll();
  ASSERT_TRUE(got && queued);
  EXPECT_EQ(got->error().code, code::kTimeout);
  EXPECT_NE(got->error().detail.find("goes on"), std::string::npos);
  EXPECT_EQ(queued->error().code, code::kTimeout);
  EXPECT_NE(queued->error().detail.find("not run"), std::string::npos);
  go.release();
  EXPECT_EQ(freed.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  std::optional<Result<int>> after;
  spawn(call<int>(pool, loop_, Deadline::never(), [] { return 5; }, after));
  ASSERT_TRUE(run_until(loop_, [&] { return after.has_value(); }));
  EXPECT_FALSE(queued_ran) << "nobody waited for it when its turn came";
}

TEST_F(BlockingPoolTest, APassedDeadlineIsNotRun) {
  BlockingPool pool({.threads = 1});
  std::optional<Result<int>> got;
  spawn(call<int>(pool, loop_, Deadline::past(), [] { return 1; }, got));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->error().code, code::kTimeout);
}

TEST_F(BlockingPoolTest, StopFinishesWhatRunsAndRefusesWhatWaits) {
  BlockingPool pool({.threads = 1});
  std::binary_semaphore go(0), begun(0);
  std::optional<Result<int>> running, waiting, late;
  spawn(call<int>(
      pool, loop_, Deadline::never(),
      [&] {
        begun.release();
        go.acquire();
        return 1;
      },
      running));
  begun.acquire();
  spawn(call<int>(pool, loop_, Deadline::never(), [] { return 2; }, waiting));
  std::thread stopper([&] { pool.stop(); });
  // The refusal comes while the other call still runs.
  ASSERT_TRUE(run_until(loop_, [&] { return waiting.has_value(); }));
  EXPECT_EQ(waiting->error().code, code::kUnavailable);
  go.release();
  stopper.join();
  ASSERT_TRUE(run_until(loop_, [&] { return running.has_value(); }));
  EXPECT_EQ(running->value(), 1);
  spawn(call<int>(pool, loop_, Deadline::never(), [] { return 3; }, late));
  ASSERT_TRUE(late);
  EXPECT_EQ(late->error().code, code::kUnavailable);
  pool.stop();
}

TEST_F(BlockingPoolTest, DestroyingTheWaiterDropsTheResult) {
  BlockingPool pool({.threads = 1});
  std::binary_semaphore go(0), begun(0);
  std::optional<Result<int>> got;
  {
    auto task = call<int>(
        pool, loop_, Deadline::never(),
        [&] {
          begun.release();
          go.acquire();
          return 1;
        },
        got);
    std::move(task).operator co_await().await_suspend(std::noop_coroutine()).resume();
    begun.acquire();
  }
  go.release();
  pool.stop();
  loop_.poll();
  EXPECT_FALSE(got);
}

TEST_F(BlockingPoolTest, StopUnderLoadAnswersEveryCall) {
  BlockingPool pool({.threads = 4, .max_queued = 100'000});
  constexpr int kCalls = 5000;
  int answered = 0, refused = 0;
  const auto body = [](BlockingPool& p, Loop& l, int i, int& a, int& r) -> Task<void> {
    auto got = co_await p.run(l, Deadline::never(), [i] { return i; });
    if (got) {
      EXPECT_EQ(*got, i);
      ++a;
    } else {
      EXPECT_EQ(got.error().code, code::kUnavailable);
      ++r;
    }
  };
  for (int i = 0; i < kCalls; ++i) spawn(body(pool, loop_, i, answered, refused));
  pool.stop();
  ASSERT_TRUE(run_until(loop_, [&] { return answered + refused == kCalls; }));
  EXPECT_EQ(pool.queued(), 0u);
  EXPECT_EQ(pool.running(), 0u);
}

}  // namespace
}  // namespace mg
