#include "examples/game/world.h"

#include <openssl/sha.h>

#include <algorithm>

namespace example {
namespace {

constexpr std::size_t kKnownAccounts = 100'000;

mg::Result<void> check_name(std::string_view what, std::string_view name) {
  if (name.empty() || name.size() > World::kMaxNameBytes) {
    return mg::fail(mg::code::kInvalid, "{}: 1 to {} octets, not {}", what, World::kMaxNameBytes, name.size());
  }
  if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
    return mg::fail(mg::code::kInvalid, "{}: no control characters", what);
  }
  return {};
}

// 53 bits of the name's SHA-256: the same on every node, and exact in every client's numbers.
std::int64_t number_of(std::string_view name) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest);
  std::int64_t number = 0;
  for (int i = 0; i < 7; ++i) number = number << 8 | digest[i];
  number >>= 3;
  return number == 0 ? 1 : number;
}

}  // namespace

void fill(msg::Role& out, const Role& role) {
  out.set_id(role.id);
  out.set_name(role.name);
  out.set_level(role.level);
}

std::int64_t World::account(std::string_view name) {
  return number_of(name);
}

std::vector<Role> World::roles(std::int64_t account) const {
  const std::lock_guard lock(mutex_);
  std::vector<Role> list;
  if (const auto found = roles_of_.find(account); found != roles_of_.end()) {
    for (const std::int64_t id : found->second) list.push_back(roles_.at(id));
  }
  return list;
}

mg::Result<Role> World::create_role(std::int64_t account, std::string_view name) {
  if (auto ok = check_name("role name", name); !ok) return std::unexpected(std::move(ok.error()));
  const std::lock_guard lock(mutex_);
  auto& mine = roles_of_[account];
  if (mine.size() >= kMaxRoles) return mg::fail(mg::code::kTooMany, "an account has at most {} roles", kMaxRoles);
  const std::int64_t id = number_of(name);  // Names are unique.
  if (!names_.try_emplace(std::string(name), id).second) {
    return mg::fail(mg::code::kExists, "role name \"{}\" is taken", name);
  }
  mine.push_back(id);
  return roles_[id] = Role{.id = id, .account = account, .name = std::string(name)};
}

mg::Result<void> World::check_role_name(std::string_view name) {
  return check_name("role name", name);
}

void World::know(const Role& role) {
  const std::lock_guard lock(mutex_);
  know_locked(role);
}

void World::know_locked(const Role& role) {
  if (!roles_.try_emplace(role.id, role).second) return;
  roles_of_[role.account].push_back(role.id);
  names_.try_emplace(role.name, role.id);
}

bool World::knows_all(std::int64_t account) const {
  const std::lock_guard lock(mutex_);
  return known_.contains(account);
}

void World::know_all(std::int64_t account, std::span<const Role> roles) {
  const std::lock_guard lock(mutex_);
  for (const Role& role : roles) know_locked(role);
  if (known_.size() >= kKnownAccounts) known_.clear();  // They are read again.
  known_.insert(account);
}

mg::Result<Role> World::role(std::int64_t account, std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto mine = roles_of_.find(account);
  if (mine != roles_of_.end() && !mine->second.empty()) {
    if (id == 0) return roles_.at(mine->second.front());
    if (std::ranges::find(mine->second, id) != mine->second.end()) return roles_.at(id);
  }
  return mg::fail(mg::code::kNotFound, "the account has no role {}", id);
}

mg::Result<std::string> World::role_name(std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = roles_.find(id);
  if (found == roles_.end()) return mg::fail(mg::code::kNotFound, "no role {}", id);
  return found->second.name;
}

mg::Result<std::string> World::enter(std::int64_t role, std::string_view room) {
  if (auto ok = check_name("room", room); !ok) return std::unexpected(std::move(ok.error()));
  std::string before = room_of(role);
  leave(role);
  const std::lock_guard lock(mutex_);
  room_of_[role] = room;
  ++members_[std::string(room)];
  return before;
}

void World::leave(std::int64_t role) {
  const std::lock_guard lock(mutex_);
  const auto found = room_of_.find(role);
  if (found == room_of_.end()) return;
  if (const auto room = members_.find(found->second); room != members_.end() && --room->second == 0) {
    members_.erase(room);
  }
  room_of_.erase(found);
}

std::string World::room_of(std::int64_t role) const {
  const std::lock_guard lock(mutex_);
  const auto found = room_of_.find(role);
  return found == room_of_.end() ? std::string() : found->second;
}

std::uint32_t World::members(std::string_view room) const {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(std::string(room));
  return found == members_.end() ? 0 : found->second;
}

}  // namespace example
