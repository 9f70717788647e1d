#include "mg/registry/service.h"

namespace mg::registry {

std::string_view uuid_of(std::string_view node_id, std::string_view service) {
  if (node_id.size() > service.size() && node_id.starts_with(service) && node_id[service.size()] == '-') {
    node_id.remove_prefix(service.size() + 1);
  }
  return node_id;
}

Result<void> check_registration(const Service& service) {
  if (service.name.empty()) return fail(code::kInvalid, "registration: the service has no name");
  if (service.nodes.size() != 1) {
    return fail(code::kInvalid, "registration of {}: {} nodes, must be 1", service.name, service.nodes.size());
  }
  if (service.nodes[0].id.empty()) return fail(code::kInvalid, "registration of {}: the node has no id", service.name);
  return {};
}

}  // namespace mg::registry
