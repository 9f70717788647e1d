#include "examples/game/game_service.h"

#include "examples/common/token.h"
#include "examples/proto/game.rpc.pb.h"
#include "mg/rpc/selector.h"

namespace example {

GameService::GameService(mg::App& app)
    : token_secret_(kDemoSecret),
      sessions_(app, world_, players_),
      handler_(app, world_, players_, sessions_, token_secret_),
      forward_(router_, world_, sessions_) {
  app.flags().section("Game");
  app.flags().add("token_secret", &token_secret_, "Secret that login tokens are signed with", {.secret = true});
  players_.add_flags(app.flags());
  app.add_handler(game::Forward::kProtocol, mg::rpc::forward_handler<game::InForwardProtocol, game::OutForwardProtocol>(
                                                forward_, &Forward::protocol));
  app.add_handler(game::Forward::kOffline, forward_, &Forward::offline);
  game::Sessions::add_to(app, sessions_);
  app.before_start([this] { return players_.open(); });
  app.after_stop([this] { players_.close(); });
  app.before_start([this, &app] {
    app.client().set_picker(app.name(), mg::rpc::consistent_hash(std::string(mg::meta_key::kAccountId)));
    sessions_.start(app.runtime());
    forward_.start(app.runtime());
    if (app.process().common().dev) router_.use(std::make_unique<mg::protocol::LogHook>());
    return router_.add_route(handler_).start();
  });
}

}  // namespace example
