#include "mg/agent/agent.h"

#include <unistd.h>

#include <algorithm>

#include "agent/gate.h"
#include "mg/base/check.h"
#include "mg/base/log.h"
#include "mg/codec/frame.h"
#include "mg/runtime/event.h"

namespace mg::agent {
namespace {

// Makes the packets of one broadcast: one encoding for each kind of framer that turns up.
class Encodings {
 public:
  Encodings(const codec::ServerHead& head, Bytes payload) : head_(head), payload_(payload) {}

  // Empty when the connection needs an encoding of its own.
  const SharedBytes& of(Framer& framer) {
    const std::uint8_t kind = framer.shared_kind();
    if (!kinds_[kind]) kinds_[kind] = framer.encode_shared(head_, payload_);
    return kinds_[kind];
  }

 private:
  const codec::ServerHead& head_;
  Bytes payload_;
  std::array<SharedBytes, shared_kind::kCount> kinds_;
};

void send_to_all(Gate& gate, const std::vector<Client*>& clients, const codec::ServerHead& head, Bytes payload,
                 const Agent::Filter& keep) {
  Encodings encodings(head, payload);
  // A write may close its client, which leaves the list only in a later step: the list stays as it is meanwhile.
  for (Client* client : clients) {
    if (!client->online() || (keep && !keep(*client))) continue;
    client->write_broadcast(head, payload, [&](Framer& framer) -> const SharedBytes& { return encodings.of(framer); });
  }
  (void)gate;
}

}  // namespace

Agent::Agent(AgentOptions options, std::vector<std::unique_ptr<Transport>> transports)
    : gate_(std::make_unique<Gate>()) {
  gate_->options = std::move(options);
  gate_->transports = std::move(transports);
  gate_->agent = this;
}

Agent::~Agent() = default;

void Agent::on_connect(OnConnect callback) {
  gate_->on_connect = std::move(callback);
}
void Agent::on_receive(OnReceive callback) {
  gate_->on_receive = std::move(callback);
}
void Agent::on_disconnect(OnDisconnect callback) {
  gate_->on_disconnect = std::move(callback);
}

namespace {

// The transport a type stands for, and whether its name asks for TLS.
struct TypeName {
  std::string_view transport;
  bool names_tls;
};

std::optional<TypeName> read_type(std::string_view type) {
  if (type == "websocket" || type == "ws") return TypeName{"websocket", false};
  if (type == "wss") return TypeName{"websocket", true};
  if (type == "tcp") return TypeName{"tcp", false};
  if (type == "tcps") return TypeName{"tcp", true};
  return std::nullopt;
}

Result<void> plan_listening(Gate& gate) {
  const AgentOptions& options = gate.options;
  const bool have_tls = !options.tls_cert.empty() || !options.tls_key.empty();
  if (have_tls && (options.tls_cert.empty() || options.tls_key.empty())) {
    return fail(code::kInvalid, "agent_tls_cert and agent_tls_key: both or neither");
  }
  if (have_tls) {
    auto context = TlsContext::server({.cert_file = options.tls_cert, .key_file = options.tls_key});
    if (!context) return std::unexpected(std::move(context.error()));
    gate.tls = std::move(*context);
  }
  if (options.types.empty()) return fail(code::kInvalid, "agent_type: empty; expected websocket, tcp, wss or tcps");
  if (options.ports.size() > options.types.size()) {
    return fail(code::kInvalid, "agent_port: {} addresses for {} transports", options.ports.size(),
                options.types.size());
  }
  const bool explicit_tls = std::ranges::any_of(options.types, [](const std::string& type) {
    const auto name = read_type(type);
    return name && name->names_tls;
  });
  std::string address = ":0";
  for (std::size_t i = 0; i < options.types.size(); ++i) {
    const auto name = read_type(options.types[i]);
    if (!name) {
      return fail(code::kInvalid, "agent_type \"{}\": expected websocket (ws), tcp, wss or tcps", options.types[i]);
    }
    const auto transport = std::ranges::find_if(
        gate.transports, [&](const std::unique_ptr<Transport>& t) { return t->name() == name->transport; });
    if (transport == gate.transports.end()) {
      return fail(code::kInvalid, "agent_type \"{}\": this program has no such transport", options.types[i]);
    }
    if (i < options.ports.size()) {
      address = options.ports[i];
    } else {
      // The next number of the one before; any free port stays any free port.
      const std::size_t colon = address.rfind(':');
      const int port = colon == std::string::npos ? 0 : std::atoi(address.c_str() + colon + 1);
      if (port != 0) address = fmt::format("{}:{}", address.substr(0, colon), port + 1);
    }
    // "wss" without a certificate is plain, behind a proxy that does TLS, as in the Go original.
    const bool tls = gate.tls && (name->names_tls || !explicit_tls);
    gate.listening.push_back({transport->get(), tls, address});
  }
  return {};
}

}  // namespace

Result<void> Agent::start(Runtime& runtime, std::string_view name, std::string_view node_id) {
  Gate& gate = *gate_;
  check(static_cast<bool>(gate.on_receive), "Agent::start: on_receive is not set");
  gate.runtime = &runtime;
  gate.name = name;
  gate.node_id = node_id;
  gate.options.codec.max_payload_bytes =
      gate.options.max_message_bytes -
      static_cast<std::uint32_t>(codec::head_bytes<codec::ClientHead>(gate.options.codec));
  if (auto planned = plan_listening(gate); !planned) return planned;
  auto trusted = AddressList::parse(gate.options.trusted_proxies);
  if (!trusted) return std::unexpected(std::move(trusted.error()));
  gate.trusted_proxies = std::move(*trusted);
  for (const auto& transport : gate.transports) {
    if (auto ok = transport->configure(gate.options, gate.handshakes); !ok) return ok;
  }
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    gate.loops.push_back(std::make_unique<LoopState>(gate, runtime.loop(i)));
  }
  for (Listening& listening : gate.listening) {
    for (std::size_t i = 0; i < gate.loops.size(); ++i) {
      LoopState& state = *gate.loops[i];
      auto listener = Listener::open(
          state.loop, listening.address, {.share = i > 0},
          [&gate, &state, &listening](int fd, std::string_view peer) { gate.accept(state, listening, fd, peer); });
      if (!listener) return std::unexpected(std::move(listener.error()));
      listening.address = (*listener)->address();  // The others share the port that the first one got.
      state.listeners.push_back(std::move(*listener));
    }
  }
  return {};
}

void Gate::accept(LoopState& state, const Listening& from, int fd, std::string_view peer) {
  // Its place is taken before it is looked whether there is one: other loops accept at the same time.
  const bool full = connections.fetch_add(1, std::memory_order_relaxed) >= options.conn_max && options.conn_max != 0;
  const bool proxy = from.transport->knows_proxies() && trusted_proxies.contains(peer);
  if (stopping.load(std::memory_order_relaxed) || full || (!proxy && !handshakes.admit(peer, state.loop.now()))) {
    connections.fetch_sub(1, std::memory_order_relaxed);
    state.refused.add();
    ::close(fd);
    return;
  }
  state.accepted.add();
  alive.fetch_add(1, std::memory_order_relaxed);
  (new Connection(state, *from.transport, fd, from.tls ? tls.get() : nullptr))->start();
}

void Gate::ended() {
  if (alive.fetch_sub(1, std::memory_order_acq_rel) != 1 || !stopping.load()) return;
  const std::lock_guard lock(waiter_mutex);
  if (when_done) std::exchange(when_done, nullptr)();
}

Task<bool> Agent::stop() {
  Gate& gate = *gate_;
  Loop& here = *Loop::current();
  if (gate.loops.empty()) co_return true;
  Completion<bool> done;
  // One more alive until all loops have been told, so that `when_done` cannot come too early.
  gate.alive.fetch_add(static_cast<std::int64_t>(gate.loops.size()));
  {
    const std::lock_guard lock(gate.waiter_mutex);
    gate.when_done = [&here, &done] { here.post([&done] { done.set(true); }); };
  }
  gate.stopping.store(true);
  for (auto& state : gate.loops) {
    state->loop.post([&gate, &state = *state] {
      state.listeners.clear();
      const std::vector<Connection*> now = state.connections;
      for (Connection* connection : now) connection->drain();
      gate.ended();
    });
  }
  bool clean = true;
  if (!co_await done.wait(here, Deadline::after(here.now(), gate.options.drain_timeout))) {
    clean = false;
    for (auto& state : gate.loops) {
      state->loop.post([&state = *state] {
        const std::vector<Connection*> now = state.connections;
        for (Connection* connection : now) connection->destroy("drain timeout");
      });
    }
    // What still runs now is a handler or a disconnect callback; they have deadlines of their own.
    if (!co_await done.wait(here, Deadline::after(here.now(), gate.options.drain_timeout))) {
      const std::lock_guard lock(gate.waiter_mutex);
      gate.when_done = nullptr;
      log::error("agent: {} connections or disconnect callbacks did not end", gate.alive.load());
    }
  }
  co_return clean;
}

std::vector<std::string> Agent::urls() const {
  std::vector<std::string> list;
  for (const Listening& listening : gate_->listening) {
    std::string host = listening.address;
    if (host.starts_with(':')) host = (gate_->options.host.empty() ? "127.0.0.1" : gate_->options.host) + host;
    list.push_back(fmt::format("{}{}://{}", listening.transport->scheme(), listening.tls ? "s" : "", host));
  }
  return list;
}

std::string Agent::type() const {
  return gate_->listening.empty() ? std::string() : std::string(gate_->listening.front().transport->name());
}

std::uint16_t Agent::port() const {
  if (gate_->listening.empty()) return 0;
  const std::string& address = gate_->listening.front().address;
  return static_cast<std::uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1));
}

ClientPtr Agent::get_client(const Uuid& id) const {
  return gate_->table.get(id);
}

ClientPtr Agent::get_client(std::string_view id) const {
  const auto uuid = Uuid::parse(id);
  return uuid ? gate_->table.get(*uuid) : ClientPtr();
}

std::vector<ClientPtr> Agent::find(std::string_view key, std::string_view value) {
  return gate_->index.find(key, value);
}

ClientPtr Agent::find_one(std::string_view key, std::string_view value) {
  auto found = gate_->index.find(key, value);
  return found.empty() ? ClientPtr() : std::move(found.front());
}

std::vector<ClientPtr> Agent::filter(const Filter& keep) const {
  auto list = gate_->table.all();
  std::erase_if(list, [&](const ClientPtr& client) { return !keep(*client); });
  return list;
}

void Agent::for_each(const std::function<bool(Client&)>& visit) const {
  for (const ClientPtr& client : gate_->table.all()) {
    if (!visit(*client)) return;
  }
}

std::size_t Agent::count() const noexcept {
  return gate_->table.size();
}
std::size_t Agent::online_count() const noexcept {
  return gate_->online.load(std::memory_order_relaxed);
}

// Each loop writes to its own clients: this one at once, the others from a copy that they share.
void Agent::broadcast(const codec::ServerHead& head, Bytes payload, Filter keep) {
  spread(payload, [&gate = *gate_, head, keep = std::move(keep)](LoopState& state, Bytes body) {
    send_to_all(gate, state.clients, head, body, keep);
  });
}

void Agent::broadcast_group(std::string_view group, const codec::ServerHead& head, Bytes payload, Filter keep) {
  spread(payload,
         [&gate = *gate_, head, keep = std::move(keep), name = std::string(group)](LoopState& state, Bytes body) {
           const auto found = state.groups.find(name);
           if (found != state.groups.end()) send_to_all(gate, found->second, head, body, keep);
         });
}

void Agent::spread(Bytes payload, std::function<void(LoopState&, Bytes)> send) {
  SharedBytes copy;
  for (auto& state : gate_->loops) {
    if (state->loop.on_this_thread()) {
      send(*state, payload);
      continue;
    }
    if (!copy) {
      copy = SharedBytes::make(payload.size());
      std::ranges::copy(payload, copy.writable().begin());
    }
    state->loop.post([&state = *state, copy, send] { send(state, copy.bytes()); });
  }
}

AgentStats Agent::stats() const {
  AgentStats sum;
  for (const auto& state : gate_->loops) {
    sum.accepted += state->accepted.get();
    sum.refused += state->refused.get();
    sum.messages_in += state->messages_in.get();
    sum.messages_out += state->messages_out.get();
    sum.dropped += state->dropped.get();
    sum.slow_closed += state->slow_closed.get();
    sum.throttled += state->throttled.get();
    for (const auto& listener : state->listeners) sum.refused += listener->refused();
  }
  return sum;
}

const AgentOptions& Agent::options() const noexcept {
  return gate_->options;
}

}  // namespace mg::agent
