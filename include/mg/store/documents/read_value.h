// mg/store/documents/read_value.h -- the half of encoding.h that reads values; include that.
//
//   Role role;
//   Result<void> done = detail::read(value, role, {});
#pragma once

#include "mg/store/documents/make_value.h"

namespace mg::documents::detail {

template <class T>
Result<void> read(const Value& from, T& out, const Place& place) {
  if constexpr (std::same_as<T, Value>) {
    out = from;
  } else if constexpr (mg::detail::kIsOptional<T>) {
    if (from.is_null()) {
      out.reset();
      return {};
    }
    using Inner = std::remove_cvref_t<decltype(*out)>;
    Inner inner{};
    if (auto done = read(from, inner, place); !done) return done;
    if constexpr (requires { out.reset(new Inner(std::move(inner))); }) {
      out.reset(new Inner(std::move(inner)));
    } else {
      out = std::move(inner);
    }
  } else if constexpr (std::same_as<T, bool>) {
    if (from.type() != Type::kBool) return wrong(place, "no boolean", from);
    out = from.as_bool();
  } else if constexpr (std::integral<T>) {
    const auto number = whole(from);
    if (!number || !std::in_range<T>(*number)) return wrong(place, "no whole number that fits", from);
    out = static_cast<T>(*number);
  } else if constexpr (std::floating_point<T>) {
    if (!from.is_number()) return wrong(place, "no number", from);
    out = from.is_whole() ? static_cast<T>(from.as_whole()) : static_cast<T>(from.as_double());
  } else if constexpr (std::is_enum_v<T>) {
    auto number = std::to_underlying(out);
    if (auto done = read(from, number, place); !done) return done;
    out = static_cast<T>(number);
  } else if constexpr (std::same_as<T, std::string>) {
    if (!from.is_text()) return wrong(place, "no text", from);
    out = from.as_text();
  } else if constexpr (std::same_as<T, std::vector<std::byte>>) {
    if (from.type() != Type::kBinary) return wrong(place, "no binary", from);
    out = from.as_binary().octets;
  } else if constexpr (Time<T>) {
    if (from.type() != Type::kDate) return wrong(place, "no date", from);
    out = std::chrono::floor<typename T::duration>(from.as_date());
  } else if constexpr (std::same_as<T, ObjectId>) {
    if (from.type() != Type::kObjectId) return wrong(place, "no ObjectId", from);
    out = from.as_object_id();
  } else if constexpr (std::same_as<T, Document>) {
    if (!from.is_document()) return wrong(place, "no document", from);
    out = from.as_document();
  } else if constexpr (Described<T>) {
    if (!from.is_document()) return wrong(place, "no document", from);
    Result<void> done;
    for_each_field<T>([&](const auto& field) {
      const Value* const found = done && !field.bson_name.empty() ? from.as_document().find(field.bson_name) : nullptr;
      // Null for what cannot be null is what a new T holds, as Go's decoder does.
      if (found == nullptr ||
          (found->is_null() && !std::same_as<std::remove_cvref_t<decltype(out.*field.member)>, Value>))
        return;
      done = read(*found, out.*field.member, Place{&place, field.bson_name, 0});
    });
    return done;
  } else if constexpr (mg::detail::MapLike<T>) {
    if (!from.is_document()) return wrong(place, "no document", from);
    out.clear();
    for (const Field& each : from.as_document()) {
      typename T::mapped_type inner{};
      if (auto done = read(each.value, inner, Place{&place, each.name, 0}); !done) return done;
      out.insert_or_assign(typename T::key_type(each.name), std::move(inner));
    }
  } else {
    static_assert(std::ranges::range<T>, "no way to read this from a document");
    if (!from.is_array()) return wrong(place, "no array", from);
    const Array& items = from.as_array();
    if constexpr (mg::detail::kIsArray<T>) {
      if (items.size() != out.size()) return wrong(place, "an array of another size", from);
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (auto done = read(items[i], out[i], Place{&place, {}, i}); !done) return done;
      }
    } else {
      out.clear();
      for (std::size_t i = 0; i < items.size(); ++i) {
        std::ranges::range_value_t<T> inner{};
        if (auto done = read(items[i], inner, Place{&place, {}, i}); !done) return done;
        out.insert(out.end(), std::move(inner));
      }
    }
  }
  return {};
}

}  // namespace mg::documents::detail
