// runtime/testing.h -- for tests: turns of a loop until something holds.
//
//   Loop loop;
//   spawn(work());
//   ASSERT_TRUE(run_until(loop, [&] { return done; }));
//   Result<int> got = await_on(loop, work());
#pragma once

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "mg/base/check.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::testing {

// Polls `loop` until `done()`, for 20 s at most; false when it does not come to hold.
template <class Done>
bool run_until(Loop& loop, Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    if (!loop.poll()) std::this_thread::yield();
  }
  return true;
}

// The value of `task`, run on `loop`. Aborts when it has none within 20 s: what it refers to is the test's.
template <class T>
T await_on(Loop& loop, Task<T> task) {
  std::optional<T> value;
  const auto store = [](Task<T> awaited, std::optional<T>& out) -> Task<void> { out = co_await std::move(awaited); };
  loop.post_always([&] { spawn(store(std::move(task), value)); });
  check(run_until(loop, [&] { return value.has_value(); }), "a task of this test does not end");
  return std::move(*value);
}

}  // namespace mg::testing
