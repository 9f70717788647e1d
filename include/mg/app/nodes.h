// mg/app/nodes.h -- questions about the nodes of services. Nodes are named by their UUID, without "<service>-".
//
//   if (co_await app.nodes().exists("game", meta.node_id())) ...
//   Result<std::string> room = co_await app.nodes().random("room");
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"
#include "mg/base/random.h"
#include "mg/registry/registry.h"
#include "mg/runtime/task.h"

namespace mg {

// Every question asks the registry. Errors: kNotFound  no such service or node · what the registry says
// Threads: shared, on a loop; random() as the Random it was given.
class Nodes {
 public:
  using Predicate = std::function<bool(const registry::Node&)>;
  using List = std::vector<registry::Node>;

  Nodes(registry::Registry& registry, Random& random, std::string own_name, std::string own_uuid);

  // Whether any node of the service, or this one, is registered. Errors: only when that cannot be told.
  Task<Result<bool>> exists(std::string service) const;
  Task<Result<bool>> exists(std::string service, std::string uuid) const;

  Task<Result<registry::Node>> get(std::string service, std::string uuid) const;
  Task<Result<List>> list(std::string service) const;
  Task<Result<List>> list_version(std::string service, std::string version) const;
  Task<Result<List>> filter(std::string service, Predicate predicate) const;
  // All but one, such as oneself.
  Task<Result<List>> exclude(std::string service, std::string uuid) const;
  Task<Result<std::vector<std::string>>> ids(std::string service) const;
  // The UUID of one, any; one's own when it is one's own service.
  Task<Result<std::string>> random(std::string service) const;
  Task<Result<registry::Services>> services() const;

 private:
  registry::Registry* registry_;
  Random* random_;
  std::string own_name_;
  std::string own_uuid_;
};

}  // namespace mg
