// tests/e2e/on_loop.h -- what tests on a thread of their own do with the loops of a running process.
//
//   Result<void> done = on_loop(process, app.cancel("game"));
//   ASSERT_TRUE(eventually([&] { return calls > 20; }));
#pragma once

#include <chrono>
#include <concepts>
#include <functional>
#include <future>
#include <thread>
#include <type_traits>
#include <utility>

#include "mg/app/process.h"
#include "mg/base/check.h"
#include "mg/runtime/task.h"
#include "tests/support/rounds.h"

namespace mg::test {

inline constexpr auto kLongEnough = std::chrono::seconds(60);  // Far more than anything takes.

using testing::rounds;

template <class T>
T on_loop(Process& process, Task<T> task) {
  std::promise<T> promise;
  auto future = promise.get_future();
  process.runtime().loop(0).post_always([&] {
    spawn([](Task<T> awaited, std::promise<T>& out) -> Task<void> { out.set_value(co_await std::move(awaited)); }(
                                                        std::move(task), promise));
  });
  check(future.wait_for(kLongEnough) == std::future_status::ready, "a task of this test does not end");
  return future.get();
}

template <class Done>
bool eventually(Done done) {
  const auto end = std::chrono::steady_clock::now() + kLongEnough;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Of what must be begun on a loop, as calls must.
template <class Fn>
  requires std::invocable<Fn>
auto on_loop(Process& process, Fn begin) {
  struct Run {
    static std::invoke_result_t<Fn> run(Fn& fn) { co_return co_await fn(); }
  };
  return on_loop(process, Run::run(begin));
}

}  // namespace mg::test
