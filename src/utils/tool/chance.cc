#include "mg/utils/tool/chance.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <unordered_map>

#include "mg/base/check.h"

namespace mg::tool {

std::string random_text(Random& random, std::size_t length, std::string_view letters) {
  check(!letters.empty() && letters.size() <= 256, "random_text wants 1 to 256 letters");
  // Octets beyond a whole multiple of the letters are thrown away, so that each letter is as likely.
  const std::size_t limit = 256 / letters.size() * letters.size();
  std::string out;
  out.reserve(length);
  std::array<std::byte, 256> octets;
  while (out.size() < length) {
    random.fill(octets);
    for (const std::byte octet : octets) {
      const auto value = std::to_integer<std::size_t>(octet);
      if (value < limit && out.size() < length) out += letters[value % letters.size()];
    }
  }
  return out;
}

std::string random_hex(Random& random, std::size_t length) {
  return random_text(random, length, "0123456789abcdef");
}

Result<std::int64_t> random_between(Random& random, std::int64_t min, std::int64_t max) {
  if (min >= max) return fail(code::kInvalid, "no number from {} on is less than {}", min, max);
  const std::uint64_t span = static_cast<std::uint64_t>(max) - static_cast<std::uint64_t>(min);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(min) + random.below(span));
}

Result<std::vector<std::int64_t>> random_distinct(Random& random, std::int64_t min, std::int64_t max,
                                                  std::size_t count) {
  constexpr std::size_t kMost = 10'000'000;
  if (min > max) return fail(code::kInvalid, "no number is from {} to {}", min, max);
  const std::uint64_t last = static_cast<std::uint64_t>(max) - static_cast<std::uint64_t>(min);
  if (last < count) count = static_cast<std::size_t>(last) + 1;
  if (count > kMost) return fail(code::kInvalid, "{} different numbers are too many", count);
  // A shuffle of which only the places that were moved are kept.
  std::unordered_map<std::uint64_t, std::uint64_t> moved;
  const auto at = [&](std::uint64_t place) {
    const auto found = moved.find(place);
    return found != moved.end() ? found->second : place;
  };
  std::vector<std::int64_t> out;
  out.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    // last - i + 1 would be 2^64 for the whole range.
    const std::uint64_t left = last - i;
    const std::uint64_t other = i + (left == UINT64_MAX ? random.next() : random.below(left + 1));
    const std::uint64_t value = at(other);
    moved[other] = at(i);
    out.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(min) + value));
  }
  return out;
}

bool hit(Random& random, double probability) {
  return random.unit() < probability;
}

Result<std::size_t> weighted_pick(Random& random, std::span<const double> weights) {
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight >= 0) || !std::isfinite(weight)) return fail(code::kInvalid, "{} is no weight", weight);
    sum += weight;
  }
  if (!(sum > 0) || !std::isfinite(sum)) return fail(code::kInvalid, "{} weights with the sum {}", weights.size(), sum);
  double rest = random.unit() * sum;
  std::size_t last = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    last = i;
    if (rest < weights[i]) return i;
    rest -= weights[i];
  }
  return last;  // By rounding.
}

}  // namespace mg::tool
