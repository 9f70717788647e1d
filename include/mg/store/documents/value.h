// mg/store/documents/value.h -- what documents are made of: BSON values, and a builder one can read.
//
//   Document role{{"_id", 7}, {"name", "x"}, {"pos", Document{{"x", 1.5}}}, {"tags", Array{"a", "b"}}};
//   role.at("name").as_text();                      // "x"
//   role.set("level", std::int64_t{3});
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "mg/store/documents/scalars.h"

namespace mg::documents {

class Value;
struct Field;
using Array = std::vector<Value>;

// Fields in their order. Cost: one block; find is a walk, as fields are few.
class Document {
 public:
  Document();
  Document(const Document&);
  Document(Document&&) noexcept;
  Document& operator=(const Document&);
  Document& operator=(Document&&) noexcept;
  ~Document();
  Document(std::initializer_list<Field> fields);

  // nullptr: no such field. A name is not a path: "a.b" is a field of that name.
  const Value* find(std::string_view name) const;
  Value* find(std::string_view name);
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  // A null where there is none.
  const Value& at(std::string_view name) const;

  // Replaces the field, or adds it at the end.
  Document& set(std::string_view name, Value value);
  // Adds it at the end. Requires: no field of that name.
  void append(std::string name, Value value);
  bool erase(std::string_view name);  // Whether it was there.

  std::size_t size() const;
  bool empty() const { return size() == 0; }
  void reserve(std::size_t fields);
  const Field* begin() const;
  const Field* end() const;
  Field* begin();
  Field* end();

  friend bool operator==(const Document&, const Document&);

 private:
  std::vector<Field> fields_;
};

enum class Type : std::uint8_t {
  kNull,
  kDouble,
  kText,
  kDocument,
  kArray,
  kBinary,
  kObjectId,
  kBool,
  kDate,
  kRegex,
  kInt32,
  kTimestamp,
  kInt64,
  kDecimal,
  kMinKey,
  kMaxKey
};
std::string_view type_name(Type type);  // As Mongo says: "string", "objectId" …

template <class T>
concept Whole = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && sizeof(T) <= 8;

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}                                      // NOLINT(google-explicit-constructor): all of these
  Value(bool value) : data_(value) {}                           // NOLINT
  Value(double value) : data_(value) {}                         // NOLINT
  Value(float value) : data_(static_cast<double>(value)) {}     // NOLINT
  Value(std::string value) : data_(std::move(value)) {}         // NOLINT
  Value(std::string_view value) : data_(std::string(value)) {}  // NOLINT
  Value(const char* value) : data_(std::string(value)) {}       // NOLINT
  Value(Document value) : data_(std::move(value)) {}            // NOLINT
  Value(Array value) : data_(std::move(value)) {}               // NOLINT
  Value(Binary value) : data_(std::move(value)) {}              // NOLINT
  Value(ObjectId value) : data_(value) {}                       // NOLINT
  Value(Date value) : data_(value) {}                           // NOLINT
  Value(Regex value) : data_(std::move(value)) {}               // NOLINT
  Value(Timestamp value) : data_(value) {}                      // NOLINT
  Value(Decimal value) : data_(value) {}                        // NOLINT
  Value(MinKey value) : data_(value) {}                         // NOLINT
  Value(MaxKey value) : data_(value) {}                         // NOLINT
  // Types of 32 bits and less are an int32 when it holds them all, the others an int64. Requires of a std::uint64_t:
  // that it fits (encoding.h refuses what does not, when it comes from a struct).
  template <Whole T>
  Value(T value) {  // NOLINT
    if constexpr (sizeof(T) < 4 || (sizeof(T) == 4 && std::is_signed_v<T>)) {
      data_ = static_cast<std::int32_t>(value);
    } else {
      data_ = static_cast<std::int64_t>(value);
    }
  }

  Type type() const { return static_cast<Type>(data_.index()); }
  bool is_null() const { return type() == Type::kNull; }
  bool is_text() const { return type() == Type::kText; }
  bool is_document() const { return type() == Type::kDocument; }
  bool is_array() const { return type() == Type::kArray; }
  bool is_whole() const { return type() == Type::kInt32 || type() == Type::kInt64; }
  bool is_number() const { return is_whole() || type() == Type::kDouble; }

  // The thing itself. Requires: its type.
  bool as_bool() const { return std::get<bool>(data_); }
  double as_double() const { return std::get<double>(data_); }
  std::int64_t as_whole() const {  // Either integer type.
    return type() == Type::kInt32 ? std::get<std::int32_t>(data_) : std::get<std::int64_t>(data_);
  }
  Date as_date() const { return std::get<Date>(data_); }
  const std::string& as_text() const { return std::get<std::string>(data_); }
  const Document& as_document() const { return std::get<Document>(data_); }
  Document& as_document() { return std::get<Document>(data_); }
  const Array& as_array() const { return std::get<Array>(data_); }
  Array& as_array() { return std::get<Array>(data_); }
  const Binary& as_binary() const { return std::get<Binary>(data_); }
  const ObjectId& as_object_id() const { return std::get<ObjectId>(data_); }
  template <class T>
  const T& as() const {
    return std::get<T>(data_);
  }

  // Same type and same value: 1 and 1.0 differ here (order.h compares as queries do).
  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, double, std::string, Document, Array, Binary, ObjectId, bool, Date, Regex, std::int32_t,
               Timestamp, std::int64_t, Decimal, MinKey, MaxKey>
      data_;
};

struct Field {
  std::string name;
  Value value;
  friend bool operator==(const Field&, const Field&) = default;
};

inline std::size_t Document::size() const {
  return fields_.size();
}
inline const Field* Document::begin() const {
  return fields_.data();
}
inline const Field* Document::end() const {
  return fields_.data() + fields_.size();
}
inline Field* Document::begin() {
  return fields_.data();
}
inline Field* Document::end() {
  return fields_.data() + fields_.size();
}

}  // namespace mg::documents
