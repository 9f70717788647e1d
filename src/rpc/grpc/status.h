// Errors as gRPC statuses and back (wire.md 2.2, 2.7).
//
//   reactor->Finish(to_status(handler_error(std::move(error), uuid)));
//   Error error = from_status(status);
#pragma once

#include <grpcpp/support/status.h>

#include "mg/base/error.h"

namespace mg::rpc::grpc {

// Trailing metadata of a request that a node refused before its handler: the caller may try another node.
inline constexpr char kNotRunKey[] = "mg-not-run";

// Code by the error's, message = its JSON, details = exactly one errors.Error.
::grpc::Status to_status(const Error& error);
// A status without details, as for what the library and not a handler refuses.
::grpc::Status plain_status(::grpc::StatusCode code, std::string message);
// What Handlers::find and parse_endpoint say, as a status: `unknown service …` is UNIMPLEMENTED, `malformed …`
// INVALID_ARGUMENT.
::grpc::Status name_status(const Error& error);

// What a go-micro client makes of a status: the error of the details, else that of the message, else 500 with the
// message. Requires: !status.ok()
Error from_status(const ::grpc::Status& status);

}  // namespace mg::rpc::grpc
