// mg/utils/dtype/json_text.h -- values as JSON text, written as Go's encoder writes them (metadata values,
// wire.md 2.5).
//
//   std::string out;
//   json_text::append(out, std::vector{1, 2, 3});               // [1,2,3]
//   json_text::append(out, std::map<std::string, double>{…});   // {"a":0.5,"b":1e+21}
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>

#include "mg/base/bytes.h"
#include "mg/utils/dtype/fields.h"

namespace mg::json_text {

// A quoted text: control characters, " \ < > & U+2028 U+2029 escaped, octets that are no UTF-8 as \ufffd.
void append_quoted(std::string& out, std::string_view text);

// Shortest digits that read back the same; exponent form below 1e-6 and from 1e21 (1e-7, 1e+21).
// NaN and infinities have no JSON form: null.
void append_number(std::string& out, double value);
void append_number(std::string& out, float value);

// A type of yours becomes JSON by a function beside it: void append_json(std::string& out, const T& value).
template <class T>
concept HasAppendJson = requires(std::string& out, const T& value) { append_json(out, value); };

// Octets as base64 in quotes.
void append_octets(std::string& out, Bytes octets);

// Appends a value: bool, integers, enumerations as numbers, floats, texts, optional and pointers (null when empty),
// nullptr, spans and vectors of std::byte as base64, maps with text keys (sorted by key), any range of these, structs
// with fields (fields.h), types with append_json.
template <class T>
void append(std::string& out, const T& value) {
  if constexpr (HasAppendJson<T>) {
    append_json(out, value);
  } else if constexpr (std::same_as<T, std::nullptr_t>) {
    out += "null";
  } else if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::floating_point<T>) {
    append_number(out, value);
  } else if constexpr (std::integral<T>) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  } else if constexpr (std::is_enum_v<T>) {
    append(out, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    append_quoted(out, value);
  } else if constexpr (Described<T>) {
    char before = '{';
    for_each_field<T>([&](const auto& field) {
      const auto& item = value.*field.member;
      if (field.has(FieldRule::kOmitEmpty) && is_empty_field(item)) return;
      out += before;
      append_quoted(out, field.name);
      out += ':';
      const bool in_quotes = std::is_arithmetic_v<std::remove_cvref_t<decltype(item)>> && field.has(FieldRule::kAsText);
      if (in_quotes) out += '"';
      append(out, item);
      if (in_quotes) out += '"';
      before = ',';
    });
    out += before == '{' ? "{}" : "}";
  } else if constexpr (mg::detail::OctetRange<T>) {
    append_octets(out, Bytes(value));
  } else if constexpr (mg::detail::kIsOptional<T>) {
    if (value) {
      append(out, *value);
    } else {
      out += "null";
    }
  } else if constexpr (requires { typename T::mapped_type; }) {
    // A std::map of views, so that the keys of any map come out sorted.
    std::map<std::string_view, const typename T::mapped_type*> sorted;
    for (const auto& [key, item] : value) sorted.emplace(key, &item);
    char before = '{';
    for (const auto& [key, item] : sorted) {
      out += before;
      append_quoted(out, key);
      out += ':';
      append(out, *item);
      before = ',';
    }
    out += sorted.empty() ? "{}" : "}";
  } else {
    static_assert(std::ranges::range<const T>, "no JSON form: add void append_json(std::string&, const T&)");
    using Item = std::ranges::range_value_t<const T>;
    static_assert(!std::same_as<Item, std::uint8_t>, "octets: std::byte for base64, or a text");
    char before = '[';
    for (const auto& item : value) {
      out += before;
      append(out, item);
      before = ',';
    }
    out += before == '[' ? "[]" : "]";
  }
}

// As `append`, but NaN, +Inf and -Inf by these names.
template <class T>
void append_plain(std::string& out, const T& value) {
  if constexpr (std::floating_point<T>) {
    if (std::isnan(value)) {
      out += "NaN";
    } else if (std::isinf(value)) {
      out += value > 0 ? "+Inf" : "-Inf";
    } else {
      append_number(out, value);
    }
  } else {
    append(out, value);
  }
}

}  // namespace mg::json_text
