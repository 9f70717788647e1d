// mg/store/documents/documents.h -- the port: collections of documents. Adapters: store/embedded, store/mongo.
//
//   Collection<Role> roles(documents, "role");       // collection.h: what applications use
//   auto written = co_await documents.write({.collection = "role"}, std::move(writes), {});   // what adapters
//   implement
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/task.h"
#include "mg/store/documents/errors.h"
#include "mg/store/documents/filter.h"
#include "mg/store/documents/update.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

// Writes that happen together or not at all; begun by Documents::begin(), used by naming it in calls. Ends as aborted
// when it is destroyed before commit(). Threads: loop, one call at a time.
class Transaction {
 public:
  virtual ~Transaction() = default;
  // Errors: kConflict        nothing was written: begin again
  //         kOutcomeUnknown  as for a write; commit() may be called again and has one effect
  virtual Task<Result<void>> commit(Deadline deadline) = 0;
  virtual Task<Result<void>> abort(Deadline deadline) = 0;
};

struct Call {
  std::string collection = {};
  Deadline deadline = Deadline::never();  // The store's own timeout counts, too.
  Transaction* transaction = nullptr;     // Lifetime: until the call ends.
};

struct FindOptions {
  Sort sort = {};
  std::int64_t skip = 0;
  std::int64_t limit = 0;  // 0: as many as the store allows; more is an error.
  Projection projection = {};
};

// One write. Shape: `kind` says which of the others count.
struct Write {
  enum class Kind : std::uint8_t { kInsert, kUpdate, kReplace, kRemove };
  Kind kind = Kind::kInsert;
  Filter filter = {};      // All but kInsert.
  Document document = {};  // kInsert (an ObjectId is made when it has no `_id`), kReplace.
  Update update = {};      // kUpdate.
  bool many = false;       // kUpdate, kRemove: every document that matches, else the first.
  bool upsert = false;
};

// What writes have done, up to the first that failed when ordered.
struct Written {
  std::int64_t inserted = 0, matched = 0, modified = 0, removed = 0, upserted = 0;
  struct Id {
    std::size_t write;  // Its place in the list.
    Value id;           // Inserted or upserted.
  };
  std::vector<Id> ids;
  struct Fault {
    std::size_t write;
    Error error;
  };
  std::vector<Fault> faults;
};

struct WriteOptions {
  bool ordered = true;  // Stops at the first fault.
};

// A change of one document that tells what was there.
struct Modify {
  Filter filter = {};
  Sort sort = {};  // Which one, when several match.
  enum class Kind : std::uint8_t { kUpdate, kReplace, kRemove } kind = Kind::kUpdate;
  Update update = {};
  Document document = {};
  bool upsert = false;
  bool return_new = false;  // The document after the change instead of before.
  Projection projection = {};
};

struct Index {
  std::vector<Sort::Key> keys = {};
  bool unique = false;
  std::optional<std::chrono::seconds> expire_after = {};  // Of one key that holds dates: then the document goes.
  std::string name = {};  // Empty: as the drivers do, "role_id_1_time_-1". Source: wire.md 8.

  static Index on(Sort sort) { return {.keys = sort.keys()}; }
  Index& make_unique() { return unique = true, *this; }
  Index& expires(std::chrono::seconds after) { return expire_after = after, *this; }
  std::string name_or_default() const;
};

// A database. Every call is awaited on a loop and has the store's timeout; errors: errors.h, and kInvalid for what
// cannot be. Threads: shared. Lifetime: outlives its calls.
class Documents {
 public:
  virtual ~Documents() = default;

  virtual Task<Result<std::vector<Document>>> find(Call call, Filter filter, FindOptions options) = 0;
  // Each write is atomic for each document it touches. The Result is an error when nothing can be said of single
  // writes; what went wrong with one is in `faults`.
  virtual Task<Result<Written>> write(Call call, std::vector<Write> writes, WriteOptions options) = 0;
  // The document before or after; nothing when none matched, or when an upsert made the one that was not there before.
  virtual Task<Result<std::optional<Document>>> modify(Call call, Modify change) = 0;
  virtual Task<Result<std::int64_t>> count(Call call, Filter filter) = 0;
  // Each value of the field once, items of arrays by themselves, in their order.
  virtual Task<Result<Array>> distinct(Call call, Path path, Filter filter) = 0;
  // Stages as the server knows them: the one place where the caller writes operators; never put user data into names.
  // Errors: kInvalid  this store cannot (all but Mongo)
  virtual Task<Result<std::vector<Document>>> aggregate(Call call, std::vector<Document> pipeline) = 0;

  // Those that are there already are left alone. Errors: kExists  documents that break a unique one, or another index
  // has the name
  virtual Task<Result<void>> create_indexes(Call call, std::vector<Index> indexes) = 0;
  virtual Task<Result<void>> drop_index(Call call, std::string name) = 0;
  virtual Task<Result<std::vector<Index>>> indexes(Call call) = 0;  // But the one of `_id`.

  virtual Task<Result<std::vector<std::string>>> collections(Deadline deadline) = 0;
  virtual Task<Result<void>> drop(Call call) = 0;  // That it is not there is no error.

  virtual Task<Result<std::unique_ptr<Transaction>>> begin(Deadline deadline) = 0;

  virtual std::string_view kind() const = 0;  // "embedded", "mongo".
};

// What every adapter does first. Errors: kInvalid
Result<void> check(const Call& call);
Result<void> check(const Write& write);
Result<void> check(const Modify& change);
Result<void> check(const FindOptions& options);
Result<void> check(const Index& index);

}  // namespace mg::documents
