// mg/utils/dtype/value.h -- a value whose type is known only when the program runs: what a JSON text holds.
//
//   Result<Value> got = parse_json(R"({"id":9007199254740993,"tags":["a"]})");
//   got->at("id").as_int();                         // 9007199254740993: whole numbers are exact
//   Value made = Dict{{"name", "x"}, {"n", 1}};     // to_json(made) == R"({"n":1,"name":"x"})"
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mg/base/error.h"
#include "mg/utils/dtype/number.h"

namespace mg::dtype {

class Value;
using List = std::vector<Value>;

// Values by text, in the order of the keys' octets, as Go's encoder writes a map.
// Cost: one block; find is a binary search, set moves the entries behind.
class Dict {
 public:
  using Entry = std::pair<std::string, Value>;

  Dict();
  Dict(const Dict&);
  Dict(Dict&&) noexcept;
  Dict& operator=(const Dict&);
  Dict& operator=(Dict&&) noexcept;
  ~Dict();
  Dict(std::initializer_list<Entry> entries);
  // Any order; of entries with one key the last counts.
  explicit Dict(std::vector<Entry> entries);

  // nullptr: no such key.
  const Value* find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  // The value of a key, null when it was not there.
  Value& operator[](std::string_view key);
  // Returns: whether the key was there.
  bool erase(std::string_view key);

  std::size_t size() const;
  bool empty() const { return size() == 0; }
  const Entry* begin() const;
  const Entry* end() const;

  friend bool operator==(const Dict&, const Dict&);

 private:
  std::vector<Entry> entries_;
};

enum class Kind : std::uint8_t { kNull, kBool, kInt, kUint, kDouble, kText, kList, kDict };

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}               // NOLINT(google-explicit-constructor): all of these
  Value(bool value) : data_(value) {}    // NOLINT
  Value(double value) : data_(value) {}  // NOLINT
  Value(float value);  // NOLINT: the double of the shortest decimal, so that 0.1f is 0.1 in texts and JSON
  Value(std::string value) : data_(std::move(value)) {}         // NOLINT
  Value(std::string_view value) : data_(std::string(value)) {}  // NOLINT
  Value(const char* value) : data_(std::string(value)) {}       // NOLINT
  Value(List value) : data_(std::move(value)) {}                // NOLINT
  Value(Dict value) : data_(std::move(value)) {}                // NOLINT
  // kInt when it fits, so that equal numbers are equal values.
  template <Integer T>
  Value(T value) {  // NOLINT
    if (std::in_range<std::int64_t>(value)) {
      data_ = static_cast<std::int64_t>(value);
    } else {
      data_ = static_cast<std::uint64_t>(value);
    }
  }

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_number() const { return kind() >= Kind::kInt && kind() <= Kind::kDouble; }
  bool is_text() const { return kind() == Kind::kText; }
  bool is_list() const { return kind() == Kind::kList; }
  bool is_dict() const { return kind() == Kind::kDict; }

  // The thing itself. Requires: its kind. (parse.h converts between kinds.)
  bool as_bool() const { return std::get<bool>(data_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(data_); }
  std::uint64_t as_uint() const { return std::get<std::uint64_t>(data_); }
  double as_double() const { return std::get<double>(data_); }
  const std::string& as_text() const { return std::get<std::string>(data_); }
  const List& as_list() const { return std::get<List>(data_); }
  List& as_list() { return std::get<List>(data_); }
  const Dict& as_dict() const { return std::get<Dict>(data_); }
  Dict& as_dict() { return std::get<Dict>(data_); }

  // The value of a key, or of a place in a list; a null when this is no dictionary or list, or has none there.
  const Value& at(std::string_view key) const;
  const Value& at(std::size_t index) const;

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, List, Dict> data_;
};

inline Dict::Dict() = default;
inline Dict::Dict(const Dict&) = default;
inline Dict::Dict(Dict&&) noexcept = default;
inline Dict& Dict::operator=(const Dict&) = default;
inline Dict& Dict::operator=(Dict&&) noexcept = default;
inline Dict::~Dict() = default;
inline std::size_t Dict::size() const {
  return entries_.size();
}
inline const Dict::Entry* Dict::begin() const {
  return entries_.data();
}
inline const Dict::Entry* Dict::end() const {
  return entries_.data() + entries_.size();
}

// JSON as Go's encoder writes it; null for NaN and infinities.
void append_json(std::string& out, const Value& value);

// "number", "text" … for messages.
std::string_view kind_name(Kind kind);

struct JsonLimits {
  std::size_t max_depth = 512;  // Of lists and dictionaries in each other.
  std::size_t max_bytes = 64 * 1024 * 1024;
  bool unique_keys = false;  // A key twice in one dictionary is a fault.
};

// A whole JSON text, read as Go's decoder does: of keys that repeat the last counts, octets that are no UTF-8 and lone
// surrogates become U+FFFD. Whole numbers without fraction and exponent are exact up to 64 bits; others doubles, one
// beyond the range of doubles is an error.
// Errors: kInvalid  "not JSON at octet 7: …", deeper than max_depth, longer than max_bytes
// Threads: shared. Cost: one pass.
Result<Value> parse_json(std::string_view text, const JsonLimits& limits = {});
// The first value of the text; `rest` is what follows it.
Result<Value> parse_json_prefix(std::string_view text, std::string_view& rest, const JsonLimits& limits = {});

}  // namespace mg::dtype
