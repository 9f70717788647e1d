// mg/utils/multi/debounce.h -- many calls in a short time become one.
//
//   Debounce save(loop, {.quiet = 200ms, .at_most = 2s}, [&] { store(role); });
//   save();      // on every change; store runs when 200 ms have passed without one, or 2 s after the first
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "mg/runtime/loop.h"
#include "mg/runtime/timer.h"

namespace mg::multi {

struct DebounceOptions {
  std::chrono::nanoseconds quiet{std::chrono::milliseconds(100)};  // Without a call, before the function runs.
  std::chrono::nanoseconds at_most{0};                             // From the first call on; 0: no limit.
};

// Threads: loop. Its end drops a call that waits: flush() first if it must not be lost.
class Debounce {
 public:
  Debounce(Loop& loop, DebounceOptions options, std::function<void()> function)
      : loop_(loop), options_(options), function_(std::move(function)) {}
  Debounce(const Debounce&) = delete;
  Debounce& operator=(const Debounce&) = delete;

  void operator()() {
    if (!timer_.armed()) first_ = loop_.now();
    auto when = loop_.now() + options_.quiet;
    if (options_.at_most.count() > 0) when = std::min(when, first_ + options_.at_most);
    timer_.arm(loop_, when);
  }

  bool waiting() const noexcept { return timer_.armed(); }
  // Runs the function now if a call waits.
  void flush() {
    if (!timer_.armed()) return;
    timer_.cancel();
    function_();
  }
  void cancel() noexcept { timer_.cancel(); }

 private:
  Loop& loop_;
  const DebounceOptions options_;
  const std::function<void()> function_;
  TimePoint first_{};  // Of the calls that wait.
  Timer timer_{[](void* self) { static_cast<Debounce*>(self)->function_(); }, this};
};

}  // namespace mg::multi
