// mg/agent/ws/transport.h -- players over WebSocket: one packet a binary message.
//
//   std::vector<std::unique_ptr<agent::Transport>> transports;
//   transports.push_back(agent::ws::make_transport());
#pragma once

#include <memory>

#include "mg/agent/transport.h"

namespace mg::agent::ws {

// RFC 6455 with any URL path, pings as heartbeat, text refused with 1003, permessage-deflate if enabled; origins and
// proxies as AgentOptions says. Source: wire.md 5.5.
std::unique_ptr<Transport> make_transport();

}  // namespace mg::agent::ws
