#include "mg/store/memory/memory.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/base/random.h"
#include "store/memory/shard.h"
#include "store/memory/snapshot.h"

namespace mg::memory {
namespace {

constexpr std::size_t kSweepPerSet = 4;  // More than one, so that the expired get fewer.

std::uint64_t share(std::uint64_t whole, std::uint64_t parts) {
  return whole == 0 ? 0 : std::max<std::uint64_t>(1, whole / parts);
}

// Not against chosen keys, unless the secret stays one. Source: wyhash: folded multiplications, 16 octets at a time, of
// which the last overlap.
std::size_t hash_of(std::string_view key, std::uint64_t secret) noexcept {
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;
  const char* at = key.data();
  const std::size_t size = key.size();
  const char* const end = at + size;
  std::uint64_t first = 0, last = 0;
  if (size >= 8) {
    for (; end - at > 16; at += 16) {
      secret = fold(word_at<std::uint64_t>(at) ^ secret, word_at<std::uint64_t>(at + 8) ^ (secret + kOdd));
    }
    // At least 8 octets are before the end, in what was folded or in what is left.
    first = word_at<std::uint64_t>(end - std::min<std::ptrdiff_t>(end - key.data(), 16));
    last = word_at<std::uint64_t>(end - 8);
  } else if (size >= 4) {
    first = word_at<std::uint32_t>(at);
    last = word_at<std::uint32_t>(end - 4);
  } else if (size > 0) {
    const auto octet = [&](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(key[i])); };
    first = octet(0) << 16 | octet(size / 2) << 8 | octet(size - 1);
  }
  return fold(fold(first ^ secret, last ^ (secret + kOdd)), kOdd ^ size);
}

}  // namespace

class Store::Impl {
 public:
  explicit Impl(const Options& options)
      : clock(options.clock ? *options.clock : system_clock()),
        count(std::bit_ceil(std::clamp<std::uint32_t>(options.shards, 1, 4096))) {
    // Few records are not spread so thin that single shards refuse while others are empty.
    if (options.max_records > 0) {
      while (count > 1 && options.max_records / count < 16) count /= 2;
    }
    if (options.max_bytes > 0) {
      while (count > 1 && options.max_bytes / count < 64 * 1024) count /= 2;
    }
    shards = std::make_unique<Shard[]>(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      shards[i].max_records = share(options.max_records, count);
      shards[i].max_bytes = share(options.max_bytes, count);
      shards[i].eviction = options.eviction;
    }
  }

  // Where a key is: its shard, and its place there by the other half of its hash.
  struct Place {
    Shard& shard;
    KeyView key;
  };
  Place place(std::string_view key) const {
    const std::uint64_t hash = hash_of(key, secret);
    return {shards[(hash >> 32) & (count - 1)], {key, static_cast<std::uint32_t>(hash)}};
  }

  // Runs `function(changes)` under the lock of a shard, then tells the listeners; of no changes when nobody listens.
  template <class Function>
  auto locked(Shard& shard, Function function) {
    if (!listening.load(std::memory_order_acquire)) [[likely]] {
      std::lock_guard guard(shard.mutex);
      return function(nullptr);
    }
    Shard::Changes changes;
    struct Tell {
      Impl& impl;
      Shard::Changes& changes;
      ~Tell() { impl.tell(changes); }
    } tell{*this, changes};
    std::lock_guard guard(shard.mutex);
    return function(&changes);
  }

  void tell(const Shard::Changes& changes) {
    if (changes.empty()) return;
    std::shared_ptr<const Listeners> all;
    {
      std::lock_guard guard(listeners_mutex);
      all = listeners;
    }
    for (const auto& change : changes) {
      for (const auto& [number, listener] : *all) listener({change.kind, change.key, &change.value});
    }
  }

  TimePoint until(Duration expiry) const {
    return expiry.count() <= 0 ? TimePoint{} + expiry : Deadline::after(clock, expiry).time();
  }

  using Listeners = std::vector<std::pair<std::uint64_t, Listener>>;
  const Clock& clock;
  const std::uint64_t secret = SystemRandom().next();
  std::uint32_t count;
  std::unique_ptr<Shard[]> shards;
  std::atomic<bool> listening{false};
  std::mutex listeners_mutex;  // docs/threads.md: "memory listeners"
  std::shared_ptr<const Listeners> listeners = std::make_shared<Listeners>();
  std::uint64_t next_listener = 1;
};

Store::Store(Options options) : impl_(std::make_unique<Impl>(options)) {}
Store::~Store() = default;

// Without a text, as the Go original has it: a miss is no fault, and costs no allocation.
Error Store::not_found(std::string_view /*key*/) {
  return make_error(code::kNotFound, "");
}

Store::Held::Held(Shard& locked) : shard(&locked) {
  shard->mutex.lock();
}

Store::Held::~Held() {
  if (shard) shard->mutex.unlock();
}

Store::Held Store::look(std::string_view key) {
  const auto [shard, hashed] = impl_->place(key);
  Shard::Changes changes;
  Shard::Changes* const told = impl_->listening.load(std::memory_order_acquire) ? &changes : nullptr;
  Held held(shard);
  if (const Entry* const entry = shard.read(hashed, [&] { return impl_->clock.now(); }, told)) [[likely]] {
    held.value = &entry->value;
  } else {
    std::exchange(held.shard, nullptr)->mutex.unlock();
    impl_->tell(changes);
  }
  return held;
}

Result<Value> Store::get(std::string_view key) {
  const Held held = look(key);
  if (!held.value) return std::unexpected(not_found(key));
  return *held.value;
}

Result<void> Store::set(std::string_view key, Value value, Duration expiry) {
  const auto [shard, hashed] = impl_->place(key);
  const bool set = impl_->locked(shard, [&](Shard::Changes* changes) {
    if (shard.expiring > 0) shard.sweep(impl_->clock.now(), kSweepPerSet, changes);
    return shard.set(hashed, std::move(value), impl_->until(expiry), changes);
  });
  if (!set) return fail(code::kTooMany, "no room for the record \"{}\": the memory store is full", key);
  return {};
}

Result<void> Store::update(std::string_view key, std::function<std::optional<Value>(const Value*)> change) {
  const auto [shard, hashed] = impl_->place(key);
  const bool set = impl_->locked(shard, [&](Shard::Changes* changes) {
    const Slot* const slot = shard.find(hashed, [&] { return impl_->clock.now(); }, changes);
    auto value = change(slot ? &slot->entry->value : nullptr);
    if (!value) return true;
    return shard.set(hashed, *std::move(value), slot ? slot->entry->until : TimePoint{}, changes);
  });
  if (!set) return fail(code::kTooMany, "no room for the record \"{}\": the memory store is full", key);
  return {};
}

Result<std::vector<Record>> Store::read(std::span<const std::string> keys) {
  std::vector<Record> out;
  for (const auto& key : keys) {
    const auto [shard, hashed] = impl_->place(key);
    const bool found = impl_->locked(shard, [&](Shard::Changes* changes) {
      const TimePoint now = impl_->clock.now();
      const Entry* const entry = shard.read(hashed, [&] { return now; }, changes);
      if (!entry) return false;
      out.push_back({key, entry->value, entry->left(now)});
      return true;
    });
    if (!found) return std::unexpected(not_found(key));
  }
  return out;
}

std::vector<Record> Store::list() {
  std::vector<Record> out;
  for (std::uint32_t i = 0; i < impl_->count; ++i) {
    Shard& shard = impl_->shards[i];
    impl_->locked(shard, [&](Shard::Changes* changes) {
      const TimePoint now = impl_->clock.now();
      shard.sweep(now, ~std::size_t{0}, changes);
      shard.table.for_each(
          [&](const Slot& slot) { out.push_back({slot.entry->key, slot.entry->value, slot.entry->left(now)}); });
    });
  }
  return out;
}

Result<void> Store::write(std::span<const Record> records) {
  Result<void> out;
  for (const auto& record : records) {
    if (auto set = this->set(record.key, record.value, record.expiry); !set && out) out = std::move(set);
  }
  return out;
}

bool Store::remove(std::string_view key) {
  const auto [shard, hashed] = impl_->place(key);
  return impl_->locked(shard,
                       [&](Shard::Changes* changes) { return shard.remove(hashed, impl_->clock.now(), changes); });
}

std::size_t Store::remove(std::span<const std::string> keys) {
  std::size_t removed = 0;
  for (const auto& key : keys) removed += remove(std::string_view(key)) ? 1 : 0;
  return removed;
}

void Store::clear() {
  for (std::uint32_t i = 0; i < impl_->count; ++i) {
    Shard& shard = impl_->shards[i];
    impl_->locked(shard, [&](Shard::Changes* changes) { shard.clear(changes); });
  }
}

std::size_t Store::sweep() {
  std::size_t gone = 0;
  for (std::uint32_t i = 0; i < impl_->count; ++i) {
    Shard& shard = impl_->shards[i];
    gone += impl_->locked(shard, [&](Shard::Changes* changes) {
      return shard.expiring > 0 ? shard.sweep(impl_->clock.now(), ~std::size_t{0}, changes) : 0;
    });
  }
  return gone;
}

std::uint64_t Store::listen(Listener listener) {
  std::lock_guard guard(impl_->listeners_mutex);
  auto changed = std::make_shared<Impl::Listeners>(*impl_->listeners);
  changed->emplace_back(impl_->next_listener, std::move(listener));
  impl_->listeners = std::move(changed);
  impl_->listening.store(true, std::memory_order_release);
  return impl_->next_listener++;
}

void Store::unlisten(std::uint64_t number) {
  std::lock_guard guard(impl_->listeners_mutex);
  auto changed = std::make_shared<Impl::Listeners>(*impl_->listeners);
  std::erase_if(*changed, [&](const auto& item) { return item.first == number; });
  impl_->listening.store(!changed->empty(), std::memory_order_release);
  impl_->listeners = std::move(changed);
}

Stats Store::stats() const {
  Stats sum;
  for (std::uint32_t i = 0; i < impl_->count; ++i) {
    Shard& shard = impl_->shards[i];
    std::lock_guard guard(shard.mutex);
    sum.records += shard.table.size();
    sum.bytes += shard.stats.bytes;
    sum.hits += shard.stats.hits;
    sum.misses += shard.stats.misses;
    sum.sets += shard.stats.sets;
    sum.removed += shard.stats.removed;
    sum.expired += shard.stats.expired;
    sum.evicted += shard.stats.evicted;
    sum.refused += shard.stats.refused;
  }
  return sum;
}

Result<std::uint64_t> Store::save(const std::string& file) {
  const std::vector<Record> records = list();
  std::uint64_t written = 0;
  const std::string octets = write_snapshot(records, impl_->clock.wall(), &written);
  if (auto done = replace_file(file, octets); !done) return std::unexpected(std::move(done).error());
  return written;
}

Result<std::uint64_t> Store::load(const std::string& file) {
  auto octets = read_file(file);
  if (!octets) return std::unexpected(std::move(octets).error());
  auto records = read_snapshot(*octets, impl_->clock.wall());
  if (!records) return fail(records.error().code, "{}: {}", file, records.error().detail);
  if (auto done = write(*records); !done) return std::unexpected(std::move(done).error());
  return records->size();
}

}  // namespace mg::memory
