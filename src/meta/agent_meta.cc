#include "mg/meta/agent_meta.h"

#include <array>

namespace mg {
namespace {

std::array<Meta::Entry, 9> connection_entries(std::string_view node_name, std::string_view node_id,
                                              std::string_view client_id, std::string_view client_ip,
                                              std::string_view client_ver) {
  return {{{meta_key::kNodeName, node_name},
           {meta_key::kNodeId, node_id},
           {meta_key::kClientId, client_id},
           {meta_key::kClientIp, client_ip},
           {meta_key::kClientVer, client_ver},
           {meta_key::kAccountId, ""},
           {meta_key::kChannelUid, ""},
           {meta_key::kServerId, ""},
           {meta_key::kRoleId, ""}}};
}

}  // namespace

AgentMeta::AgentMeta(std::string_view node_name, std::string_view node_id, std::string_view client_id,
                     std::string_view client_ip, std::string_view client_ver)
    : Meta(connection_entries(node_name, node_id, client_id, client_ip, client_ver)) {}

}  // namespace mg
