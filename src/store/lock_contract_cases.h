// store/lock_contract_cases.h -- the cases of LockContract, for the one test program of each backend.
#pragma once

#include "mg/store/tick_lock.h"
#include "store/lock_contract.h"

namespace mg::lock {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST_P(LockContract, IsHeldByOne) {
  auto mine = wait(locks_.obtain("role", 42, {.ttl = 10s}));
  ASSERT_TRUE(mine) << mine.error().detail;
  EXPECT_EQ(mine->name(), "LOCK:role:42");
  EXPECT_EQ(mine->token().size(), 22);
  EXPECT_TRUE(mine->held());
  EXPECT_EQ(wait(others_.obtain("role", 42, {.wait = 0ms})).error().code, code::kTimeout);
  EXPECT_EQ(wait(others_.obtain("role", 42, {.retry = 10ms, .wait = 50ms})).error().code, code::kTimeout);
  auto another = wait(others_.obtain("role", 43, {.wait = 0ms}));
  EXPECT_TRUE(another);
  EXPECT_GT(*wait(mine->ttl()), 5s);
  EXPECT_TRUE(wait(mine->refresh(20s)));
  EXPECT_GT(*wait(mine->ttl()), 15s);
  EXPECT_TRUE(wait(mine->release()));
  EXPECT_FALSE(mine->held());
  auto theirs = wait(others_.obtain("role", 42, {.wait = 0ms}));
  ASSERT_TRUE(theirs);
  EXPECT_EQ(wait(mine->release()).error().code, code::kFinished);
  EXPECT_TRUE(theirs->held());
}

TEST_P(LockContract, FencingNumbersGrow) {
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    auto lock = wait((i % 2 ? locks_ : others_).obtain("f", {.wait = 20s}));
    ASSERT_TRUE(lock);
    EXPECT_GT(lock->fence(), last);
    last = lock->fence();
    ASSERT_TRUE(wait(lock->release()));
  }
  auto lock = wait(locks_.obtain("f", {.fence_after = last + 1'000'000'000'000}));
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->fence(), last + 1'000'000'000'001);
}

TEST_P(LockContract, IsRenewedWhileItLives) {
  auto lock = wait(locks_.obtain("r", {.ttl = 2s}));
  ASSERT_TRUE(lock);
  ASSERT_TRUE(until([&] { return locks_.stats().renewed >= 4; }));
  EXPECT_TRUE(lock->held());
  EXPECT_EQ(wait(others_.obtain("r", {.wait = 0ms})).error().code, code::kTimeout);
  EXPECT_EQ(locks_.stats().lost, 0);
}

TEST_P(LockContract, TheHolderIsToldThatItIsLost) {
  std::string why;
  auto lock = wait(
      locks_.obtain("l", {.ttl = 60ms, .wait = 20s, .renew = false, .on_lost = [&](std::string_view w) { why = w; }}));
  ASSERT_TRUE(lock);
  ASSERT_TRUE(until([&] { return !why.empty(); }));
  EXPECT_FALSE(lock->held());
  EXPECT_EQ(wait(lock->refresh(1s)).error().code, code::kFinished);
  auto next = wait(others_.obtain("l", {.wait = 20s}));
  ASSERT_TRUE(next);
  EXPECT_GT(next->fence(), lock->fence());
  // Its late release does not take the other's lock.
  EXPECT_EQ(wait(lock->release()).error().code, code::kFinished);
  EXPECT_TRUE(wait(next->ttl()));
}

TEST_P(LockContract, ATakeoverIsFoundOutByTheNextRenewal) {
  std::string why;
  auto lock = wait(locks_.obtain("t", {.ttl = 3s, .on_lost = [&](std::string_view w) { why = w; }}));
  ASSERT_TRUE(lock);
  // As if an operator had deleted it and another had taken it.
  ASSERT_TRUE(wait(under_->one().give("LOCK:t:", lock->token(), soon())));
  auto taker = wait(others_.obtain("t", {.ttl = 10s, .wait = 5s}));
  ASSERT_TRUE(taker);
  ASSERT_TRUE(until([&] { return !why.empty(); }));
  EXPECT_THAT(why, ::testing::HasSubstr("somebody else"));
  EXPECT_TRUE(wait(taker->ttl())) << "not retaken";
}

TEST_P(LockContract, AGuardThatDiesReleases) {
  {
    auto lock = wait(locks_.obtain("g", {.ttl = 60s}));
    ASSERT_TRUE(lock);
  }
  EXPECT_TRUE(wait(others_.obtain("g", {.ttl = 5s, .retry = 10ms, .wait = 10s})));
}

TEST_P(LockContract, WaitersHereGetItInTurn) {
  auto lock = wait(locks_.obtain("w", {.ttl = 20s}));
  ASSERT_TRUE(lock);
  std::vector<int> order;
  const auto worker = [](Locks& locks, std::vector<int>& into, int number) -> Task<void> {
    auto got = co_await locks.obtain("w", {.ttl = 10s, .wait = 20s});
    EXPECT_TRUE(got);
    into.push_back(number);
    if (got) {
      EXPECT_TRUE(co_await got->release());
    }
  };
  for (int i = 0; i < 20; ++i) spawn(worker(locks_, order, i));
  EXPECT_EQ(locks_.stats().waiting, 20);
  ASSERT_TRUE(wait(lock->release()));
  ASSERT_TRUE(until([&] { return order.size() == 20; }));
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_P(LockContract, WhoWaitsElsewhereIsWoken) {
  auto lock = wait(locks_.obtain("e", {.ttl = 20s}));
  ASSERT_TRUE(lock);
  std::optional<Result<Guard>> got;
  const auto worker = [](Locks& locks, std::optional<Result<Guard>>& out) -> Task<void> {
    out = co_await locks.obtain("e", {.ttl = 20s, .retry = 15s, .wait = 19s});
  };
  spawn(worker(others_, got));
  const auto start = under_->loop().clock().now();
  const auto later = start + 300ms;  // By then it waits.
  ASSERT_TRUE(until([&] { return under_->loop().clock().now() > later && under_->listens(); }));
  ASSERT_TRUE(wait(lock->release()));
  ASSERT_TRUE(until([&] { return got.has_value(); }));
  EXPECT_TRUE(*got);
  EXPECT_LT(under_->loop().clock().now() - start, 15s) << "not by asking again";
}

TEST_P(LockContract, ManyContendersExcludeEachOther) {
  int inside = 0, most = 0, done = 0;
  const auto worker = [](Loop& loop, Locks& locks, int& in, int& peak, int& ended, int rounds) -> Task<void> {
    for (int i = 0; i < rounds; ++i) {
      auto got = co_await locks.obtain("m", {.ttl = 20s, .retry = 5ms, .wait = 60s});
      EXPECT_TRUE(got);
      if (!got) break;
      peak = std::max(peak, ++in);
      co_await loop.yield();
      --in;
      EXPECT_TRUE(co_await got->release());
    }
    ++ended;
  };
  for (int i = 0; i < 40; ++i) spawn(worker(under_->loop(), i % 2 ? locks_ : others_, inside, most, done, 3));
  ASSERT_TRUE(until([&] { return done == 40; }));
  EXPECT_EQ(most, 1);
  EXPECT_EQ(locks_.stats().obtained + others_.stats().obtained, 120);
}

TEST_P(LockContract, OneNodeRunsTheJobOfATick) {
  TickLock a(under_->loop(), under_->one(), 20s), b(under_->loop(), under_->other(), 20s);
  EXPECT_EQ(wait(a.claim("reset 2024-05-01", 60s)), true);
  EXPECT_EQ(wait(b.claim("reset 2024-05-01", 60s)), false);
  EXPECT_EQ(wait(a.claim("reset 2024-05-01", 60s)), false);
  EXPECT_EQ(wait(b.claim("reset 2024-05-02", 60s)), true);
  // Forgotten after its time, rounded up.
  EXPECT_EQ(wait(a.claim("short", std::chrono::nanoseconds(1))), true);
  ASSERT_TRUE(until([&] { return wait(b.claim("short", std::chrono::nanoseconds(1))) == true; }));
}

// The holder is stopped beyond its time again and again; a store that compares the number refuses its late write. The
// same store without the comparison takes it: the fault is real.
TEST_P(LockContract, ALateWriteOfAPausedHolderIsRefusedByItsNumber) {
  struct Guarded {
    std::uint64_t seen = 0;
    int value = 0;
    bool write(std::uint64_t fence, int v) {
      if (fence < seen) return false;
      seen = fence;
      value = v;
      return true;
    }
  };
  int double_effects = 0, plain_double_effects = 0;
  for (int round = 0; round < 30; ++round) {
    Guarded guarded;
    int plain = 0;
    auto first = wait(locks_.obtain("p", round, {.ttl = 20ms, .wait = 20s, .renew = false}));
    ASSERT_TRUE(first);
    auto second = wait(others_.obtain("p", round, {.ttl = 60s, .retry = 2ms, .wait = 20s}));  // First is "stopped".
    ASSERT_TRUE(second);
    EXPECT_TRUE(guarded.write(second->fence(), 2));
    plain = 2;
    if (guarded.write(first->fence(), 1)) ++double_effects;
    plain = 1;  // Nothing stops it.
    if (plain != 2) ++plain_double_effects;
    EXPECT_EQ(guarded.value, 2);
    EXPECT_FALSE(wait(first->release()));
    EXPECT_TRUE(wait(second->release()));
  }
  EXPECT_EQ(double_effects, 0);
  EXPECT_EQ(plain_double_effects, 30);
}

}  // namespace mg::lock
