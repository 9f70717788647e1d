// store/memory/shard.h -- one part of the memory store: a map with its bounds and the queue of its expiries.
//
//   Shard shard(options);
//   std::lock_guard guard(shard.mutex);
//   shard.set(key, hash, std::move(value), deadline, now, changes);
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/store/memory/memory.h"

namespace mg::memory {

using TimePoint = Clock::TimePoint;
inline constexpr TimePoint kNever = TimePoint::max();

// A change that is told once the lock is given back.
struct PendingChange {
  Change::Kind kind;
  std::string key;
  Value value;
};

// Keys by their hash, which is computed once and picks the shard too.
struct KeyHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::size_t operator()(std::string_view key) const noexcept;
};

struct Entry {
  Value value;
  TimePoint until = kNever;
  Clock::Duration given{0};  // What set() was told when it is 0 or less.
  bool used = false;         // Since the clock hand passed.
};

// Requires: its mutex is held, for everything.
struct alignas(64) Store::Shard {
  using Map = boost::unordered_flat_map<std::string, Entry, KeyHash, std::equal_to<>>;
  using Changes = std::vector<PendingChange>;

  std::mutex mutex;  // docs/threads.md: "memory shard"
  Map map;
  Stats stats;
  std::uint64_t max_records = 0, max_bytes = 0;
  Eviction eviction = Eviction::kSecondChance;

  static std::uint64_t cost(std::string_view key, const Value& value) { return key.size() + value.bytes(); }

  // The record when it has not expired; an expired one is removed. `now` is asked for only when it matters.
  template <class Now>
  Entry* find(std::string_view key, Now now, Changes* changes) {
    const auto at = map.find(key);
    if (at == map.end()) return nullptr;
    if (at->second.until != kNever && now() > at->second.until) {
      ++stats.expired;
      drop(at, Change::Kind::kExpired, changes);
      return nullptr;
    }
    return &at->second;
  }

  // False: it is refused.
  bool set(std::string_view key, Value value, TimePoint until, Clock::Duration given, Changes* changes) {
    const bool bounded = max_records > 0 || max_bytes > 0;
    const std::uint64_t size = max_bytes > 0 ? cost(key, value) : 0;
    if (bounded && !make_room(key, size, changes)) {
      ++stats.refused;
      return false;
    }
    if (changes) changes->push_back({Change::Kind::kSet, std::string(key), value});
    ++stats.sets;
    auto at = map.find(key);
    if (at == map.end()) {
      at = map.emplace(std::string(key), Entry{std::move(value), until, given}).first;
      line_up(at->first);
    } else {
      if (max_bytes > 0) stats.bytes -= cost(key, at->second.value);
      if (at->second.until != kNever) --expiring_;
      at->second.value = std::move(value);
      at->second.until = until;
      at->second.given = given;
      at->second.used = true;
    }
    stats.bytes += size;
    if (until != kNever) remember(at->first, until);
    return true;
  }

  bool remove(std::string_view key, TimePoint now, Changes* changes) {
    const auto at = map.find(key);
    if (at == map.end()) return false;
    const bool expired = now > at->second.until;
    ++(expired ? stats.expired : stats.removed);
    drop(at, expired ? Change::Kind::kExpired : Change::Kind::kRemoved, changes);
    return !expired;
  }

  // Removes at most `most` records that have expired.
  std::size_t sweep(TimePoint now, std::size_t most, Changes* changes) {
    std::size_t gone = 0;
    while (!queue_.empty() && queue_.front().until < now && most-- > 0) {
      const Expiry due = pop();
      const auto at = map.find(due.key);
      if (at == map.end() || at->second.until != due.until) continue;  // It was set anew since.
      ++stats.expired;
      ++gone;
      drop(at, Change::Kind::kExpired, changes);
    }
    return gone;
  }
  bool has_expiries() const { return !queue_.empty(); }

  void clear(Changes* changes) {
    if (changes) {
      for (auto& [key, entry] : map) {
        changes->push_back({Change::Kind::kRemoved, key, std::move(entry.value)});
      }
    }
    stats.removed += map.size();
    map.clear();
    queue_.clear();
    ring_.clear();
    expiring_ = stats.bytes = 0;
  }

 private:
  struct Expiry {
    TimePoint until;
    std::string key;
    bool operator<(const Expiry& other) const { return until > other.until; }  // The soonest on top.
  };

  void drop(Map::iterator at, Change::Kind kind, Changes* changes) {
    if (max_bytes > 0) stats.bytes -= cost(at->first, at->second.value);
    if (at->second.until != kNever) --expiring_;
    if (changes) changes->push_back({kind, at->first, std::move(at->second.value)});
    map.erase(at);
  }

  void remember(const std::string& key, TimePoint until) {
    ++expiring_;
    if (queue_.size() > 2 * expiring_ + 64) {  // Mostly of records that were set anew.
      std::erase_if(queue_, [this](const Expiry& item) {
        const auto at = map.find(item.key);
        return at == map.end() || at->second.until != item.until;
      });
      std::make_heap(queue_.begin(), queue_.end());
    }
    queue_.push_back({until, key});
    std::push_heap(queue_.begin(), queue_.end());
  }
  Expiry pop() {
    std::pop_heap(queue_.begin(), queue_.end());
    Expiry out = std::move(queue_.back());
    queue_.pop_back();
    return out;
  }

  bool make_room(std::string_view key, std::uint64_t size, Changes* changes) {
    if (max_bytes > 0 && size > max_bytes) return false;
    for (;;) {
      const auto there = map.find(key);
      const bool is_new = there == map.end();
      const std::uint64_t freed = is_new || max_bytes == 0 ? 0 : cost(key, there->second.value);
      const bool fits = (max_records == 0 || map.size() + (is_new ? 1 : 0) <= max_records) &&
                        (max_bytes == 0 || stats.bytes - freed + size <= max_bytes);
      if (fits) return true;
      if (eviction == Eviction::kRefuse || !evict(key, changes)) return false;
    }
  }

  // One record that was not read since its turn came last, other than `key`; after two rounds the next one.
  bool evict(std::string_view key, Changes* changes) {
    for (std::size_t steps = 2 * ring_.size(); steps > 0; --steps) {
      std::string next = std::move(ring_.front());
      ring_.pop_front();
      const auto at = map.find(next);
      if (at == map.end()) continue;
      if (std::exchange(at->second.used, false) || next == key) {
        ring_.push_back(std::move(next));
        continue;
      }
      ++stats.evicted;
      drop(at, Change::Kind::kEvicted, changes);
      return true;
    }
    return false;
  }
  void line_up(const std::string& key) {
    if ((max_records == 0 && max_bytes == 0) || eviction == Eviction::kRefuse) return;
    if (ring_.size() > 2 * map.size() + 64) {  // Mostly of records that are gone.
      ring_.clear();
      for (const auto& [each, entry] : map) ring_.push_back(each);
      return;
    }
    ring_.push_back(key);
  }

  std::deque<std::string> ring_;  // Keys in turn to be evicted; also of records that are gone.
  std::vector<Expiry> queue_;     // A heap; also holds what was set anew or removed, until its time or remember().
  std::uint64_t expiring_ = 0;
};

}  // namespace mg::memory
