#include <cstdio>

#include "hello.pb.h"
#include "mg/agent/agent.h"
#include "mg/agent/ws/transport.h"
#include "mg/app/app.h"
#include "mg/protocol/router.h"

namespace agent = mg::agent;

struct Hello {  // Command 1 is answered by Greet_1.
  mg::Result<void> Greet_1(mg::AgentMeta&, const hello::Player& in, hello::Greeting& out) {
    out.set_text("Hello, " + in.name() + "!");
    return {};
  }
  using Routes = mg::protocol::Routes<&Hello::Greet_1>;
};

mg::Task<mg::Result<void>> answer(const mg::protocol::Router& router, agent::Client& player, const agent::Packet& in,
                                  agent::Reply& out) {
  mg::AgentMeta meta = player.meta_here();
  co_return co_await router.call(meta, in.head.cmd, mg::as_text(in.payload), out.data);
}

mg::Task<mg::Result<void>> leave(agent::Agent& gate) {
  co_await gate.stop();
  co_return mg::Result<void>();
}

int main(int argc, char** argv) {
  mg::App app({.name = "hello"});
  agent::AgentOptions options;
  options.add_flags(app.flags());
  Hello hello;
  mg::protocol::Router router;
  router.add_route(hello);
  std::unique_ptr<agent::Agent> gate;

  app.before_start([&]() -> mg::Result<void> {
    std::vector<std::unique_ptr<agent::Transport>> transports;
    transports.push_back(agent::ws::make_transport());
    gate = std::make_unique<agent::Agent>(options, std::move(transports));
    gate->on_connect([](agent::Client& player) { player.set_auth_state(true); });  // Anyone may play.
    gate->on_receive([&](auto& player, auto& in, auto& out) { return answer(router, player, in, out); });
    if (auto ready = router.start(); !ready) return ready;
    return gate->start(app.runtime(), app.name(), app.id());
  });
  app.after_start([&] {
    std::puts(gate->urls().front().c_str());
    std::fflush(stdout);
  });
  app.before_stop([&] { return leave(*gate); });
  return app.run(argc, argv);
}
