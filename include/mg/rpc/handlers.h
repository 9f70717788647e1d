// mg/rpc/handlers.h -- the table of what a node serves; a handler written once is served by every transport.
//
//   rpc::Handlers handlers;
//   handlers.add("Forward.Protocol", forward, &Forward::protocol);
//   handlers.add("Greeter.Echo", [](const rpc::Context&, const Echo& in, Echo& out) -> Result<void> { ... });
#pragma once

#include <google/protobuf/message_lite.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mg/base/error.h"
#include "mg/rpc/context.h"
#include "mg/rpc/errors.h"
#include "mg/rpc/forward.h"
#include "mg/rpc/stream.h"
#include "mg/runtime/task.h"

namespace mg::rpc {

using google::protobuf::MessageLite;

// One method. Threads: const-shared.
struct Handler {
  std::string name;            // "Forward.Protocol"
  const MessageLite* request;  // Default instances: New() makes a message, the address is the type.
  const MessageLite* reply;
  const std::type_info* request_type;
  const std::type_info* reply_type;
  std::shared_ptr<void> target;  // What `invoke` is called on.
  // The handler as written returned Result<void>: it has no suspension, its Task is always ready.
  bool immediate;
  // Requires: messages of the types above. Lifetime: context and messages until the Task is done. May throw.
  Task<Result<void>> (*invoke)(void* target, const Context&, const MessageLite& request, MessageLite& reply);
  Result<void> (*invoke_immediate)(void* target, const Context&, const MessageLite& request, MessageLite& reply);
  // Of a forward_handler(); null of others.
  Task<Result<void>> (*forward)(void* target, const Context&, const Forwarded&, ForwardReply&) = nullptr;
  void (*copy_request)(const MessageLite& from, MessageLite& to);
  void (*swap_reply)(MessageLite& one, MessageLite& other);
  // Of a handler of streams; null of others. For it `invoke` only says that it must be opened as a stream.
  Task<Result<void>> (*invoke_stream)(void* target, const Context&, StreamEnd&) = nullptr;
};

namespace detail {
template <class>
struct HandlerTraits {
  static_assert(
      sizeof(int) == 0,
      "a handler takes (const rpc::Context&, const Request&, Reply&), or (const rpc::Context&, rpc::Stream<In, Out>)");
};
template <class R, class Req, class Rsp>
struct HandlerTraits<R (*)(const Context&, const Req&, Rsp&)> {
  static_assert(std::is_base_of_v<MessageLite, Req> && std::is_base_of_v<MessageLite, Rsp>, "protobuf messages");
  static_assert(std::is_same_v<R, Result<void>> || std::is_same_v<R, Task<Result<void>>>,
                "a handler returns Result<void> or Task<Result<void>>");
  using Return = R;
  using Request = Req;
  using Reply = Rsp;
  static constexpr bool kStream = false;
};
template <class In, class Out>
struct HandlerTraits<Task<Result<void>> (*)(const Context&, Stream<In, Out>)> {
  using Return = Task<Result<void>>;
  using Request = In;
  using Reply = Out;
  static constexpr bool kStream = true;
};
template <class R, class A, class B>
struct HandlerTraits<R(A, B)> : HandlerTraits<R (*)(A, B)> {};
template <class R, class Req, class Rsp>
struct HandlerTraits<R(const Context&, const Req&, Rsp&)> : HandlerTraits<R (*)(const Context&, const Req&, Rsp&)> {};
template <class T, class R, class... A>
struct HandlerTraits<R (T::*)(A...)> : HandlerTraits<R (*)(A...)> {};
template <class T, class R, class... A>
struct HandlerTraits<R (T::*)(A...) const> : HandlerTraits<R (*)(A...)> {};
template <class Fn>
  requires requires { &Fn::operator(); }
struct HandlerTraits<Fn> : HandlerTraits<decltype(&Fn::operator())> {};
}  // namespace detail

// Threads: add() before it is served, then const-shared. Handlers are called on any loop, on several at once: the loop
// where the message arrived.
class Handlers {
 public:
  // `fn` lives as long as the table and is called as (const Context&, const Request&, Reply&), returning Result<void>
  // or Task<Result<void>>; or as (const Context&, Stream<In, Out>), returning a Task. A lambda that captures must not
  // be a coroutine itself: it may return one's Task. Errors: kInvalid `name` is not Handler.Method · kExists it is
  // there already
  template <class Fn>
  Result<void> add(std::string_view name, Fn fn) {
    using Traits = detail::HandlerTraits<Fn>;
    using Req = typename Traits::Request;
    using Rsp = typename Traits::Reply;
    Handler handler{};
    handler.name = name;
    handler.request = &Req::default_instance();
    handler.reply = &Rsp::default_instance();
    handler.request_type = &typeid(Req);
    handler.reply_type = &typeid(Rsp);
    handler.target = std::make_shared<Fn>(std::move(fn));
    handler.immediate = std::is_same_v<typename Traits::Return, Result<void>>;
    if constexpr (Traits::kStream) {
      handler.invoke = [](void*, const Context&, const MessageLite&, MessageLite&) -> Task<Result<void>> {
        return std::unexpected(client_error(code::kServer, "the endpoint is a stream: open it as one"));
      };
      handler.invoke_stream = [](void* target, const Context& context, StreamEnd& end) {
        return std::invoke(*static_cast<Fn*>(target), context, Stream<Req, Rsp>(end));
      };
    } else {
      handler.invoke = [](void* target, const Context& context, const MessageLite& request, MessageLite& reply) {
        return Task<Result<void>>(std::invoke(*static_cast<Fn*>(target), context, static_cast<const Req&>(request),
                                              static_cast<Rsp&>(reply)));
      };
    }
    if constexpr (std::is_same_v<typename Traits::Return, Result<void>>) {
      handler.invoke_immediate = [](void* target, const Context& context, const MessageLite& request,
                                    MessageLite& reply) -> Result<void> {
        return std::invoke(*static_cast<Fn*>(target), context, static_cast<const Req&>(request),
                           static_cast<Rsp&>(reply));
      };
    }
    if constexpr (requires(Fn& f, const Context& c, ForwardReply& reply) { f.forward(c, Forwarded(), reply); }) {
      handler.forward = [](void* target, const Context& context, const Forwarded& in, ForwardReply& out) {
        return static_cast<Fn*>(target)->forward(context, in, out);
      };
    }
    handler.copy_request = [](const MessageLite& from, MessageLite& to) {
      static_cast<Req&>(to) = static_cast<const Req&>(from);
    };
    handler.swap_reply = [](MessageLite& one, MessageLite& other) {
      static_cast<Rsp&>(one).Swap(&static_cast<Rsp&>(other));
    };
    return insert(std::move(handler));
  }

  // A method of `object`, which must outlive the table.
  template <class T, class R, class Req, class Rsp>
  Result<void> add(std::string_view name, T& object, R (T::*method)(const Context&, const Req&, Rsp&)) {
    return add(name, [&object, method](const Context& context, const Req& request, Rsp& reply) -> R {
      return (object.*method)(context, request, reply);
    });
  }
  template <class T, class In, class Out>
  Result<void> add(std::string_view name, T& object, Task<Result<void>> (T::*method)(const Context&, Stream<In, Out>)) {
    return add(name, [&object, method](const Context& context, Stream<In, Out> stream) -> Task<Result<void>> {
      return (object.*method)(context, stream);
    });
  }

  // Errors: 500 `unknown service Nope`, `unknown service Greeter.Nope`. Source: wire.md 2.2.
  Result<const Handler*> find(std::string_view handler, std::string_view method) const;
  // All names, sorted.
  std::vector<std::string> names() const;

 private:
  Result<void> insert(Handler handler);

  std::unordered_map<std::string, std::unique_ptr<Handler>> by_name_;
};

}  // namespace mg::rpc
