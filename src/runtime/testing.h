// runtime/testing.h -- for tests: turns of a loop until something holds.
//
//   Loop loop;
//   spawn(work());
//   ASSERT_TRUE(run_until(loop, [&] { return done; }));
#pragma once

#include <chrono>
#include <thread>

#include "mg/runtime/loop.h"

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

}  // namespace mg::testing
