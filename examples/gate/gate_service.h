// examples/gate/gate_service.h -- the gate as a service of an app: players on one side, the game on the other.
//
//   mg::App app({.name = "gate"});
//   example::GateService gate(app);
//   return app.run(argc, argv);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "examples/proto/gate.pb.h"
#include "mg/agent/agent.h"
#include "mg/app/app.h"

namespace example {

// Lifetime: as long as the app runs. Threads: handlers are shared.
class GateService {
 public:
  // `defaults`: what flags and environment leave as it is.
  explicit GateService(mg::App& app, mg::agent::AgentOptions defaults = {});

  // Listening addresses, from the app's after_start hooks on.
  std::vector<std::string> urls() const { return agent_->urls(); }

 private:
  using Outcome = mg::Result<void>;
  using Context = mg::rpc::Context;

  mg::Result<void> start();
  mg::Task<Outcome> forward(mg::agent::Client& client, const mg::agent::Packet& in, mg::agent::Reply& out);
  mg::Task<void> offline(mg::agent::ClientPtr client);

  Outcome push(const Context& context, const gate::InGatePush& in, gate::OutGatePush& out);
  mg::Task<Outcome> bind(const Context& context, const gate::InGateBind& in, gate::OutGateBind& out);
  Outcome kick(const Context& context, const gate::InGateKick& in, gate::OutGateKick& out);
  Outcome broadcast(const Context& context, const gate::InGateBroadcast& in, gate::OutGateBroadcast& out);

  mg::App& app_;
  mg::agent::AgentOptions options_;
  std::unique_ptr<mg::agent::Agent> agent_;
  mg::rpc::Method protocol_;  // Forward.Protocol of the game.
};

}  // namespace example
