#include "mg/base/random.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace mg {
namespace {

// Gives chosen numbers, to reach the rare branch of below().
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<std::uint64_t> numbers) : numbers_(std::move(numbers)) {}
  void fill(MutableBytes) override { FAIL(); }
  std::uint64_t next() override { return numbers_.at(at_++); }
  std::size_t used() const { return at_; }

 private:
  std::vector<std::uint64_t> numbers_;
  std::size_t at_ = 0;
};

TEST(SeededRandom, RepeatsForTheSameSeed) {
  SeededRandom a(42), b(42), c(43);
  const auto first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, c.next());
}

TEST(SeededRandom, MatchesTheReferenceNumbers) {
  // The authors' xoshiro256** after their splitmix64 of seed 0.
  SeededRandom random(0);
  EXPECT_EQ(random.next(), 0x99EC5F36CB75F2B4u);
  EXPECT_EQ(random.next(), 0xBF6E1F784956452Au);
  EXPECT_EQ(random.next(), 0x1A5F849D4933E6E0u);
}

TEST(SeededRandom, FillsEveryOctetOfAnySize) {
  for (std::size_t size : {0, 1, 7, 8, 9, 100}) {
    std::vector<std::byte> once(size), again(size);
    SeededRandom(7).fill(once);
    SeededRandom(7).fill(again);
    EXPECT_EQ(once, again);
    if (size == 100) EXPECT_GT(std::set<std::byte>(once.begin(), once.end()).size(), 50u);
  }
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  SeededRandom random(1);
  std::vector<int> hits(6);
  for (int i = 0; i < 60000; ++i) ++hits.at(random.below(6));
  for (int n : hits) EXPECT_NEAR(n, 10000, 500);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, BelowRejectsTheBiasedNumbers) {
  // With n = 3 * 2^62 a quarter of all numbers must be thrown away: those whose low product half is < 2^62.
  const std::uint64_t n = 3ull << 62;
  ScriptedRandom random({0, 1});
  EXPECT_EQ(random.below(n), 0u);
  EXPECT_EQ(random.used(), 2u);
}

TEST(RandomDeathTest, BelowZeroAborts) {
  SeededRandom random(1);
  EXPECT_DEATH(random.below(0), "below\\(0\\) has no result");
}

TEST(Random, UnitIsInHalfOpenRange) {
  ScriptedRandom random({0, ~0ull});
  EXPECT_EQ(random.unit(), 0.0);
  EXPECT_LT(random.unit(), 1.0);
}

TEST(SystemRandom, GivesDifferentNumbersToAllThreads) {
  SystemRandom random;
  std::vector<std::vector<std::uint64_t>> got(4);
  std::vector<std::thread> threads;
  for (auto& mine : got) {
    threads.emplace_back([&random, &mine] {
      for (int i = 0; i < 1000; ++i) mine.push_back(random.next());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::uint64_t> all;
  for (auto& mine : got) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 4000u);
}

TEST(SystemRandom, FillsLargeBuffers) {
  // More than one getrandom call may give.
  std::vector<std::byte> out(1 << 20);
  SystemRandom().fill(out);
  EXPECT_EQ(std::set<std::byte>(out.end() - 65536, out.end()).size(), 256u);
}

}  // namespace
}  // namespace mg
