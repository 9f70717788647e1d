// mg/rpc/client.h -- calls to services by name: picks a node, a transport, keeps the deadline.
//
//   Result<void> done = co_await client.call({.service = "game"}, "Forward.Protocol", rpc::Context(meta), in, out);
//   rpc::Method forward = client.method("game", "Forward.Protocol");       // once; then per message:
//   auto call = forward.make_call<In, Out>();                              // pooled messages
//   call.request().set_cmd(7);
//   if (Result<void> done = co_await call.send(rpc::Context(meta))) reply(call.reply().data());
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/random.h"
#include "mg/rpc/context.h"
#include "mg/rpc/exchange.h"
#include "mg/rpc/selector.h"
#include "mg/rpc/stream.h"
#include "mg/rpc/transport.h"
#include "mg/runtime/task.h"

namespace mg::rpc {

struct ClientOptions {
  std::string name;                                    // Service name of the caller; handlers see it.
  Clock::Duration timeout = std::chrono::seconds(10);  // Of calls whose context has no deadline; > 0.
  // Further attempts after 408, 500 and not_run(), within the deadline; on a loop 10 at once, then 1 for 5 calls.
  std::uint32_t retries = 0;
  std::uint32_t max_pending = 65536;  // Calls that wait for an answer, per loop; more fail with 429.
  std::uint32_t max_nested = 64;      // Calls inside calls on one stack (cycles); more fail with 429.
  PickerFactory picker = nullptr;     // How calls choose among nodes where set_picker() says nothing; null: at random.
};

// Whom a call goes to: any node of the service; the one with this UUID; any of those that pass the filter.
struct Target {
  std::string_view service;
  std::string_view node = {};
  std::function<bool(const Node&)> filter = {};
};

class Method;
template <class Request, class Reply>
class Call;

// Errors of all calls, made here (id go.micro.client):
//   500 `service nope: not found` · 500 `error selecting game node: none available` (no such UUID, filter empty)
//   500 `malformed method name: "…"` · 408 `context deadline exceeded`
//   503 the node could not be reached or is stopping; the request did not run. A call that may go to any node is first
//       tried on the others.
//   429 max_pending or max_nested is reached
//   those of the server (handler_error, `unknown service Greeter.Nope`) come unchanged.
// Threads: shared; a call belongs to the loop it is made on, and must be made on one of `loops`.
// Lifetime: outlives its Methods and the Tasks of its calls; not destroyed while its loops run.
class Client {
 public:
  // Transports in order of preference. `random` seeds one stream per loop, here. All must outlive the client.
  Client(ClientOptions options, std::span<Loop* const> loops, Resolver& resolver, std::vector<Transport*> transports,
         Random& random);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  // Starts at once, and awaiting gives the outcome. `reply` is filled on success only; a value already there is merged
  // with or replaced: pass an empty one.
  // Lifetime: what the context refers to, and messages, until the Task is done or destroyed; the context itself, target
  //   and endpoint until this returns.
  // Cancellation: destroying the Task gives up waiting.
  // Cost: a hash look-up more than a Method.
  Task<Result<void>> call(const Target& target, std::string_view endpoint, const Context& context,
                          const MessageLite& request, MessageLite& reply);

  // A stream to one node; the typed form is CallerStream<Out, In>(std::move(*end)). It lasts as long as the caller
  // keeps it, or until the context's deadline; the client's timeout does not count. Nodes are not tried one after the
  // other. Errors: as above. Lifetime: as above, of the context until the Task is done.
  Task<Result<std::unique_ptr<CallerStreamEnd>>> open_stream(const Target& target, std::string_view endpoint,
                                                             const Context& context);

  // The same endpoint again and again: looked up once per loop and registry change. Lifetime: of the client.
  Method method(std::string_view service, std::string_view endpoint);

  // How calls to `service` choose among nodes, instead of ClientOptions::picker; `factory` must not use the client.
  // Threads: before the first call to it.
  void set_picker(std::string_view service, PickerFactory factory);

  const ClientOptions& options() const { return options_; }

  class State;  // What the loops share and what each has.

 private:
  friend class Method;
  ClientOptions options_;
  std::unique_ptr<State> state_;
};

// An endpoint of a service, resolved. A pointer: copy it freely. Threads: shared, as the client.
class Method {
 public:
  class State;

  Method() = default;  // Not to be called.
  explicit operator bool() const { return state_ != nullptr; }

  Task<Result<void>> call(Context context, const MessageLite& request, MessageLite& reply) const {
    return start({}, context, {.request = &request, .reply = &reply});
  }
  // To the node with this UUID.
  Task<Result<void>> call_node(std::string_view uuid, Context context, const MessageLite& request,
                               MessageLite& reply) const {
    return start(uuid, context, {.request = &request, .reply = &reply});
  }

  // A message that is handed on unread: `in` goes there, `code` and `data` come back, on success only.
  // Lifetime: of `in.data`, `code` and `data` until the Task is done or destroyed.
  template <ForwardRequest In, ForwardReplyMessage Out>
  Task<Result<void>> forward(Context context, const Forwarded& in, std::uint32_t& code, std::string& data) const {
    return forward(context, {in, &code, &data, &kForwardMessages<In, Out>});
  }

  // A call with messages of the loop's pool: the way without allocation, and without a copy in one process.
  template <class Request, class Reply>
  Call<Request, Reply> make_call() const {
    return Call<Request, Reply>(*this, lease(Request::default_instance(), Reply::default_instance()));
  }

 private:
  friend class Client;
  template <class, class>
  friend class Call;
  explicit Method(State* state) : state_(state) {}
  Task<Result<void>> start(std::string_view uuid, Context& context, const Messages& messages) const;
  Task<Result<void>> forward(Context& context, const ForwardCall& call) const;
  ExchangePtr lease(const MessageLite& request, const MessageLite& reply) const;

  State* state_ = nullptr;
};

// One call and its messages. Threads: loop. Lifetime: outlives the Task of send().
template <class Request, class Reply>
class Call {
 public:
  Request& request() { return static_cast<Request&>(exchange_->request()); }
  Reply& reply() { return static_cast<Reply&>(exchange_->reply()); }

  // Requires: once. Of the request and the reply, only the reply is to be looked at afterwards.
  Task<Result<void>> send(Context context) { return method_.start({}, context, messages()); }
  Task<Result<void>> send_to(std::string_view uuid, Context context) {
    return method_.start(uuid, context, messages());
  }

 private:
  friend class Method;
  Call(Method method, ExchangePtr exchange) : method_(method), exchange_(std::move(exchange)) {}
  Messages messages() {
    return {.request = &exchange_->request(), .reply = &exchange_->reply(), .exchange = exchange_.get()};
  }

  Method method_;
  ExchangePtr exchange_;
};

}  // namespace mg::rpc
