#include "store/memory/shard.h"

#include <algorithm>

namespace mg::memory {

std::size_t Store::Shard::sweep(TimePoint now, std::size_t most, Changes* changes) {
  std::size_t gone = 0;
  while (!queue_.empty() && queue_.front().until < now && most-- > 0) {
    const Expiry due = pop();
    Slot* const slot = table.find(due.key);
    if (!slot || slot->entry->until != due.until) continue;  // It was set anew since.
    ++stats.expired;
    ++gone;
    drop(*slot, Change::Kind::kExpired, changes);
  }
  return gone;
}

void Store::Shard::clear(Changes* changes) {
  if (changes) {
    table.for_each([&](const Slot& slot) {
      changes->push_back({Change::Kind::kRemoved, std::move(slot.entry->key), std::move(slot.entry->value)});
    });
  }
  stats.removed += table.size();
  table.clear();
  queue_.clear();
  ring_.clear();
  expiring = stats.bytes = 0;
}

void Store::Shard::note_set(const KeyView& key, const Value& value, Changes& changes) {
  changes.push_back({Change::Kind::kSet, std::string(key.text), value});
}

void Store::Shard::drop(Slot& slot, Change::Kind kind, Changes* changes) {
  Entry& entry = *slot.entry;
  if (max_bytes > 0) stats.bytes -= cost(entry.key, entry.value);
  if (entry.ends()) --expiring;
  if (changes) changes->push_back({kind, std::move(entry.key), std::move(entry.value)});
  table.erase(slot);
}

void Store::Shard::remember(const KeyView& key, TimePoint until) {
  ++expiring;
  if (queue_.size() > 2 * expiring + 64) {  // Mostly of records that were set anew.
    std::erase_if(queue_, [this](const Expiry& item) {
      const Slot* const slot = table.find(item.key);
      return !slot || slot->entry->until != item.until;
    });
    std::make_heap(queue_.begin(), queue_.end());
  }
  queue_.push_back({until, Key(key)});
  std::push_heap(queue_.begin(), queue_.end());
}

Store::Shard::Expiry Store::Shard::pop() {
  std::pop_heap(queue_.begin(), queue_.end());
  Expiry out = std::move(queue_.back());
  queue_.pop_back();
  return out;
}

bool Store::Shard::make_room(const KeyView& key, std::uint64_t size, Changes* changes) {
  if (max_bytes > 0 && size > max_bytes) return false;
  for (;;) {
    const Slot* const there = table.find(key);
    const bool is_new = there == nullptr;
    const std::uint64_t freed = is_new || max_bytes == 0 ? 0 : cost(key.text, there->entry->value);
    const bool fits = (max_records == 0 || table.size() + (is_new ? 1 : 0) <= max_records) &&
                      (max_bytes == 0 || stats.bytes - freed + size <= max_bytes);
    if (fits) return true;
    if (eviction == Eviction::kRefuse || !evict(key.text, changes)) return false;
  }
}

// One record that was not read since its turn came last, other than `key`; after two rounds the next one.
bool Store::Shard::evict(std::string_view key, Changes* changes) {
  for (std::size_t steps = 2 * ring_.size(); steps > 0; --steps) {
    Key next = std::move(ring_.front());
    ring_.pop_front();
    Slot* const slot = table.find(next);
    if (!slot) continue;
    if (std::exchange(slot->used, false) || next.text == key) {
      ring_.push_back(std::move(next));
      continue;
    }
    ++stats.evicted;
    drop(*slot, Change::Kind::kEvicted, changes);
    return true;
  }
  return false;
}

void Store::Shard::line_up(const KeyView& key) {
  if (!bounded() || eviction == Eviction::kRefuse) return;
  if (ring_.size() > 2 * table.size() + 64) {  // Mostly of records that are gone.
    ring_.clear();
    table.for_each([this](const Slot& slot) { ring_.emplace_back(KeyView{slot.entry->key, slot.hash}); });
    return;
  }
  ring_.emplace_back(key);
}

}  // namespace mg::memory
