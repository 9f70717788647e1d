// mg/rpc/local/network.h -- calls within the process: the handler runs on the caller's loop, nothing is encoded.
//
//   rpc::LocalNetwork network(loops);                       // shared by all apps of the process
//   auto served = co_await network.serve({...});            // an rpc::Transport
#pragma once

#include <memory>
#include <span>

#include "mg/rpc/transport.h"

namespace mg::rpc {

#ifdef NDEBUG
inline constexpr bool kLocalSerialises = false;
#else
inline constexpr bool kLocalSerialises = true;
#endif

struct LocalOptions {
  // Encode and decode request and reply, as a remote transport does, so that messages shared by mistake show. Debug
  // builds do; otherwise only calls whose message types differ from the handler's.
  bool serialise = kLocalSerialises;
};

// The nodes of this process by id. A call is a function call: the handler runs on the caller's loop and stack.
// Messages: a handler that returns Result<void> works on the caller's own two messages; one that returns a Task works
//   on the exchange when there is one (rpc::Call), which it keeps if the caller gives up, else on pooled copies.
// Deadline: the caller gets 408 on time; the handler runs on and its reply is dropped.
// Stopping: a flag that calls read; then each loop is waited for once, so that no handler is in the middle of its first
//   part; calls that are suspended are counted and waited for.
// Threads: shared. Lifetime: outlives clients, Served and their calls.
class LocalNetwork final : public Transport {
 public:
  // Calls can be made on these loops, which outlive the network.
  explicit LocalNetwork(std::span<Loop* const> loops, LocalOptions options = {});
  LocalNetwork(const LocalNetwork&) = delete;
  LocalNetwork& operator=(const LocalNetwork&) = delete;
  ~LocalNetwork() override;

  // Callable when the Task is done. Errors: kExists  a node of this id is served
  Task<Result<std::unique_ptr<Served>>> serve(Serving serving) override;
  std::unique_ptr<Route> open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop) override;

  class Endpoint;
  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mg::rpc
