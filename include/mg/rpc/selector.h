// mg/rpc/selector.h -- which of a service's nodes a call goes to.
//
//   client.set_picker("room", rpc::consistent_hash("Role-Id"));      // a player's calls go to one node
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/base/random.h"
#include "mg/rpc/transport.h"

namespace mg::rpc {

// How calls to one node went lately, shared by all loops. A node that could not be reached is set aside at once, one
// that let kMisses calls in a row come to their deadline then; it is tried again after a pause that doubles with every
// failure. Threads: shared.
class NodeHealth {
 public:
  static constexpr Clock::Duration kFirstPause = std::chrono::milliseconds(100);
  static constexpr Clock::Duration kLongestPause = std::chrono::seconds(10);
  static constexpr std::uint32_t kMisses = 5;

  bool set_aside(Clock::TimePoint now) const {
    return until_.load(std::memory_order_relaxed) > now.time_since_epoch().count();
  }
  void failed(Clock::TimePoint now);
  void missed(Clock::TimePoint now);  // A deadline.
  void worked() {
    if (failures_.load(std::memory_order_relaxed) != 0 || misses_.load(std::memory_order_relaxed) != 0) reset();
  }

 private:
  void reset();
  std::atomic<Clock::Duration::rep> until_{0};
  std::atomic<std::uint32_t> failures_{0};
  std::atomic<std::uint32_t> misses_{0};
};

// One node that a method may be called on, seen from one loop. Threads: loop.
struct Candidate {
  const Node* node;
  std::string_view uuid;
  std::shared_ptr<NodeHealth> health;
  std::unique_ptr<Route> route;
  std::uint32_t pending = 0;  // Calls of this loop that wait for an answer.
};

// A rule of choice. There is one object for each (method, loop). Threads: loop.
class Picker {
 public:
  virtual ~Picker() = default;
  // The nodes have changed. Lifetime: `nodes` until the next update.
  virtual void update(std::span<const Candidate> nodes) { (void)nodes; }
  // Index of the node for this call; preferably none that is set aside at `now`. Requires: nodes is not empty.
  virtual std::size_t pick(std::span<const Candidate> nodes, const Context& context, Clock::TimePoint now,
                           Random& random) = 0;
};
using PickerFactory = std::function<std::unique_ptr<Picker>()>;

// Uniformly random over those not set aside, over all when all are. What calls do unless told otherwise.
std::size_t pick_random(std::span<const Candidate> nodes, Clock::TimePoint now, Random& random);

// The other rules. All pass over nodes that are set aside, unless all are.
// Each node in turn, by uuid, from a random one on.
PickerFactory round_robin();
// The one with the fewest calls of this loop and method that wait for an answer; any of several.
PickerFactory least_pending();
// By the value of a metadata key: calls with the same value go to the same node, from every process. When nodes come
// or go only the values of those move (rendezvous hashing). Calls without a value go to any. Cost: about 3 ns a node.
PickerFactory consistent_hash(std::string key);

// By name: "round_robin", "least_pending", "hash:<metadata key>"; null for "random" and "". Errors: kInvalid  which are
Result<PickerFactory> picker_of(std::string_view name);

}  // namespace mg::rpc
