// mg/runtime/timer.h -- one-shot timers of a loop, embedded in what they time.
//
//   Timer timer_{[](void* self) { static_cast<Session*>(self)->on_timeout(); }, this};
//   timer_.arm(loop, loop.now() + std::chrono::seconds(5));    // again moves it
//   timer_.cancel();                                           // its destructor does, too
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mg {

class Loop;
using TimePoint = std::chrono::steady_clock::time_point;

// Calls a function once, on its loop, at or soon after a point in time.
// Threads: loop. Cost: 40 octets and 16 in the loop's heap while armed; arm and cancel O(log n).
class Timer {
 public:
  using Callback = void (*)(void* context);

  Timer(Callback callback, void* context) noexcept : callback_(callback), context_(context) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { cancel(); }

  void arm(Loop& loop, TimePoint when);
  void cancel() noexcept;
  bool armed() const noexcept { return heap_ != nullptr; }
  TimePoint when() const noexcept;  // Requires: armed()

 private:
  friend class TimerHeap;
  Callback callback_;
  void* context_;
  class TimerHeap* heap_ = nullptr;  // Where it is armed.
  std::uint32_t index_ = 0;          // Its place there.
};

// The armed timers of one loop: a 4-ary heap by time. Threads: loop.
class TimerHeap {
 public:
  TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  void arm(Timer& timer, TimePoint when);
  void remove(Timer& timer) noexcept;
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }
  TimePoint next() const noexcept { return heap_.front().when; }  // Requires: !empty()

  // Fires all timers that are due at `now`, in order of time; those armed by callbacks wait for the next call.
  void fire(TimePoint now);

 private:
  friend class Timer;
  struct Entry {
    TimePoint when;
    Timer* timer;
  };
  void place(std::size_t index, Entry entry) noexcept;
  void sift_up(std::size_t index, Entry entry) noexcept;
  void sift_down(std::size_t index, Entry entry) noexcept;

  std::vector<Entry> heap_;
  TimePoint not_before_ = TimePoint::min();  // While timers fire: the soonest that a new one may be due.
};

inline TimePoint Timer::when() const noexcept {
  return heap_->heap_[index_].when;
}

}  // namespace mg
