// What adapters of the registry share: the telling of changes to watches, the grouping of nodes by version.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "mg/registry/registry.h"

namespace mg::registry {

// A watch and what it has still to tell. Threads: tell() is shared, the others belong to `loop`.
class Watching : public std::enable_shared_from_this<Watching> {
 public:
  Watching(std::string service, Loop& loop, EventHandler handler, std::size_t max_queued)
      : service_(std::move(service)), loop_(loop), handler_(std::move(handler)), max_queued_(max_queued) {}

  bool wants(const std::string& service) const { return service_.empty() || service_ == service; }

  void tell(const Event& event) {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= max_queued_) {
      queue_.clear();
      queue_.push_back({.action = Action::kReset, .service = {}});
    }
    queue_.push_back(event);
    if (!std::exchange(posted_, true)) loop_.post_always([self = shared_from_this()] { self->deliver(); });
  }

  // No further call of the handler.
  void close() { closed_ = true; }

 private:
  void deliver() {
    std::deque<Event> events;
    {
      const std::lock_guard lock(mutex_);
      posted_ = false;
      events.swap(queue_);
    }
    for (const Event& event : events) {
      if (closed_) return;
      handler_(event);
    }
  }

  const std::string service_;
  Loop& loop_;
  const EventHandler handler_;
  const std::size_t max_queued_;
  bool closed_ = false;  // Touched on the loop only.

  std::mutex mutex_;  // docs/threads.md: "registry watch"
  std::deque<Event> queue_;
  bool posted_ = false;
};

// The watches of one registry. Threads: one at a time. Lifetime: held by Watch objects, too, weakly.
class Watchings {
 public:
  void add(std::shared_ptr<Watching> watching) { all_.push_back(std::move(watching)); }
  void remove(const Watching* watching) {
    std::erase_if(all_, [&](const auto& each) { return each.get() == watching; });
  }
  void tell(Action action, const Service& service) const {
    for (const auto& watching : all_) {
      if (watching->wants(service.name)) watching->tell({action, service});
    }
  }

 private:
  std::vector<std::shared_ptr<Watching>> all_;
};

// Adds the nodes of `one` to the record of its version, or that record. Shape: `services` are of one name, sorted by
// version.
inline void group_by_version(std::vector<Service>& services, const Service& one) {
  const auto place = std::ranges::lower_bound(services, one.version, {}, &Service::version);
  if (place == services.end() || place->version != one.version) {
    services.insert(place, one);
  } else {
    place->nodes.insert(place->nodes.end(), one.nodes.begin(), one.nodes.end());
  }
}

}  // namespace mg::registry
