// store/memory/light_mutex.h -- a mutex for a few instructions: one exchange each way when nobody waits.
//
//   std::lock_guard guard(mutex);        // LightMutex mutex;
//
// std::mutex takes three times as long, most of it in calls and in fields that only recursive and robust mutexes need.
#pragma once

#include <atomic>
#include <cstdint>

namespace mg::memory {

// Threads: shared. Source: U. Drepper, "Futexes are tricky", mutex 2.
class LightMutex {
 public:
  void lock() noexcept {
    std::uint32_t free = kFree;
    if (!state_.compare_exchange_strong(free, kHeld, std::memory_order_acquire)) [[unlikely]]
      wait();
  }
  void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) [[unlikely]]
      state_.notify_one();
  }

 private:
  enum : std::uint32_t { kFree, kHeld, kAwaited };

  void wait() noexcept {
    while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) {
      state_.wait(kAwaited, std::memory_order_relaxed);
    }
  }

  std::atomic<std::uint32_t> state_{kFree};
};

}  // namespace mg::memory
