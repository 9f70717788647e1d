// mg/store/documents/filter.h -- which documents: conditions on fields, typed, so that data never becomes an operator.
//
//   Filter adults = where("age").gte(18) && where("tags").in({"a", "b"});
//   Filter mine = where(&Role::account).eq(account) || !where("deleted").exists();
//   Filter weapon = where("items").any(where("kind").eq("sword") && where("level").gt(5));
//
// Values are compared as they are: eq(document_from_json(R"({"$gt":""})")) finds a field that holds that very document.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/store/documents/encoding.h"
#include "mg/store/documents/value.h"
#include "mg/utils/dtype/fields.h"

namespace mg::documents {

// A field by its way from the top: "pos.x"; "items.0.count" by the place in an array. Name paths in code, and let data
// be values: a path that is empty, has an empty part, a NUL, or a part that begins with "$" fails the call with
// kInvalid.
class Path {
 public:
  Path(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-constructor): "level" is a path
  Path(std::string_view text) : text_(text) {}        // NOLINT
  Path(const char* text) : text_(text) {}             // NOLINT
  // Of a member of a struct, by its name in documents.
  template <class T, class M>
    requires Described<T>
  Path(M T::* member) {  // NOLINT
    for_each_field<T>([&](const auto& field) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(field.member)>, M T::*>) {
        if (field.member == member) text_ = field.bson_name;
      }
    });
  }
  const std::string& text() const { return text_; }
  Result<void> check() const;

 private:
  std::string text_;
};

class Filter {
 public:
  enum class Op : std::uint8_t {
    kAll,
    kEq,
    kNe,
    kGt,
    kGte,
    kLt,
    kLte,
    kIn,
    kNotIn,
    kExists,
    kMissing,
    kSize,
    kHasAll,
    kStartsWith,
    kAny,
    kAnd,
    kOr,
    kNot
  };

  // Every document.
  Filter() = default;
  Filter(Op op, std::string path, Array values) : op_(op), path_(std::move(path)), values_(std::move(values)) {}
  Filter(Op op, std::string path, std::vector<Filter> parts)
      : op_(op), path_(std::move(path)), parts_(std::move(parts)) {}

  Op op() const { return op_; }
  const std::string& path() const { return path_; }
  const Array& values() const { return values_; }
  const std::vector<Filter>& parts() const { return parts_; }  // Of kAnd, kOr, kNot; the condition of kAny.

  // Errors: kInvalid  a path or a value that cannot be, or nested deeper than 50
  Result<void> check() const;

  friend Filter operator&&(Filter a, Filter b);
  friend Filter operator||(Filter a, Filter b);
  friend Filter operator!(Filter a);

 private:
  Op op_ = Op::kAll;
  std::string path_;
  Array values_;
  std::vector<Filter> parts_;
};

// One document by its _id.
inline Filter by_id(Value id) {
  return {Filter::Op::kEq, "_id", Array{std::move(id)}};
}

// A condition's left side. A condition on a field that holds an array is met when the array meets it or one of its
// items does. gt, gte, lt, lte compare only within a kind: numbers with numbers, text with text. Source: MongoDB, Query
// Operators.
class Where {
 public:
  explicit Where(Path path) : path_(path.text()) {}

  Filter eq(Value v) const { return one(Filter::Op::kEq, std::move(v)); }  // A null is met by no field, too.
  Filter ne(Value v) const { return one(Filter::Op::kNe, std::move(v)); }  // Not eq: also where there is no field.
  Filter gt(Value v) const { return one(Filter::Op::kGt, std::move(v)); }
  Filter gte(Value v) const { return one(Filter::Op::kGte, std::move(v)); }
  Filter lt(Value v) const { return one(Filter::Op::kLt, std::move(v)); }
  Filter lte(Value v) const { return one(Filter::Op::kLte, std::move(v)); }
  Filter in(Array v) const { return {Filter::Op::kIn, path_, std::move(v)}; }
  Filter not_in(Array v) const { return {Filter::Op::kNotIn, path_, std::move(v)}; }
  Filter exists() const { return {Filter::Op::kExists, path_, Array{}}; }
  Filter missing() const { return {Filter::Op::kMissing, path_, Array{}}; }
  Filter size(std::int64_t n) const { return one(Filter::Op::kSize, n); }  // Of an array.
  Filter has_all(Array v) const { return {Filter::Op::kHasAll, path_, std::move(v)}; }
  Filter starts_with(std::string v) const { return one(Filter::Op::kStartsWith, std::move(v)); }
  // An item of the array that is a document and meets all of `condition`.
  Filter any(Filter condition) const { return {Filter::Op::kAny, path_, std::vector<Filter>{std::move(condition)}}; }

 private:
  Filter one(Filter::Op op, Value value) const {
    Array values;
    values.push_back(std::move(value));
    return {op, path_, std::move(values)};
  }
  std::string path_;
};

inline Where where(Path path) {
  return Where(std::move(path));
}

// What to sort by, first field first: Sort().up("level").down(&Role::name). Source: order.h; of an array its smallest
// item counts going up, its largest going down.
class Sort {
 public:
  struct Key {
    std::string path;
    bool down = false;
  };
  Sort& up(Path path) { return keys_.push_back({path.text(), false}), *this; }
  Sort& down(Path path) { return keys_.push_back({path.text(), true}), *this; }
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

// Which fields of a document come back: Projection::only({"name", "pos.x"}), Projection::without({"items"}). `_id`
// comes unless without({"_id"}), or only(…).no_id().
class Projection {
 public:
  Projection() = default;  // All.
  static Projection only(std::vector<Path> paths) { return Projection(std::move(paths), true); }
  static Projection without(std::vector<Path> paths) { return Projection(std::move(paths), false); }
  Projection& no_id() { return id_ = false, *this; }
  bool all() const { return paths_.empty() && id_; }
  bool including() const { return including_; }
  bool id() const { return id_; }
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  Projection(std::vector<Path> paths, bool including) : including_(including) {
    for (const Path& each : paths) paths_.push_back(each.text());
  }
  std::vector<std::string> paths_;
  bool including_ = false;
  bool id_ = true;
};

Result<void> check(const Sort& sort);
Result<void> check(const Projection& projection);

}  // namespace mg::documents
