// mg/rpc/forward.h -- what a gate hands to a game, as a number and octets: no message object is made of it in between.
//
//   app.add_handler("Forward.Protocol", rpc::forward_handler<In, Out>(forward, &Forward::protocol));  // a game
//   rpc::Method protocol = app.method("game", "Forward.Protocol");                                    // a gate
//   co_await protocol.forward<In, Out>(context, {head.cmd, text}, reply.code, reply.data);
//
// On the wire it is a call like any other, of the messages In and Out: either side may use those instead.
#pragma once

#include <google/protobuf/message_lite.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mg/base/error.h"
#include "mg/rpc/context.h"
#include "mg/rpc/exchange.h"
#include "mg/runtime/task.h"

namespace mg::rpc {

// The messages that it is: `uint32 Cmd = 1; bytes Data = 2;` there, `uint32 Code = 1; bytes Data = 2;` back.
// Source: wire.md 6.
template <class T>
concept ForwardRequest = std::derived_from<T, google::protobuf::MessageLite> && requires(T& message, const T& in) {
  { in.cmd() } -> std::same_as<std::uint32_t>;
  { in.data() } -> std::same_as<const std::string&>;
  { message.mutable_data() } -> std::same_as<std::string*>;
  message.set_cmd(1u);
};
template <class T>
concept ForwardReplyMessage = std::derived_from<T, google::protobuf::MessageLite> && requires(T& message, const T& in) {
  { in.code() } -> std::same_as<std::uint32_t>;
  { message.mutable_data() } -> std::same_as<std::string*>;
  message.set_code(1u);
};

// What goes there. Lifetime: a caller's until the call is done; a handler's until it first suspends.
struct Forwarded {
  std::uint32_t cmd = 0;
  std::string_view data;
};

// What comes back. Lifetime: until the handler's Task is done.
struct ForwardReply {
  std::uint32_t code = 0;
  std::string data;
};

// A handler that takes them; other callers' messages reach it all the same. Made by forward_handler().
template <ForwardRequest In, ForwardReplyMessage Out, class T>
class ForwardHandler {
 public:
  using Method = Task<Result<void>> (T::*)(const Context&, const Forwarded&, ForwardReply&);

  ForwardHandler(T& object, Method method) : object_(object), method_(method) {}

  Task<Result<void>> forward(const Context& context, const Forwarded& in, ForwardReply& out) const {
    return (object_.*method_)(context, in, out);
  }
  Task<Result<void>> operator()(const Context& context, const In& in, Out& out) const {
    auto reply = std::make_unique<ForwardReply>();
    Task<Result<void>> task = forward(context, {in.cmd(), in.data()}, *reply);
    return then(std::move(task), [reply = std::move(reply), &out](Result<void> done) {
      if (!done) return done;
      out.set_code(reply->code);
      out.mutable_data()->swap(reply->data);
      return done;
    });
  }

 private:
  T& object_;
  Method method_;
};

// Lifetime: `object` outlives the table of handlers.
template <ForwardRequest In, ForwardReplyMessage Out, class T>
ForwardHandler<In, Out, T> forward_handler(T& object, typename ForwardHandler<In, Out, T>::Method method) {
  return {object, method};
}

// How to make messages of them, for transports that carry only messages.
struct ForwardMessages {
  const google::protobuf::MessageLite& (*request)();  // Default instances.
  const google::protobuf::MessageLite& (*reply)();
  void (*fill)(google::protobuf::MessageLite& request, const Forwarded& in);
  void (*take)(google::protobuf::MessageLite& reply, std::uint32_t& code, std::string& data);
};

template <ForwardRequest In, ForwardReplyMessage Out>
inline constexpr ForwardMessages kForwardMessages{
    .request = []() -> const google::protobuf::MessageLite& { return In::default_instance(); },
    .reply = []() -> const google::protobuf::MessageLite& { return Out::default_instance(); },
    .fill =
        [](google::protobuf::MessageLite& request, const Forwarded& in) {
          static_cast<In&>(request).set_cmd(in.cmd);
          static_cast<In&>(request).mutable_data()->assign(in.data);
        },
    .take =
        [](google::protobuf::MessageLite& reply, std::uint32_t& code, std::string& data) {
          code = static_cast<Out&>(reply).code();
          data.swap(*static_cast<Out&>(reply).mutable_data());
        }};

// A call of it, as transports get it. Lifetime: what it refers to, until the call's Task is done or destroyed.
struct ForwardCall {
  Forwarded in;
  std::uint32_t* code = nullptr;
  std::string* data = nullptr;
  const ForwardMessages* messages = nullptr;  // Null: the call is none.
  ExchangePool* pool = nullptr;               // Of these messages.
};

}  // namespace mg::rpc
