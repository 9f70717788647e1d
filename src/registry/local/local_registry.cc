#include "mg/registry/local/local_registry.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "registry/adapter.h"

namespace mg::registry {
namespace {

struct Entry {
  Service service;  // With its one node.
  Clock::TimePoint ends = Clock::TimePoint::max();
};

}  // namespace

class LocalRegistry::State : public std::enable_shared_from_this<State> {
 public:
  State(Loop& home, LocalRegistryOptions options) : home_(home), options_(options) {}

  Result<void> add(Service service, Clock::Duration ttl) {
    if (auto ok = check_registration(service); !ok) return ok;
    const std::lock_guard lock(mutex_);
    const Clock::TimePoint now = home_.clock().now();
    expire(now);
    const std::string id = service.nodes[0].id;
    auto at = nodes_.find(id);
    if (at != nodes_.end() && at->second.service.name != service.name) {  // It moved.
      erase(at);
      at = nodes_.end();
    }
    if (at == nodes_.end() && nodes_.size() >= options_.max_nodes) {
      return fail(code::kTooMany, "registration of node {}: {} nodes are registered already", id, nodes_.size());
    }
    const Clock::TimePoint ends = ttl > ttl.zero() ? Deadline::after(now, ttl).time() : Clock::TimePoint::max();
    if (at == nodes_.end()) {
      tell(Action::kCreate, service);
      by_service_[service.name].emplace(id);
      nodes_.emplace(id, Entry{std::move(service), ends});
    } else {
      if (at->second.service != service) {
        at->second.service = service;
        tell(Action::kUpdate, service);
      }
      at->second.ends = ends;
    }
    watch_lease(ends);
    return {};
  }

  void remove(const std::string& service, const std::string& id) {
    const std::lock_guard lock(mutex_);
    expire(home_.clock().now());
    const auto at = nodes_.find(id);
    if (at != nodes_.end() && at->second.service.name == service) erase(at);
  }

  Result<Services> get(const std::string& service) {
    const std::lock_guard lock(mutex_);
    expire(home_.clock().now());
    const auto known = by_service_.find(service);
    if (known == by_service_.end()) return fail(code::kNotFound, "service {}: not found", service);
    Services& answer = answers_[service];
    if (!answer) {
      std::vector<Service> grouped;
      for (const std::string& id : known->second) group_by_version(grouped, nodes_.at(id).service);
      answer = std::make_shared<const std::vector<Service>>(std::move(grouped));
    }
    return answer;
  }

  Services list() {
    const std::lock_guard lock(mutex_);
    expire(home_.clock().now());
    std::vector<Service> all;
    for (const auto& [name, ids] : by_service_) {
      std::vector<Service> grouped;
      for (const std::string& id : ids) group_by_version(grouped, nodes_.at(id).service);
      std::ranges::move(grouped, std::back_inserter(all));
    }
    return std::make_shared<const std::vector<Service>>(std::move(all));
  }

  void watch(std::shared_ptr<Watching> watching) {
    const std::lock_guard lock(mutex_);
    watches_.add(std::move(watching));
  }
  void unwatch(const Watching* watching) {
    const std::lock_guard lock(mutex_);
    watches_.remove(watching);
  }

  const std::atomic<std::uint64_t>& version() const { return version_; }
  const LocalRegistryOptions& options() const { return options_; }

 private:
  using Nodes = std::map<std::string, Entry>;

  void tell(Action action, const Service& service) {
    answers_.erase(service.name);
    version_.fetch_add(1, std::memory_order_release);
    watches_.tell(action, service);
  }

  void erase(Nodes::iterator at) {
    const Service gone = std::move(at->second.service);
    auto& ids = by_service_[gone.name];
    ids.erase(at->first);
    if (ids.empty()) by_service_.erase(gone.name);
    nodes_.erase(at);
    tell(Action::kDelete, gone);
  }

  // Removes the nodes whose lease has ended. Cost: a comparison as long as none can have.
  void expire(Clock::TimePoint now) {
    if (now < next_end_) return;
    next_end_ = Clock::TimePoint::max();
    for (auto at = nodes_.begin(); at != nodes_.end();) {
      const auto next = std::next(at);
      if (at->second.ends <= now) {
        erase(at);
      } else {
        next_end_ = std::min(next_end_, at->second.ends);
      }
      at = next;
    }
  }

  // Has the home loop look when a lease ends. Renewed leases are found at the end of the old one.
  void watch_lease(Clock::TimePoint ends) {
    next_end_ = std::min(next_end_, ends);
    if (ends >= armed_) return;
    armed_ = ends;
    home_.post_always([self = shared_from_this()] { self->arm(); });
  }
  void arm() {
    const std::lock_guard lock(mutex_);
    if (armed_ != Clock::TimePoint::max()) timer_.arm(home_, armed_);
  }
  void on_timer() {
    const std::lock_guard lock(mutex_);
    expire(home_.clock().now());
    armed_ = next_end_;
    if (armed_ != Clock::TimePoint::max()) timer_.arm(home_, armed_);
  }

  Loop& home_;
  const LocalRegistryOptions options_;
  std::atomic<std::uint64_t> version_{1};
  Timer timer_{[](void* self) { static_cast<State*>(self)->on_timer(); }, this};  // Touched on the home loop only.

  std::mutex mutex_;  // docs/threads.md: "local registry"
  Nodes nodes_;       // By node id.
  std::map<std::string, std::set<std::string>> by_service_;
  std::map<std::string, Services> answers_;
  Watchings watches_;
  Clock::TimePoint next_end_ = Clock::TimePoint::max();  // No lease ends before.
  Clock::TimePoint armed_ = Clock::TimePoint::max();     // When the home loop looks.
};

namespace {

class LocalWatch final : public Watch {
 public:
  LocalWatch(std::weak_ptr<LocalRegistry::State> state, std::shared_ptr<Watching> watching)
      : state_(std::move(state)), watching_(std::move(watching)) {}
  ~LocalWatch() override {
    watching_->close();
    if (const auto state = state_.lock()) state->unwatch(watching_.get());
  }

 private:
  std::weak_ptr<LocalRegistry::State> state_;
  std::shared_ptr<Watching> watching_;
};

}  // namespace

LocalRegistry::LocalRegistry(Loop& home, LocalRegistryOptions options)
    : state_(std::make_shared<State>(home, options)) {}
LocalRegistry::~LocalRegistry() = default;

Task<Result<void>> LocalRegistry::add(Service service, AddOptions options) {
  return state_->add(std::move(service), options.ttl);
}
Task<Result<void>> LocalRegistry::remove(std::string service, std::string node_id, Deadline) {
  state_->remove(service, node_id);
  return Result<void>();
}
Task<Result<Services>> LocalRegistry::get(std::string service, Deadline) {
  return state_->get(service);
}
Task<Result<Services>> LocalRegistry::list(Deadline) {
  return Result<Services>(state_->list());
}

std::unique_ptr<Watch> LocalRegistry::watch(std::string service, Loop& loop, EventHandler handler) {
  auto watching =
      std::make_shared<Watching>(std::move(service), loop, std::move(handler), state_->options().max_queued_events);
  state_->watch(watching);
  return std::make_unique<LocalWatch>(state_, std::move(watching));
}

const std::atomic<std::uint64_t>& LocalRegistry::version() const {
  return state_->version();
}

}  // namespace mg::registry
