// The tables of a gate: clients by id and by metadata, each loop's lists and groups, connections per address.
#include <algorithm>

#include "agent/gate.h"
#include "mg/runtime/fetch.h"

namespace mg::agent {

// --- a loop's lists --------------------------------------------------------------------------------------------------

namespace {

// Removes the item at its place by moving the last one there.
template <class T, class Place>
void remove_from(std::vector<T*>& list, std::uint32_t place, Place&& set_place) {
  if (place >= list.size()) return;
  list[place] = list.back();
  set_place(*list[place], place);
  list.pop_back();
}

}  // namespace

void LoopState::add(Connection& connection) {
  connection.place_ = static_cast<std::uint32_t>(connections.size());
  connections.push_back(&connection);
}

void LoopState::remove(Connection& connection) {
  remove_from(connections, connection.place_, [](Connection& moved, std::uint32_t place) { moved.place_ = place; });
}

void LoopState::add(Client& client) {
  client.place_ = static_cast<std::uint32_t>(clients.size());
  clients.push_back(&client);
}

void LoopState::remove(Client& client) {
  while (client.groups_ && !client.groups_->empty()) leave(client, std::string(client.groups_->back()));
  remove_from(clients, client.place_, [](Client& moved, std::uint32_t place) { moved.place_ = place; });
}

void LoopState::join(Client& client, std::string_view group) {
  if (!client.groups_) client.groups_ = std::make_unique<std::vector<std::string>>();
  if (std::ranges::find(*client.groups_, group) != client.groups_->end()) return;
  client.groups_->emplace_back(group);
  auto found = groups.find(group);
  if (found == groups.end()) found = groups.emplace(std::string(group), std::vector<Client*>()).first;
  found->second.push_back(&client);
}

void LoopState::leave(Client& client, std::string_view group) {
  if (!client.groups_ || std::erase(*client.groups_, group) == 0) return;
  const auto found = groups.find(group);
  if (found == groups.end()) return;
  auto& members = found->second;
  const auto member = std::ranges::find(members, &client);
  if (member != members.end()) {
    *member = members.back();
    members.pop_back();
  }
  if (members.empty()) groups.erase(found);
}

WorkPtr LoopState::take_work() {
  if (free_work.empty()) return std::make_unique<Work>();
  WorkPtr work = std::move(free_work.back());
  free_work.pop_back();
  if (!free_work.empty()) fetch(free_work.back().get(), sizeof(Work));  // The next message's.
  return work;
}

void LoopState::give_work(WorkPtr work) {
  constexpr std::size_t kKeep = 4096;
  if (free_work.size() >= kKeep) return;
  work->clear();
  free_work.push_back(std::move(work));
}

// --- clients by id ---------------------------------------------------------------------------------------------------

void ClientTable::add(ClientPtr client) {
  Shard& shard = shards_[shard_of(client->id())];
  const std::lock_guard lock(shard.mutex);
  shard.clients.insert(std::move(client));
  size_.fetch_add(1, std::memory_order_relaxed);
}

void ClientTable::remove(const Uuid& id) {
  ClientPtr last;  // Dies after the lock is gone.
  Shard& shard = shards_[shard_of(id)];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.clients.find(id);
  if (found == shard.clients.end()) return;
  last = *found;
  shard.clients.erase(found);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

ClientPtr ClientTable::get(const Uuid& id) const {
  const Shard& shard = shards_[shard_of(id)];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.clients.find(id);
  return found == shard.clients.end() ? ClientPtr() : *found;
}

std::vector<ClientPtr> ClientTable::all() const {
  std::vector<ClientPtr> list;
  list.reserve(size());
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const ClientPtr& client : shard.clients) list.push_back(client);
  }
  return list;
}

// --- clients by metadata ---------------------------------------------------------------------------------------------

void MetaIndex::Posting::add(Client& client) {
  if (word_ == 0) {
    word_ = reinterpret_cast<std::uintptr_t>(&client);
  } else if (List* const all = list()) {
    all->push_back(&client);
  } else {
    word_ = reinterpret_cast<std::uintptr_t>(new List{reinterpret_cast<Client*>(word_), &client}) | kList;
  }
}

bool MetaIndex::Posting::remove(Client& client) {
  if (List* const all = list()) {
    std::erase(*all, &client);
    if (all->size() > 1) return true;
    word_ = all->empty() ? 0 : reinterpret_cast<std::uintptr_t>(all->front());
    delete all;
  } else if (word_ == reinterpret_cast<std::uintptr_t>(&client)) {
    word_ = 0;
  }
  return word_ != 0;
}

void MetaIndex::insert(Index& index, Client& client, std::string_view value) {
  if (!value.empty()) index[std::hash<std::string_view>()(value)].add(client);
}

void MetaIndex::erase(Index& index, Client& client, std::string_view value) {
  if (value.empty()) return;
  const auto found = index.find(std::hash<std::string_view>()(value));
  if (found != index.end() && !found->second.remove(client)) index.erase(found);
}

void MetaIndex::update(Client& client, const Meta& before, const Meta& after) {
  for (auto& [key, index] : indexes_) {
    const std::string_view old_value = before.get(key);
    const std::string_view new_value = after.get(key);
    if (old_value == new_value) continue;
    erase(index, client, old_value);
    if (client.connected()) insert(index, client, new_value);
  }
}

void MetaIndex::add(Client& client, const AgentMeta& meta) {
  const std::lock_guard lock(mutex_);
  update(client, Meta(), meta);
}

void MetaIndex::remove(Client& client, const AgentMeta& meta) {
  const std::lock_guard lock(mutex_);
  for (auto& [key, index] : indexes_) erase(index, client, meta.get(key));
}

std::vector<ClientPtr> MetaIndex::find(std::string_view key, std::string_view value) {
  std::vector<ClientPtr> found;
  const std::lock_guard lock(mutex_);
  auto at = indexes_.find(key);
  if (at == indexes_.end()) {
    at = indexes_.emplace(std::string(key), Index()).first;
    for (const ClientPtr& client : table_.all()) {
      if (client->connected()) insert(at->second, *client, client->meta_.get(key));
    }
  }
  const auto posting = at->second.find(std::hash<std::string_view>()(value));
  if (value.empty() || posting == at->second.end()) return found;
  posting->second.for_each([&](Client* client) {
    if (client->meta_.get(key) == value) found.emplace_back(client);
  });
  return found;
}

// --- connections per address -----------------------------------------------------------------------------------------

bool HandshakeLimit::admit(std::string_view address, TimePoint now) {
  const std::uint32_t per_second = options_.handshakes_per_ip;
  if (per_second == 0) return true;
  const std::lock_guard lock(mutex_);
  if (full_until_.size() >= sweep_at_) {
    boost::unordered::erase_if(full_until_, [now](const auto& entry) { return entry.second <= now; });
    sweep_at_ = std::max<std::size_t>(1024, full_until_.size() * 2);
  }
  TimePoint& until = full_until_[std::hash<std::string_view>()(address)];
  const TimePoint next = std::max(until, now) + std::chrono::nanoseconds(1'000'000'000 / per_second);
  if (next - now > std::chrono::seconds(1)) return false;
  until = next;
  return true;
}

}  // namespace mg::agent
