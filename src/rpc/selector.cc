#include "mg/rpc/selector.h"

#include <algorithm>

namespace mg::rpc {

void NodeHealth::failed(Clock::TimePoint now) {
  const std::uint32_t before = failures_.fetch_add(1, std::memory_order_relaxed);
  const Clock::Duration pause = std::min(kLongestPause, kFirstPause * (1 << std::min<std::uint32_t>(before, 10)));
  until_.store((now + pause).time_since_epoch().count(), std::memory_order_relaxed);
}

void NodeHealth::reset() {
  failures_.store(0, std::memory_order_relaxed);
  until_.store(0, std::memory_order_relaxed);
}

std::size_t pick_random(std::span<const Candidate> nodes, Clock::TimePoint now, Random& random) {
  if (nodes.size() == 1) return 0;
  const std::size_t first = random.below(nodes.size());
  if (!nodes[first].health->set_aside(now)) [[likely]] {
    return first;
  }
  // Redrawn among the others, so that the one after a bad node does not get its share, too.
  std::size_t fit = 0;
  for (const Candidate& node : nodes) fit += !node.health->set_aside(now);
  if (fit == 0) return first;
  std::size_t nth = random.below(fit);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].health->set_aside(now) && nth-- == 0) return i;
  }
  return first;
}

}  // namespace mg::rpc
