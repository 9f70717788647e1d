// mg/rpc/stub.h -- what the code of protoc-gen-rpc stands on: typed clients, and handlers that are added by name.
//
//   gate::GateService::Client gates(app, "gate");                 // generated; an rpc::Client will do, too
//   co_await gates.push(rpc::Context(meta), in, out);             // any node of the service
//   co_await gates.push(uuid, rpc::Context(meta), in, out);       // the node with this UUID
//   co_await gates.push(meta, in, out);                           // the node that made `meta`, which goes along
#pragma once

#include <google/protobuf/message_lite.h>

#include <atomic>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mg/base/error.h"
#include "mg/meta/meta.h"
#include "mg/rpc/client.h"
#include "mg/rpc/context.h"
#include "mg/rpc/stream.h"
#include "mg/runtime/task.h"

namespace mg::rpc {

// A Client, or what has one: an App, whose client is not there before it starts. Lifetime: of what it refers to.
class ClientSource {
 public:
  ClientSource(Client& client)  // NOLINT: implicit
      : object_(&client), get_([](void* object) -> Client& { return *static_cast<Client*>(object); }) {}
  template <class Owner>
    requires requires(Owner& owner) {
      { owner.client() } -> std::same_as<Client&>;
    }
  ClientSource(Owner& owner)  // NOLINT: implicit
      : object_(&owner), get_([](void* object) -> Client& { return static_cast<Owner*>(object)->client(); }) {}

  Client& get() const { return get_(object_); }

 private:
  void* object_;
  Client& (*get_)(void*);
};

// Calls to one service, whatever the method; the base of generated clients.
// Errors, Lifetime, Cost: as Client::call. Threads: shared; may be made before the app starts, called from then on.
class Stub {
 public:
  // `service`: the name its nodes are registered under.
  Stub(ClientSource source, std::string service) : source_(source), service_(std::move(service)) {}
  Stub(const Stub&) = delete;
  Stub& operator=(const Stub&) = delete;

  const std::string& service() const { return service_; }
  Client& client() const { return source_.get(); }

  // Any node.
  Task<Result<void>> call(std::string_view endpoint, const Context& context, const MessageLite& request,
                          MessageLite& reply) const {
    return client().call({.service = service_}, endpoint, context, request, reply);
  }
  // The node with this UUID.
  Task<Result<void>> call_node(std::string_view uuid, std::string_view endpoint, const Context& context,
                               const MessageLite& request, MessageLite& reply) const {
    return client().call({.service = service_, .node = pinned(uuid)}, endpoint, context, request, reply);
  }
  // The node that made `meta` (its Node-Id), with `meta` as the call's metadata.
  Task<Result<void>> call_node(const Meta& meta, std::string_view endpoint, const MessageLite& request,
                               MessageLite& reply) const {
    return call_node(meta.get(meta_key::kNodeId), endpoint, Context(meta), request, reply);
  }

  // An absent UUID means no node; to the client a text without data() would mean any.
  static std::string_view pinned(std::string_view uuid) { return uuid.data() ? uuid : std::string_view(""); }

 private:
  ClientSource source_;
  std::string service_;
};

// One method of a generated client. Threads, Errors, Lifetime: as Stub.
// Cost: as rpc::Method, which it looks up at its first call.
template <class Request, class Reply>
class StubMethod {
 public:
  // `endpoint` is a constant: it is kept as a view.
  StubMethod(const Stub& stub, std::string_view endpoint) : stub_(stub), endpoint_(endpoint) {}
  StubMethod(const StubMethod&) = delete;
  StubMethod& operator=(const StubMethod&) = delete;

  // Any node.
  Task<Result<void>> operator()(const Context& context, const Request& request, Reply& reply) const {
    return method().call(context, request, reply);
  }
  // The node with this UUID.
  Task<Result<void>> operator()(std::string_view uuid, const Context& context, const Request& request,
                                Reply& reply) const {
    return method().call_node(Stub::pinned(uuid), context, request, reply);
  }
  // The node that made `meta` (its Node-Id), with `meta` as the call's metadata.
  Task<Result<void>> operator()(const Meta& meta, const Request& request, Reply& reply) const {
    return method().call_node(Stub::pinned(meta.get(meta_key::kNodeId)), Context(meta), request, reply);
  }
  // A call with messages of the loop's pool: the way without allocation. Threads: on a loop of the client.
  Call<Request, Reply> make_call() const { return method().template make_call<Request, Reply>(); }

  std::string_view endpoint() const { return endpoint_; }
  Method method() const {
    Method known = method_.load(std::memory_order_acquire);
    if (!known) [[unlikely]] {
      known = stub_.client().method(stub_.service(), endpoint_);
      method_.store(known, std::memory_order_release);
    }
    return known;
  }

 private:
  const Stub& stub_;
  std::string_view endpoint_;
  mutable std::atomic<Method> method_{Method()};
};

// One stream method of a generated client: `In` goes there, `Out` comes back. Threads, Errors, Lifetime: as
// Client::open_stream.
template <class In, class Out>
class StubStream {
 public:
  using Opened = Result<CallerStream<In, Out>>;
  StubStream(const Stub& stub, std::string_view endpoint) : stub_(stub), endpoint_(endpoint) {}
  StubStream(const StubStream&) = delete;
  StubStream& operator=(const StubStream&) = delete;

  // To any node.
  Task<Opened> operator()(const Context& context) const { return open({.service = stub_.service()}, context); }
  // To the node with this UUID.
  Task<Opened> operator()(std::string_view uuid, const Context& context) const {
    return open({.service = stub_.service(), .node = Stub::pinned(uuid)}, context);
  }
  // To the node that made `meta` (its Node-Id), with `meta` as the call's metadata.
  Task<Opened> operator()(const Meta& meta) const { return (*this)(meta.get(meta_key::kNodeId), Context(meta)); }

  std::string_view endpoint() const { return endpoint_; }

 private:
  Task<Opened> open(const Target& target, const Context& context) const {
    return typed(stub_.client().open_stream(target, endpoint_, context));  // Takes what it needs of them at once.
  }
  static Task<Opened> typed(Task<Result<std::unique_ptr<CallerStreamEnd>>> opening) {
    auto end = co_await std::move(opening);
    if (!end) co_return std::unexpected(std::move(end.error()));
    co_return CallerStream<In, Out>(std::move(*end));
  }

  const Stub& stub_;
  std::string_view endpoint_;
};

// What a method of a service returns, as its author likes.
template <class T>
concept HandlerResult = std::same_as<T, Result<void>> || std::same_as<T, Task<Result<void>>>;

// A handler and its endpoint.
template <class Fn>
struct NamedHandler {
  std::string_view endpoint;
  Fn fn;
};

// One of these messages. `fn` is called with (const Context&, const Request&, Reply&), whatever it can take.
template <class Request, class Reply, class Fn>
auto handler(std::string_view endpoint, Fn fn) {
  auto typed = [fn](const Context& context, const Request& in, Reply& out) { return fn(context, in, out); };
  return NamedHandler<decltype(typed)>{endpoint, typed};
}

// The same for a stream; `fn` is called with (const Context&, Stream<In, Out>).
template <class In, class Out, class Fn>
auto stream_handler(std::string_view endpoint, Fn fn) {
  auto typed = [fn](const Context& context, Stream<In, Out> stream) -> Task<Result<void>> {
    return fn(context, stream);
  };
  return NamedHandler<decltype(typed)>{endpoint, typed};
}

// Adds them to an App, whose start fails with their errors, or to Handlers, and then returns the first error.
template <class To, class... Fn>
auto add_handlers(To& to, NamedHandler<Fn>... handlers) {
  if constexpr ((requires { to.add_handler(handlers.endpoint, std::move(handlers.fn)); } && ...)) {
    (to.add_handler(handlers.endpoint, std::move(handlers.fn)), ...);
  } else {
    Result<void> outcome;
    ((outcome ? void(outcome = to.add(handlers.endpoint, std::move(handlers.fn))) : void()), ...);
    return outcome;
  }
}

}  // namespace mg::rpc
