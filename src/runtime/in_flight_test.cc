#include "mg/runtime/in_flight.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "mg/base/clock.h"

namespace mg {
namespace {

using std::chrono::seconds;

class InFlightTest : public ::testing::Test {
 protected:
  Task<void> wait(Deadline deadline, std::optional<bool>& out) { out = co_await work_.drained(loop_, deadline); }
  InFlight::Token begin() { return std::move(work_.enter().value()); }

  ManualClock clock_;
  Loop loop_{LoopOptions{.clock = &clock_}};
  InFlight work_;
  std::optional<bool> drained_;
};

TEST_F(InFlightTest, CountsTokens) {
  auto a = begin();
  {
    auto b = begin();
    EXPECT_EQ(work_.count(), 2u);
  }
  InFlight::Token c = std::move(a);
  EXPECT_EQ(work_.count(), 1u);
  c.release();
  c.release();
  EXPECT_EQ(work_.count(), 0u);
}

TEST_F(InFlightTest, RefusesNewWorkOnceClosed) {
  auto a = begin();
  work_.close();
  auto b = work_.enter();
  ASSERT_FALSE(b);
  EXPECT_EQ(b.error().code, code::kUnavailable);
  EXPECT_EQ(work_.count(), 1u);
}

TEST_F(InFlightTest, DrainedAtOnceWhenNothingGoesOn) {
  spawn(wait(Deadline::past(), drained_));
  EXPECT_EQ(drained_, true);
}

TEST_F(InFlightTest, WaitsForTheLastTokenAndContinuesAfterTheTurn) {
  auto a = begin();
  auto b = begin();
  work_.close();
  spawn(wait(Deadline::after(clock_, seconds(10)), drained_));
  a.release();
  loop_.poll();
  EXPECT_FALSE(drained_);
  b.release();
  EXPECT_FALSE(drained_) << "must not run inside the end of the work";
  loop_.poll();
  EXPECT_EQ(drained_, true);
  EXPECT_TRUE(loop_.timers().empty());
}

TEST_F(InFlightTest, SaysSoWhenTheDeadlineComesFirst) {
  auto a = begin();
  work_.close();
  spawn(wait(Deadline::after(clock_, seconds(10)), drained_));
  clock_.advance(seconds(10));
  loop_.poll();
  EXPECT_EQ(drained_, false);
}

TEST_F(InFlightTest, WakesAllWhoWait) {
  auto a = begin();
  std::vector<std::optional<bool>> results(3);
  for (auto& result : results) spawn(wait(Deadline::never(), result));
  std::optional<bool> early;
  spawn(wait(Deadline::after(clock_, seconds(1)), early));
  clock_.advance(seconds(1));
  loop_.poll();
  EXPECT_EQ(early, false);
  a.release();
  loop_.poll();
  for (auto& result : results) EXPECT_EQ(result, true);
}

TEST_F(InFlightTest, WorkBegunAgainBeforeTheEndOfTheTurnIsWaitedForToo) {
  auto a = begin();
  spawn(wait(Deadline::never(), drained_));
  a.release();
  auto b = begin();
  loop_.poll();
  EXPECT_FALSE(drained_);
  b.release();
  loop_.poll();
  EXPECT_EQ(drained_, true);
}

TEST_F(InFlightTest, TheWaiterMayFreeIt) {
  auto own = std::make_unique<InFlight>();
  auto token = std::move(own->enter().value());
  const auto body = [](Loop& loop, std::unique_ptr<InFlight>& work) -> Task<void> {
    work->close();
    co_await work->drained(loop, Deadline::never());
    work.reset();
  };
  spawn(body(loop_, own));
  token.release();
  loop_.poll();
  EXPECT_EQ(own, nullptr);
}

}  // namespace
}  // namespace mg
