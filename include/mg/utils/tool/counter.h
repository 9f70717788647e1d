// mg/utils/tool/counter.h -- how often something happened: in all, and in the last seconds.
//
//   RateCounter logins(clock);
//   logins.add();
//   double per_second = logins.rate();                 // Of the last ten whole seconds
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "mg/base/clock.h"

namespace mg::tool {

// (To count alone, a std::atomic does.) Threads: one at a time. Cost: no allocation.
class RateCounter {
 public:
  static constexpr std::size_t kSeconds = 10;

  explicit RateCounter(const Clock& clock) : clock_(clock), second_(now()) {}

  void add(std::uint64_t count = 1) {
    turn();
    total_ += count;
    counts_[static_cast<std::size_t>(second_) % counts_.size()] += count;
  }

  std::uint64_t total() const { return total_; }
  // In the last kSeconds seconds that are over, for a second.
  double rate() {
    turn();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (i != static_cast<std::size_t>(second_) % counts_.size()) sum += counts_[i];
    }
    return static_cast<double>(sum) / static_cast<double>(kSeconds);
  }

 private:
  std::int64_t now() const { return std::chrono::floor<std::chrono::seconds>(clock_.now().time_since_epoch()).count(); }
  void turn() {
    const std::int64_t current = now();
    if (current - second_ > static_cast<std::int64_t>(kSeconds)) counts_.fill(0);
    while (second_ < current) {
      if (current - second_ > static_cast<std::int64_t>(kSeconds))
        second_ = current - static_cast<std::int64_t>(kSeconds);
      counts_[static_cast<std::size_t>(++second_) % counts_.size()] = 0;
    }
  }

  const Clock& clock_;
  std::int64_t second_;
  std::uint64_t total_ = 0;
  std::array<std::uint64_t, kSeconds + 1> counts_{};  // By second, the one that runs too.
};

}  // namespace mg::tool
