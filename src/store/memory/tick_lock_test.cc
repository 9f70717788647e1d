#include "mg/store/tick_lock.h"

#include <gtest/gtest.h>

#include "mg/store/memory/lock_backend.h"
#include "runtime/testing.h"

namespace mg::lock {
namespace {

using namespace std::chrono_literals;

TEST(TickLock, OneNodeGetsEachTime) {
  ManualClock clock;
  Loop loop{{.clock = &clock}};
  memory::LockTable table(&clock);
  memory::LockBackend first_backend(loop, table);
  memory::LockBackend second_backend(loop, table);
  TickLock first(loop, first_backend);
  TickLock second(loop, second_backend);
  const auto claims = [&](TickLock& node, std::string key) {
    const auto got = mg::testing::await_on(loop, node.claim(std::move(key), 1h));
    EXPECT_TRUE(got) << (got ? "" : got.error().detail);
    return got.value_or(false);
  };
  EXPECT_TRUE(claims(first, "schedule/reset/1"));
  EXPECT_FALSE(claims(second, "schedule/reset/1"));
  EXPECT_FALSE(claims(first, "schedule/reset/1"));
  EXPECT_TRUE(claims(second, "schedule/reset/2"));
  clock.advance(2h);
  EXPECT_TRUE(claims(second, "schedule/reset/1")) << "what was claimed is remembered for so long";
}

TEST(TickLock, SchedulersOfTwoNodesRunAJobOnce) {
  ManualClock clock;
  Loop loop{{.clock = &clock}};
  memory::LockTable table(&clock);
  memory::LockBackend backend(loop, table);
  TickLock claims(loop, backend);
  schedule::Scheduler one(loop, {.lock = &claims});
  schedule::Scheduler two(loop, {.lock = &claims});
  int runs = 0;
  for (auto* node : {&one, &two}) {
    ASSERT_TRUE(node->every("save", 10s, [&] { return ++runs, Task<void>::done(); }, {.cluster = true}));
  }
  for (int i = 0; i < 60; ++i) {
    clock.advance(1s);
    for (int n = 0; n < 8; ++n) loop.poll();
  }
  EXPECT_EQ(runs, 6);
}

}  // namespace
}  // namespace mg::lock
