// mg/meta/header.h -- metadata as RPC headers: how keys are spelt on the wire and in a handler (wire.md 2.5).
//
//   meta.for_each([&](auto key, auto value) { send(header_key(key), value); });   // Role-Id -> role-id
//   Meta received = meta_from_headers(headers, peer);                             // role-id -> Role-Id
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "mg/meta/meta.h"

namespace mg {

// Spelling a handler sees: the first letter, and each letter after a character that is no letter, digit or underscore,
// as a title letter (client-id -> Client-Id, snake_key -> Snake_key, camelKey -> CamelKey). Octets that are no UTF-8
// become U+FFFD.
std::string canonical_key(std::string_view key);

// Spelling on the wire: ASCII letters small.
std::string header_key(std::string_view key);

// Whether gRPC takes this header from us; `key` as header_key spells it.
// Errors: kInvalid  the key has characters other than a-z 0-9 . _ - or is empty, or the value is not printable ASCII
//                   (any octets when the key ends in -bin)
Result<void> check_header(std::string_view key, std::string_view value);

// Metadata a handler gets from the headers of a call: keys in canonical spelling, repeated ones joined with ", ",
// `timeout` and `x-content-type` left out, `Remote` = `remote` unless that is empty.
Meta meta_from_headers(std::span<const Meta::Entry> headers, std::string_view remote = "");

// Errors: kInvalid  `no meta context`: there is no metadata at all
Result<void> require_meta(const Meta& meta);

}  // namespace mg
