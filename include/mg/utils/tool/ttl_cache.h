// mg/utils/tool/ttl_cache.h -- values by key for a time; the least recently used goes when there are too many.
//
//   TtlCache<std::string, Role> cache({.max_size = 10'000, .ttl = 5min}, clock);
//   cache.put("7", role);
//   if (const Role* role = cache.get("7")) …            // Until the next call that changes the cache
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "mg/base/clock.h"

namespace mg::tool {

struct TtlCacheOptions {
  std::size_t max_size = 10'000;
  std::chrono::nanoseconds ttl{std::chrono::minutes(5)};  // From the last put; <= 0: no end.
};

// By Clock::now, which never jumps. Threads: one at a time (a loop's own; or under a lock of yours).
// `on_drop` is told of values that expire or give way, once each has left; it may use the cache.
// Cost: one look-up in a hash table for each call.
template <class Key, class Value, class Hash = std::hash<Key>>
class TtlCache {
 public:
  using OnDrop = std::function<void(const Key&, Value&)>;

  TtlCache(TtlCacheOptions options, const Clock& clock, OnDrop on_drop = {})
      : options_(options), clock_(clock), on_drop_(std::move(on_drop)) {}
  TtlCache(const TtlCache&) = delete;
  TtlCache& operator=(const TtlCache&) = delete;

  void put(Key key, Value value) { put(std::move(key), std::move(value), options_.ttl); }
  void put(Key key, Value value, std::chrono::nanoseconds ttl) {
    if (options_.max_size == 0) return;
    const auto end =
        ttl.count() > 0 && ttl < Clock::TimePoint::max() - clock_.now() ? clock_.now() + ttl : Clock::TimePoint::max();
    if (const auto found = index_.find(key); found != index_.end()) {
      found->second->value = std::move(value);
      found->second->end = end;
      order_.splice(order_.begin(), order_, found->second);
      return;
    }
    order_.push_front(Entry{key, std::move(value), end});
    index_.emplace(std::move(key), order_.begin());
    while (order_.size() > options_.max_size) drop(std::prev(order_.end()));
  }

  // nullptr: not there, or expired. Lifetime: until the cache changes.
  Value* get(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    if (clock_.now() >= found->second->end) {
      drop(found->second);
      return nullptr;
    }
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->value;
  }

  // False: it was not there. on_drop is not told.
  bool erase(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return false;
    order_.erase(found->second);
    index_.erase(found);
    return true;
  }

  // Drops what has expired among the `most` least recently used; call it now and then if on_drop or memory matters.
  std::size_t sweep(std::size_t most = 1000) {
    std::list<Entry> gone;  // All of it out of the cache before anybody is told.
    const auto now = clock_.now();
    for (auto next = order_.end(); most > 0 && next != order_.begin(); --most) {
      const auto place = std::prev(next);
      if (now >= place->end) {
        index_.erase(place->key);
        gone.splice(gone.end(), order_, place);
      } else {
        next = place;
      }
    }
    if (on_drop_) {
      for (Entry& entry : gone) on_drop_(entry.key, entry.value);
    }
    return gone.size();
  }

  std::size_t size() const { return order_.size(); }
  void clear() {
    index_.clear();
    order_.clear();
  }

 private:
  struct Entry {
    Key key;
    Value value;
    Clock::TimePoint end;
  };
  using Place = typename std::list<Entry>::iterator;

  void drop(Place place) {
    std::list<Entry> gone;  // Out of the cache before anybody is told.
    index_.erase(place->key);
    gone.splice(gone.begin(), order_, place);
    if (on_drop_) on_drop_(gone.front().key, gone.front().value);
  }

  const TtlCacheOptions options_;
  const Clock& clock_;
  OnDrop on_drop_;
  std::list<Entry> order_;  // The most recently used first.
  std::unordered_map<Key, Place, Hash> index_;
};

}  // namespace mg::tool
