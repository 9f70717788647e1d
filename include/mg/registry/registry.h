// mg/registry/registry.h -- the port: who serves what. Adapters: registry/local.
//
//   co_await registry.add(service, {.ttl = 60s});            // again within the ttl, or it vanishes
//   Result<Services> game = co_await registry.get("game", deadline);
//   auto watch = registry.watch("game", loop, [](const Event& event) { ... });
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/registry/service.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::registry {

// One entry for each version. Lifetime: unchanging, as long as anybody holds it.
using Services = std::shared_ptr<const std::vector<Service>>;

struct AddOptions {
  // The node vanishes when it is not added again for so long; whole seconds count. 0: it stays until removed.
  Clock::Duration ttl = std::chrono::seconds(60);
  Deadline deadline = Deadline::never();  // The adapter's own timeout counts, too.
};

enum class Action : std::uint8_t {
  kCreate,
  kUpdate,
  kDelete,
  kReset,  // Changes were missed: get() or list() anew.
};

// One change. Shape: `service` has exactly one node, the one that came, changed or went; empty for kReset.
struct Event {
  Action action;
  Service service;
};
using EventHandler = std::function<void(const Event&)>;

// Delivers changes while it lives. Threads: loop, the one it was made for, or after that has ended.
class Watch {
 public:
  virtual ~Watch() = default;
};

// Threads: shared. Functions that return a Task are called on a loop.
class Registry {
 public:
  virtual ~Registry() = default;

  // Adds the one node of `service`, or refreshes it: its lease starts again. A node of the same id is replaced,
  // wherever it was; nobody hears of a refresh that changes nothing. Errors: kInvalid (check_registration) · kTimeout,
  // kUnavailable  the registry did not answer
  virtual Task<Result<void>> add(Service service, AddOptions options) = 0;
  // Removes a node; that it is not there is no error.
  virtual Task<Result<void>> remove(std::string service, std::string node_id, Deadline deadline) = 0;

  // All versions of a service with their nodes. Errors: kNotFound `service nope: not found` · kTimeout, kUnavailable
  virtual Task<Result<Services>> get(std::string service, Deadline deadline) = 0;
  // All services, by name and version; nodes by id.
  virtual Task<Result<Services>> list(Deadline deadline) = 0;

  // Calls `handler` on `loop` for each change from now on, in order; of one service, or of all when it is "".
  // What get() says is never older than what the handler was told.
  virtual std::unique_ptr<Watch> watch(std::string service, Loop& loop, EventHandler handler) = 0;

  // Grows whenever an answer of get() or list() may have changed. Cost: for each message, a load.
  virtual const std::atomic<std::uint64_t>& version() const = 0;
  // The word nodes announce in their metadata under "registry".
  virtual std::string_view kind() const = 0;
};

}  // namespace mg::registry
