// mg/store/documents/typed.h -- what collection.h is made of; include that.
//
//   Page<Role> page = *co_await roles.scan(3, 20);
//   page.count; page.items;
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "mg/store/documents/documents.h"
#include "mg/store/documents/encoding.h"

namespace mg::documents {

// How a page is asked for and answered, as Go services do. Source: wire.md 8, Paging.
template <class T>
struct Page {
  std::int64_t page = 1, count = 0, size = 20;  // As it was in the end; `count` of all documents.
  std::vector<T> items;
};
template <class T>
constexpr auto mg_fields(std::type_identity<Page<T>>) {
  return fields(field("page", &Page<T>::page), field("count", &Page<T>::count), field("size", &Page<T>::size));
}

namespace detail {
// The untyped half, so that it is compiled once.
Task<Result<Value>> insert(Documents& in, Call call, Result<Document> document);
Task<Result<std::vector<Value>>> insert_many(Documents& in, Call call, Result<std::vector<Document>> documents);
Task<Result<Document>> find_one(Documents& in, Call call, Filter filter, FindOptions options);
Task<Result<Written>> write_one(Documents& in, Call call, Write write, std::optional<std::int64_t> guard);
Task<Result<Page<Document>>> scan(Documents& in, Call call, Filter filter, std::int64_t page, std::int64_t size,
                                  FindOptions options);

template <class T>
Result<T> typed(Result<Document> from) {
  if (!from) return std::unexpected(std::move(from).error());
  return from_document<T>(*from);
}
template <class T>
Result<std::vector<T>> typed(Result<std::vector<Document>> from) {
  if constexpr (std::same_as<T, Document>) {
    return from;
  } else {
    if (!from) return std::unexpected(std::move(from).error());
    std::vector<T> out;
    out.reserve(from->size());
    for (const Document& each : *from) {
      auto one = from_document<T>(each);
      if (!one) return std::unexpected(std::move(one).error());
      out.push_back(*std::move(one));
    }
    return out;
  }
}
template <class T>
Task<Result<std::vector<T>>> find(Documents& in, Call call, Filter filter, FindOptions options) {
  co_return typed<T>(co_await in.find(std::move(call), std::move(filter), std::move(options)));
}
template <class T>
Task<Result<T>> find_one_typed(Documents& in, Call call, Filter filter, FindOptions options) {
  co_return typed<T>(co_await find_one(in, std::move(call), std::move(filter), std::move(options)));
}
template <class T>
Task<Result<std::optional<T>>> modify(Documents& in, Call call, Modify change) {
  auto found = co_await in.modify(std::move(call), std::move(change));
  if (!found) co_return std::unexpected(std::move(found).error());
  if (!*found) co_return std::optional<T>();
  auto one = from_document<T>(**found);
  if (!one) co_return std::unexpected(std::move(one).error());
  co_return std::optional<T>(*std::move(one));
}
template <class T>
Task<Result<Page<T>>> scan_typed(Documents& in, Call call, Filter filter, std::int64_t page, std::int64_t size,
                                 FindOptions options) {
  auto got = co_await scan(in, std::move(call), std::move(filter), page, size, std::move(options));
  if (!got) co_return std::unexpected(std::move(got).error());
  auto items = typed<T>(Result<std::vector<Document>>(std::move(got->items)));
  if (!items) co_return std::unexpected(std::move(items).error());
  co_return Page<T>{.page = got->page, .count = got->count, .size = got->size, .items = *std::move(items)};
}
}  // namespace detail

}  // namespace mg::documents
