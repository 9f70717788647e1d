// mg/utils/tool/chance.h -- random picks, from the kernel's generator or a seeded one (mg/base/random.h).
//
//   SystemRandom random;
//   std::string token = random_hex(random, 32);
//   Result<std::int64_t> roll = random_between(random, 1, 7);           // 1..6
//   Result<std::size_t> drop = weighted_pick(random, weights); if (hit(random, 0.25)) …
//
// None of them favours a value: no `next() % n`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/base/random.h"

namespace mg::tool {

// `length` lower-case hex digits: for tokens, from SystemRandom.
std::string random_hex(Random& random, std::size_t length);
// `length` characters of `letters`. Requires: 1..256 letters.
std::string random_text(Random& random, std::size_t length,
                        std::string_view letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

// In [min, max). Errors: kInvalid  min >= max
Result<std::int64_t> random_between(Random& random, std::int64_t min, std::int64_t max);

// `count` different numbers of [min, max] in random order; all of them if there are no more.
// Errors: kInvalid  min > max; more than ten million are asked for
Result<std::vector<std::int64_t>> random_distinct(Random& random, std::int64_t min, std::int64_t max,
                                                  std::size_t count);

// True with this probability: never at 0 and less (and NaN), always at 1 and more. Exact to 2^-53.
bool hit(Random& random, double probability);

// The index of a weight, as likely as its part of the sum.
// Errors: kInvalid  no weight is more than 0, one is negative or not finite
Result<std::size_t> weighted_pick(Random& random, std::span<const double> weights);

// Every order as likely as any other. Source: Fisher and Yates.
template <class T>
void shuffle(Random& random, std::span<T> list) {
  for (std::size_t left = list.size(); left > 1; --left) {
    using std::swap;
    swap(list[left - 1], list[random.below(left)]);
  }
}
template <class T>
void shuffle(Random& random, std::vector<T>& list) {
  shuffle(random, std::span<T>(list));
}

// nullptr: the list is empty.
template <class T>
const T* pick(Random& random, const std::vector<T>& list) {
  return list.empty() ? nullptr : &list[random.below(list.size())];
}

// `count` elements of different places in random order; all if there are no more.
template <class T>
std::vector<T> sample(Random& random, std::vector<T> list, std::size_t count) {
  const std::size_t size = list.size();
  const std::size_t most = count < size ? count : size;
  for (std::size_t i = 0; i < most; ++i) {
    using std::swap;
    swap(list[i], list[i + random.below(size - i)]);
  }
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(most), list.end());
  return list;
}

}  // namespace mg::tool
