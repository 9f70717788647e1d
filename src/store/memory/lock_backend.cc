#include "mg/store/memory/lock_backend.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "mg/base/clock.h"
#include "mg/runtime/event.h"

namespace mg::memory {
namespace {

// Set on its own loop, and only while somebody waits.
struct Waiter {
  Loop& loop;
  Completion<bool> woken;
};

}  // namespace

class LockTable::Impl {
 public:
  explicit Impl(const Clock& c) : clock(c) {}

  struct Record {
    std::string value;
    Clock::TimePoint until;
  };
  // The record of a name when it has not expired. Requires: the mutex.
  Record* find(const std::string& name) {
    const auto at = records.find(name);
    if (at == records.end()) return nullptr;
    if (at->second.until > clock.now()) return &at->second;
    records.erase(at);
    return nullptr;
  }

  const Clock& clock;
  std::mutex mutex;  // docs/threads.md: "lock table"
  std::map<std::string, Record> records;
  std::uint64_t fence = 0;  // One for all locks: it grows for each.
  std::multimap<std::string, std::shared_ptr<Waiter>> waiters;
};

LockTable::LockTable(const Clock* clock) : impl_(std::make_unique<Impl>(clock ? *clock : system_clock())) {}
LockTable::~LockTable() = default;

LockBackend::LockBackend(Loop& loop, LockTable& table) : loop_(loop), table_(*table.impl_) {}
LockBackend::~LockBackend() = default;

Task<Result<std::optional<std::uint64_t>>> LockBackend::take(std::string name, std::string value, lock::Ms ttl,
                                                             std::uint64_t after, Deadline /*deadline*/) {
  using Out = Result<std::optional<std::uint64_t>>;
  std::lock_guard guard(table_.mutex);
  if (table_.find(name)) return Out(std::nullopt);
  table_.records[name] = {std::move(value), Deadline::after(table_.clock, ttl).time()};
  table_.fence = std::max(table_.fence, after) + 1;
  return Out(table_.fence);
}

Task<Result<bool>> LockBackend::renew(std::string name, std::string value, lock::Ms ttl, Deadline /*deadline*/) {
  std::lock_guard guard(table_.mutex);
  auto* const record = table_.find(name);
  if (!record || record->value != value) return Result<bool>(false);
  record->until = Deadline::after(table_.clock, ttl).time();
  return Result<bool>(true);
}

Task<Result<bool>> LockBackend::give(std::string name, std::string value, Deadline /*deadline*/) {
  std::vector<std::shared_ptr<Waiter>> woken;
  {
    std::lock_guard guard(table_.mutex);
    const auto* const record = table_.find(name);
    if (!record || record->value != value) return Result<bool>(false);
    table_.records.erase(name);
    const auto [begin, end] = table_.waiters.equal_range(name);
    for (auto at = begin; at != end; ++at) woken.push_back(at->second);
    table_.waiters.erase(begin, end);
  }
  for (auto& waiter : woken) {
    Loop& loop = waiter->loop;
    loop.post_always([waiter = std::move(waiter)] { waiter->woken.set(true); });
  }
  return Result<bool>(true);
}

Task<Result<std::optional<lock::Ms>>> LockBackend::left(std::string name, std::string value, Deadline /*deadline*/) {
  using Out = Result<std::optional<lock::Ms>>;
  std::lock_guard guard(table_.mutex);
  const auto* const record = table_.find(name);
  if (!record || record->value != value) return Out(std::nullopt);
  return Out(std::chrono::ceil<lock::Ms>(record->until - table_.clock.now()));
}

Task<void> LockBackend::wait(std::string name, Deadline until) {
  // Leaves in every case, also when nobody waits any more.
  struct Place {
    LockTable::Impl& table;
    std::string name;
    std::shared_ptr<Waiter> waiter;
    ~Place() {
      std::lock_guard guard(table.mutex);
      const auto [begin, end] = table.waiters.equal_range(name);
      for (auto at = begin; at != end; ++at) {
        if (at->second != waiter) continue;
        table.waiters.erase(at);
        break;
      }
    }
  } place{table_, std::move(name), std::make_shared<Waiter>(loop_)};
  {
    std::lock_guard guard(table_.mutex);
    // Given up since it was asked for: nobody would tell.
    if (!table_.find(place.name)) co_return;
    table_.waiters.emplace(place.name, place.waiter);
  }
  (void)co_await place.waiter->woken.wait(loop_, until);
}

}  // namespace mg::memory
