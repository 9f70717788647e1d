// mg/store/documents/make_value.h -- the half of encoding.h that makes values; include that.
//
//   Result<Value> value = detail::make(role, {});
//   Result<Document> document = detail::make_document(role, {});
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/store/documents/value.h"
#include "mg/utils/dtype/fields.h"

namespace mg::documents::detail {

// Where in a document we are, for messages. Lifetime: of the calls inside.
struct Place {
  const Place* outer = nullptr;
  std::string_view name;  // Of a field; empty: `index` of a list.
  std::size_t index = 0;
};
std::unexpected<Error> wrong(const Place& place, std::string_view wanted, const Value& got);
std::unexpected<Error> too_big(const Place& place, std::uint64_t number);

template <class T>
concept Time = requires(T t) {
  typename T::clock;
  requires std::same_as<typename T::clock, std::chrono::system_clock>;
};

// A number of any type that stands for exactly this whole number; nothing otherwise.
std::optional<std::int64_t> whole(const Value& value);

template <class T>
Result<Value> make(const T& in, const Place& place);

template <Described T>
Result<Document> make_document(const T& in, const Place& place) {
  Result<Document> out;
  Result<void> failed;
  for_each_field<T>([&](const auto& field) {
    const auto& member = in.*field.member;
    if (!failed || field.bson_name.empty()) return;
    if (field.has(FieldRule::kOmitEmpty) && is_empty_field(member)) return;
    auto value = make(member, Place{&place, field.bson_name, 0});
    if (!value) {
      failed = std::unexpected(std::move(value).error());
    } else {
      out->append(std::string(field.bson_name), *std::move(value));
    }
  });
  if (!failed) return std::unexpected(std::move(failed).error());
  return out;
}

template <class T>
Result<Value> make(const T& in, const Place& place) {
  if constexpr (std::constructible_from<Value, const T&> && !std::integral<T> && !Time<T>) {
    return Value(in);
  } else if constexpr (std::same_as<T, bool>) {
    return Value(in);
  } else if constexpr (std::integral<T>) {
    if (!std::in_range<std::int64_t>(in)) return too_big(place, static_cast<std::uint64_t>(in));
    return Value(in);
  } else if constexpr (std::is_enum_v<T>) {
    return make(std::to_underlying(in), place);
  } else if constexpr (std::same_as<T, std::vector<std::byte>>) {
    return Value(Binary{.octets = in, .subtype = 0});
  } else if constexpr (Time<T>) {
    return Value(std::chrono::floor<std::chrono::milliseconds>(in));
  } else if constexpr (mg::detail::kIsOptional<T>) {
    return in ? make(*in, place) : Result<Value>(Value());
  } else if constexpr (Described<T>) {
    auto document = make_document(in, place);
    if (!document) return std::unexpected(std::move(document).error());
    return Value(*std::move(document));
  } else if constexpr (mg::detail::MapLike<T>) {
    Document out;
    for (const auto& [key, item] : in) {
      auto value = make(item, Place{&place, key, 0});
      if (!value) return value;
      out.append(std::string(key), *std::move(value));
    }
    return Value(std::move(out));
  } else {
    static_assert(std::ranges::range<T>, "no way to keep this in a document");
    Array out;
    for (const auto& item : in) {
      auto value = make(item, Place{&place, {}, out.size()});
      if (!value) return value;
      out.push_back(*std::move(value));
    }
    return Value(std::move(out));
  }
}

}  // namespace mg::documents::detail
