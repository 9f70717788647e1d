#include "examples/game/game_service.h"

#include "examples/common/token.h"
#include "examples/proto/game.rpc.pb.h"

namespace example {

GameService::GameService(mg::App& app)
    : token_secret_(kDemoSecret), handler_(app, world_, token_secret_), forward_(router_, world_) {
  app.flags().section("Game");
  app.flags().add("token_secret", &token_secret_, "Secret that login tokens are signed with", {.secret = true});
  game::Forward::add_to(app, forward_);
  app.before_start([this, &app] {
    forward_.start(app.runtime());
    if (app.process().common().dev) router_.use(std::make_unique<mg::protocol::LogHook>());
    return router_.add_route(handler_).start();
  });
}

}  // namespace example
