// mg/rpc/transport.h -- the port: how calls leave for a node and how they come in. Adapters: rpc/local.
//
//   auto served = co_await transport.serve({.service = "game", .uuid = id, .handlers = &handlers});
//   std::unique_ptr<rpc::Route> route = transport.open(node, {"Forward", "Protocol"}, *Loop::current());
//   Result<void> done = co_await route->call(context, {&request, &reply});   // its own copy of the context
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/rpc/context.h"
#include "mg/rpc/errors.h"
#include "mg/rpc/exchange.h"
#include "mg/rpc/forward.h"
#include "mg/rpc/handlers.h"
#include "mg/rpc/stream.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::rpc {

// A node that can be called, as the registry tells it.
struct Node {
  std::string id;       // "<service>-<uuid>"
  std::string address;  // host:port, or what its transport understands.
  std::vector<std::pair<std::string, std::string>> metadata;

  // The UUID: `id` without the leading "<service>-".
  std::string_view uuid(std::string_view service) const;
  std::string_view get(std::string_view key) const;  // "" when absent.
};

// The nodes of a service, unchanging. Lifetime: as long as anybody holds it.
using NodeList = std::shared_ptr<const std::vector<Node>>;

// Where the client learns who serves. Threads: shared.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // Errors: 500 `service nope: not found` (service_not_found), or why it could not be asked.
  virtual Task<Result<NodeList>> nodes(std::string service, Deadline deadline) = 0;
  // Grows whenever an answer of nodes() may have changed.
  virtual const std::atomic<std::uint64_t>& version() const = 0;
};

// The messages of one call. Lifetime: of `request` and `reply` until the call's Task is done or destroyed; whoever
// needs them longer keeps `exchange`, which owns both, or works on copies when there is none.
struct Messages {
  const MessageLite* request = nullptr;  // Both null for a forwarded message: a transport that has no shorter way for
  MessageLite* reply = nullptr;          // it makes them by call_with_messages().
  Exchange* exchange = nullptr;
  ForwardCall forward = {};
};

inline constexpr std::int32_t kNoStreams = 501;  // Error code of Route::open_stream().

// One method of one node, as used from one loop. Threads: loop.
// Lifetime: may be destroyed while calls are out; they end as if it had not been.
class Route {
 public:
  virtual ~Route() = default;
  // Starts the call at once. `context` may be gone when this returns. Requires: context.deadline() is not never(); the
  // transport keeps it.
  // Errors: what the handler returned (handler_error) · 408 deadline_exceeded() · 503 not_run() · 500 for the rest
  // Cancellation: destroying the Task gives up waiting; the handler runs on, its reply is dropped.
  virtual Task<Result<void>> call(const Context& context, const Messages& messages) = 0;
  // Starts a call of many messages; its deadline may be never(). Errors: kNoStreams  this transport has none
  virtual Result<std::unique_ptr<CallerStreamEnd>> open_stream(const Context& context) {
    (void)context;
    return fail(kNoStreams, "streams are not carried by this transport");
  }
};

// `forward`, as a call of messages over `route`. Errors, Lifetime, Cancellation: as Route::call.
Task<Result<void>> call_with_messages(Route& route, const Context& context, const ForwardCall& forward);

// Told of each request that was served. Threads: callback, on the loop that served it; be quick.
struct Request {
  std::string_view endpoint;  // "Forward.Protocol"
  const Context& context;
  Clock::Duration took;
  const Error* error;  // Null when it succeeded.
};
using RequestObserver = std::function<void(const Request&)>;

// What a node offers to a transport.
struct Serving {
  std::string service;
  std::string uuid;
  const Handlers* handlers;  // Unchanged from now on; outlives Served.
  RequestObserver observer;  // May be empty, and then costs nothing.
};

// A node being served. Threads: shared. Requires: stop() was awaited before it is destroyed.
class Served {
 public:
  virtual ~Served() = default;
  // What the registry is told.
  virtual std::string address() const = 0;
  virtual std::vector<std::pair<std::string, std::string>> metadata() const = 0;
  // Takes no more calls (callers get not_run()), waits for those that run. When it returns a value, no handler runs and
  // none will. Errors: kTimeout  some still run at the deadline; what they use must stay alive until they end.
  virtual Task<Result<void>> stop(Deadline deadline) = 0;
};

// Threads: shared.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Task<Result<std::unique_ptr<Served>>> serve(Serving serving) = 0;
  // Null: this transport does not reach the node. Threads: on `loop`. Does not wait.
  virtual std::unique_ptr<Route> open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop) = 0;
};

}  // namespace mg::rpc
