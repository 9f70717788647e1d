// mg/store/memory/value.h -- what a record of the memory store holds: any type, checked when it is read.
//
//   Value n = 5, text = "x", role = Role{7};
//   Result<Role> got = role.get<Role>();           // kInvalid when it holds another type
//   std::int32_t i = n.parse<std::int32_t>();      // forgiving, as mg/utils/dtype/parse.h; 0 for a Role
#pragma once

#include <any>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include "mg/base/bytes.h"
#include "mg/base/error.h"
#include "mg/utils/dtype/parse.h"
#include "mg/utils/dtype/value.h"

namespace mg::memory {

using Octets = std::vector<std::byte>;

// Scalars, texts, lists and dictionaries are kept as a dtype::Value, octets as themselves, everything else as it is.
class Value {
 public:
  Value() = default;

  template <class T>
    requires(!std::same_as<std::remove_cvref_t<T>, Value>)
  Value(T&& value) : data_(kept(std::forward<T>(value))) {}  // NOLINT(google-explicit-constructor): as it is written

  // What it holds, as the type that was put in: whole numbers as any integer type they fit, floats, bool, texts,
  // octets, dtype::Value, or exactly T. Errors: kInvalid  it holds another type, or a number out of range
  template <class T>
  Result<T> get() const {
    if constexpr (std::same_as<T, Octets>) {
      if (const auto* octets = std::get_if<Octets>(&data_)) return *octets;
    } else if constexpr (std::same_as<T, dtype::Value>) {
      if (const auto* value = std::get_if<dtype::Value>(&data_)) return *value;
    } else if constexpr (dtype::Scalar<T>) {
      if (const auto* value = std::get_if<dtype::Value>(&data_)) return scalar<T>(*value);
    } else {
      if (const auto* any = std::get_if<std::any>(&data_)) {
        if (const T* held = std::any_cast<T>(any)) return *held;
      }
    }
    return std::unexpected(other_type(typeid(T).name()));
  }

  // The nearest T, as dtype::parse: 0, false or "" for what is no scalar.
  template <dtype::Scalar T>
  T parse() const {
    if (const auto* value = std::get_if<dtype::Value>(&data_)) return dtype::parse<T>(*value);
    if (const auto* octets = std::get_if<Octets>(&data_)) return dtype::parse<T>(Bytes(*octets));
    return T{};
  }

  bool is_null() const;
  // nullptr: it is octets, or of a type of its own.
  const dtype::Value* value() const { return std::get_if<dtype::Value>(&data_); }
  const Octets* octets() const { return std::get_if<Octets>(&data_); }

  // About what it takes in memory; of a type of its own, sizeof alone is not known: 64.
  std::size_t bytes() const;

  // Of values and octets. Types of their own are never equal.
  friend bool operator==(const Value& a, const Value& b) {
    if (a.value() && b.value()) return *a.value() == *b.value();
    return a.octets() && b.octets() && *a.octets() == *b.octets();
  }

 private:
  using Data = std::variant<dtype::Value, Octets, std::any>;

  template <class T>
  static Data kept(T&& value) {
    using Plain = std::remove_cvref_t<T>;
    if constexpr (std::same_as<Plain, Octets>) {
      return Data(std::in_place_type<Octets>, std::forward<T>(value));
    } else if constexpr (std::constructible_from<dtype::Value, T>) {
      return Data(std::in_place_type<dtype::Value>, std::forward<T>(value));
    } else if constexpr (std::same_as<Plain, Bytes>) {
      return Data(std::in_place_type<Octets>, value.begin(), value.end());
    } else {
      static_assert(std::copy_constructible<Plain>, "a reader gets a copy");
      return Data(std::in_place_type<std::any>, std::forward<T>(value));
    }
  }
  template <class T>
  static Result<T> scalar(const dtype::Value& value) {
    const bool fits = std::same_as<T, std::string> ? value.is_text()
                      : std::same_as<T, bool>      ? value.is_bool()
                                                   : value.is_number();
    if (!fits) return std::unexpected(other_kind(value.kind()));
    return dtype::read<T>(value);
  }
  static Error other_kind(dtype::Kind kind);
  Error other_type(const char* wanted) const;

  Data data_;
};

}  // namespace mg::memory
