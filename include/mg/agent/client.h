// mg/agent/client.h -- a player's presence on a gate: id, metadata, groups, and the connection it is on.
//
//   if (ClientPtr client = agent.get_client(id)) {
//     client->set_meta("Role-Id", 42);
//     client->write({.cmd = 20001}, body);
//   }
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/agent/options.h"
#include "mg/base/bytes.h"
#include "mg/base/uuid.h"
#include "mg/codec/head.h"
#include "mg/meta/agent_meta.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/shared_bytes.h"

namespace mg::agent {

class Agent;
class Connection;
class MetaIndex;
class Framer;
struct Gate;
struct LoopState;

struct WriteOptions {
  SlowClient slow_client;  // What to do when the client's queue is full.
  std::uint64_t key = 0;   // kKeepLatest: messages with the same key replace each other.
};

// Threads: shared, but what is marked `loop`. A method called on another thread than the client's loop is done there
// soon after; writes of one thread keep their order.
// Lifetime: held by ClientPtr; after the disconnect it is an empty shell whose writes go nowhere.
class Client {
 public:
  Client(Gate& gate, Loop& loop, const Uuid& id, AgentMeta meta);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  const Uuid& id() const noexcept { return id_; }
  Loop& loop() const noexcept { return loop_; }
  Agent& agent() const noexcept;

  // A copy (one pointer) of the metadata as it is now.
  AgentMeta meta() const;
  // Cost: no copy. Threads: loop.
  const AgentMeta& meta_here() const noexcept { return meta_; }
  // Sets metadata and keeps the agent's index. A typed value is written as Meta::set writes it.
  void set_meta(std::string_view key, std::string_view value);
  template <class T>
    requires(!std::is_convertible_v<const T&, std::string_view>)
  void set_meta(std::string_view key, const T& value) {
    Meta one;
    one.set(key, value);
    set_meta(key, one.get(key));
  }
  void merge_meta(Meta changes);

  // Sends a packet: push or reply. Order is kept. What happens when the client does not read: AgentOptions.slow_client,
  // or `options`.
  void write(const codec::ServerHead& head, Bytes payload);
  void write(const codec::ServerHead& head, Bytes payload, WriteOptions options);
  void write(const codec::ServerHead& head, std::string_view payload) { write(head, as_bytes(payload)); }

  // Sends what is queued, says goodbye (WebSocket close frame with `reason`), then closes. The disconnect callback gets
  // the reason.
  void close(std::string_view reason = "closed");
  // Closes at once; what is queued is dropped and the peer sees a reset.
  void destroy(std::string_view reason = "destroyed");

  // Confirmed: the authentication timer ends. Not confirmed: it starts anew.
  void set_auth_state(bool confirmed);
  bool authenticated() const noexcept { return authenticated_.load(std::memory_order_relaxed); }
  // Has a role (Role-Id is set): gets broadcasts.
  bool online() const noexcept { return online_.load(std::memory_order_relaxed); }
  bool connected() const noexcept { return connected_.load(std::memory_order_relaxed); }

  // Group membership ends by itself at the disconnect. join: ignored, with a log line, over max_groups_per_client.
  void join(std::string_view group);
  void leave(std::string_view group);

  // One recipient of a broadcast. `encoding(framer)` gives the packet for its kind of framer; empty: its own encoding.
  // Threads: loop.
  void write_broadcast(const codec::ServerHead& head, Bytes payload,
                       const std::function<const SharedBytes&(Framer&)>& encoding);

 private:
  friend class Agent;
  friend class ClientPtr;
  friend class Connection;
  friend class MetaIndex;
  friend struct LoopState;

  template <class Fn>
  void on_loop(Fn&& fn);

  Gate& gate_;
  Loop& loop_;
  Uuid id_;
  AgentMeta meta_;                                    // Changed on the loop, under the agent's index mutex.
  Connection* connection_ = nullptr;                  // Threads: loop. Null after the disconnect.
  std::unique_ptr<std::vector<std::string>> groups_;  // Threads: loop. Made by the first join.
  std::atomic<std::uint32_t> references_{0};
  std::uint32_t place_ = 0;  // In the loop's list of clients.
  std::atomic<bool> authenticated_{false};
  std::atomic<bool> online_{false};
  std::atomic<bool> connected_{true};
};

// A counted reference to a client. Threads: const-shared.
class ClientPtr {
 public:
  ClientPtr() = default;
  explicit ClientPtr(Client* client) noexcept : client_(client) {
    if (client_) client_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  ClientPtr(const ClientPtr& other) noexcept : ClientPtr(other.client_) {}
  ClientPtr(ClientPtr&& other) noexcept : client_(std::exchange(other.client_, nullptr)) {}
  ClientPtr& operator=(ClientPtr other) noexcept {
    std::swap(client_, other.client_);
    return *this;
  }
  ~ClientPtr() {
    if (client_ && client_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete client_;
  }
  Client* get() const noexcept { return client_; }
  Client* operator->() const noexcept { return client_; }
  Client& operator*() const noexcept { return *client_; }
  explicit operator bool() const noexcept { return client_ != nullptr; }
  friend bool operator==(const ClientPtr&, const ClientPtr&) = default;

 private:
  Client* client_ = nullptr;
};

}  // namespace mg::agent
