// registry/etcd/record.h -- keys and values in etcd (wire.md 1.1, 1.2).
//
//   std::string key = node_key("/micro/registry/", "game", "game-1574…");   // /micro/registry/game/game-1574…
//   Result<Service> service = decode_record(value, max_bytes);
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "mg/registry/service.h"

namespace mg::registry::etcd {

// `/` in names becomes `-`. Requires: names that a cleaned path keeps; not empty, "." or "..".
std::string node_key(std::string_view prefix, std::string_view service, std::string_view node_id);
// What the keys of all nodes of a service begin with; ends in a slash.
std::string service_prefix(std::string_view prefix, std::string_view service);
// The first key after all that begin with `prefix`.
std::string range_end(std::string prefix);

// JSON in Go's field order. Shape: one line.
std::string encode_record(const Service& service);

// Keys in any case, unknown ones ignored, missing ones empty, as Go reads it.
// Errors: kInvalid  too large, no JSON, wrong types, no name, no node, a node without id
Result<Service> decode_record(std::string_view value, std::size_t max_bytes);

}  // namespace mg::registry::etcd
