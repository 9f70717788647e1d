// mg/registry/local/local_registry.h -- the registry of one process, for the apps in it.
//
//   registry::LocalRegistry registry(runtime.loop(0));
#pragma once

#include <cstddef>
#include <memory>

#include "mg/registry/registry.h"

namespace mg::registry {

struct LocalRegistryOptions {
  std::size_t max_nodes = 100'000;
  std::size_t max_queued_events = 65'536;  // Per watch; over it they are dropped and a kReset is told.
};

// Threads: shared. Lifetime: destroyed when its home loop does not run, or on it. Watches may outlive it.
class LocalRegistry final : public Registry {
 public:
  // Leases end by `home`'s clock, on `home`.
  explicit LocalRegistry(Loop& home, LocalRegistryOptions options = {});
  LocalRegistry(const LocalRegistry&) = delete;
  LocalRegistry& operator=(const LocalRegistry&) = delete;
  ~LocalRegistry() override;

  Task<Result<void>> add(Service service, AddOptions options) override;
  Task<Result<void>> remove(std::string service, std::string node_id, Deadline deadline) override;
  Task<Result<Services>> get(std::string service, Deadline deadline) override;
  Task<Result<Services>> list(Deadline deadline) override;
  std::unique_ptr<Watch> watch(std::string service, Loop& loop, EventHandler handler) override;
  const std::atomic<std::uint64_t>& version() const override;
  std::string_view kind() const override { return "local"; }

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mg::registry
