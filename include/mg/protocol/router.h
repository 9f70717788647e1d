// mg/protocol/router.h -- from a command number and a body to a handler's method, and its reply back.
//
//   Router router;
//   router.add_route(game_handler);                 // all methods of its Routes, see routes.h
//   if (auto ok = router.start(); !ok) return ok;   // two handlers for one command: both names
//   auto result = co_await router.call(meta, cmd, body, reply);
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/meta/agent_meta.h"
#include "mg/protocol/hook.h"
#include "mg/protocol/message_pair.h"
#include "mg/protocol/reply_to.h"
#include "mg/protocol/routes.h"
#include "mg/runtime/mailbox.h"
#include "mg/runtime/task.h"

namespace mg::protocol {

struct RouterOptions {
  std::uint32_t max_body_bytes = 1024 * 1024;       // Of a request; up to 2^31 - 1.
  std::uint32_t max_reply_bytes = 4 * 1024 * 1024;  // Of a reply; up to 2^31 - 1.
  int max_nesting = 100;                            // Of messages in a request.
  std::uint32_t max_kept_bytes = 64 * 1024;         // Messages that hold more are not used again.
  const Clock* clock = nullptr;                     // For hooks. The system's when null; must outlive the Router.
};

// Threads: add_route(), use() and start() before all else and on one thread; then const-shared, on every loop.
// Lifetime: handlers outlive it; it outlives its calls.
// Cost: about 70 ns for a plain handler and 64 octets each way, of which protobuf is 50; a coroutine adds about 30.
// No allocation in the steady state, nor a coroutine frame unless the handler is one that really suspends.
class Router {
 public:
  explicit Router(RouterOptions options = {});
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  ~Router();

  // Registers all methods of Handler::Routes, and of the command service whose generated base it has (x.rpc.pb.h). A
  // name, form or repeated command that is wrong does not compile.
  template <class Handler>
  Router& add_route(Handler& handler) {
    constexpr bool kListed = requires { typename Handler::Routes; };
    constexpr bool kGenerated = requires { typename Handler::CommandService; };
    static_assert(kListed || kGenerated,
                  "handler class: it must list its methods: public: using Routes = "
                  "mg::protocol::Routes<&Handler::Login_10001, ...>; or derive from the generated base of a service");
    if constexpr (kListed) add_all(handler, typename Handler::Routes());
    if constexpr (kGenerated) add_all(handler, Handler::CommandService::template routes<Handler>());
    return *this;
  }
  // Registers these methods of it.
  template <class Handler, auto... kMethods>
  Router& add_route(Handler& handler, Routes<kMethods...> routes) {
    add_all(handler, routes);
    return *this;
  }
  template <class Handler>
  Router& add_route(const Handler&& handler) = delete;  // It would not live long enough.

  // Adds a hook around all handlers. Without any, calls pay nothing for them.
  Router& use(std::unique_ptr<Hook> hook);

  // Ends registration. Errors: kExists  a command has two handlers; the text names both
  Result<void> start();

  // What is registered, by command.
  std::span<const RouteInfo> routes() const noexcept { return infos_; }
  bool has(std::uint32_t cmd) const noexcept { return find(cmd) != nullptr; }

  // Calls the handler of `cmd` with `body`; its reply goes to `reply`, nothing if it is empty or the call fails.
  // `turn`, the player's, is moved to a handler that takes one, before this function returns; else it is left alone.
  // The body is read before this function returns; `meta` and what `reply` refers to must live until the Task ends.
  // Errors: kNotFound    "not found protocol N"
  //         kUnknown     the body is no message of the request's type ("unexpected EOF" when it is cut short)
  //         413          body over max_body_bytes
  //         kServer      the handler threw (detail is what()), or its reply is over max_reply_bytes
  //         kUnavailable not started, or `reply` has no room
  //         else what the handler or a hook gave; a code of 0 or less becomes kUnknown, for it would mean success
  Task<Result<void>> call(AgentMeta& meta, std::uint32_t cmd, std::string_view body, const ReplyTo& reply,
                          Mailbox::Turn* turn = nullptr) const {
    const Route* route = find(cmd);
    if (!route || !hooks_.empty()) [[unlikely]]
      return call_slowly(route, meta, cmd, body, reply, turn);
    return route->invoke(*this, *route, meta, body, reply, turn);
  }

 private:
  struct Route {
    using Invoke = Task<Result<void>> (*)(const Router&, const Route&, AgentMeta&, std::string_view, const ReplyTo&,
                                          Mailbox::Turn*);
    using Make = MessagePair* (*)();
    std::uint32_t cmd = 0;
    std::uint32_t index = 0;
    Invoke invoke = nullptr;
    Make make = nullptr;
    void* handler = nullptr;
  };
  // A pair of messages, given back to the pool of whatever thread it ends on.
  struct GiveBack {
    const Router* router;
    const Route* route;
    void operator()(MessagePair* pair) const noexcept { router->give(*route, pair); }
  };
  using Lease = std::unique_ptr<MessagePair, GiveBack>;

  template <class Handler, auto... kMethods>
  void add_all(Handler& handler, Routes<kMethods...>) {
    if constexpr ((detail::check_method<Handler, kMethods>() && ...)) {
      static_assert(detail::commands_differ<kMethods...>(), "handler class: two of its methods have the same command");
      (add<Handler, kMethods>(handler), ...);
    }
  }
  template <class Handler, auto kMethod>
  void add(Handler& handler) {
    using Traits = detail::MethodTraits<decltype(kMethod)>;
    add_one({.cmd = parse_method_name(detail::method_name<kMethod>()).cmd,
             .name = detail::qualified_name<kMethod>(),
             .method = detail::method_name<kMethod>(),
             .request = Traits::Request::default_instance().GetTypeName(),
             .reply = Traits::Reply::default_instance().GetTypeName(),
             .coroutine = Traits::kTask},
            {.invoke = &invoke<Handler, kMethod>,
             .make = &MessagePair::make<typename Traits::Request, typename Traits::Reply>,
             .handler = const_cast<std::remove_const_t<Handler>*>(&handler)});
  }

  template <class Handler, auto kMethod>
  static Task<Result<void>> invoke(const Router& router, const Route& route, AgentMeta& meta, std::string_view body,
                                   const ReplyTo& reply, Mailbox::Turn* turn) {
    using Traits = detail::MethodTraits<decltype(kMethod)>;
    Lease pair = router.take(route);
    if (auto read = router.read(*pair, body); !read) [[unlikely]]
      return read;
    const auto& request = static_cast<const typename Traits::Request&>(*pair->request);
    auto& answer = static_cast<typename Traits::Reply&>(*pair->reply);
    Handler& handler = *static_cast<Handler*>(route.handler);
    const auto run = [&] {
      if constexpr (Traits::kTurn) {
        return (handler.*kMethod)(meta, request, answer, turn ? std::move(*turn) : Mailbox::Turn());
      } else {
        return (handler.*kMethod)(meta, request, answer);
      }
    };
    try {
      if constexpr (Traits::kTask) {
        Task<Result<void>> task = run();
        if (!task.ready()) return finish_later(std::move(pair), std::move(task), reply);
        return router.finish(*pair, std::move(task).operator co_await().await_resume(), reply);
      } else {
        return router.finish(*pair, run(), reply);
      }
    } catch (...) {
      return error_of(std::current_exception());
    }
  }

  const Route* find(std::uint32_t cmd) const noexcept {
    const std::uint32_t offset = cmd - first_cmd_;
    if (offset < window_.size()) {
      const std::uint16_t number = window_[offset];
      return number ? &routes_[number - 1u] : nullptr;
    }
    return slots_.empty() ? nullptr : find_slot(cmd);
  }

  void add_one(RouteInfo info, Route route);
  const Route* find_slot(std::uint32_t cmd) const noexcept;
  Lease take(const Route& route) const;
  void give(const Route& route, MessagePair* pair) const noexcept;
  Result<void> read(MessagePair& pair, std::string_view body) const;
  Result<void> finish(MessagePair& pair, Result<void> result, const ReplyTo& reply) const;
  static Task<Result<void>> finish_later(Lease pair, Task<Result<void>> task, ReplyTo reply);
  static std::unexpected<Error> error_of(std::exception_ptr exception);
  Task<Result<void>> call_slowly(const Route* route, AgentMeta& meta, std::uint32_t cmd, std::string_view body,
                                 ReplyTo reply, Mailbox::Turn* turn) const;
  Task<Result<void>> invoke_or_refuse(const Route* route, AgentMeta& meta, std::uint32_t cmd, std::string_view body,
                                      ReplyTo reply, Mailbox::Turn* turn) const;
  static Task<Result<void>> end_hooks_later(const Router* router, const RouteInfo* info, AgentMeta* meta,
                                            Task<Result<void>> task, Clock::TimePoint begin);
  void end_hooks(std::size_t passed, const AgentMeta& meta, const RouteInfo& info, const Result<void>& result,
                 Clock::TimePoint begin) const;

  static constexpr std::size_t kThreads = 256;  // More threads than these share nothing and keep nothing.
  struct Pool;

  RouterOptions options_;
  bool started_ = false;
  std::vector<Route> routes_;
  std::vector<RouteInfo> infos_;  // Same places.
  std::vector<std::unique_ptr<Hook>> hooks_;
  std::vector<std::uint16_t> window_;  // Number of the route + 1 for first_cmd_, first_cmd_ + 1, ...
  std::uint32_t first_cmd_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> slots_;  // Else: (cmd, number + 1), hashed, half full at most.
  unsigned slot_shift_ = 0;
  mutable std::array<std::atomic<Pool*>, kThreads> pools_{};
};

}  // namespace mg::protocol
