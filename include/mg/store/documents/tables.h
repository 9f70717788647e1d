// mg/store/documents/tables.h -- what a database must have, counters, and transactions.
//
//   Tables tables{{.name = "role", .primary_key = "_id", .indexes = {Index::on(Sort().up("name")).make_unique()}}};
//   if (auto made = co_await create_tables(documents, tables, deadline); !made) return made;
//   Result<std::int64_t> id = co_await get_inc_id(documents, "role");       // 1, 2, 3 …
//   auto traded = co_await with_transaction(documents, [&](Transaction& t) { return trade(documents, t); }, deadline);
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/store/documents/collection.h"
#include "mg/store/documents/documents.h"

namespace mg::documents {

// The collection of counters, shared with Go services. Source: wire.md 8, Auto increment.
inline constexpr std::string_view kCounters = "auto_inc_id";

// The next number of a counter, from 1 on; what the counter was set to before counts. Each caller gets another one.
// Errors: kInvalid  the counter gave 0 or holds no whole number
Task<Result<std::int64_t>> get_inc_id(Documents& documents, std::string counter, Deadline deadline = Deadline::never());

struct Table {
  std::string name = {};
  std::string primary_key = {};  // Names of fields in documents; if given, the struct must have them.
  std::string foreign_key = {};
  std::vector<Index> indexes = {};
  std::vector<Document> data = {};       // What a new collection begins with.
  std::vector<std::string> fields = {};  // Of the struct, filled by table_of(); empty: keys are not checked.
};
using Tables = std::vector<Table>;

// A table whose keys are checked against a struct.
template <Described T>
Table table_of(Table table) {
  for_each_field<T>([&](const auto& field) {
    if (!field.bson_name.empty()) table.fields.emplace_back(field.bson_name);
  });
  return table;
}

// Makes the collections that are missing: their indexes, then their data. Those that are there are never changed. One
// with neither indexes nor data is not made. Errors: kInvalid  a key that the struct has not, a name twice · of the
// first table that failed, whose name the detail says; the others are not tried
Task<Result<void>> create_tables(Documents& documents, Tables tables, Deadline deadline);

namespace detail {
Task<Result<void>> run_transaction(Documents& documents, std::function<Task<Result<void>>(Transaction&)> body,
                                   Deadline deadline);
}

// Runs `body(transaction)`, a Task<Result<T>>, and commits; again from the start when it met another (kConflict), and
// commits again when the outcome is unknown, until `deadline`. Aborts when body fails with anything else.
// `body` may run several times: it should do nothing but use the transaction. Cost: embedded: one at a time.
template <class Body>
auto with_transaction(Documents& documents, Body body, Deadline deadline) -> std::invoke_result_t<Body&, Transaction&> {
  using R = std::remove_cvref_t<decltype(std::declval<std::invoke_result_t<Body&, Transaction&>>().take())>;
  if constexpr (std::same_as<R, Result<void>>) {
    return detail::run_transaction(documents, std::move(body), deadline);
  } else {
    auto value = std::make_shared<std::optional<typename R::value_type>>();
    auto held = std::make_shared<Body>(std::move(body));
    struct Once {
      static Task<Result<void>> run(std::shared_ptr<Body> b, decltype(value) out, Transaction& t) {
        auto got = co_await (*b)(t);
        if (!got) co_return std::unexpected(std::move(got).error());
        *out = *std::move(got);
        co_return Result<void>();
      }
      static Task<R> all(Documents& d, std::shared_ptr<Body> b, decltype(value) out, Deadline end) {
        auto done = co_await detail::run_transaction(d, [b, out](Transaction& t) { return run(b, out, t); }, end);
        if (!done) co_return std::unexpected(std::move(done).error());
        co_return std::move(**out);
      }
    };
    return Once::all(documents, std::move(held), std::move(value), deadline);
  }
}

}  // namespace mg::documents
