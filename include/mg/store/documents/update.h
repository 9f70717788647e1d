// mg/store/documents/update.h -- how a document changes, atomically.
//
//   Update level_up = Update().inc("level", 1).set(&Role::name, name).push("log", Document{{"at", now}});
//   Update first = Update().max("best", score).set_on_insert("created", now);      // the latter counts for an upsert
//
// Values are data: a document set as a value is stored as it is. One path may be changed once.
// Source: MongoDB, Update Operators: $set $unset $inc $min $max $push $pull $addToSet $setOnInsert.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/store/documents/filter.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

class Update {
 public:
  enum class Op : std::uint8_t { kSet, kUnset, kInc, kMin, kMax, kPush, kPull, kPullWhere, kAddToSet, kSetOnInsert };
  struct Change {
    Op op;
    std::string path;
    Array values;               // One; of kPush, kPull and kAddToSet any number.
    std::vector<Filter> where;  // Of kPullWhere.
  };

  Update& set(Path path, Value v) { return add(Op::kSet, path, {std::move(v)}); }
  Update& unset(Path path) { return add(Op::kUnset, path, {}); }
  // Adds a number; a missing field counts as 0. Errors (of the call): kInvalid  no number there, or int64 overflows
  Update& inc(Path path, Value by) { return add(Op::kInc, path, {std::move(by)}); }
  // Only if smaller, or greater, than what is there, or nothing is.
  Update& min(Path path, Value v) { return add(Op::kMin, path, {std::move(v)}); }
  Update& max(Path path, Value v) { return add(Op::kMax, path, {std::move(v)}); }
  // To the end of an array, which is made when missing. Errors (of the call): kInvalid  no array there
  Update& push(Path path, Value v) { return add(Op::kPush, path, {std::move(v)}); }
  Update& push_all(Path path, Array v) { return add(Op::kPush, path, std::move(v)); }
  // Takes all items out that equal one of these,
  Update& pull(Path path, Value v) { return add(Op::kPull, path, {std::move(v)}); }
  Update& pull_all(Path path, Array v) { return add(Op::kPull, path, std::move(v)); }
  // or that are documents which meet `condition`.
  Update& pull_where(Path path, Filter condition) {
    changes_.push_back({Op::kPullWhere, path.text(), {}, {std::move(condition)}});
    return *this;
  }
  // As push, for what is not there yet.
  Update& add_to_set(Path path, Value v) { return add(Op::kAddToSet, path, {std::move(v)}); }
  Update& add_all_to_set(Path path, Array v) { return add(Op::kAddToSet, path, std::move(v)); }
  // Only in the document that an upsert makes.
  Update& set_on_insert(Path path, Value v) { return add(Op::kSetOnInsert, path, {std::move(v)}); }

  // $set of every field of a struct but `_id`. Its fault is the call's.
  template <Described T>
  Update& set_fields(const T& from) {
    auto document = to_document(from);
    if (!document) {
      fault_ = document.error();
    } else {
      for (Field& each : *document) {
        if (each.name != "_id") set(each.name, std::move(each.value));
      }
    }
    return *this;
  }

  bool empty() const { return changes_.empty(); }
  const std::vector<Change>& changes() const { return changes_; }
  // Errors: kInvalid  nothing to change, a bad path, one path twice or within another, a value that cannot be stored
  Result<void> check() const;

 private:
  Update& add(Op op, const Path& path, Array values) {
    changes_.push_back({op, path.text(), std::move(values), {}});
    return *this;
  }
  std::vector<Change> changes_;
  Error fault_{.id = {}, .code = 0, .detail = {}, .status = {}};
};

}  // namespace mg::documents
