#include "mg/rpc/selector.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace mg::rpc {
namespace {

// FNV-1a, then a mixer: the same in every process. Source: the 64-bit finaliser of MurmurHash3.
std::uint64_t mixed(std::uint64_t hash) {
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return mixed(hash);
}

class RoundRobin final : public Picker {
 public:
  std::size_t pick(std::span<const Candidate> nodes, const Context&, Clock::TimePoint now, Random& random) override {
    if (!next_) next_ = random.below(nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::size_t at = (*next_ + i) % nodes.size();
      if (nodes[at].health->set_aside(now)) continue;
      next_ = at + 1;
      return at;
    }
    return (*next_)++ % nodes.size();
  }

 private:
  std::optional<std::size_t> next_;
};

class LeastPending final : public Picker {
 public:
  std::size_t pick(std::span<const Candidate> nodes, const Context&, Clock::TimePoint now, Random& random) override {
    const std::size_t first = random.below(nodes.size());
    std::size_t best = first;
    std::pair<bool, std::uint32_t> least{true, UINT32_MAX};  // Set aside or not, calls that wait.
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::size_t at = (first + i) % nodes.size();
      const std::pair<bool, std::uint32_t> its{nodes[at].health->set_aside(now), nodes[at].pending};
      if (its >= least) continue;
      least = its;
      best = at;
    }
    return best;
  }
};

class ConsistentHash final : public Picker {
 public:
  explicit ConsistentHash(std::string key) : key_(std::move(key)) {}
  void update(std::span<const Candidate> nodes) override {
    hashes_.clear();
    for (const Candidate& node : nodes) hashes_.push_back(hash_of(node.uuid));
  }
  std::size_t pick(std::span<const Candidate> nodes, const Context& context, Clock::TimePoint now,
                   Random& random) override {
    if (nodes.size() == 1) return 0;
    const std::string_view value = context.meta().get(key_);
    if (value.empty()) return pick_random(nodes, now, random);
    const std::uint64_t hash = hash_of(value);
    std::size_t best = 0;
    std::pair<bool, std::uint64_t> most{false, 0};  // Fit or not, weight.
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::pair<bool, std::uint64_t> its{!nodes[i].health->set_aside(now), mixed(hash ^ hashes_[i])};
      if (its < most) continue;
      most = its;
      best = i;
    }
    return best;
  }

 private:
  const std::string key_;
  std::vector<std::uint64_t> hashes_;  // Of the nodes.
};

}  // namespace

void NodeHealth::failed(Clock::TimePoint now) {
  const std::uint32_t before = failures_.fetch_add(1, std::memory_order_relaxed);
  const Clock::Duration pause = std::min(kLongestPause, kFirstPause * (1 << std::min<std::uint32_t>(before, 10)));
  until_.store((now + pause).time_since_epoch().count(), std::memory_order_relaxed);
}

void NodeHealth::missed(Clock::TimePoint now) {
  if (misses_.fetch_add(1, std::memory_order_relaxed) + 1 < kMisses || set_aside(now)) return;
  failed(now);
}

void NodeHealth::reset() {
  misses_.store(0, std::memory_order_relaxed);
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

PickerFactory round_robin() {
  return [] { return std::make_unique<RoundRobin>(); };
}
PickerFactory least_pending() {
  return [] { return std::make_unique<LeastPending>(); };
}
PickerFactory consistent_hash(std::string key) {
  return [key = std::move(key)] { return std::make_unique<ConsistentHash>(key); };
}

Result<PickerFactory> picker_of(std::string_view name) {
  constexpr std::string_view kHash = "hash:";
  if (name.empty() || name == "random") return PickerFactory();
  if (name == "round_robin") return round_robin();
  if (name == "least_pending") return least_pending();
  if (name.starts_with(kHash) && name.size() > kHash.size()) {
    return consistent_hash(std::string(name.substr(kHash.size())));
  }
  return fail(code::kInvalid, "random, round_robin, least_pending or hash:<metadata key>");
}

}  // namespace mg::rpc
