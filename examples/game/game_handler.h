// examples/game/game_handler.h -- the game's commands. The number in a method's name is the command.
//
//   protocol::Router router;
//   router.add_route(handler);
#pragma once

#include "examples/game/players.h"
#include "examples/game/sessions.h"
#include "examples/game/world.h"
#include "examples/proto/gate.pb.h"
#include "examples/proto/msg.rpc.pb.h"
#include "mg/app/app.h"
#include "mg/meta/agent_meta.h"

namespace example {

// Threads: shared: players on different loops are served at the same time, one player's messages one after the other.
class GameHandler : public msg::Game::Handler {
 public:
  GameHandler(mg::App& app, World& world, Players& players, Sessions& sessions, const std::string& token_secret)
      : app_(app), world_(world), players_(players), sessions_(sessions), token_secret_(token_secret) {}

  using Outcome = mg::Result<void>;
  mg::Task<Outcome> Login_10001(mg::AgentMeta& player, const msg::C2S_10001& in, msg::S2C_10001& out);
  mg::Task<Outcome> CreateRole_10002(mg::AgentMeta& player, const msg::C2S_10002& in, msg::S2C_10002& out);
  mg::Task<Outcome> SelectRole_10003(mg::AgentMeta& player, const msg::C2S_10003& in, msg::S2C_10003& out);
  Outcome Alive_10004(mg::AgentMeta& player, const msg::C2S_10004& in, google::protobuf::Empty& out);
  Outcome Echo_10005(mg::AgentMeta& player, const msg::C2S_10005& in, msg::S2C_10005& out);
  mg::Task<Outcome> Say_10006(mg::AgentMeta& player, const msg::C2S_10006& in, msg::S2C_10006& out);
  mg::Task<Outcome> EnterRoom_10007(mg::AgentMeta& player, const msg::C2S_10007& in, msg::S2C_10007& out);

 private:
  // Changes the player's client on its gate.
  mg::Task<Outcome> bind(const mg::AgentMeta& player, gate::InGateBind change);

  mg::App& app_;
  World& world_;
  Players& players_;
  Sessions& sessions_;
  const std::string& token_secret_;
};

}  // namespace example
