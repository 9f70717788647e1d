// mg/protocol/hook.h -- what runs around every handler: logging, timing, the login rule.
//
//   router.use(std::make_unique<LogHook>());                        // in this order before a handler,
//   router.use(std::make_unique<AuthHook>(std::vector{10001u}));    // in the reverse order after it
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"
#include "mg/base/log.h"
#include "mg/meta/agent_meta.h"

namespace mg::protocol {

// One line of Router::routes().
struct RouteInfo {
  std::uint32_t cmd = 0;
  std::uint32_t index = 0;  // Its place in routes(); for an unknown command the number of routes.
  std::string_view name;    // "GameHandler::Login_10001"; empty for an unknown command.
  std::string_view method;  // "Login_10001"
  std::string request;      // "msg.C2S_10001"
  std::string reply;        // "msg.S2C_10001"
  bool coroutine = false;   // Returns a Task.
};

// Threads: start() on the thread of Router::start(); the others on every loop at once.
class Hook {
 public:
  virtual ~Hook() = default;

  // Once, before the first call.
  virtual void start(std::span<const RouteInfo> routes);
  // Before the handler, for unknown commands too. An error is the result of the call: neither the handler nor later
  // hooks run.
  virtual Result<void> before(AgentMeta& meta, const RouteInfo& route, std::string_view body);
  // After it, or after a later hook refused; for a coroutine when that has ended. `elapsed` counts from before the
  // first hook.
  virtual void after(const AgentMeta& meta, const RouteInfo& route, const Result<void>& result,
                     std::chrono::nanoseconds elapsed);

 protected:
  Hook() = default;
};

// Writes a line for each call: who, what, how long, how it ended.
class LogHook final : public Hook {
 public:
  explicit LogHook(log::Level level = log::Level::kInfo) : level_(level) {}
  void after(const AgentMeta& meta, const RouteInfo& route, const Result<void>& result,
             std::chrono::nanoseconds elapsed) override;

 private:
  log::Level level_;
};

// Lets nobody without an account use a route, but for those named. Source: wire.md 6.
// Errors: kUnauthorized  Account-Id is absent or 0
class AuthHook final : public Hook {
 public:
  explicit AuthHook(std::vector<std::uint32_t> open_to_all);
  Result<void> before(AgentMeta& meta, const RouteInfo& route, std::string_view body) override;

 private:
  std::vector<std::uint32_t> open_;  // Sorted.
};

// Counts calls and their time for each route. Cost: four relaxed atomics of the route a call.
class TimingHook final : public Hook {
 public:
  struct Row {
    RouteInfo route;  // The last one stands for all unknown commands.
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
    std::chrono::nanoseconds total{};
    std::chrono::nanoseconds longest{};
  };

  void start(std::span<const RouteInfo> routes) override;
  void after(const AgentMeta& meta, const RouteInfo& route, const Result<void>& result,
             std::chrono::nanoseconds elapsed) override;

  // Threads: shared, after start(). Each number is whole; together they may be of slightly different moments.
  std::vector<Row> rows() const;

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> calls{0}, errors{0};
    std::atomic<std::int64_t> total_ns{0}, longest_ns{0};
  };
  std::vector<RouteInfo> routes_;
  std::unique_ptr<Cell[]> cells_;
};

}  // namespace mg::protocol
