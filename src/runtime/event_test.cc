#include "mg/runtime/event.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "mg/base/clock.h"
#include "runtime/testing.h"

namespace mg {
namespace {

using std::chrono::seconds;

class CompletionTest : public ::testing::Test {
 protected:
  static Task<void> await(Loop& loop, Completion<std::string>& completion, Deadline deadline,
                          std::optional<std::optional<std::string>>& out) {
    out = co_await completion.wait(loop, deadline);
  }
  Deadline in(seconds time) const { return Deadline::after(clock_, time); }

  ManualClock clock_;
  Loop loop_{LoopOptions{.clock = &clock_}};
  Completion<std::string> completion_;
  std::optional<std::optional<std::string>> got_;
};

TEST_F(CompletionTest, SetBeforeTheWaitIsThere) {
  EXPECT_TRUE(completion_.set("a"));
  spawn(await(loop_, completion_, in(seconds(1)), got_));
  ASSERT_TRUE(got_);
  EXPECT_EQ(**got_, "a");
}

TEST_F(CompletionTest, SetContinuesTheWaiterAndDisarmsItsTimer) {
  spawn(await(loop_, completion_, in(seconds(1)), got_));
  EXPECT_FALSE(got_);
  EXPECT_EQ(loop_.timers().size(), 1u);
  EXPECT_TRUE(completion_.set("a"));
  ASSERT_TRUE(got_);
  EXPECT_EQ(**got_, "a");
  EXPECT_TRUE(loop_.timers().empty());
}

TEST_F(CompletionTest, TheFirstSetWins) {
  EXPECT_TRUE(completion_.set("a"));
  EXPECT_FALSE(completion_.set("b"));
  spawn(await(loop_, completion_, in(seconds(1)), got_));
  EXPECT_EQ(**got_, "a");
  EXPECT_FALSE(completion_.set("c"));
}

TEST_F(CompletionTest, TheDeadlineGivesNothingAndALaterSetIsKept) {
  spawn(await(loop_, completion_, in(seconds(1)), got_));
  clock_.advance(seconds(1));
  loop_.poll();
  ASSERT_TRUE(got_);
  EXPECT_FALSE(got_->has_value());
  EXPECT_TRUE(completion_.set("late"));
  got_.reset();
  spawn(await(loop_, completion_, in(seconds(1)), got_));
  EXPECT_EQ(**got_, "late");
}

TEST_F(CompletionTest, APassedDeadlineDoesNotWaitButAValueThereWins) {
  spawn(await(loop_, completion_, Deadline::past(), got_));
  ASSERT_TRUE(got_);
  EXPECT_FALSE(got_->has_value());
  completion_.set("a");
  spawn(await(loop_, completion_, Deadline::past(), got_));
  EXPECT_EQ(**got_, "a");
}

TEST_F(CompletionTest, NoDeadlineArmsNoTimer) {
  spawn(await(loop_, completion_, Deadline::never(), got_));
  EXPECT_TRUE(loop_.timers().empty());
  completion_.set("a");
  EXPECT_EQ(**got_, "a");
}

TEST_F(CompletionTest, DestroyingTheWaiterForgetsIt) {
  {
    auto task = await(loop_, completion_, in(seconds(1)), got_);
    std::move(task).operator co_await().await_suspend(std::noop_coroutine()).resume();
    EXPECT_EQ(loop_.timers().size(), 1u);
  }
  EXPECT_TRUE(loop_.timers().empty());
  EXPECT_TRUE(completion_.set("a"));
  EXPECT_FALSE(got_);
}

TEST_F(CompletionTest, AnotherThreadSetsItThroughTheLoop) {
  spawn(await(loop_, completion_, Deadline::never(), got_));
  std::thread other([&] { loop_.post([&] { completion_.set("from afar"); }); });
  ASSERT_TRUE(testing::run_until(loop_, [&] { return got_.has_value(); }));
  other.join();
  EXPECT_EQ(**got_, "from afar");
}

TEST(Completion, CarriesMoveOnlyValues) {
  Loop loop;
  Completion<std::unique_ptr<int>> completion;
  completion.set(std::make_unique<int>(3));
  int got = 0;
  const auto body = [](Loop& l, Completion<std::unique_ptr<int>>& c, int& out) -> Task<void> {
    out = **co_await c.wait(l, Deadline::never());
  };
  spawn(body(loop, completion, got));
  EXPECT_EQ(got, 3);
}

}  // namespace
}  // namespace mg
