#include "mg/utils/multi/retry.h"

#include <algorithm>
#include <cmath>

namespace mg::multi {

bool is_passing(const Error& error) {
  return error.code == code::kTimeout || error.code == code::kTooMany || error.code == code::kUnavailable;
}

std::chrono::nanoseconds retry_wait(const RetryOptions& options, std::uint32_t failures, Random& random) {
  const double most = static_cast<double>(std::max<std::int64_t>(options.max_wait.count(), 0));
  const double first = static_cast<double>(std::max<std::int64_t>(options.first_wait.count(), 0));
  const double grown = first * std::pow(std::max(options.factor, 1.0), failures > 0 ? failures - 1.0 : 0.0);
  const double wait = grown < most ? grown : most;  // Also when it is infinite.
  const double chance = std::clamp(options.jitter, 0.0, 1.0) * random.unit();
  const double nanoseconds = wait * (1 - chance);
  constexpr double kEnd = 9.2e18;  // Below the limit of std::int64_t.
  return std::chrono::nanoseconds(nanoseconds >= kEnd ? static_cast<std::int64_t>(kEnd)
                                                      : static_cast<std::int64_t>(nanoseconds));
}

}  // namespace mg::multi
