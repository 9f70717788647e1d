// mg/protocol/routes.h -- what a handler class says about itself; checked while it is compiled.
//
//   class GameHandler {
//    public:
//     Task<Result<void>> Login_10001(AgentMeta& meta, const msg::C2S_10001& request, msg::S2C_10001& reply);
//     Result<void> Echo_10005(AgentMeta& meta, const msg::C2S_10005& request, msg::S2C_10005& reply);
//     using Routes = mg::protocol::Routes<&GameHandler::Login_10001, &GameHandler::Echo_10005>;
//   };
//
// The number after the one underscore is the command. A method is declared before the line that lists it.
// A method with a fourth parameter, Mailbox::Turn, is given the player's turn: the player's next message is let in when
// it releases the turn or its Task goes, whichever comes first. All others have the player to themselves to their end.
#pragma once

#include <google/protobuf/message_lite.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "mg/base/error.h"
#include "mg/meta/agent_meta.h"
#include "mg/runtime/mailbox.h"
#include "mg/runtime/task.h"

namespace mg::protocol {

// The methods of a handler class that take messages.
template <auto... kMethods>
struct Routes {};

enum class NameFault : std::uint8_t {
  kNone,
  kForm,     // Not exactly one underscore.
  kCommand,  // What follows it is no decimal number, or is over 2^32 - 1.
};

struct MethodName {
  NameFault fault = NameFault::kNone;
  std::uint32_t cmd = 0;
};

// Shape: anything without an underscore, "_", decimal digits (leading zeros are fine).
constexpr MethodName parse_method_name(std::string_view name) {
  const std::size_t underscore = name.find('_');
  if (underscore == name.npos || name.find('_', underscore + 1) != name.npos) return {NameFault::kForm};
  const std::string_view digits = name.substr(underscore + 1);
  if (digits.empty()) return {NameFault::kCommand};
  std::uint64_t cmd = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return {NameFault::kCommand};
    cmd = cmd * 10 + static_cast<std::uint64_t>(digit - '0');
    if (cmd > 0xFFFF'FFFF) return {NameFault::kCommand};
  }
  return {NameFault::kNone, static_cast<std::uint32_t>(cmd)};
}

namespace detail {

// The compiler's own text of a method. Two forms:
//   clang  ... [kMethod = &game::GameHandler::Login_10001]
//   gcc    ... [with auto kMethod = &game::GameHandler::Login_10001; std::string_view = ...]
template <auto kMethod>
constexpr std::string_view method_text() {
  constexpr std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::size_t begin = text.find("kMethod = ") + 10;
  constexpr std::size_t semicolon = text.find(';', begin);
  constexpr std::size_t end = semicolon != text.npos ? semicolon : text.rfind(']');
  return text.substr(begin, end - begin);
}

// "Login_10001"
template <auto kMethod>
constexpr std::string_view method_name() {
  const std::string_view text = method_text<kMethod>();
  return text.substr(text.rfind(':') + 1);
}

// "GameHandler::Login_10001": the class without what it lies in.
template <auto kMethod>
constexpr std::string_view qualified_name() {
  const std::string_view text = method_text<kMethod>();
  std::size_t at = text.rfind(':') - 1;  // Behind the class.
  for (int open = 0; at > 0; --at) {
    const char c = text[at - 1];
    open += c == '>' ? 1 : c == '<' ? -1 : 0;
    if (open == 0 && (c == ':' || c == '&' || c == ' ')) break;
  }
  return text.substr(at);
}

template <class T>
concept ProtobufMessage =
    std::derived_from<T, google::protobuf::MessageLite> && !std::is_abstract_v<T> && !std::is_const_v<T>;

template <class Return, class Request_, class Reply_, bool kTurn_ = false>
struct MethodShape {
  static constexpr bool kTurn = kTurn_;
  static constexpr bool kTask = std::same_as<Return, Task<Result<void>>>;
  static constexpr bool kFits =
      (kTask || std::same_as<Return, Result<void>>) && ProtobufMessage<Request_> && ProtobufMessage<Reply_>;
  using Request = Request_;
  using Reply = Reply_;
};

template <class Method>
struct MethodTraits {
  static constexpr bool kFits = false;
};
template <class R, class C, class A, class B>
struct MethodTraits<R (C::*)(AgentMeta&, const A&, B&)> : MethodShape<R, A, B> {};
template <class R, class C, class A, class B>
struct MethodTraits<R (C::*)(AgentMeta&, const A&, B&, Mailbox::Turn)> : MethodShape<R, A, B, true> {};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...) const> : MethodTraits<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...) noexcept> : MethodTraits<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...) const noexcept> : MethodTraits<R (C::*)(A...)> {};

// Whether a method, of whatever class, is a handler of these messages.
template <auto kMethod, class Request, class Reply>
constexpr bool handles() {
  using Traits = MethodTraits<decltype(kMethod)>;
  if constexpr (Traits::kFits) {
    return std::same_as<typename Traits::Request, Request> && std::same_as<typename Traits::Reply, Reply>;
  }
  return false;
}

// Says why a method cannot be a route; false then, so that no further errors hide the reason.
template <class Handler, auto kMethod>
constexpr bool check_method() {
  constexpr NameFault fault = parse_method_name(method_name<kMethod>()).fault;
  using Traits = MethodTraits<decltype(kMethod)>;
  static_assert(fault != NameFault::kForm,
                "handler method: its name must have exactly one '_', between a name and its command: Login_10001");
  static_assert(fault != NameFault::kCommand,
                "handler method: its command, the part after '_', must be a decimal number up to 4294967295");
  static_assert(
      Traits::kFits,
      "handler method: its form must be Result<void> or Task<Result<void>> "
      "Name_<cmd>(AgentMeta&, const Request&, Reply&[, Mailbox::Turn]), where Request and Reply are protobuf messages");
  if constexpr (Traits::kFits) {
    using Request = typename Traits::Request;
    using Reply = typename Traits::Reply;
    constexpr bool own =
        std::is_invocable_v<decltype(kMethod), Handler&, AgentMeta&, const Request&, Reply&> ||
        std::is_invocable_v<decltype(kMethod), Handler&, AgentMeta&, const Request&, Reply&, Mailbox::Turn>;
    static_assert(own, "handler class: it lists a method of another class, or a const handler one that is not const");
    return own && fault == NameFault::kNone;
  }
  return false;
}

template <auto... kMethods>
constexpr bool commands_differ() {
  const std::array<std::uint32_t, sizeof...(kMethods)> commands{parse_method_name(method_name<kMethods>()).cmd...};
  for (std::size_t i = 0; i < commands.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (commands[i] == commands[k]) return false;
    }
  }
  return true;
}

}  // namespace detail
}  // namespace mg::protocol
