#include "mg/runtime/task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

#include "mg/base/error.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/runtime.h"

namespace mg {
namespace {

Task<int> value(int n) {
  co_return n;
}
Task<int> ready_value(int n) {
  return n;
}
Task<Result<int>> ready_failure() {
  return fail(code::kInvalid, "no");
}
Task<Result<void>> ready_success() {
  return Result<void>();
}
Task<std::unique_ptr<int>> move_only() {
  co_return std::make_unique<int>(5);
}
Task<int> thrower() {
  throw std::runtime_error("boom");
  co_return 0;
}
Task<void> void_thrower() {
  throw std::runtime_error("boom");
  co_return;
}

// Runs a task that never really waits.
template <class T>
T get(Task<T> task) {
  std::optional<T> out;
  std::exception_ptr failure;
  const auto run = [](Task<T> t, std::optional<T>& o, std::exception_ptr& f) -> Task<void> {
    try {
      o = co_await std::move(t);
    } catch (...) {
      f = std::current_exception();
    }
  };
  spawn(run(std::move(task), out, failure));
  if (failure) std::rethrow_exception(failure);
  return std::move(out.value());
}

// Suspends until resumed by hand.
struct Gate {
  std::coroutine_handle<> waiting;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiting = h; }
  void await_resume() const noexcept {}
};

TEST(Task, GivesItsValue) {
  EXPECT_EQ(get(value(7)), 7);
  EXPECT_EQ(*get(move_only()), 5);
}

TEST(Task, AReadyValueNeedsNoCoroutine) {
  auto task = ready_value(7);
  EXPECT_TRUE(task.ready());
  EXPECT_EQ(get(std::move(task)), 7);
  EXPECT_EQ(get(ready_failure()).error().detail, "no");
  EXPECT_TRUE(get(ready_success()).has_value());
  EXPECT_FALSE(value(7).ready());
}

TEST(Task, AnExceptionReachesTheAwaiter) {
  EXPECT_THROW(get(thrower()), std::runtime_error);
  bool caught = false;
  const auto run = [](bool& c) -> Task<void> {
    try {
      co_await void_thrower();
    } catch (const std::runtime_error& e) {
      c = std::string_view(e.what()) == "boom";
    }
  };
  spawn(run(caught));
  EXPECT_TRUE(caught);
}

TEST(Task, IsLazyAndFreesItsFrameWhenNeverAwaited) {
  auto token = std::make_shared<int>(1);
  bool started = false;
  const auto body = [](std::shared_ptr<int> t, bool& s) -> Task<void> {
    s = true;
    (void)t;
    co_return;
  };
  {
    auto task = body(token, started);
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_FALSE(started);
}

TEST(Task, DestroyedWhileItWaitsFreesItsLocals) {
  auto token = std::make_shared<int>(1);
  Gate gate;
  const auto inner = [](std::shared_ptr<int> t, Gate& g) -> Task<void> {
    co_await g;
    (void)t;
  };
  const auto outer = [](Task<void> t, std::shared_ptr<int> token2) -> Task<void> {
    co_await std::move(t);
    (void)token2;
  };
  {
    auto task = outer(inner(token, gate), token);
    std::move(task).operator co_await().await_suspend(std::noop_coroutine()).resume();
    EXPECT_TRUE(gate.waiting);
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_EQ(token.use_count(), 1);
}

Task<std::uint64_t> sum_of_awaits(std::uint64_t count) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) sum += static_cast<std::uint64_t>(co_await value(static_cast<int>(i & 1)));
  co_return sum;
}

TEST(Task, AMillionAwaitsInALoopNeedNoMoreStackThanOne) {
  EXPECT_EQ(get(sum_of_awaits(1'000'000)), 500'000u);
}

TEST(Task, AMillionReadyAwaitsInALoop) {
  const auto loop = []() -> Task<std::uint64_t> {
    std::uint64_t sum = 0;
    for (int i = 0; i < 1'000'000; ++i) sum += static_cast<std::uint64_t>(co_await ready_value(1));
    co_return sum;
  };
  EXPECT_EQ(get(loop()), 1'000'000u);
}

Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await nested(depth - 1);
}

TEST(Task, AChainHundredThousandDeepEndsWithoutDeepStack) {
  EXPECT_EQ(get(nested(100'000)), 100'000);
}

TEST(Task, AMillionResumptionsFromOutside) {
  Gate gate;
  std::uint64_t passed = 0;
  const auto body = [](Gate& g, std::uint64_t& n) -> Task<void> {
    for (int i = 0; i < 1'000'000; ++i) {
      co_await g;
      ++n;
    }
  };
  spawn(body(gate, passed));
  for (int i = 0; i < 1'000'000; ++i) gate.waiting.resume();
  EXPECT_EQ(passed, 1'000'000u);
}

TEST(Task, FramesAreUsedAgain) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return;  // Frames are plain allocations then, so that their misuse is found.
#endif
#endif
  void* const first = detail::allocate_frame(200);
  detail::free_frame(first, 200);
  void* const second = detail::allocate_frame(250);  // The same class of 256 octets.
  EXPECT_EQ(first, second);
  void* const third = detail::allocate_frame(250);
  EXPECT_NE(third, second);
  detail::free_frame(second, 250);
  detail::free_frame(third, 250);
}

TEST(Task, StartedEarlyItIsReadyWhenItDidNotWait) {
  Task<int> task = value(7);
  EXPECT_FALSE(task.ready());
  task.start();
  ASSERT_TRUE(task.ready());
  EXPECT_EQ(task.take(), 7);
  Task<int> failing = thrower();
  failing.start();
  ASSERT_TRUE(failing.ready());
  EXPECT_THROW(failing.take(), std::runtime_error);
  EXPECT_TRUE(Task<void>::done().ready());
}

TEST(Task, AResultThatIsThereCanBeLookedAt) {
  Task<Result<void>> good = Result<void>();
  EXPECT_TRUE(good.succeeded());
  EXPECT_EQ(good.error(), nullptr);
  Task<Result<void>> bad = fail(code::kInvalid, "no");
  EXPECT_FALSE(bad.succeeded());
  ASSERT_NE(bad.error(), nullptr);
  EXPECT_EQ(bad.error()->detail, "no");
  Task<Result<void>> moved = std::move(bad);
  const Result<void> taken = moved.take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().detail, "no");
  good = fail(code::kInvalid, "other");
  EXPECT_EQ(good.take().error().detail, "other");
  Task<Result<void>> later = []() -> Task<Result<void>> { co_return Result<void>(); }();
  EXPECT_FALSE(later.succeeded());
  EXPECT_EQ(later.error(), nullptr);
}

TEST(Task, ThenGoesOnAtOnceWhereNothingWaits) {
  Task<int> doubled = then(value(7), [](int n) { return 2 * n; });
  ASSERT_TRUE(doubled.ready());
  EXPECT_EQ(doubled.take(), 14);
  EXPECT_THROW((void)then(thrower(), [](int n) { return n; }), std::runtime_error);

  Loop loop;
  int got = 0;
  const auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = kept;
  spawn([](Task<int> task, int& out) -> Task<void> { out = co_await std::move(task); }(
                                         then(
                                             [](Loop& on) -> Task<int> {
                                               co_await on.yield();
                                               co_return 20;
                                             }(loop),
                                             [held = std::shared_ptr<int>(kept)](int n) { return n + 1 + *held; }),
                                         got));
  EXPECT_EQ(got, 0);
  EXPECT_EQ(watch.use_count(), 2);
  loop.poll();
  EXPECT_EQ(got, 21);
  EXPECT_EQ(watch.use_count(), 1);
}

Task<int> hop_and_return(Loop& loop, int n) {
  co_await loop.resume_here();
  co_return n;
}
Task<void> add_later(Task<int> started, Loop& loop, std::atomic<int>& sum, std::atomic<int>& ended) {
  const int n = co_await started;
  co_await loop.resume_here();
  sum += n;
  ++ended;
  ended.notify_one();
}

// The started task may end on its own loop at any moment while its awaiter arrives.
TEST(Task, StartedEarlyItMayEndOnAnotherThreadMeanwhile) {
  Runtime runtime({.loops = 2});
  ASSERT_TRUE(runtime.start());
  std::atomic<int> sum{0}, ended{0};
  runtime.loop(0).post([&] {
    for (int i = 0; i < 2000; ++i) {
      Task<int> task = hop_and_return(runtime.loop(1), 1);
      task.start();
      spawn(add_later(std::move(task), runtime.loop(0), sum, ended));
    }
  });
  for (int seen = ended; seen != 2000; seen = ended) ended.wait(seen);
  EXPECT_EQ(sum, 2000);
  runtime.stop();
  runtime.join();
}

TEST(TaskDeath, AnExceptionOfADetachedTaskEndsTheProcessWithItsText) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(spawn(void_thrower()), "boom");
}

}  // namespace
}  // namespace mg
