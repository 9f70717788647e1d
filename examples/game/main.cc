// The game service as a process of its own.
#include "examples/game/game_service.h"

int main(int argc, char** argv) {
  mg::App app({.name = "game"});
  example::GameService game(app);
  return app.run(argc, argv);
}
