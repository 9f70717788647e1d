#include "mg/base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "mg/base/check.h"

namespace mg {

std::uint64_t Random::next() {
  std::array<std::byte, 8> octets;
  fill(octets);
  return load<std::uint64_t>(octets.data(), std::endian::little);
}

std::uint64_t Random::below(std::uint64_t n) {
  check(n > 0, "below(0) has no result");
  // High half of next() * n; products whose low half is under 2^64 mod n would make some results likelier.
  // Source: Lemire 2019, "Fast random integer generation in an interval".
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next()) * n;
  if (static_cast<std::uint64_t>(product) < n) {
    const std::uint64_t threshold = -n % n;
    while (static_cast<std::uint64_t>(product) < threshold) product = static_cast<Wide>(next()) * n;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

void SystemRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      check(errno == EINTR, "getrandom failed: the kernel has no random numbers");
      continue;
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

SeededRandom::SeededRandom(std::uint64_t seed) {
  // splitmix64 spreads the seed, so that near seeds give unrelated streams and the state is never all zero.
  for (std::uint64_t& word : state_) {
    std::uint64_t z = seed += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    word = z ^ (z >> 31);
  }
}

std::uint64_t SeededRandom::next() {
  auto& s = state_;
  const std::uint64_t result = std::rotl(s[1] * 5, 7) * 9;
  const std::uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return result;
}

void SeededRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    std::array<std::byte, 8> octets;
    store(octets.data(), next(), std::endian::little);
    const std::size_t size = std::min(out.size(), octets.size());
    std::copy_n(octets.begin(), size, out.begin());
    out = out.subspan(size);
  }
}

}  // namespace mg
