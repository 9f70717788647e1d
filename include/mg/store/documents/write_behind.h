// mg/store/documents/write_behind.h -- documents kept in memory, changed there, and written behind.
//
//   WriteBehind<Role> roles(loop, documents, {.collection = "role"});
//   const Role* role = *co_await roles.load(7);                  // read once; from then on it is in memory
//   roles.change(7, [](Role& r) { r.gold += 5; });               // at once; written within Options::interval
//   co_await roles.stop(deadline);                               // what is not written yet is, before the end
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"
#include "mg/store/documents/documents.h"
#include "mg/store/documents/encoding.h"

namespace mg::documents {

// In each document: a number that every write here sets anew. It says which state a write was made from, not which one
// is younger.
inline constexpr std::string_view kVersionField = "_version";

// A document whose changes cannot be written any more; it has left the memory.
struct Lost {
  Value id;
  Error error;       // kConflict  somebody else wrote or removed it · kExists, kInvalid, kForbidden  the store refuses
  Document changed;  // The fields that were changed and not written, as they were.
};

struct WriteBehindOptions {
  std::string collection = {};
  std::chrono::milliseconds interval{1000};  // From the first change to its write; a document has one write in it.
  std::size_t flush_at = 1000;               // So many changed documents are written without waiting for it.
  std::size_t batch = 64;                    // Documents in one call of the store, 1..1000.
  std::size_t max_dirty = 100'000;           // Changed documents; changes of more are refused with kTooMany.
  std::size_t max_clean = 100'000;           // Unchanged ones that stay in memory; those used longest ago go.
  std::chrono::milliseconds timeout{3000};   // Of one call of the store.
  std::chrono::milliseconds first_pause{100}, longest_pause{5000};  // Before the store is tried again.
  // Threads: callback, on the loop. None: it is logged as an error.
  std::function<void(const Lost&)> on_lost = {};
};

struct WriteBehindStats {
  std::size_t clean = 0, dirty = 0;  // Documents in memory; dirty: with changes that are not known to be written.
  std::uint64_t loads = 0;           // Documents read from the store.
  std::uint64_t written = 0;         // Documents written,
  std::uint64_t calls = 0;           // in so many calls,
  std::uint64_t failures = 0;        // so many of which failed and were made again.
  std::uint64_t lost = 0;            // See Lost.
  Clock::Duration oldest{};          // Since the first change that is not written: what a crash would lose.
};

namespace detail {

struct CachedItem {
  virtual ~CachedItem() = default;
  virtual Result<Document> encode() const = 0;
};

// The untyped half.
class WriteBehindCore {
 public:
  using Item = std::unique_ptr<CachedItem>;
  using Decode = Result<Item> (*)(const Document&);

  WriteBehindCore(Loop& loop, Documents& documents, WriteBehindOptions options);
  WriteBehindCore(const WriteBehindCore&) = delete;
  WriteBehindCore& operator=(const WriteBehindCore&) = delete;
  ~WriteBehindCore();

  Task<Result<CachedItem*>> load(Value id, Decode decode);
  CachedItem* find(const Value& id);
  Result<CachedItem*> change(const Value& id);
  Task<Result<CachedItem*>> add(Item item);
  Task<Result<void>> remove(Value id);
  Task<Result<void>> flush(Deadline deadline);
  Task<Result<void>> stop(Deadline deadline);
  WriteBehindStats stats() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace detail

// The documents of one collection that this process works on. One process has a document at a time (a lock sees to
// it); when two do, the second one's write is refused by its version and told as Lost: nothing is overwritten.
//
// Only fields that differ from what the store has are written; fields that T does not name are left alone.
// A write whose outcome is not known is made again as it was until it is known, and has one effect.
// stop() loses nothing. A crash loses what was changed in the last `interval` and while one call of the store takes;
// while the store fails, all since it began to fail, of max_dirty documents at most.
//
// Threads: loop. Lifetime: the store outlives it and its calls. Cost: beside T, a Document as the store has it; the
// loop encodes `batch` documents in one go.
template <class T>
class WriteBehind {
 public:
  WriteBehind(Loop& loop, Documents& documents, WriteBehindOptions options)
      : core_(loop, documents, std::move(options)) {}

  // From memory, or the store; those who load one document at the same time share a read. Lifetime of what is returned
  // here: until the next co_await. Errors: kNotFound · kInvalid  it does not fit T · of the store
  Task<Result<const T*>> load(Value id) {
    if (const T* const there = find(id)) return Result<const T*>(there);
    return load_it(std::move(id));
  }
  // nullptr: not in memory.
  const T* find(const Value& id) { return value(core_.find(id)); }
  // Runs fn(T&) at once; it must leave `_id` as it is, and not wait. Errors: kNotFound  not in memory ·
  // kTooMany  max_dirty others wait to be written · kFinished  stopped. Then fn has not run.
  template <class Fn>
  Result<void> change(const Value& id, Fn fn) {
    auto item = core_.change(id);
    if (!item) return std::unexpected(std::move(item).error());
    fn(static_cast<Item&>(**item).value);
    return {};
  }
  // Inserts it at once. Errors: kInvalid  it has no `_id` · kExists · kFinished · of the store
  Task<Result<const T*>> add(T item) { co_return pointer(co_await core_.add(std::make_unique<Item>(std::move(item)))); }
  // From the store, at once, and from memory. Changes that were not written go with it. Errors: of the store; then it
  // is not in memory any more
  Task<Result<void>> remove(Value id) { return core_.remove(std::move(id)); }

  // Writes all that is changed now. Errors: kUnavailable  how many were not written in time, and why
  Task<Result<void>> flush(Deadline deadline) { return core_.flush(deadline); }
  // As flush(), and refuses changes from now on. After an error it may be called again.
  Task<Result<void>> stop(Deadline deadline) { return core_.stop(deadline); }
  WriteBehindStats stats() const { return core_.stats(); }

 private:
  struct Item final : detail::CachedItem {
    explicit Item(T v) : value(std::move(v)) {}
    Result<Document> encode() const override { return to_document(value); }
    T value;
  };
  Task<Result<const T*>> load_it(Value id) { co_return pointer(co_await core_.load(std::move(id), &decode)); }
  static Result<std::unique_ptr<detail::CachedItem>> decode(const Document& from) {
    auto item = from_document<T>(from);
    if (!item) return std::unexpected(std::move(item).error());
    return std::make_unique<Item>(*std::move(item));
  }
  static const T* value(const detail::CachedItem* item) {
    return item ? &static_cast<const Item&>(*item).value : nullptr;
  }
  static Result<const T*> pointer(const Result<detail::CachedItem*>& got) {
    if (!got) return std::unexpected(got.error());
    return value(*got);
  }
  detail::WriteBehindCore core_;
};

}  // namespace mg::documents
