#include "mg/base/clock.h"

#include <gtest/gtest.h>

#include "mg/base/deadline.h"

namespace mg {
namespace {

using namespace std::chrono_literals;

TEST(SystemClock, NeverGoesBack) {
  const auto first = system_clock().now();
  EXPECT_GE(system_clock().now(), first);
  EXPECT_GT(system_clock().wall().time_since_epoch(), 0s);
}

TEST(ManualClock, StandsStillUntilAdvanced) {
  ManualClock clock;
  const auto now = clock.now();
  const auto wall = clock.wall();
  EXPECT_EQ(clock.now(), now);
  EXPECT_EQ(wall, ManualClock::kStart);
  clock.advance(1500ms);
  EXPECT_EQ(clock.now() - now, 1500ms);
  EXPECT_EQ(clock.wall() - wall, 1500ms);
}

TEST(ManualClock, WallJumpsAlone) {
  ManualClock clock;
  const auto now = clock.now();
  clock.set_wall(ManualClock::kStart - 1h);
  EXPECT_EQ(clock.now(), now);
  EXPECT_EQ(clock.wall(), ManualClock::kStart - 1h);
}

TEST(Deadline, ExpiresAtItsMomentNotBefore) {
  ManualClock clock;
  const auto deadline = Deadline::after(clock, 10s);
  EXPECT_EQ(deadline.remaining(clock.now()), 10s);
  clock.advance(10s - 1ns);
  EXPECT_FALSE(deadline.expired(clock.now()));
  EXPECT_EQ(deadline.remaining(clock.now()), 1ns);
  clock.advance(1ns);
  EXPECT_TRUE(deadline.expired(clock.now()));
  clock.advance(1h);
  EXPECT_EQ(deadline.remaining(clock.now()), 0s);
}

TEST(Deadline, NeverDoesNotExpire) {
  EXPECT_FALSE(Deadline::never().expired(Clock::TimePoint::max()));
  EXPECT_EQ(Deadline::never().remaining(Clock::TimePoint::min()), Clock::Duration::max());
}

TEST(Deadline, AfterSaturates) {
  ManualClock clock;
  EXPECT_TRUE(Deadline::after(clock, Clock::Duration::max()).is_never());
  EXPECT_TRUE(Deadline::after(clock, Clock::Duration::max() - 1h).is_never());
  EXPECT_TRUE(Deadline::after(clock, -1ns).expired(clock.now()));
  EXPECT_TRUE(Deadline::after(clock, 0s).expired(clock.now()));
  EXPECT_TRUE(Deadline::after(Clock::TimePoint::min(), 1s).expired(Clock::TimePoint::min() + 1s));
}

TEST(Deadline, MinIsTheEarlier) {
  ManualClock clock;
  const auto soon = Deadline::after(clock, 1s), late = Deadline::after(clock, 2s);
  EXPECT_EQ(std::min(late, soon), soon);
  EXPECT_EQ(std::min(late, Deadline::never()), late);
  EXPECT_EQ(std::min(Deadline::past(), soon), Deadline::past());
}

}  // namespace
}  // namespace mg
