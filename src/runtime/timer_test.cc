#include "mg/runtime/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <vector>

#include "mg/base/clock.h"
#include "mg/runtime/loop.h"

namespace mg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A timer that writes its number into a list.
struct Numbered {
  Numbered(std::vector<int>& l, int n) : list(l), number(n) {}
  std::vector<int>& list;
  int number;
  Timer timer{[](void* self) {
                auto& me = *static_cast<Numbered*>(self);
                me.list.push_back(me.number);
              },
              this};
};

class TimerTest : public ::testing::Test {
 protected:
  ManualClock clock_;
  Loop loop_{LoopOptions{.clock = &clock_}};
  std::vector<int> fired_;
};

TEST_F(TimerTest, FiresAtItsTimeAndNotBefore) {
  Numbered a(fired_, 1);
  a.timer.arm(loop_, clock_.now() + seconds(5));
  EXPECT_TRUE(a.timer.armed());
  clock_.advance(seconds(5) - std::chrono::nanoseconds(1));
  loop_.poll();
  EXPECT_TRUE(fired_.empty());
  clock_.advance(std::chrono::nanoseconds(1));
  loop_.poll();
  EXPECT_EQ(fired_, std::vector{1});
  EXPECT_FALSE(a.timer.armed());
  clock_.advance(seconds(100));
  loop_.poll();
  EXPECT_EQ(fired_.size(), 1u);
}

TEST_F(TimerTest, ArmingAgainMovesItBothWays) {
  Numbered a(fired_, 1), b(fired_, 2), c(fired_, 3);
  a.timer.arm(loop_, clock_.now() + seconds(1));
  b.timer.arm(loop_, clock_.now() + seconds(2));
  c.timer.arm(loop_, clock_.now() + seconds(3));
  a.timer.arm(loop_, clock_.now() + seconds(4));
  c.timer.arm(loop_, clock_.now() + milliseconds(500));
  EXPECT_EQ(loop_.timers().size(), 3u);
  clock_.advance(seconds(10));
  loop_.poll();
  EXPECT_EQ(fired_, (std::vector{3, 2, 1}));
}

TEST_F(TimerTest, CancelAndDestructionDisarm) {
  Numbered a(fired_, 1);
  a.timer.arm(loop_, clock_.now() + seconds(1));
  a.timer.cancel();
  a.timer.cancel();
  {
    Numbered b(fired_, 2);
    b.timer.arm(loop_, clock_.now() + seconds(1));
  }
  EXPECT_TRUE(loop_.timers().empty());
  clock_.advance(seconds(2));
  loop_.poll();
  EXPECT_TRUE(fired_.empty());
}

TEST_F(TimerTest, ACallbackMayDestroyOthersThatAreDueInTheSameTurn) {
  struct Killer {
    std::unique_ptr<Numbered> victim;
    Timer timer{[](void* self) { static_cast<Killer*>(self)->victim.reset(); }, this};
  } killer;
  killer.victim = std::make_unique<Numbered>(fired_, 1);
  killer.timer.arm(loop_, clock_.now() + seconds(1));
  killer.victim->timer.arm(loop_, clock_.now() + seconds(2));
  clock_.advance(seconds(5));
  loop_.poll();
  EXPECT_TRUE(fired_.empty());
  EXPECT_TRUE(loop_.timers().empty());
}

TEST_F(TimerTest, OneArmedForThePastByACallbackWaitsForTheNextTurn) {
  struct Again {
    Loop& loop;
    int count = 0;
    explicit Again(Loop& l) : loop(l) {}
    Timer timer{[](void* self) {
                  auto& me = *static_cast<Again*>(self);
                  ++me.count;
                  me.timer.arm(me.loop, me.loop.now() - seconds(1));
                },
                this};
  } again(loop_);
  Numbered b(fired_, 1), c(fired_, 2);  // More in the heap must not make it fire more often.
  b.timer.arm(loop_, clock_.now() + seconds(9));
  c.timer.arm(loop_, clock_.now() + seconds(9));
  again.timer.arm(loop_, clock_.now());
  loop_.poll();
  EXPECT_EQ(again.count, 1);
  clock_.advance(milliseconds(1));
  loop_.poll();
  EXPECT_EQ(again.count, 2);
}

TEST_F(TimerTest, MovesToAnotherLoop) {
  Loop other(LoopOptions{.clock = &clock_});
  Numbered a(fired_, 1);
  a.timer.arm(loop_, clock_.now() + seconds(1));
  a.timer.arm(other, clock_.now() + seconds(1));
  EXPECT_TRUE(loop_.timers().empty());
  clock_.advance(seconds(1));
  loop_.poll();
  EXPECT_TRUE(fired_.empty());
  other.poll();
  EXPECT_EQ(fired_, std::vector{1});
}

TEST_F(TimerTest, ATimerMayOutliveItsLoop) {
  Numbered a(fired_, 1);
  {
    Loop other(LoopOptions{.clock = &clock_});
    a.timer.arm(other, clock_.now() + seconds(1));
  }
  EXPECT_FALSE(a.timer.armed());
  a.timer.cancel();
}

TEST_F(TimerTest, HundredThousandFireInOrderWithArmMoveAndCancelMixed) {
  constexpr int kCount = 100'000;
  struct Item {
    TimePoint due;
    bool armed = false;
    std::vector<TimePoint>* fired = nullptr;
    std::size_t* wrong = nullptr;
    Timer timer{[](void* self) {
                  auto& me = *static_cast<Item*>(self);
                  if (!me.armed) ++*me.wrong;
                  me.armed = false;
                  me.fired->push_back(me.due);
                },
                this};
  };
  std::mt19937_64 random(7);
  std::vector<TimePoint> fired;
  std::size_t wrong = 0;
  std::vector<std::unique_ptr<Item>> items;
  const TimePoint start = clock_.now();
  const auto some_time = [&] { return start + milliseconds(1 + random() % 60'000); };
  for (int i = 0; i < kCount; ++i) {
    auto item = std::make_unique<Item>();
    item->fired = &fired;
    item->wrong = &wrong;
    item->due = some_time();
    item->armed = true;
    item->timer.arm(loop_, item->due);
    items.push_back(std::move(item));
  }
  for (int i = 0; i < kCount; ++i) {
    Item& item = *items[random() % kCount];
    if (random() % 3 == 0) {
      item.timer.cancel();
      item.armed = false;
    } else {
      item.due = some_time();
      item.armed = true;
      item.timer.arm(loop_, item.due);
    }
  }
  const auto expected = std::count_if(items.begin(), items.end(), [](const auto& item) { return item->armed; });
  EXPECT_EQ(loop_.timers().size(), static_cast<std::size_t>(expected));
  for (int second = 1; second <= 60; ++second) {
    clock_.advance(seconds(1));
    loop_.poll();
    ASSERT_TRUE(fired.empty() || fired.back() <= start + seconds(second));
  }
  EXPECT_EQ(fired.size(), static_cast<std::size_t>(expected));
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(loop_.timers().empty());
}

}  // namespace
}  // namespace mg
