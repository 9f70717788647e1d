#include "mg/store/documents/tables.h"

#include <algorithm>
#include <unordered_set>

#include "mg/runtime/loop.h"

namespace mg::documents {

Task<Result<std::int64_t>> get_inc_id(Documents& documents, std::string counter, Deadline deadline) {
  Modify change{
      .filter = by_id(counter), .update = Update().inc("n", std::int64_t{1}), .upsert = true, .return_new = true};
  auto found =
      co_await documents.modify({.collection = std::string(kCounters), .deadline = deadline}, std::move(change));
  if (!found) co_return std::unexpected(std::move(found).error());
  const auto number = *found ? detail::whole((*found)->at("n")) : std::nullopt;
  if (!number || *number == 0) {
    co_return fail(code::kInvalid, "counter {} of {} gave no number", counter, kCounters);
  }
  co_return *number;
}

Task<Result<void>> create_tables(Documents& documents, Tables tables, Deadline deadline) {
  std::unordered_set<std::string_view> names;
  for (const Table& table : tables) {
    if (!names.insert(table.name).second) co_return fail(code::kInvalid, "table {}: described twice", table.name);
    for (const std::string* key : {&table.primary_key, &table.foreign_key}) {
      if (!key->empty() && !table.fields.empty() && std::ranges::find(table.fields, *key) == table.fields.end()) {
        co_return fail(code::kInvalid, "table {}: key \"{}\" is no field of its struct", table.name, *key);
      }
    }
  }
  auto there = co_await documents.collections(deadline);
  if (!there) co_return std::unexpected(std::move(there).error());
  for (Table& table : tables) {
    if (std::ranges::find(*there, table.name) != there->end()) continue;
    const Call call{.collection = table.name, .deadline = deadline};
    if (!table.indexes.empty()) {
      auto made = co_await documents.create_indexes(call, std::move(table.indexes));
      if (!made) co_return fail(made.error().code, "table {}: {}", table.name, made.error().detail);
    }
    if (!table.data.empty()) {
      auto ids = co_await detail::insert_many(documents, call, std::move(table.data));
      if (!ids) co_return fail(ids.error().code, "table {}: {}", table.name, ids.error().detail);
    }
  }
  co_return Result<void>();
}

namespace detail {
namespace {

// 1, 2, 4 … up to 64 ms: who lost to another transaction should not meet it again at once.
std::chrono::milliseconds pause(int round) {
  return std::chrono::milliseconds(1 << std::min(round, 6));
}

Task<Result<void>> commit(Transaction& transaction, Loop& loop, Deadline deadline) {
  for (int round = 0;; ++round) {
    auto done = co_await transaction.commit(deadline);
    if (done || !is_outcome_unknown(done.error()) || deadline.expired(loop.clock().now()) || round == 10)
      co_return done;
    co_await loop.sleep_for(pause(round));
  }
}

}  // namespace

Task<Result<void>> run_transaction(Documents& documents, std::function<Task<Result<void>>(Transaction&)> body,
                                   Deadline deadline) {
  Loop& loop = *Loop::current();
  for (int round = 0;; ++round) {
    auto transaction = co_await documents.begin(deadline);
    if (!transaction) co_return std::unexpected(std::move(transaction).error());
    Result<void> done = co_await body(**transaction);
    if (done) {
      done = co_await commit(**transaction, loop, deadline);
    } else {
      (void)co_await (*transaction)->abort(deadline);  // The fault is the body's.
    }
    if (done || !is_conflict(done.error()) || deadline.expired(loop.clock().now())) co_return done;
    transaction->reset();
    co_await loop.sleep_for(pause(round));
  }
}

}  // namespace detail

}  // namespace mg::documents
