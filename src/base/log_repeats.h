// base/log_repeats.h -- how many lines each call of the program may log in a second.
//
//   if (!repeats.pass(text, module, second)) return;                  // Counted
//   repeats.report(second, [](const char* module, std::string_view text, std::uint64_t count) { … });
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace mg::log {

// A call is known by the place of its format text in memory; of 1,024 of them, others are not limited.
// Threads: shared.
class Repeats {
 public:
  // 0: no limit.
  explicit Repeats(std::uint32_t most) : most_(most) {}

  // Whether one more line may be made in this second. Cost: some atomic operations; a lock when it may not.
  bool pass(std::string_view text, const char* module, std::uint32_t second);

  // Tells of the calls whose lines were left out before this second, and forgets them.
  template <class Function>
  void report(std::uint32_t second, Function function) {
    if (!waiting()) return;
    std::unordered_map<const char*, LeftOut> told;
    {
      const std::lock_guard lock(mutex_);
      for (auto it = left_out_.begin(); it != left_out_.end();) {
        const auto next = std::next(it);
        if (it->second.second != second) told.insert(left_out_.extract(it));
        it = next;
      }
      waiting_ = !left_out_.empty();
    }
    for (const auto& [site, call] : told) function(call.module, std::string_view(call.text), call.count);
  }
  // Something is there to be reported.
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  std::uint64_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  struct Site {
    std::atomic<const char*> text{nullptr};
    std::atomic<std::uint64_t> state{0};  // second << 32 | lines in it.
  };
  struct LeftOut {
    std::string text;
    const char* module = "";
    std::uint64_t count = 0;
    std::uint32_t second = 0;
  };
  Site* site_of(const char* text);

  const std::uint32_t most_;
  std::array<Site, 1024> sites_;
  std::atomic<std::uint64_t> total_{0};
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;  // docs/threads.md: "log repeats"
  std::unordered_map<const char*, LeftOut> left_out_;
};

}  // namespace mg::log
