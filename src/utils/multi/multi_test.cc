// retry, debounce, single_flight.
#include <gmock/gmock.h>

#include <cmath>
#include <stdexcept>

#include "mg/utils/multi/debounce.h"
#include "mg/utils/multi/retry.h"
#include "mg/utils/multi/single_flight.h"
#include "runtime/testing.h"

namespace mg::multi {
namespace {

using namespace std::chrono_literals;
using ::mg::testing::run_until;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A loop whose time the test moves.
class MultiTest : public ::testing::Test {
 protected:
  void turns(int count = 5) {
    for (int i = 0; i < count; ++i) loop.poll();
  }
  void advance(std::chrono::nanoseconds time) {
    clock.advance(time);
    turns();
  }
  template <class T>
  void start(Task<T> task, std::optional<T>& out) {
    spawn(store(std::move(task), out));
    turns();
  }
  template <class T>
  static Task<void> store(Task<T> task, std::optional<T>& out) {
    out = co_await std::move(task);
  }

  ManualClock clock;
  Loop loop{{.clock = &clock}};
  SeededRandom random{1};
};

TEST_F(MultiTest, RetryWaitsLongerEachTime) {
  int attempts = 0;
  std::optional<Result<int>> got;
  start(retry<int>(loop, random, {.attempts = 4, .first_wait = 100ms, .jitter = 0},
                   [&]() -> Task<Result<int>> {
                     if (++attempts < 4) return Result<int>(fail(code::kUnavailable, "away"));
                     return Result<int>(7);
                   }),
        got);
  EXPECT_EQ(attempts, 1);
  advance(99ms);
  EXPECT_EQ(attempts, 1);
  advance(2ms);
  EXPECT_EQ(attempts, 2);
  advance(150ms);
  EXPECT_EQ(attempts, 2);
  advance(60ms);
  EXPECT_EQ(attempts, 3);
  advance(401ms);
  ASSERT_TRUE(got);
  EXPECT_EQ(**got, 7);
}

TEST_F(MultiTest, RetryEndsWithTheLastError) {
  int attempts = 0;
  std::optional<Result<int>> got;
  const auto failing = [&]() -> Task<Result<int>> {
    return Result<int>(fail(code::kTimeout, "attempt {}", ++attempts));
  };
  start(retry<int>(loop, random, {.attempts = 2}, failing), got);
  advance(1s);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->error().detail, "attempt 2");
}

TEST_F(MultiTest, RetryLeavesAloneWhatWillNotPass) {
  int attempts = 0;
  std::optional<Result<int>> got;
  start(retry<int>(loop, random, {.attempts = 9},
                   [&]() -> Task<Result<int>> {
                     ++attempts;
                     return Result<int>(fail(code::kInvalid, "bad"));
                   }),
        got);
  EXPECT_TRUE(got);
  EXPECT_EQ(attempts, 1);
}

TEST_F(MultiTest, RetryBeginsNothingBeyondItsDeadline) {
  int attempts = 0;
  std::optional<Result<int>> got;
  start(retry<int>(loop, random,
                   {.attempts = 100, .first_wait = 100ms, .jitter = 0, .deadline = Deadline::after(clock, 250ms)},
                   [&]() -> Task<Result<int>> {
                     ++attempts;
                     return Result<int>(fail(code::kTimeout, "late"));
                   }),
        got);
  advance(101ms);
  EXPECT_TRUE(got) << "the next wait would end at 300 ms";
  EXPECT_EQ(attempts, 2);
}

TEST_F(MultiTest, WaitsStayInTheirBounds) {
  const RetryOptions options{.first_wait = 100ms, .max_wait = 1s, .factor = 3, .jitter = 0.5};
  for (std::uint32_t failures : {1u, 2u, 3u, 40u, 4'000'000'000u}) {
    for (int i = 0; i < 100; ++i) {
      const auto wait = retry_wait(options, failures, random);
      EXPECT_GE(wait, failures == 1 ? 50ms : failures == 2 ? 150ms : 450ms);
      EXPECT_LE(wait, failures == 1 ? 100ms : failures == 2 ? 300ms : 1s);
    }
  }
  const auto odd = retry_wait(
      {.first_wait = -5s, .max_wait = std::chrono::nanoseconds::max(), .factor = NAN, .jitter = 9}, 3, random);
  EXPECT_GE(odd.count(), 0);
  EXPECT_GE(retry_wait({.first_wait = std::chrono::nanoseconds::max(),
                        .max_wait = std::chrono::nanoseconds::max(),
                        .factor = INFINITY},
                       7, random)
                .count(),
            0);
}

TEST_F(MultiTest, DebounceRunsOnceWhenItIsQuiet) {
  int runs = 0;
  loop.poll();
  Debounce call(loop, {.quiet = 100ms}, [&] { ++runs; });
  for (int i = 0; i < 10; ++i) {
    call();
    advance(50ms);
  }
  EXPECT_EQ(runs, 0);
  advance(60ms);
  EXPECT_EQ(runs, 1);
  advance(10s);
  EXPECT_EQ(runs, 1);
}

TEST_F(MultiTest, DebounceHasALimit) {
  int runs = 0;
  loop.poll();
  Debounce call(loop, {.quiet = 100ms, .at_most = 300ms}, [&] { ++runs; });
  for (int i = 0; i < 7; ++i) {
    call();
    advance(50ms);
  }
  EXPECT_EQ(runs, 1);
  call.flush();
  EXPECT_EQ(runs, 2) << "one call waited";
  call.flush();
  EXPECT_EQ(runs, 2);
}

TEST_F(MultiTest, SingleFlightAsksOnce) {
  SingleFlight<int> flights(loop);
  int asked = 0;
  const auto work = [&]() -> Task<Result<int>> {
    ++asked;
    co_await loop.sleep_for(1s);
    co_return 7;
  };
  std::optional<Result<int>> got[3];
  for (auto& out : got) start(flights.run("a", Deadline::never(), [&] { return work(); }), out);
  EXPECT_EQ(flights.under_way(), 1u);
  advance(2s);
  EXPECT_EQ(asked, 1);
  for (auto& out : got) {
    ASSERT_TRUE(out);
    EXPECT_EQ(**out, 7);
  }
  EXPECT_EQ(flights.under_way(), 0u);
  std::optional<Result<int>> again;
  start(flights.run("a", Deadline::never(), []() -> Task<Result<int>> { return Result<int>(8); }), again);
  EXPECT_EQ(**again, 8) << "nothing is kept";
}

TEST_F(MultiTest, SingleFlightGoesOnWhenItsFirstAskerLeaves) {
  SingleFlight<int> flights(loop);
  const auto work = [&]() -> Task<Result<int>> {
    co_await loop.sleep_for(1s);
    co_return 7;
  };
  auto first = std::make_unique<Task<Result<int>>>(flights.run("a", Deadline::never(), [&] { return work(); }));
  first->start();
  std::optional<Result<int>> second;
  start(flights.run("a", Deadline::after(loop.now(), 10s), [&] { return work(); }), second);
  std::optional<Result<int>> hasty;
  start(flights.run("a", Deadline::after(loop.now(), 100ms), [&] { return work(); }), hasty);
  first.reset();
  advance(500ms);
  ASSERT_TRUE(hasty);
  EXPECT_EQ(hasty->error().code, code::kTimeout);
  advance(600ms);
  ASSERT_TRUE(second);
  EXPECT_EQ(**second, 7);
}

TEST_F(MultiTest, SingleFlightTellsAllOfAThrow) {
  SingleFlight<int> flights(loop, 1);
  const auto work = [&]() -> Task<Result<int>> {
    co_await loop.sleep_for(1s);
    throw std::runtime_error("boom");
  };
  std::optional<Result<int>> got[2];
  for (auto& out : got) start(flights.run("a", Deadline::never(), [&] { return work(); }), out);
  std::optional<Result<int>> refused;
  start(flights.run("b", Deadline::never(), [&] { return work(); }), refused);
  EXPECT_EQ(refused->error().code, code::kTooMany);
  advance(2s);
  for (auto& out : got) EXPECT_THAT(out->error().detail, HasSubstr("boom"));
}

}  // namespace
}  // namespace mg::multi
