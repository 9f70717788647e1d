// store/memory/shard.h -- one part of the memory store: a table with its bounds and the queue of its expiries.
//
//   Shard shard(options);
//   std::lock_guard guard(shard.mutex);
//   shard.set({key, hash}, std::move(value), until, changes);
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/store/memory/memory.h"
#include "store/memory/light_mutex.h"
#include "store/memory/table.h"

namespace mg::memory {

// A change that is told once the lock is given back.
struct PendingChange {
  Change::Kind kind;
  std::string key;
  Value value;
};

// Requires: its mutex is held, for everything.
struct alignas(64) Store::Shard {
  using Changes = std::vector<PendingChange>;

  LightMutex mutex;  // docs/threads.md: "memory shard"
  Table table;
  std::uint64_t max_records = 0, max_bytes = 0;
  std::uint64_t expiring = 0;  // Records with an end.
  Stats stats;                 // What it begins with is in the second line, and the last that most calls touch.
  Eviction eviction = Eviction::kSecondChance;

  static std::uint64_t cost(std::string_view key, const Value& value) { return key.size() + value.bytes(); }

  bool bounded() const { return max_records > 0 || max_bytes > 0; }

  // The record when it has not expired; an expired one is removed. `now` is asked for only when it matters.
  template <class Now>
  Slot* find(const KeyView& key, Now now, Changes* changes) {
    Slot* const slot = table.find(key);
    if (!slot) return nullptr;
    if (slot->entry->ends() && now() > slot->entry->until) [[unlikely]] {
      ++stats.expired;
      drop(*slot, Change::Kind::kExpired, changes);
      return nullptr;
    }
    return slot;
  }
  // As find, and it counts as read.
  template <class Now>
  const Entry* read(const KeyView& key, Now now, Changes* changes) {
    Slot* const slot = find(key, now, changes);
    if (!slot) {
      ++stats.misses;
      return nullptr;
    }
    ++stats.hits;
    if (bounded()) slot->used = true;
    return slot->entry.get();
  }

  // False: it is refused.
  bool set(const KeyView& key, Value&& value, TimePoint until, Changes* changes) {
    const std::uint64_t size = max_bytes > 0 ? cost(key.text, value) : 0;
    if (bounded() && !make_room(key, size, changes)) [[unlikely]] {
      ++stats.refused;
      return false;
    }
    if (changes) note_set(key, value, *changes);
    ++stats.sets;
    if (max_bytes > 0) stats.bytes += size;
    if (Slot* const slot = table.find(key)) [[likely]] {
      Entry& entry = *slot->entry;
      if (max_bytes > 0) stats.bytes -= cost(key.text, entry.value);
      if (entry.ends()) --expiring;
      entry.value = std::move(value);
      entry.until = until;
      if (bounded()) slot->used = true;
    } else {
      table.insert(key.hash, std::make_unique<Entry>(Entry{std::move(value), std::string(key.text), until}));
      line_up(key);
    }
    if (until > TimePoint{}) remember(key, until);
    return true;
  }

  bool remove(const KeyView& key, TimePoint now, Changes* changes) {
    Slot* const slot = table.find(key);
    if (!slot) return false;
    const bool expired = slot->entry->ends() && now > slot->entry->until;
    ++(expired ? stats.expired : stats.removed);
    drop(*slot, expired ? Change::Kind::kExpired : Change::Kind::kRemoved, changes);
    return !expired;
  }

  // Removes at most `most` records that have expired.
  std::size_t sweep(TimePoint now, std::size_t most, Changes* changes);

  void clear(Changes* changes);

 private:
  struct Expiry {
    TimePoint until;
    Key key;
    bool operator<(const Expiry& other) const { return until > other.until; }  // The soonest on top.
  };

  static void note_set(const KeyView& key, const Value& value, Changes& changes);
  void drop(Slot& slot, Change::Kind kind, Changes* changes);
  void remember(const KeyView& key, TimePoint until);
  Expiry pop();
  bool make_room(const KeyView& key, std::uint64_t size, Changes* changes);
  bool evict(std::string_view key, Changes* changes);
  void line_up(const KeyView& key);

  std::deque<Key> ring_;       // In turn to be evicted; also of records that are gone.
  std::vector<Expiry> queue_;  // A heap; also holds what was set anew or removed, until its time or remember().
};

}  // namespace mg::memory
