// mg/utils/dtype/fields.h -- the fields of a struct, named once, for JSON, dictionaries and the stores.
//
//   struct Role { std::int64_t id = 0; std::string name; std::vector<int> items; };
//   constexpr auto mg_fields(std::type_identity<Role>) {
//     return mg::fields(mg::field("id", &Role::id), mg::field("name", &Role::name), mg::field("items", &Role::items));
//   }
//
// In the namespace of the struct, or as a friend inside it when the members are private.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace mg {

enum class FieldRule : std::uint8_t {
  kPlain = 0,
  kOmitEmpty = 1,  // Not written when false, 0, "", empty or absent (never for a struct).
  kAsText = 2,     // A number or boolean written in quotes, as 64-bit ids for a reader with doubles only.
};
constexpr FieldRule operator|(FieldRule a, FieldRule b) {
  return static_cast<FieldRule>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}

// One field. Lifetime: names are literals.
template <class T, class M>
struct Field {
  std::string_view name;
  M T::* member;
  FieldRule rule = FieldRule::kPlain;
  std::string_view redis_name = name;  // Its name in a hash,
  std::string_view bson_name = name;   // in a document; "" leaves it out there.

  constexpr bool has(FieldRule wanted) const {
    return (static_cast<std::uint8_t>(rule) & static_cast<std::uint8_t>(wanted)) != 0;
  }
  constexpr Field redis(std::string_view other) const {
    Field field = *this;
    field.redis_name = other;
    return field;
  }
  constexpr Field bson(std::string_view other) const {
    Field field = *this;
    field.bson_name = other;
    return field;
  }
};

template <class T, class M>
  requires(!std::is_function_v<M>)
constexpr Field<T, M> field(std::string_view name, M T::* member, FieldRule rule = FieldRule::kPlain) {
  return {name, member, rule};
}

template <class... F>
constexpr std::tuple<F...> fields(F... list) {
  return {list...};
}

// A struct with mg_fields.
template <class T>
concept Described = requires { mg_fields(std::type_identity<T>{}); };

// Calls visit(field) for each field, in order.
template <Described T, class Visit>
constexpr void for_each_field(Visit&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, mg_fields(std::type_identity<T>{}));
}

namespace detail {

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T, class D>
inline constexpr bool kIsOptional<std::unique_ptr<T, D>> = true;
template <class T>
inline constexpr bool kIsOptional<std::shared_ptr<T>> = true;

template <class T>
concept TextLike = std::convertible_to<const T&, std::string_view> && !std::same_as<T, std::nullptr_t>;
template <class T>
concept MapLike = requires { typename T::mapped_type; } && TextLike<typename T::key_type>;
template <class T>
concept OctetRange =
    std::ranges::contiguous_range<const T> && std::same_as<std::ranges::range_value_t<const T>, std::byte>;

template <class T>
inline constexpr bool kIsArray = false;
template <class T, std::size_t n>
inline constexpr bool kIsArray<std::array<T, n>> = true;

}  // namespace detail

// Whether kOmitEmpty leaves a value out.
template <class T>
constexpr bool is_empty_field(const T& value) {
  if constexpr (detail::kIsOptional<T>) {
    return !value;
  } else if constexpr (std::is_arithmetic_v<T>) {
    return value == T{};
  } else if constexpr (std::is_enum_v<T>) {
    return value == T{};
  } else if constexpr (requires { value.is_null(); }) {
    return value.is_null();
  } else if constexpr (requires { value.empty(); }) {
    return value.empty();
  } else {
    return false;
  }
}

}  // namespace mg
