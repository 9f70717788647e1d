// mg/app/backends.h -- what apps stand on: registry, broker, transports; built in, or chosen by the program.
//
//   Process process;
//   process.set_backends([](const CommonFlags& flags, Runtime& runtime) -> Result<Backends> { ... });
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "mg/app/common_flags.h"
#include "mg/base/error.h"
#include "mg/broker/broker.h"
#include "mg/registry/registry.h"
#include "mg/rpc/transport.h"
#include "mg/runtime/runtime.h"

namespace mg {

// Each null or empty one is built in: within the process, for all its apps.
// Transports are in order of preference for calls; what a node registers comes from the last that says it.
// Lifetime: shared_ptr, because a program may keep or share them; the process lets go when it is destroyed.
struct Backends {
  std::shared_ptr<registry::Registry> registry;
  std::shared_ptr<broker::Broker> broker;
  std::vector<std::shared_ptr<rpc::Transport>> transports;
};

// Called once, after the flags are read and before any app starts, on the thread of Process::run().
using BackendsFactory = std::function<Result<Backends>(const CommonFlags& flags, Runtime& runtime)>;

}  // namespace mg
