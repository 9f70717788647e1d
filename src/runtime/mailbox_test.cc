#include "mg/runtime/mailbox.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "mg/base/clock.h"
#include "mg/runtime/event.h"
#include "mg/runtime/task.h"

namespace mg {
namespace {

using std::chrono::seconds;

class MailboxTest : public ::testing::Test {
 protected:
  // Takes a turn at once; it must be free.
  Mailbox::Turn take(std::uint64_t key) {
    std::optional<Mailbox::Turn> out;
    const auto body = [](Mailbox& m, std::uint64_t k, std::optional<Mailbox::Turn>& o) -> Task<void> {
      auto turn = co_await m.enter(k);
      if (turn) o.emplace(std::move(*turn));
    };
    spawn(body(mailbox_, key, out));
    EXPECT_TRUE(out);
    return std::move(*out);
  }
  // Notes `name` when it has the turn and gives it up at once.
  static Task<void> note(Mailbox& mailbox, std::uint64_t key, int name, std::vector<int>& order,
                         Deadline deadline = Deadline::never()) {
    auto turn = co_await mailbox.enter(key, deadline);
    order.push_back(turn ? name : -turn.error().code);
  }

  ManualClock clock_;
  Loop loop_{LoopOptions{.clock = &clock_}};
  Mailbox mailbox_{loop_};
  std::vector<int> order_;
};

TEST_F(MailboxTest, LetsOneInPerKeyAndOthersByOtherKeys) {
  auto a = take(1);
  auto b = take(2);
  EXPECT_EQ(mailbox_.keys(), 2u);
  spawn(note(mailbox_, 1, 10, order_));
  spawn(note(mailbox_, 3, 30, order_));
  EXPECT_EQ(order_, std::vector{30});
  EXPECT_EQ(mailbox_.waiting(), 1u);
  a.release();
  loop_.poll();
  EXPECT_EQ(order_, (std::vector{30, 10}));
  b.release();
  EXPECT_EQ(mailbox_.keys(), 0u);
}

TEST_F(MailboxTest, AFreeTurnCanBeHadWithoutWaiting) {
  auto turn = mailbox_.try_enter(1);
  ASSERT_TRUE(turn);
  EXPECT_FALSE(mailbox_.try_enter(1));
  spawn(note(mailbox_, 1, 10, order_));
  turn->release();
  EXPECT_FALSE(mailbox_.try_enter(1));  // Who waits has it.
  loop_.poll();
  EXPECT_EQ(order_, std::vector{10});
  EXPECT_TRUE(mailbox_.try_enter(1));
  EXPECT_EQ(mailbox_.keys(), 0u);
}

TEST_F(MailboxTest, GivesTurnsInTheOrderOfAsking) {
  auto turn = take(7);
  for (int i = 0; i < 100; ++i) spawn(note(mailbox_, 7, i, order_));
  turn.release();
  loop_.poll();
  ASSERT_EQ(order_.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order_[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(mailbox_.keys(), 0u);
}

TEST_F(MailboxTest, ANewcomerDoesNotOvertakeWhoHasTheTurnButHasNotRunYet) {
  auto turn = take(7);
  spawn(note(mailbox_, 7, 1, order_));
  turn.release();
  spawn(note(mailbox_, 7, 2, order_));
  EXPECT_TRUE(order_.empty());
  loop_.poll();
  EXPECT_EQ(order_, (std::vector{1, 2}));
}

TEST_F(MailboxTest, TheEndOfATurnDoesNotRunTheNextInside) {
  auto turn = take(7);
  spawn(note(mailbox_, 7, 1, order_));
  turn.release();
  EXPECT_TRUE(order_.empty());
  loop_.poll();
  EXPECT_EQ(order_, std::vector{1});
}

TEST_F(MailboxTest, AHandlerThatWaitsKeepsTheNextOut) {
  Completion<int> answer;
  const auto slow = [](Mailbox& m, Loop& l, Completion<int>& c, std::vector<int>& o) -> Task<void> {
    auto turn = co_await m.enter(7);
    o.push_back(1);
    co_await c.wait(l, Deadline::never());
    o.push_back(2);
  };
  spawn(slow(mailbox_, loop_, answer, order_));
  spawn(note(mailbox_, 7, 3, order_));
  loop_.poll();
  EXPECT_EQ(order_, std::vector{1});
  answer.set(0);
  loop_.poll();
  EXPECT_EQ(order_, (std::vector{1, 2, 3}));
}

TEST_F(MailboxTest, AHandlerMayLetTheNextInEarly) {
  Completion<int> answer;
  const auto slow = [](Mailbox& m, Loop& l, Completion<int>& c, std::vector<int>& o) -> Task<void> {
    auto turn = co_await m.enter(7);
    turn->release();
    co_await c.wait(l, Deadline::never());
    o.push_back(1);
  };
  spawn(slow(mailbox_, loop_, answer, order_));
  spawn(note(mailbox_, 7, 2, order_));
  EXPECT_EQ(order_, std::vector{2});
  answer.set(0);
  EXPECT_EQ(order_, (std::vector{2, 1}));
}

TEST_F(MailboxTest, RefusesWaitersOverTheLimit) {
  Mailbox small(loop_, {.max_waiters = 2});
  std::optional<Mailbox::Turn> held;
  const auto hold = [](Mailbox& m, std::optional<Mailbox::Turn>& o) -> Task<void> {
    o.emplace(std::move(*co_await m.enter(7)));
  };
  spawn(hold(small, held));
  for (int i = 1; i <= 3; ++i) spawn(note(small, 7, i, order_));
  EXPECT_EQ(order_, std::vector{-code::kTooMany});
  held.reset();
  loop_.poll();
  EXPECT_EQ(order_, (std::vector{-code::kTooMany, 1, 2}));
}

TEST_F(MailboxTest, GivesUpAtTheDeadlineAndTheOthersKeepTheirOrder) {
  auto turn = take(7);
  for (int i = 1; i <= 3; ++i) spawn(note(mailbox_, 7, i, order_, Deadline::after(clock_, seconds(i == 2 ? 1 : 100))));
  clock_.advance(seconds(1));
  loop_.poll();
  EXPECT_EQ(order_, std::vector{-code::kTimeout});
  turn.release();
  loop_.poll();
  EXPECT_EQ(order_, (std::vector{-code::kTimeout, 1, 3}));
  EXPECT_TRUE(loop_.timers().empty());
  auto other = take(7);
  spawn(note(mailbox_, 7, 4, order_, Deadline::past()));
  EXPECT_EQ(order_.back(), -code::kTimeout);
}

TEST_F(MailboxTest, ADestroyedWaiterGivesUpItsPlaceAndPassesOnATurnItWasGiven) {
  const auto start = [](Task<void>& task) {
    std::move(task).operator co_await().await_suspend(std::noop_coroutine()).resume();
  };
  auto turn = take(7);
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 4; ++i) tasks.push_back(note(mailbox_, 7, i, order_));
  for (auto& task : tasks) start(task);
  tasks.erase(tasks.begin() + 3);  // The last of the ring.
  tasks.erase(tasks.begin() + 1);  // One inside.
  EXPECT_EQ(mailbox_.waiting(), 2u);
  turn.release();
  tasks.erase(tasks.begin());  // Was given the turn, has not run.
  EXPECT_EQ(mailbox_.waiting(), 1u);
  loop_.poll();
  EXPECT_EQ(order_, std::vector{2});
  EXPECT_EQ(mailbox_.keys(), 0u);
  EXPECT_EQ(mailbox_.waiting(), 0u);
}

TEST_F(MailboxTest, ThousandsOfWaitersNeedNoMoreStackThanOne) {
  Mailbox deep(loop_, {.max_waiters = 100'000});
  std::optional<Mailbox::Turn> held;
  const auto hold = [](Mailbox& m, std::optional<Mailbox::Turn>& o) -> Task<void> {
    o.emplace(std::move(*co_await m.enter(7)));
  };
  spawn(hold(deep, held));
  int ran = 0;
  const auto body = [](Mailbox& m, int& n) -> Task<void> {
    auto turn = co_await m.enter(7);
    ++n;
  };
  for (int i = 0; i < 100'000; ++i) spawn(body(deep, ran));
  held.reset();
  loop_.poll();
  EXPECT_EQ(ran, 100'000);
}

TEST_F(MailboxTest, ManyKeysInAnyOrderStayApart) {
  // Keys that fall into the same place, and many others, checked against a plain map.
  std::mt19937_64 random(5);
  std::map<std::uint64_t, Mailbox::Turn> in;
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 4000; ++i) keys.push_back(i % 2 ? random() : i << 56);
  for (int round = 0; round < 40'000; ++round) {
    const std::uint64_t key = keys[random() % keys.size()];
    if (auto found = in.find(key); found != in.end()) {
      in.erase(found);
    } else {
      in.emplace(key, take(key));
    }
    ASSERT_EQ(mailbox_.keys(), in.size());
  }
  for (auto& [key, turn] : in) {
    const auto before = order_.size();
    spawn(note(mailbox_, key, 1, order_));
    ASSERT_EQ(order_.size(), before) << "somebody is in";
    turn.release();
  }
  loop_.poll();
  EXPECT_EQ(order_.size(), in.size());
  EXPECT_EQ(mailbox_.keys(), 0u);
}

TEST_F(MailboxTest, ATableThatABurstMadeLargeIsGivenBack) {
  std::vector<Mailbox::Turn> turns;
  for (std::uint64_t i = 0; i < 50'000; ++i) turns.push_back(take(i));
  turns.clear();
  EXPECT_EQ(mailbox_.keys(), 0u);
  auto turn = take(5);
  EXPECT_EQ(mailbox_.keys(), 1u);
}

}  // namespace
}  // namespace mg
