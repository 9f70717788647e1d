// mg/utils/dtype/from_value.h -- how convert.h reads and makes Values; include convert.h instead.
//
//   detail::fill(value, role, {}, detail::Source::kJson);
//   detail::value_of(role, false);
//   (a type of yours takes part through from_json_value, see convert.h)
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/utils/dtype/fields.h"
#include "mg/utils/dtype/json_text.h"
#include "mg/utils/dtype/parse.h"
#include "mg/utils/dtype/value.h"

namespace mg::dtype::detail {

enum class Source : bool { kValue, kJson };

// Where a value stands in the whole: on the stack, written out only for an error.
struct Path {
  const Path* up = nullptr;
  std::string_view key{};
  std::size_t index = 0;
};
Error at_path(const Path& path, Error error);
Error wrong_kind(const Path& path, std::string_view wanted, const Value& got);

// The value of a field: its key, else one that differs in ASCII case alone.
const Value* find_field(const Dict& dict, std::string_view name);
std::string octets_text(Bytes octets);
bool octets_from_text(std::string_view text, std::vector<std::byte>& out);

template <class T>
concept HasFromValue = requires(const Value& value, T& out) {
  { from_json_value(value, out) } -> std::same_as<Result<void>>;
};

template <class T>
Result<void> fill(const Value& value, T& out, const Path& path, Source source);

template <class T>
Result<void> fill_scalar(const Value& value, T& out, const Path& path, Source source) {
  const bool fits_kind = std::same_as<T, bool>          ? value.is_bool()
                         : std::same_as<T, std::string> ? value.is_text()
                                                        : value.is_number();
  if (!fits_kind) return std::unexpected(wrong_kind(path, kKindOf<T>, value));
  if (Integer<T> && source == Source::kJson && value.kind() == Kind::kDouble) {
    return std::unexpected(wrong_kind(path, kKindOf<T>, value));
  }
  Result<T> got = read<T>(value);
  if (!got) return std::unexpected(at_path(path, std::move(got).error()));
  out = *std::move(got);
  return {};
}

// A number or boolean that stands in quotes.
template <class T>
Result<void> fill_quoted(const Value& value, T& out, const Path& path) {
  if (value.is_null()) return {};
  if (!value.is_text()) return std::unexpected(wrong_kind(path, "a value in quotes", value));
  auto inner = parse_json(value.as_text());
  if (!inner) return std::unexpected(wrong_kind(path, "a value in quotes", value));
  return fill(*inner, out, path, Source::kJson);
}

template <class T>
Result<void> fill(const Value& value, T& out, const Path& path, Source source) {
  const auto not_this = [&](std::string_view wanted) { return std::unexpected(wrong_kind(path, wanted, value)); };
  if constexpr (std::same_as<T, Value>) {
    out = value;
  } else if constexpr (HasFromValue<T>) {
    if (auto done = from_json_value(value, out); !done) return std::unexpected(at_path(path, std::move(done).error()));
  } else if constexpr (mg::detail::kIsOptional<T>) {
    if (value.is_null()) {
      out.reset();
      return {};
    }
    using Inner = std::remove_cvref_t<decltype(*out)>;
    Inner inner{};
    if constexpr (std::is_copy_constructible_v<Inner>) {
      if (out) inner = *out;
    }
    if (auto done = fill(value, inner, path, source); !done) return done;
    if constexpr (requires { out.reset(new Inner(std::move(inner))); }) {
      out.reset(new Inner(std::move(inner)));
    } else {
      out = std::move(inner);
    }
  } else if constexpr (Scalar<T>) {
    return value.is_null() ? Result<void>() : fill_scalar(value, out, path, source);
  } else if constexpr (std::is_enum_v<T>) {
    auto number = std::to_underlying(out);
    if (auto done = fill(value, number, path, source); !done) return done;
    out = static_cast<T>(number);
  } else if constexpr (Described<T>) {
    if (value.is_null()) return {};
    if (!value.is_dict()) return not_this("a dictionary");
    Result<void> done;
    for_each_field<T>([&](const auto& field) {
      const Value* const found = done ? find_field(value.as_dict(), field.name) : nullptr;
      if (found == nullptr) return;
      auto& member = out.*field.member;
      const Path here{&path, field.name, 0};
      if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(member)>>) {
        done = field.has(FieldRule::kAsText) ? fill_quoted(*found, member, here) : fill(*found, member, here, source);
      } else {
        done = fill(*found, member, here, source);
      }
    });
    return done;
  } else if constexpr (std::same_as<T, std::vector<std::byte>>) {
    if (value.is_null()) {
      out.clear();
    } else if (!value.is_text() || !octets_from_text(value.as_text(), out)) {
      return not_this("base64");
    }
  } else if constexpr (mg::detail::MapLike<T>) {
    if (value.is_null()) {
      out.clear();
      return {};
    }
    if (!value.is_dict()) return not_this("a dictionary");
    for (const auto& [key, item] : value.as_dict()) {
      typename T::mapped_type inner{};
      if (auto done = fill(item, inner, Path{&path, key, 0}, source); !done) return done;
      out.insert_or_assign(typename T::key_type(key), std::move(inner));
    }
  } else {
    static_assert(std::ranges::range<T>, "no way to read this: add from_json_value");
    if (!value.is_null() && !value.is_list()) return not_this("a list");
    const List none;
    const List& items = value.is_list() ? value.as_list() : none;
    if constexpr (mg::detail::kIsArray<T>) {  // As Go: what is too much is dropped, what is missing is zero.
      if (value.is_null()) return {};
      out = {};
      for (std::size_t i = 0; i < std::min(items.size(), out.size()); ++i) {
        if (auto done = fill(items[i], out[i], Path{&path, {}, i}, source); !done) return done;
      }
    } else {
      out.clear();
      for (std::size_t i = 0; i < items.size(); ++i) {
        std::ranges::range_value_t<T> inner{};
        if (auto done = fill(items[i], inner, Path{&path, {}, i}, source); !done) return done;
        out.insert(out.end(), std::move(inner));
      }
    }
  }
  return {};
}

template <class T>
Value value_of(const T& input, bool all_fields) {
  if constexpr (std::same_as<T, Value> || std::is_arithmetic_v<T> || std::same_as<T, std::nullptr_t>) {
    return input;
  } else if constexpr (std::same_as<T, List> || std::same_as<T, Dict>) {
    return input;
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_underlying(input);
  } else if constexpr (mg::detail::TextLike<T>) {
    return std::string_view(input);
  } else if constexpr (mg::detail::OctetRange<T>) {
    return octets_text(Bytes(input));
  } else if constexpr (mg::detail::kIsOptional<T>) {
    return input ? value_of(*input, all_fields) : Value();
  } else if constexpr (Described<T>) {
    std::vector<Dict::Entry> entries;
    for_each_field<T>([&](const auto& field) {
      const auto& member = input.*field.member;
      if (!all_fields && field.has(FieldRule::kOmitEmpty) && is_empty_field(member)) return;
      Value item = value_of(member, all_fields);
      if (std::is_arithmetic_v<std::remove_cvref_t<decltype(member)>> && !all_fields && field.has(FieldRule::kAsText)) {
        item = plain_text(item);
      }
      entries.emplace_back(field.name, std::move(item));
    });
    return Dict(std::move(entries));
  } else if constexpr (mg::detail::MapLike<T>) {
    std::vector<Dict::Entry> entries;
    for (const auto& [key, item] : input) entries.emplace_back(key, value_of(item, all_fields));
    return Dict(std::move(entries));
  } else if constexpr (json_text::HasAppendJson<T>) {
    std::string text;
    append_json(text, input);
    auto value = parse_json(text);
    return value ? *std::move(value) : Value();
  } else {
    List items;
    for (const auto& item : input) items.push_back(value_of(item, all_fields));
    return items;
  }
}

}  // namespace mg::dtype::detail
