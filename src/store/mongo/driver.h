// store/mongo/driver.h -- libmongoc with owners, documents and errors of ours.
//
//   const Bson query(to_query(filter));                // a bson_t that views the octets
//   mongoc_collection_find_with_opts(…, query, …);
//   return to_error(error, reply, Doing::kReading);
#pragma once

#include <mongoc/mongoc.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "mg/base/error.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

// A document as the driver takes it. Lifetime: of this object.
class Bson {
 public:
  explicit Bson(const Document& document) : octets_(encode(document)) {
    bson_init_static(&bson_, reinterpret_cast<const std::uint8_t*>(octets_.data()), octets_.size());
  }
  Bson(const Bson&) = delete;
  Bson& operator=(const Bson&) = delete;
  operator const bson_t*() const { return &bson_; }  // NOLINT(google-explicit-constructor)

 private:
  std::vector<std::byte> octets_;
  bson_t bson_;
};

// A document that the driver fills.
class Reply {
 public:
  Reply() { bson_init(&bson_); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply() { bson_destroy(&bson_); }
  // For functions that overwrite what they are given, as all with a `reply` do.
  bson_t* fill() {
    bson_destroy(&bson_);
    return &bson_;
  }
  bson_t* get() { return &bson_; }
  const bson_t* get() const { return &bson_; }

 private:
  bson_t bson_;
};

// Of a document from a server. Errors: kServer  it is no proper BSON
Result<Document> to_document(const bson_t* from);

template <auto kDestroy>
struct Destroy {
  template <class T>
  void operator()(T* it) const {
    kDestroy(it);
  }
};
using CollectionPtr = std::unique_ptr<mongoc_collection_t, Destroy<mongoc_collection_destroy>>;
using DatabasePtr = std::unique_ptr<mongoc_database_t, Destroy<mongoc_database_destroy>>;
using CursorPtr = std::unique_ptr<mongoc_cursor_t, Destroy<mongoc_cursor_destroy>>;
using BulkPtr = std::unique_ptr<mongoc_bulk_operation_t, Destroy<mongoc_bulk_operation_destroy>>;
using SessionPtr = std::unique_ptr<mongoc_client_session_t, Destroy<mongoc_client_session_destroy>>;
using UriPtr = std::unique_ptr<mongoc_uri_t, Destroy<mongoc_uri_destroy>>;
using PoolPtr = std::unique_ptr<mongoc_client_pool_t, Destroy<mongoc_client_pool_destroy>>;
using ModifyOptsPtr = std::unique_ptr<mongoc_find_and_modify_opts_t, Destroy<mongoc_find_and_modify_opts_destroy>>;
using SessionOptsPtr = std::unique_ptr<mongoc_session_opt_t, Destroy<mongoc_session_opts_destroy>>;

// What a lost connection leaves open.
enum class Doing : std::uint8_t { kReading, kWriting, kCommitting };

// An error of the driver or of a server, in the codes of errors.h.
Error to_error(const bson_error_t& error, const bson_t* reply, Doing doing);
// One that a server reports within a reply.
Error to_error(std::int64_t code, const std::string& text, Doing doing);

// Once in a process, before anything else of the driver.
void start_driver();

}  // namespace mg::documents
