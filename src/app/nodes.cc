#include "mg/app/nodes.h"

#include <algorithm>
#include <utility>

namespace mg {

Nodes::Nodes(registry::Registry& registry, Random& random, std::string own_name, std::string own_uuid)
    : registry_(&registry), random_(&random), own_name_(std::move(own_name)), own_uuid_(std::move(own_uuid)) {}

Task<Result<registry::Services>> Nodes::services() const {
  return registry_->list(Deadline::never());
}

Task<Result<Nodes::List>> Nodes::list_version(std::string service, std::string version) const {
  const Result<registry::Services> found = co_await registry_->get(service, Deadline::never());
  if (!found) co_return std::unexpected(found.error());
  List nodes;
  for (const registry::Service& each : **found) {
    if (version.empty() || each.version == version) nodes.insert(nodes.end(), each.nodes.begin(), each.nodes.end());
  }
  co_return nodes;
}

Task<Result<Nodes::List>> Nodes::list(std::string service) const {
  return list_version(std::move(service), "");
}

Task<Result<Nodes::List>> Nodes::filter(std::string service, Predicate predicate) const {
  Result<List> nodes = co_await list(std::move(service));
  if (nodes) std::erase_if(*nodes, [&](const registry::Node& node) { return !predicate(node); });
  co_return nodes;
}

Task<Result<Nodes::List>> Nodes::exclude(std::string service, std::string uuid) const {
  std::string id = service + "-" + uuid;
  return filter(std::move(service), [id = std::move(id)](const registry::Node& node) { return node.id != id; });
}

Task<Result<registry::Node>> Nodes::get(std::string service, std::string uuid) const {
  const std::string id = service + "-" + uuid;
  const Result<List> nodes = co_await list(std::move(service));
  if (!nodes) co_return std::unexpected(nodes.error());
  const auto at = std::ranges::find(*nodes, id, &registry::Node::id);
  if (at == nodes->end()) co_return fail(code::kNotFound, "node {}: not found", id);
  co_return *at;
}

Task<Result<bool>> Nodes::exists(std::string service) const {
  const Result<List> nodes = co_await list(std::move(service));
  if (!nodes && nodes.error().code != code::kNotFound) co_return std::unexpected(nodes.error());
  co_return nodes && !nodes->empty();
}

Task<Result<bool>> Nodes::exists(std::string service, std::string uuid) const {
  const Result<registry::Node> node = co_await get(std::move(service), std::move(uuid));
  if (!node && node.error().code != code::kNotFound) co_return std::unexpected(node.error());
  co_return node.has_value();
}

Task<Result<std::vector<std::string>>> Nodes::ids(std::string service) const {
  const Result<List> nodes = co_await list(service);
  if (!nodes) co_return std::unexpected(nodes.error());
  std::vector<std::string> ids;
  ids.reserve(nodes->size());
  for (const registry::Node& node : *nodes) ids.emplace_back(registry::uuid_of(node.id, service));
  co_return ids;
}

Task<Result<std::string>> Nodes::random(std::string service) const {
  if (service == own_name_) co_return own_uuid_;
  const Result<std::vector<std::string>> all = co_await ids(service);
  if (!all) co_return std::unexpected(all.error());
  if (all->empty()) co_return fail(code::kNotFound, "service {}: no nodes", service);
  co_return (*all)[all->size() == 1 ? 0 : random_->below(all->size())];
}

}  // namespace mg
