#include "mg/agent/client.h"

#include <algorithm>

#include "agent/gate.h"
#include "mg/base/log.h"

namespace mg::agent {

Client::Client(Gate& gate, Loop& loop, const Uuid& id, AgentMeta meta)
    : gate_(gate), loop_(loop), id_(id), meta_(std::move(meta)) {}

Client::~Client() = default;

Agent& Client::agent() const noexcept {
  return *gate_.agent;
}

// Runs `fn` on the client's loop: at once when it is this one.
template <class Fn>
void Client::on_loop(Fn&& fn) {
  if (loop_.on_this_thread()) {
    fn();
  } else {
    loop_.post([self = ClientPtr(this), fn = std::forward<Fn>(fn)]() mutable { fn(); });
  }
}

AgentMeta Client::meta() const {
  return loop_.on_this_thread() ? meta_ : AgentMeta(gate_.index.copy(meta_));
}

void Client::set_meta(std::string_view key, std::string_view value) {
  Meta one;
  one.set(key, value);
  merge_meta(std::move(one));
}

void Client::merge_meta(Meta changes) {
  on_loop([this, changes = std::move(changes)] {
    gate_.index.change(*this, meta_, [&](AgentMeta& meta) { meta.merge(changes); });
    const bool online = connection_ && meta_.is_online();
    if (online_.exchange(online) != online) gate_.online.fetch_add(online ? 1 : -1U, std::memory_order_relaxed);
  });
}

void Client::write(const codec::ServerHead& head, Bytes payload) {
  write(head, payload, {.slow_client = gate_.options.slow_client});
}

void Client::write(const codec::ServerHead& head, Bytes payload, WriteOptions options) {
  if (loop_.on_this_thread()) {
    if (connection_) connection_->write(head, payload, options);
    return;
  }
  on_loop([this, head, options, copy = std::string(as_text(payload))] {
    if (connection_) connection_->write(head, as_bytes(copy), options);
  });
}

void Client::write_broadcast(const codec::ServerHead& head, Bytes payload,
                             const std::function<const SharedBytes&(Framer&)>& encoding) {
  if (!connection_) return;
  const SharedBytes& packet = encoding(connection_->framer());
  if (packet) {
    connection_->write_encoded(packet);
  } else {
    connection_->write(head, payload, {.slow_client = gate_.options.slow_client});
  }
}

void Client::close(std::string_view reason) {
  on_loop([this, reason = std::string(reason)] {
    if (connection_) connection_->close(reason);
  });
}

void Client::destroy(std::string_view reason) {
  on_loop([this, reason = std::string(reason)] {
    if (connection_) connection_->destroy(reason);
  });
}

void Client::set_auth_state(bool confirmed) {
  on_loop([this, confirmed] {
    authenticated_.store(confirmed, std::memory_order_relaxed);
    if (connection_) connection_->auth_changed();
  });
}

void Client::join(std::string_view group) {
  on_loop([this, group = std::string(group)] {
    if (!connection_) return;
    if (groups_ && groups_->size() >= gate_.options.max_groups_per_client) {
      return log::warn("client {}: not joined to group \"{}\": it is in {} groups already", id_.text(), group,
                       groups_->size());
    }
    gate_.state_of(loop_).join(*this, group);
  });
}

void Client::leave(std::string_view group) {
  on_loop([this, group = std::string(group)] { gate_.state_of(loop_).leave(*this, group); });
}

}  // namespace mg::agent
