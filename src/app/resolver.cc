#include "app/resolver.h"

namespace mg {

Task<Result<rpc::NodeList>> RegistryResolver::nodes(std::string service, Deadline deadline) {
  Task<Result<registry::Services>> asked = registry_.get(service, deadline);
  if (!asked.ready()) return later(std::move(asked), std::move(service));
  return convert(std::move(asked).operator co_await().await_resume(), service);
}

Task<Result<rpc::NodeList>> RegistryResolver::later(Task<Result<registry::Services>> asked, std::string service) {
  co_return convert(co_await std::move(asked), service);
}

Result<rpc::NodeList> RegistryResolver::convert(Result<registry::Services> services, const std::string& service) {
  if (!services) {
    if (services.error().code == code::kNotFound) return std::unexpected(rpc::service_not_found(service));
    Error& error = services.error();
    if (error.id.empty()) error.id = rpc::kClientId;
    return std::unexpected(std::move(error));
  }
  auto nodes = std::make_shared<std::vector<rpc::Node>>();
  for (const registry::Service& version : **services) {
    for (const registry::Node& node : version.nodes) {
      nodes->push_back({node.id, node.address, {node.metadata.begin(), node.metadata.end()}});
    }
  }
  return nodes;
}

}  // namespace mg
