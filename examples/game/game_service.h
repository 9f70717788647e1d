// examples/game/game_service.h -- the game as a service of an app.
//
//   mg::App app({.name = "game"});
//   example::GameService game(app);
//   return app.run(argc, argv);
#pragma once

#include <string>

#include "examples/game/forward.h"
#include "examples/game/game_handler.h"
#include "examples/game/players.h"
#include "examples/game/sessions.h"
#include "examples/game/world.h"
#include "mg/app/app.h"
#include "mg/protocol/router.h"

namespace example {

// Lifetime: as long as the app runs.
class GameService {
 public:
  explicit GameService(mg::App& app);

 private:
  std::string token_secret_;
  World world_;
  Players players_;
  Sessions sessions_;
  GameHandler handler_;
  mg::protocol::Router router_;
  Forward forward_;
};

}  // namespace example
