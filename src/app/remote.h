// app/remote.h -- the backends that addresses ask for.
//
//   if (auto made = make_remote(backends, common, "game", runtime); !made) return made;
#pragma once

#include <string_view>

#include "mg/app/backends.h"

namespace mg {

// Fills in what is not there yet and has an address: broker_address gives NATS, registry_address etcd; that or
// rpc_address also the transports local and gRPC, in this order. Errors: kInvalid  which flag, which file
Result<void> make_remote(Backends& backends, const CommonFlags& flags, std::string_view name, Runtime& runtime);

}  // namespace mg
