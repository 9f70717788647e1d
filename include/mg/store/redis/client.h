// mg/store/redis/client.h -- a client of a Redis server on a loop (wire.md section 7).
//
//   redis::Client redis(loop, {.url = "10.0.0.1:6379"});
//   if (auto ok = co_await redis.connect(5s); !ok) return ok;      // else the first command connects
//   auto [a, b] = ...;  auto one = redis.get("a"); auto two = redis.get("b");   // both are sent in one go
//   co_await redis.close();                                         // before the loop ends
#pragma once

#include <cstdint>
#include <memory>

#include "mg/store/redis/options.h"
#include "mg/store/redis/redis.h"

namespace mg::redis {

struct ClientStats {
  bool connected = false;       // All connections that calls are spread over.
  std::uint64_t calls = 0;      // Sent.
  std::uint64_t late = 0;       // Replies that came when nobody waited any more; they went to nobody.
  std::uint64_t refused = 0;    // Calls that were told kTooMany.
  std::uint64_t connects = 0;   // Attempts to connect.
  std::uint64_t lost = 0;       // Connections that ended when they should not have.
  std::uint32_t in_flight = 0;  // Calls that wait for a reply or a connection.
  std::uint32_t dedicated = 0;  // Connections for waiting commands, sessions, subscriptions.
};

// Calls share connections and go out together, one send for each turn of the loop; replies come in the order of calls.
// A connection that is lost comes back by itself: calls without a connection wait for it as long as they may, calls
// that were sent are told that they may have run. One that breaks the protocol, answers with another type than the
// command has, or owes a reply for `Options::silence` is thrown away with all that is on its way.
//
// Threads: loop; have one for each. Lifetime: outlives its sessions and subscriptions; await close() before the loop
// ends. Cost: no allocation for a small command; one frame for its task.
class Client final : public Redis {
 public:
  // A bad option shows in connect() and in every call.
  Client(Loop& loop, Options options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Calls that wait are told kUnavailable.
  ~Client();

  // Connects all connections and waits for the first PING. Errors: kInvalid  an option · kUnavailable  why there is no
  // connection · kUnauthorized  the password
  Task<Result<void>> connect(Within within = {});
  // Refuses new calls, waits for those on their way as long as `within` allows, and ends the connections.
  Task<void> close(Within within = {});

  Loop& loop() const override;
  Clock::Duration timeout() const override;
  Task<Result<std::unique_ptr<Subscription>>> subscribe(SubscribeOptions options, ChannelHandler handler,
                                                        Within within = {}) override;
  // Errors: also kTooMany  max_pool connections are in use, for as long as it may wait
  Task<Result<std::unique_ptr<Session>>> session(Within within = {}) override;
  ClientStats stats() const;

  class State;

 private:
  Result<void> submit(const Command& command, Call& call) override;
  Task<Result<Reply>> submit_waiting(Command command, Deadline deadline) override;
  void distrust(std::uint64_t link, std::string_view why) override;
  Error too_late(const Call& call, std::string_view name) const override;

  std::unique_ptr<State> state_;
};

}  // namespace mg::redis
