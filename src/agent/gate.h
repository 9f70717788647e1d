// agent/gate.h -- what the parts of an agent share: options, callbacks, the table of clients, each loop's lists.
#pragma once

#include <array>
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <coroutine>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/connection.h"
#include "mg/agent/agent.h"
#include "mg/agent/peer.h"
#include "mg/base/random.h"
#include "mg/runtime/listener.h"
#include "mg/runtime/tls.h"

namespace mg::agent {

// Counters of one loop; written there, read anywhere. Cost: a plain add.
struct Counter {
  std::atomic<std::uint64_t> value{0};
  void add(std::uint64_t n = 1) { value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value.load(std::memory_order_relaxed); }
};

// Text keys looked up without making a string.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};
template <class Value>
using TextMap = boost::unordered_flat_map<std::string, Value, TextHash, std::equal_to<>>;

// A message being handled, and its answer.
struct Work {
  Packet packet;
  Reply reply;

  // Ready for the next message; an answer that grew large gives its room back.
  void clear() {
    constexpr std::size_t kKeepOctets = 64 * 1024;
    reply.code = 0;
    reply.data.clear();
    if (reply.data.capacity() > kKeepOctets) [[unlikely]]
      reply.data.shrink_to_fit();
  }
};
using WorkPtr = std::unique_ptr<Work>;

// One loop's share of an agent. Threads: loop, but for the counters.
struct LoopState {
  explicit LoopState(Gate& g, Loop& l) : gate(g), loop(l) {}

  Gate& gate;
  Loop& loop;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<Connection*> connections;
  std::vector<Client*> clients;
  TextMap<std::vector<Client*>> groups;
  std::vector<WorkPtr> free_work;

  Counter accepted, refused, messages_in, messages_out, dropped, slow_closed, throttled;

  void add(Connection& connection);
  void remove(Connection& connection);
  void add(Client& client);
  void remove(Client& client);
  void join(Client& client, std::string_view group);
  void leave(Client& client, std::string_view group);

  WorkPtr take_work();
  void give_work(WorkPtr work);
};

// Clients by id, for every thread. Threads: shared.
class ClientTable {
 public:
  void add(ClientPtr client);
  void remove(const Uuid& id);
  ClientPtr get(const Uuid& id) const;
  std::vector<ClientPtr> all() const;
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

 private:
  // By the client's own id, so that a place costs one pointer.
  struct ById {
    using is_transparent = void;
    static const Uuid& id(const Uuid& id) { return id; }
    static const Uuid& id(const ClientPtr& client) { return client->id(); }
    std::size_t operator()(const auto& one) const noexcept { return std::hash<Uuid>()(id(one)); }
    bool operator()(const auto& one, const auto& other) const noexcept { return id(one) == id(other); }
  };
  struct Shard {
    mutable std::mutex mutex;  // docs/threads.md: "client table"
    boost::unordered_flat_set<ClientPtr, ById, ById> clients;
  };
  static std::size_t shard_of(const Uuid& id) { return id.octets[0] % 16; }
  std::array<Shard, 16> shards_;
  std::atomic<std::size_t> size_{0};
};

// Clients by the value of a metadata key. An index is made by the first look-up of its key. Threads: shared.
class MetaIndex {
 public:
  explicit MetaIndex(const ClientTable& table) : table_(table) {}

  // Changes a client's metadata and the indexes with it. Requires: on the client's loop.
  template <class Change>
  void change(Client& client, AgentMeta& meta, Change&& apply) {
    const std::lock_guard lock(mutex_);
    const Meta before = meta;
    apply(meta);
    update(client, before, meta);
  }
  AgentMeta copy(const AgentMeta& meta) const {
    const std::lock_guard lock(mutex_);
    return meta;
  }
  void remove(Client& client, const AgentMeta& meta);
  void add(Client& client, const AgentMeta& meta);
  std::vector<ClientPtr> find(std::string_view key, std::string_view value);

 private:
  // Clients whose value has the same hash: nearly always one, in one word then.
  class Posting {
   public:
    Posting() = default;
    Posting(Posting&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
    Posting& operator=(Posting&& other) noexcept {
      std::swap(word_, other.word_);
      return *this;
    }
    ~Posting() {
      if (auto* list = this->list()) delete list;
    }
    void add(Client& client);
    // False when nobody is left.
    bool remove(Client& client);
    template <class Fn>
    void for_each(Fn&& fn) const {
      if (const auto* list = this->list()) {
        for (Client* client : *list) fn(client);
      } else if (word_ != 0) {
        fn(reinterpret_cast<Client*>(word_));
      }
    }

   private:
    using List = std::vector<Client*>;
    static constexpr std::uintptr_t kList = 1;
    List* list() const { return (word_ & kList) != 0 ? reinterpret_cast<List*>(word_ & ~kList) : nullptr; }
    std::uintptr_t word_ = 0;  // A client, or a list of some, marked by kList.
  };
  using Index = boost::unordered_flat_map<std::size_t, Posting>;

  void update(Client& client, const Meta& before, const Meta& after);
  static void insert(Index& index, Client& client, std::string_view value);
  static void erase(Index& index, Client& client, std::string_view value);

  const ClientTable& table_;
  mutable std::mutex mutex_;  // docs/threads.md: "metadata index"
  TextMap<Index> indexes_;
};

// How many connections each address has made of late. Threads: shared.
class HandshakeLimit final : public Admission {
 public:
  // `options.handshakes_per_ip` on average and as many at once. Cost: a look-up under a mutex.
  explicit HandshakeLimit(const AgentOptions& options) : options_(options) {}
  bool admit(std::string_view address, TimePoint now) override;

 private:
  const AgentOptions& options_;
  std::mutex mutex_;                                              // docs/threads.md: "handshake limit"
  boost::unordered_flat_map<std::size_t, TimePoint> full_until_;  // By hash of the address.
  std::size_t sweep_at_ = 1024;
};

// One entry of AgentOptions::types.
struct Listening {
  const Transport* transport = nullptr;
  bool tls = false;
  std::string address;
};

struct Gate {
  AgentOptions options;
  std::vector<std::unique_ptr<Transport>> transports;
  std::vector<Listening> listening;
  std::unique_ptr<TlsContext> tls;
  std::string name;
  std::string node_id;
  Agent* agent = nullptr;
  Runtime* runtime = nullptr;
  SystemRandom random;

  Agent::OnConnect on_connect;
  Agent::OnReceive on_receive;
  Agent::OnDisconnect on_disconnect;

  std::vector<std::unique_ptr<LoopState>> loops;
  ClientTable table;
  MetaIndex index{table};
  HandshakeLimit handshakes{options};
  AddressList trusted_proxies;  // Their own addresses are not limited: those they speak for are.
  std::atomic<bool> stopping{false};
  std::atomic<std::uint32_t> connections{0};  // Sockets, also those not clients yet.
  std::atomic<std::int64_t> alive{0};         // Connections and disconnect callbacks that have not ended.
  std::atomic<std::uint32_t> online{0};

  // stop() waits here for `alive` to become 0.
  std::mutex waiter_mutex;  // docs/threads.md: "agent stop"
  std::move_only_function<void()> when_done;

  LoopState& state_of(Loop& loop) { return *loops[loop.index()]; }
  void ended();  // One less alive.
  void accept(LoopState& state, const Listening& listening, int fd, std::string_view peer);
};

}  // namespace mg::agent
