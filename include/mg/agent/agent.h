// mg/agent/agent.h -- the gate: accepts players on several transports, hands their messages on, writes to them.
//
//   agent::Agent gate(options, transports);
//   gate.on_receive([&](Client& client, const Packet& in, Reply& out) { return forward(client, in, out); });
//   if (auto ok = gate.start(runtime, "gate", node_id); !ok) return 1;
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mg/agent/client.h"
#include "mg/agent/options.h"
#include "mg/agent/transport.h"
#include "mg/base/error.h"
#include "mg/runtime/runtime.h"
#include "mg/runtime/task.h"

namespace mg::agent {

struct Gate;
struct LoopState;

// The answer to it, with the request's serial and cmd. Sent only if the code is not 0 or there is data.
struct Reply {
  std::uint32_t code = 0;
  std::string data;  // Reused from message to message: assign to it rather than moving into it.
};

struct AgentStats {
  std::uint64_t accepted = 0;  // Connections taken.
  std::uint64_t refused = 0;   // Over conn_max, over handshakes_per_ip, or while stopping.
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t dropped = 0;      // Writes given up for slow clients (SlowClient).
  std::uint64_t slow_closed = 0;  // Clients closed for not reading.
  std::uint64_t throttled = 0;    // Times a client was read slower for its rate.
};

// Threads: shared, but callbacks run on the client's loop. Set callbacks before start().
class Agent {
 public:
  // Handles one message; an error closes the client without a reply. Messages of one client come in order, one at a
  // time (or AgentOptions.depth at a time, the replies still in order).
  using OnReceive = std::function<Task<Result<void>>(Client&, const Packet&, Reply&)>;
  using OnConnect = std::function<void(Client&)>;
  // Called exactly once for each client that on_connect was called for, after it has left all tables; stop() waits for
  // the task.
  using OnDisconnect = std::function<Task<void>(ClientPtr, std::string reason)>;
  using Filter = std::function<bool(const Client&)>;

  // `transports` says how each type in options.types speaks; adapters are agent/tcp and agent/ws.
  Agent(AgentOptions options, std::vector<std::unique_ptr<Transport>> transports);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  ~Agent();

  void on_connect(OnConnect callback);
  void on_receive(OnReceive callback);
  void on_disconnect(OnDisconnect callback);

  // Starts to listen on all loops of `runtime`. `name` and `node_id` go into every client's metadata.
  // Errors: kInvalid a type, address, certificate or limit that cannot be; kExists an address in use.
  Result<void> start(Runtime& runtime, std::string_view name, std::string_view node_id);
  // Stops accepting, tells the clients (WebSocket close 1001), lets messages in flight end, closes; all within
  // AgentOptions.drain_timeout. False when the deadline cut something off.
  Task<bool> stop();

  // What is listened on: "ws://host:port", "tcps://host:port", in the order of options.types.
  std::vector<std::string> urls() const;
  // Type as put into node metadata: websocket or tcp, of the first listener.
  std::string type() const;
  std::uint16_t port() const;

  ClientPtr get_client(const Uuid& id) const;
  ClientPtr get_client(std::string_view id) const;
  // Clients whose metadata has `value` under `key`. The first use of a key makes its index (one walk over all clients);
  // from then on it is a look-up.
  std::vector<ClientPtr> find(std::string_view key, std::string_view value);
  ClientPtr find_one(std::string_view key, std::string_view value);
  // Walks a snapshot of the clients; for_each ends when `visit` returns false.
  std::vector<ClientPtr> filter(const Filter& keep) const;
  void for_each(const std::function<bool(Client&)>& visit) const;
  std::size_t count() const noexcept;         // Connected clients.
  std::size_t online_count() const noexcept;  // Those with a role.

  // Sends to all online clients, or those that `keep` accepts (called on each client's loop). Encoded once.
  void broadcast(const codec::ServerHead& head, Bytes payload, Filter keep = nullptr);
  void broadcast_group(std::string_view group, const codec::ServerHead& head, Bytes payload, Filter keep = nullptr);

  AgentStats stats() const;
  const AgentOptions& options() const noexcept;

 private:
  void spread(Bytes payload, std::function<void(LoopState&, Bytes)> send);

  std::unique_ptr<Gate> gate_;
};

}  // namespace mg::agent
