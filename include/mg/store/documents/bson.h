// mg/store/documents/bson.h -- documents to and from the octets of BSON, and to and from JSON.
//
//   std::vector<std::byte> octets = encode(document);
//   Result<Document> back = decode(octets);         // kInvalid for anything that is not exactly one document
//   Document data = *document_from_json(body);      // from a user: keys are data, whatever they look like
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/bytes.h"
#include "mg/base/error.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

struct Limits {
  std::size_t max_bytes = 16 * 1024 * 1024;  // Of a whole document. Source: MongoDB, BSON Document Size.
  std::size_t max_depth = 100;               // Of documents and arrays in each other. Source: as above.
};

// Requires: no NUL in names (check() of documents.h refuses them before anything is sent or stored).
std::vector<std::byte> encode(const Document& document);
void encode_to(std::vector<std::byte>& out, const Document& document);

// Every length is held against what there is before it is believed; names and texts must be UTF-8, names unique.
// Errors: kInvalid  "BSON at octet 17: text runs past the end"
// Threads: shared. Cost: one pass.
Result<Document> decode(Bytes octets, const Limits& limits = {});

// What a store takes: depth and size within limits; names without NUL, not empty, without "." and not beginning with
// "$", so that nothing a user sent can be taken for a path or an operator later.
// Errors: kInvalid  naming the path
Result<void> check_storable(const Document& document, const Limits& limits = {});

// Relaxed Extended JSON: {"_id":{"$oid":"…"},"n":1}. For people and logs. Source: MongoDB, Extended JSON (v2).
std::string to_json(const Value& value);

// Plain JSON, for data from outside: whole numbers become int32 or int64, others doubles, and {"$oid":…} stays a
// document with a field of that name (which no store takes). Errors: kInvalid  not JSON, or not an object at the top
Result<Document> document_from_json(std::string_view text);

}  // namespace mg::documents
