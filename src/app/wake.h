// Wake: a loop's coroutine sleeps until somebody says there is something to look at.
//
//   co_await wake.wait();     // returns at once when rung since the last wait
//   wake.ring();
#pragma once

#include <coroutine>
#include <utility>

namespace mg {

// Threads: loop. One waiter.
class Wake {
 public:
  void ring() {
    rung_ = true;
    if (waiter_) std::exchange(waiter_, {}).resume();
  }
  auto wait() {
    struct Awaiter {
      Wake& wake;
      bool await_ready() const noexcept { return wake.rung_; }
      void await_suspend(std::coroutine_handle<> awaiter) const noexcept { wake.waiter_ = awaiter; }
      void await_resume() const noexcept { wake.rung_ = false; }
    };
    return Awaiter{*this};
  }

 private:
  bool rung_ = false;
  std::coroutine_handle<> waiter_{};
};

}  // namespace mg
