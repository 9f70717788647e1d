// examples/game/world.h -- what the game remembers: accounts, their roles, who is in which room. In memory; players.h
// keeps roles.
//
//   std::int64_t account = World::account("alice");
//   Result<Role> role = world.create_role(account, "Ann");
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "examples/proto/msg.pb.h"
#include "mg/base/error.h"

namespace example {

struct Role {
  std::int64_t id = 0;
  std::int64_t account = 0;
  std::string name;
  std::int32_t level = 1;
};

void fill(msg::Role& out, const Role& role);

inline constexpr std::string_view kLobby = "lobby";

// Threads: shared.
class World {
 public:
  static constexpr std::size_t kMaxRoles = 8;       // Of an account.
  static constexpr std::size_t kMaxNameBytes = 32;  // Of a role or a room.

  // The account's number, the same on every node. Shape: 1..2^53-1
  static std::int64_t account(std::string_view name);
  std::vector<Role> roles(std::int64_t account) const;
  // Errors: kInvalid  the name is empty, too long or has control characters; kExists  taken; kTooMany  kMaxRoles
  mg::Result<Role> create_role(std::int64_t account, std::string_view name);
  // Errors: kInvalid  it is empty, too long or has control characters
  static mg::Result<void> check_role_name(std::string_view name);
  // A role that was made before, or elsewhere.
  void know(const Role& role);
  // Whether know_all() has told the roles of this account. (Of the last 100,000 such accounts or fewer.)
  bool knows_all(std::int64_t account) const;
  void know_all(std::int64_t account, std::span<const Role> roles);
  // Errors: kNotFound  the account has no such role. `id` 0: its first one.
  mg::Result<Role> role(std::int64_t account, std::int64_t id) const;
  mg::Result<std::string> role_name(std::int64_t id) const;

  // Puts a role into a room; returns the one it was in before, or "". Errors: kInvalid  the room's name
  mg::Result<std::string> enter(std::int64_t role, std::string_view room);
  void leave(std::int64_t role);
  // The room a role is in, "" when in none.
  std::string room_of(std::int64_t role) const;
  std::uint32_t members(std::string_view room) const;

 private:
  void know_locked(const Role& role);

  mutable std::mutex mutex_;  // docs/threads.md: "example world"
  std::unordered_map<std::int64_t, Role> roles_;
  std::unordered_map<std::int64_t, std::vector<std::int64_t>> roles_of_;
  std::unordered_set<std::int64_t> known_;  // Accounts.
  std::unordered_map<std::string, std::int64_t> names_;
  std::unordered_map<std::int64_t, std::string> room_of_;
  std::unordered_map<std::string, std::uint32_t> members_;
};

}  // namespace example
