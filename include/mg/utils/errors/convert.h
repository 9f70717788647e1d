// mg/utils/errors/convert.h -- errors of other libraries as ours, and ours as theirs; plain numbers and texts, so that
// nothing of those libraries is included.
//
//   return std::unexpected(errors::from(std::error_code(errno, std::system_category()), "opening " + path));
//   catch (...) { return std::unexpected(errors::from(std::current_exception())); }
//   response.status = errors::http_status(error);
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>

#include "mg/base/error.h"

namespace mg::errors {

// kNotFound, kExists, kForbidden, kTimeout, kInvalid, kUnavailable (connection refused, reset …), kTooMany (limits of
// the machine), kServer (I/O, disk full) by what the code is equivalent to; else kUnknown. Shape: detail = "what:
// message" or, without `what`, the message.
Error from(const std::error_code& error, std::string_view what = {});

// std::system_error as its code; invalid_argument, out_of_range, domain_error and length_error as kInvalid; bad_alloc
// as kUnavailable; others by their text, as parse_error. An exception that is no std::exception: kUnknown "unknown
// exception". Requires: not null.
Error from(const std::exception_ptr& thrown);
Error from(const std::exception& thrown);

// A failed HTTP response: the body when it is one of our errors, else the status as code (an own status below 400
// becomes kUnknown) with the body, cut at 1 KiB, as detail.
Error from_http(std::int32_t status, std::string_view body = {});
// What to answer a failed request with: the code when it is an HTTP error status, else 400 for kInvalid and kStarted,
// kFinished, 409 for kExists, 500 for the rest.
std::int32_t http_status(const Error& error);

// A gRPC status: the message when it is one of our errors with a code > 0, else the code (1 cancelled: 499, 2 kUnknown,
// 3, 9, 11 kInvalid, 4 kTimeout, 5 kNotFound, 6 kExists, 7 kForbidden, 8 kTooMany, 10 409, 12 501, 13, 15 kServer,
// 14 kUnavailable, 16 kUnauthorized) and the message as detail. Requires: grpc_code != 0.
// How a Go client reads one, which loses the code, is rpc's matter.
Error from_grpc(std::int32_t grpc_code, std::string_view message);
// The gRPC code that a server answers with. Source: wire.md 2.7 (anything it does not name: 2).
std::int32_t grpc_code(const Error& error);

// A MongoDB server error, by its number: 11000, 11001, 12582 kExists; 50, 89, 202, 262 kTimeout; 13 kForbidden;
// 18 kUnauthorized; 26, 27, 43, 47 kNotFound; not primary, shutting down and network errors (6, 7, 91, 189, 9001,
// 10107, 11600, 11602, 13435, 13436) kUnavailable; 2, 9, 14, 121 kInvalid; else kServer.
Error from_mongo(std::int32_t mongo_code, std::string_view message);
// Nothing matched. Shape: as the Go driver's "mongo: no documents in result".
Error mongo_no_document();

// A Redis error reply, by its first word: NOAUTH, WRONGPASS kUnauthorized; NOPERM, READONLY kForbidden; LOADING, BUSY,
// MASTERDOWN, CLUSTERDOWN, TRYAGAIN kUnavailable; OOM kTooMany; BUSYGROUP, BUSYKEY kExists; NOSCRIPT kNotFound;
// WRONGTYPE, EXECABORT and ERR kInvalid; else kServer. Shape: `reply` without the leading "-".
Error from_redis(std::string_view reply);
// No such key. Shape: as the Go client's "redis: nil".
Error redis_nil();

// For the wire: `error` with `id` where it has none, code 0 as kUnknown and an empty status as the code's text.
// Source: wire.md 2.7.
Error for_wire(Error error, std::string_view id);
// The same for an error that is only a text, as an exception of somebody else's: the fields of a JSON object, with the
// whole text as detail when one has another type; any other text (but null) as detail.
Error for_wire(std::string_view text, std::string_view id);

}  // namespace mg::errors
