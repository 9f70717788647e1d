// mg/store/documents/collection.h -- one collection, of documents or of a struct.
//
//   Collection<Role> roles(documents, "role");
//   Result<Value> id = co_await roles.insert(role);
//   Result<Role> found = co_await roles.find_one(where(&Role::name).eq(name));         // kNotFound: none
//   co_await roles.update_one(by_id(7), Update().inc("gold", -5), {.guard = token});
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mg/store/documents/documents.h"
#include "mg/store/documents/encoding.h"
#include "mg/store/documents/typed.h"

namespace mg::documents {

struct CallOptions {
  Deadline deadline = Deadline::never();
  Transaction* transaction = nullptr;
};
struct UpdateOptions {
  bool upsert = false;
  // A fencing token (of a lock): the write is refused with kForbidden when the document has met a greater one, and the
  // document remembers it, in its field kGuardField. Of update_one and replace only.
  std::optional<std::int64_t> guard = {};
  Deadline deadline = Deadline::never();
  Transaction* transaction = nullptr;
};
inline constexpr std::string_view kGuardField = "_token";

struct ModifyOptions {
  Sort sort = {};
  bool upsert = false;
  bool return_new = false;
  Deadline deadline = Deadline::never();
  Transaction* transaction = nullptr;
};

// A name in a database. Lifetime: of the Documents. Threads: shared. Errors: errors.h, and kInvalid where a document
// does not fit T. Cost: none of its own; the calls are the store's.
template <class T = Document>
class Collection {
 public:
  Collection(Documents& documents, std::string name) : documents_(&documents), name_(std::move(name)) {}
  const std::string& name() const { return name_; }

  // Returns: its `_id`.
  Task<Result<Value>> insert(const T& item, CallOptions o = {}) {
    return detail::insert(*documents_, call(o), to_document(item));
  }
  // In order, up to the first that is refused. Errors: detail says how many were inserted
  Task<Result<std::vector<Value>>> insert_many(const std::vector<T>& items, CallOptions o = {}) {
    Result<std::vector<Document>> all;
    for (const T& item : items) {
      auto one = to_document(item);
      if (!one) return Result<std::vector<Value>>(std::unexpected(std::move(one).error()));
      all->push_back(*std::move(one));
    }
    return detail::insert_many(*documents_, call(o), std::move(all));
  }

  // Errors: kNotFound  none
  Task<Result<T>> find_one(Filter filter, FindOptions options = {}, CallOptions o = {}) {
    return detail::find_one_typed<T>(*documents_, call(o), std::move(filter), std::move(options));
  }
  // None is an empty list.
  Task<Result<std::vector<T>>> find(Filter filter = {}, FindOptions options = {}, CallOptions o = {}) {
    return detail::find<T>(*documents_, call(o), std::move(filter), std::move(options));
  }
  Task<Result<std::int64_t>> count(Filter filter = {}, CallOptions o = {}) {
    return documents_->count(call(o), std::move(filter));
  }
  Task<Result<Array>> distinct(Path path, Filter filter = {}, CallOptions o = {}) {
    return documents_->distinct(call(o), std::move(path), std::move(filter));
  }
  // `page` from 1, beyond the last the last; 0 and less the first. `size` 0 and less: 20. Source: wire.md 8, Paging
  Task<Result<Page<T>>> scan(std::int64_t page, std::int64_t size, Filter filter = {}, FindOptions options = {},
                             CallOptions o = {}) {
    return detail::scan_typed<T>(*documents_, call(o), std::move(filter), page, size, std::move(options));
  }

  // Written says how many matched: none is no error, unless guarded.
  Task<Result<Written>> update_one(Filter filter, Update update, UpdateOptions o = {}) {
    return put(
        {.kind = Write::Kind::kUpdate, .filter = std::move(filter), .update = std::move(update), .upsert = o.upsert},
        o);
  }
  Task<Result<Written>> update_many(Filter filter, Update update, UpdateOptions o = {}) {
    return put({.kind = Write::Kind::kUpdate,
                .filter = std::move(filter),
                .update = std::move(update),
                .many = true,
                .upsert = o.upsert},
               o);
  }
  // All but the `_id`.
  Task<Result<Written>> replace(Filter filter, const T& item, UpdateOptions o = {}) {
    auto document = to_document(item);
    if (!document) return Result<Written>(std::unexpected(std::move(document).error()));
    return put({.kind = Write::Kind::kReplace,
                .filter = std::move(filter),
                .document = *std::move(document),
                .upsert = o.upsert},
               o);
  }
  Task<Result<Written>> remove_one(Filter filter, CallOptions o = {}) {
    return put({.kind = Write::Kind::kRemove, .filter = std::move(filter)},
               {.deadline = o.deadline, .transaction = o.transaction});
  }
  Task<Result<Written>> remove_many(Filter filter, CallOptions o = {}) {
    return put({.kind = Write::Kind::kRemove, .filter = std::move(filter), .many = true},
               {.deadline = o.deadline, .transaction = o.transaction});
  }
  // Several writes in one call; faults are in Written.
  Task<Result<Written>> bulk(std::vector<Write> writes, WriteOptions options = {}, CallOptions o = {}) {
    return documents_->write(call(o), std::move(writes), options);
  }

  Task<Result<std::optional<T>>> find_and_update(Filter filter, Update update, ModifyOptions o = {}) {
    return modify({.filter = std::move(filter), .update = std::move(update)}, std::move(o));
  }
  Task<Result<std::optional<T>>> find_and_replace(Filter filter, const T& item, ModifyOptions o = {}) {
    auto document = to_document(item);
    if (!document) return Result<std::optional<T>>(std::unexpected(std::move(document).error()));
    return modify({.filter = std::move(filter), .kind = Modify::Kind::kReplace, .document = *std::move(document)},
                  std::move(o));
  }
  Task<Result<std::optional<T>>> find_and_remove(Filter filter, ModifyOptions o = {}) {
    return modify({.filter = std::move(filter), .kind = Modify::Kind::kRemove}, std::move(o));
  }
  Task<Result<std::vector<Document>>> aggregate(std::vector<Document> pipeline, CallOptions o = {}) {
    return documents_->aggregate(call(o), std::move(pipeline));
  }
  Task<Result<void>> create_indexes(std::vector<Index> indexes, CallOptions o = {}) {
    return documents_->create_indexes(call(o), std::move(indexes));
  }

 private:
  template <class O>
  Call call(const O& o) const {
    return {.collection = name_, .deadline = o.deadline, .transaction = o.transaction};
  }
  Task<Result<Written>> put(Write write, const UpdateOptions& o) {
    return detail::write_one(*documents_, call(o), std::move(write), o.guard);
  }
  Task<Result<std::optional<T>>> modify(Modify change, ModifyOptions o) {
    change.upsert = o.upsert;
    change.return_new = o.return_new;
    change.sort = std::move(o.sort);
    return detail::modify<T>(*documents_, call(o), std::move(change));
  }
  Documents* documents_;
  std::string name_;
};

}  // namespace mg::documents
