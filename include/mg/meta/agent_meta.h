// mg/meta/agent_meta.h -- metadata of a player's connection: what a gate keeps and a game handler gets.
//
//   AgentMeta meta("gate", node_id, client_id, "10.0.0.9");
//   meta.set_role_id(42);
//   if (meta.is_online()) reward(meta.role_id());
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "mg/meta/meta.h"

namespace mg {

// Meta with the keys of a connection by name. No data of its own: AgentMeta and Meta convert freely.
// Threads, Lifetime, Cost: as Meta.
class AgentMeta : public Meta {
 public:
  AgentMeta() = default;
  explicit AgentMeta(Meta meta) : Meta(std::move(meta)) {}
  // A new connection's: the given keys, and the others present but empty. Source: wire.md 2.5.
  AgentMeta(std::string_view node_name, std::string_view node_id, std::string_view client_id,
            std::string_view client_ip = "", std::string_view client_ver = "");

  std::string_view node_name() const { return get(meta_key::kNodeName); }
  std::string_view node_id() const { return get(meta_key::kNodeId); }
  std::string_view client_id() const { return known_client_id(); }
  std::string_view client_ip() const { return get(meta_key::kClientIp); }
  std::string_view client_ver() const { return get(meta_key::kClientVer); }
  std::int64_t account_id() const { return known_account_id(); }
  std::string_view channel_uid() const { return get(meta_key::kChannelUid); }
  std::int32_t server_id() const { return get_int32(meta_key::kServerId); }
  std::int64_t role_id() const { return known_role_id(); }

  bool set_client_ver(std::string_view ver) { return set(meta_key::kClientVer, ver); }
  bool set_account_id(std::int64_t id) { return set(meta_key::kAccountId, id); }
  bool set_channel_uid(std::string_view uid) { return set(meta_key::kChannelUid, uid); }
  bool set_server_id(std::int32_t id) { return set(meta_key::kServerId, id); }
  bool set_role_id(std::int64_t id) { return set(meta_key::kRoleId, id); }

  // Whether the player has chosen a role: role_id() is not 0. The Go original says yes to any text that is not empty,
  // "0" and "abc" too, where a handler would then work on role 0.
  bool is_online() const { return role_id() != 0; }
};

}  // namespace mg
