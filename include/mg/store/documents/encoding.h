// mg/store/documents/encoding.h -- structs (mg/utils/dtype/fields.h) to and from documents.
//
//   struct Role { std::int64_t id = 0; std::string name; std::vector<Item> items; };
//   constexpr auto mg_fields(std::type_identity<Role>) {
//     return mg::fields(mg::field("id", &Role::id).bson("_id"), mg::field("name", &Role::name), …);
//   }
//   Result<Document> document = to_document(role);
//   Result<Role> back = from_document<Role>(document);   // kInvalid `items[2].count: "x" is no whole number`
//
// Types: bool, numbers, enums, texts, std::vector<std::byte> (binary), ObjectId, times of system_clock (dates),
// optional and unique_ptr (null), lists, std::array, maps by text, structs with fields, Document, Array, Value.
#pragma once

#include <string_view>
#include <utility>

#include "mg/base/error.h"
#include "mg/store/documents/make_value.h"
#include "mg/store/documents/read_value.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

// Errors: kInvalid  a std::uint64_t beyond int64, naming its path
template <Described T>
Result<Document> to_document(const T& in) {
  return detail::make_document(in, {});
}
inline Result<Document> to_document(Document in) {
  return in;
}

// Fields that T does not name are passed over; fields that the document has not stay as a new T has them.
// Errors: kInvalid  naming the path
template <class T>
Result<T> from_document(const Document& in) {
  if constexpr (std::same_as<T, Document>) {
    return in;
  } else {
    Result<T> out;
    if (auto done = detail::read(Value(in), *out, {}); !done) return std::unexpected(std::move(done).error());
    return out;
  }
}

// One value, and one field: auto level = get<int>(document, "level"); Errors: kInvalid  also when there is no such
// field
template <class T>
Result<Value> to_value(const T& in) {
  return detail::make(in, {});
}
template <class T>
Result<T> get(const Document& in, std::string_view name) {
  Result<T> out;
  if (auto done = detail::read(in.at(name), *out, {nullptr, name, 0}); !done) return std::unexpected(done.error());
  return out;
}

}  // namespace mg::documents
