// mg/store/memory/memory.h -- records of a process: key, value, expiry.
//
//   memory::Store memory({.max_records = 100'000});
//   memory.set("role:7", Role{...}, 30s);
//   Result<Role> role = memory.get<Role>("role:7");     // kNotFound once the 30 s are over
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/store/memory/value.h"

namespace mg::memory {

// What happens to a new record when the store is full.
enum class Eviction : std::uint8_t {
  kRefuse,        // It is refused with kTooMany.
  kSecondChance,  // A record goes that was not read for a while (the clock algorithm).
};

struct Options {
  const Clock* clock = nullptr;   // The system's when null. Must outlive the store.
  std::uint32_t shards = 64;      // Parts with a lock each, 1..4096; made a power of two.
  std::uint64_t max_records = 0;  // 0: no bound. Held in each shard for its part, so reached a little earlier.
  std::uint64_t max_bytes = 0;    // Of keys and values as Value::bytes() says; 0: no bound.
  Eviction eviction = Eviction::kSecondChance;
};

// One record. Units: expiry is what is left at the time it was read; 0 or less: it never ends.
struct Record {
  std::string key;
  Value value;
  Clock::Duration expiry{0};
};

// What a listener is told. Lifetime: during the call.
struct Change {
  enum class Kind : std::uint8_t { kSet, kRemoved, kExpired, kEvicted };
  Kind kind;
  std::string_view key;
  const Value* value;  // The new one for kSet, else the one that went.
};

struct Stats {
  std::uint64_t hits = 0, misses = 0;
  std::uint64_t sets = 0, removed = 0, expired = 0, evicted = 0, refused = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

// A record is there while the time since it was set is at most its expiry; then it is found nowhere and its memory is
// freed, at the latest when its shard is next written to or at sweep().
// Threads: shared. Cost: one lock of a shard and one look-up; time is read only for records with an expiry.
class Store {
 public:
  using Duration = Clock::Duration;
  using Listener = std::function<void(const Change&)>;

  explicit Store(Options options = {});
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  // Puts a value in place of what was there. Units: an expiry of 0 or less never ends.
  // Errors: kTooMany  full, and the policy is to refuse, or it alone is larger than max_bytes allows a shard
  Result<void> set(std::string_view key, Value value, Duration expiry = Duration{0});

  // Errors: kNotFound  no such record
  Result<Value> get(std::string_view key);
  // Errors: also kInvalid  it holds another type
  template <class T>
  Result<T> get(std::string_view key) {
    const Held held = look(key);
    if (!held.value) return std::unexpected(not_found(key));
    auto out = held.value->get<T>();
    if (!out) [[unlikely]]
      out.error().detail = fmt::format("record \"{}\": {}", key, out.error().detail);
    return out;
  }
  // Forgiving, as dtype::parse. Errors: kNotFound
  template <dtype::Scalar T>
  Result<T> parse(std::string_view key) {
    const Held held = look(key);
    if (!held.value) return std::unexpected(not_found(key));
    return held.value->parse<T>();
  }
  Result<std::int64_t> get_int(std::string_view key) { return parse<std::int64_t>(key); }
  Result<std::int32_t> get_int32(std::string_view key) { return parse<std::int32_t>(key); }
  Result<std::int64_t> get_int64(std::string_view key) { return parse<std::int64_t>(key); }
  Result<std::uint32_t> get_uint32(std::string_view key) { return parse<std::uint32_t>(key); }
  Result<std::uint64_t> get_uint64(std::string_view key) { return parse<std::uint64_t>(key); }
  Result<bool> get_bool(std::string_view key) { return parse<bool>(key); }
  Result<std::string> get_str(std::string_view key) { return parse<std::string>(key); }

  // Calls `use` with the value while it cannot change; false: no such record. `use` must not call this store.
  bool visit(std::string_view key, const auto& use) {
    const Held held = look(key);
    if (held.value) use(*held.value);
    return held.value != nullptr;
  }
  // Changes a value in one step; its expiry stays. `change` gets nothing when there is no record (then it never ends);
  // returns the new value, or nothing to leave all as it is. Must not call this store.
  // Errors: as set()
  Result<void> update(std::string_view key, std::function<std::optional<Value>(const Value*)> change);

  // All of them or none, in the order asked for. Errors: kNotFound  one is missing
  Result<std::vector<Record>> read(std::span<const std::string> keys);
  // In no order. Cost: one shard is locked at a time, so it is no picture of one moment.
  std::vector<Record> list();
  // Each as by set(). Errors: as set(), of the first that failed; the others are written
  Result<void> write(std::span<const Record> records);
  // Returns: how many were there.
  std::size_t remove(std::span<const std::string> keys);
  bool remove(std::string_view key);
  void clear();

  // Removes what has expired; for a timer. Returns: how many.
  std::size_t sweep();

  // Called for each change after it was made, on the thread that made it, without a lock: of changes to one key by
  // several threads the order may differ. Returns: a number for unlisten(). Requires: it does not throw.
  std::uint64_t listen(Listener listener);
  void unlisten(std::uint64_t number);

  // Writes all records to a file, which is replaced in one step and is on disk then. Types of their own are left out.
  // Returns: how many were written. Errors: kServer  the system refused; names the file
  Result<std::uint64_t> save(const std::string& file);
  // Sets all records of a file that save() wrote; what expired meanwhile is left out. A damaged file changes nothing.
  // Returns: how many were set. Errors: kNotFound  no such file · kInvalid  damaged, or no such file format · as set()
  Result<std::uint64_t> load(const std::string& file);

  Stats stats() const;
  std::uint64_t size() const { return stats().records; }

 private:
  struct Shard;
  class Impl;
  // A value that nobody changes while this is there; nullptr: no such record.
  struct Held {
    explicit Held(Shard& locked);
    Held(Held&& other) noexcept : value(other.value), shard(std::exchange(other.shard, nullptr)) {}
    Held& operator=(Held&&) = delete;
    ~Held();
    const Value* value = nullptr;
    Shard* shard;
  };
  Held look(std::string_view key);
  static Error not_found(std::string_view key);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mg::memory
