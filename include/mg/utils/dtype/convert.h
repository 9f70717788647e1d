// mg/utils/dtype/convert.h -- structs (fields.h) to and from JSON, Values and dictionaries.
//
//   std::string text = to_json(role);                       // {"id":7,"name":"x","items":[]}
//   Result<Role> role = from_json<Role>(text);              // kInvalid `items[2]: "x" is not a whole number`
//   Dict dict = struct_to_dict(role);
//
// What from_value reads is what json_text.h writes: bool, numbers, texts, std::vector<std::byte> (base64), optional,
// unique_ptr, vector, array, maps by text, Value, structs with fields, and types with
//   Result<void> from_json_value(const mg::dtype::Value&, T&) beside them.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/utils/dtype/fields.h"
#include "mg/utils/dtype/from_value.h"
#include "mg/utils/dtype/json_text.h"
#include "mg/utils/dtype/value.h"

namespace mg::dtype {

namespace detail {

// Whether nothing in it is NaN or infinite, which have no JSON form.
template <class T>
bool all_finite(const T& value) {
  if constexpr (std::floating_point<T>) {
    return value - value == 0;
  } else if constexpr (std::same_as<T, Value>) {
    if (value.is_list()) return all_finite(value.as_list());
    if (value.is_dict()) return all_finite(value.as_dict());
    return value.kind() != Kind::kDouble || all_finite(value.as_double());
  } else if constexpr (std::is_arithmetic_v<T> || mg::detail::TextLike<T> || mg::detail::OctetRange<T>) {
    return true;
  } else if constexpr (Described<T>) {
    bool finite = true;
    for_each_field<T>([&](const auto& field) { finite = finite && all_finite(value.*field.member); });
    return finite;
  } else if constexpr (mg::detail::kIsOptional<T>) {
    return !value || all_finite(*value);
  } else if constexpr (std::same_as<T, Dict> || requires { typename T::mapped_type; }) {
    for (const auto& [key, item] : value) {
      if (!all_finite(item)) return false;
    }
    return true;
  } else if constexpr (std::ranges::range<const T>) {
    for (const auto& item : value) {
      if (!all_finite(item)) return false;
    }
    return true;
  } else {
    return true;
  }
}

}  // namespace detail

// The JSON text; "" when a number in it has none (NaN, infinite), as Go's ToJson.
template <class T>
std::string to_json(const T& value) {
  std::string out;
  if (detail::all_finite(value)) json_text::append(out, value);
  return out;
}

// Errors: kInvalid  NaN or an infinity in it
template <class T>
Result<std::string> encode_json(const T& value) {
  std::string out = to_json(value);
  if (out.empty()) return fail(code::kInvalid, "no JSON: a number in it is NaN or infinite");
  return out;
}

// A T from a Value, strictly: kinds must fit; null leaves what a new T holds; keys without a field are passed over;
// keys match exactly, else without regard to ASCII case. Errors: kInvalid  naming the path: `items[2].level: 1.5 is not
// a whole number`
template <class T>
Result<T> from_value(const Value& value) {
  Result<T> out;
  if (auto done = detail::fill(value, *out, {}, detail::Source::kValue); !done) {
    return std::unexpected(std::move(done).error());
  }
  return out;
}

// A T from a JSON text. A whole number must be written as one: 1.0 and 1e2 are not, as in Go.
// Errors: as parse_json and from_value
template <class T>
Result<T> from_json(std::string_view text, const JsonLimits& limits = {}) {
  auto value = parse_json(text, limits);
  if (!value) return std::unexpected(std::move(value).error());
  Result<T> out;
  if (auto done = detail::fill(*value, *out, {}, detail::Source::kJson); !done) {
    return std::unexpected(std::move(done).error());
  }
  return out;
}

// Changes only the fields that the text names; maps get its entries on top of theirs. On an error nothing changes.
template <class T>
Result<void> update_from_json(T& target, std::string_view text, const JsonLimits& limits = {}) {
  auto value = parse_json(text, limits);
  if (!value) return std::unexpected(std::move(value).error());
  T changed = target;
  if (auto done = detail::fill(*value, changed, {}, detail::Source::kJson); !done) return done;
  target = std::move(changed);
  return {};
}

// The Value that the JSON of `input` stands for, whole numbers exact, floats as doubles (also NaN).
template <class T>
Value to_value(const T& input) {
  return detail::value_of(input, /*all_fields=*/false);
}

// As Go's ToDict: what the JSON of the input is when it is a dictionary, else empty; a text is not parsed.
template <class T>
Dict to_dict(const T& input) {
  Value value = to_value(input);
  return value.is_dict() ? std::move(value.as_dict()) : Dict();
}

// Every field by its name, in spite of kOmitEmpty and kAsText, structs in it too.
template <Described T>
Dict struct_to_dict(const T& input) {
  return std::move(detail::value_of(input, /*all_fields=*/true).as_dict());
}

// Copies what is not empty in `from` over `into`: zero fields change nothing, maps gain entries, structs field by
// field. As Go's DeepCopy. (A plain copy is an assignment.)
template <class T>
void merge(T& into, const T& from) {
  if constexpr (Described<T>) {
    for_each_field<T>([&](const auto& field) { merge(into.*field.member, from.*field.member); });
  } else if constexpr (requires { typename T::mapped_type; }) {
    for (const auto& [key, item] : from) into[key] = item;
  } else if (!is_empty_field(from)) {
    into = from;
  }
}

}  // namespace mg::dtype
