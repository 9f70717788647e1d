// mg/base/random.h -- randomness as an interface: the kernel's, or a seeded stream that a test can repeat.
//
//   SystemRandom random;
//   std::uint64_t pick = random.below(nodes.size());
//   SeededRandom repeatable(42);
#pragma once

#include <array>
#include <cstdint>

#include "mg/base/bytes.h"

namespace mg {

class Random {
 public:
  virtual ~Random() = default;

  // Fills all of `out`.
  virtual void fill(MutableBytes out) = 0;

  virtual std::uint64_t next();

  // A number in [0, n), all equally likely. Requires: n > 0.
  std::uint64_t below(std::uint64_t n);

  // A number in [0, 1), a multiple of 2^-53.
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
};

// The kernel's generator: for keys, tokens, ids. Threads: shared. Cost: one system call each.
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override;
};

// The same numbers for the same seed, on every machine. Never for secrets. Threads: one at a time.
// Source: xoshiro256**, Blackman & Vigna 2018, "Scrambled linear pseudorandom number generators".
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);

  void fill(MutableBytes out) override;
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace mg
