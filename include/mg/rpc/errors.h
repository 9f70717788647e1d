// mg/rpc/errors.h -- the errors that calls end with, the same on every transport (wire.md 1.8, 2.2, 2.6, 2.7).
//
//   if (nodes.empty()) return std::unexpected(rpc::none_available("game"));
//   Error sent = rpc::handler_error(std::move(error), node_uuid);
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace mg::rpc {

// `id` of errors that the client side makes, and of those that the server side makes for a handler.
inline constexpr std::string_view kClientId = "go.micro.client";
inline constexpr std::string_view kServerId = "go.micro.server";

// An error of the calling side with this code.
Error client_error(std::int32_t code, std::string detail);
// 500 `service nope: not found`
Error service_not_found(std::string_view service);
// 500 `error selecting game node: none available`
Error none_available(std::string_view service);
// 408 `context deadline exceeded`
Error deadline_exceeded();
// 503: the request certainly did not run, because the node could not be reached or is stopping. The client sets the
// node aside and, when the call may go to any node, tries another.
Error not_run(std::string detail);
bool is_not_run(const Error& error);

// What a server sends for a handler's error: `id` = the serving node's UUID where it is empty, code 0 becomes kUnknown,
// an empty status the code's text.
Error handler_error(Error error, std::string_view node_uuid);
// What a server sends when a handler throws: 500 `panic recovered: boom`.
Error panic_error(const std::exception_ptr& thrown);

// The two names of an endpoint: "Forward.Protocol", or a path "/any.thing.Forward/Protocol".
// Lifetime: views of the text given.
struct EndpointName {
  std::string_view handler;
  std::string_view method;
  std::string_view service = {};  // What stands before the handler in the path: the service, "game" or "any.thing".
};
// Errors: 500 `malformed method name: "…"`
Result<EndpointName> parse_endpoint(std::string_view service, std::string_view endpoint);

}  // namespace mg::rpc
