// histogram.h -- latencies in buckets of constant relative width.
//
//   Histogram h;
//   h.record(elapsed_ns);
//   double p99_us = h.percentile(0.99) / 1e3;
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace mgbench {

// Log-linear: each power of two is cut into 128 buckets, so a value is off by less than 0.8 %.
// Units: nanoseconds, any int64; negative counts as 0. Cost: 58 KiB; record is a few instructions.
class Histogram {
 public:
  void record(std::int64_t value) {
    const auto positive = static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
    ++counts_[index(positive)];
    ++count_;
    sum_ += static_cast<double>(positive);
    max_ = std::max(max_, positive);
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  // The smallest recorded value (middle of its bucket) that `part` (0..1) of all values do not exceed; 0 when empty.
  double percentile(double part) const {
    const auto wanted =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(part * static_cast<double>(count_) + 0.999999));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && count_ != 0) return std::min(middle(i), static_cast<double>(max_));
    }
    return 0;
  }

  std::uint64_t count() const { return count_; }
  double max() const { return static_cast<double>(max_); }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

 private:
  static constexpr unsigned kBits = 7;
  static constexpr std::uint64_t kLinear = 1U << kBits;

  // Values below 128 stand for themselves; above, 128 buckets per power of two.
  static std::size_t index(std::uint64_t value) {
    if (value < kLinear) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
    return (static_cast<std::size_t>(shift + 1) << kBits) + ((value >> shift) - kLinear);
  }
  static double middle(std::size_t i) {
    if (i < kLinear) return static_cast<double>(i);
    const unsigned shift = static_cast<unsigned>(i >> kBits) - 1;
    const std::uint64_t low = (kLinear + (i & (kLinear - 1))) << shift;
    return static_cast<double>(low) + static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>((64 - kBits) << kBits);
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace mgbench
