// RegistryResolver: the registry as rpc::Client asks it.
#pragma once

#include <utility>

#include "mg/registry/registry.h"
#include "mg/rpc/transport.h"

namespace mg {

class RegistryResolver final : public rpc::Resolver {
 public:
  explicit RegistryResolver(registry::Registry& registry) : registry_(registry) {}

  // A registry that answers at once is answered for at once: no coroutine.
  Task<Result<rpc::NodeList>> nodes(std::string service, Deadline deadline) override;
  const std::atomic<std::uint64_t>& version() const override { return registry_.version(); }

 private:
  static Result<rpc::NodeList> convert(Result<registry::Services> services, const std::string& service);
  static Task<Result<rpc::NodeList>> later(Task<Result<registry::Services>> asked, std::string service);

  registry::Registry& registry_;
};

}  // namespace mg
