// mg/agent/tcp/transport.h -- players over plain TCP or TLS: packets back to back.
//
//   std::vector<std::unique_ptr<agent::Transport>> transports;
//   transports.push_back(agent::tcp::make_transport());
#pragma once

#include <memory>

#include "mg/agent/transport.h"

namespace mg::agent::tcp {

// Source: wire.md 5.4.
std::unique_ptr<Transport> make_transport();

}  // namespace mg::agent::tcp
