// The game service as a process of its own.
#include <cstdio>

#include "examples/game/game_service.h"

int main(int argc, char** argv) {
  mg::App app({.name = "game"});
  example::GameService game(app);
  app.after_start([] {
    std::puts("ready");
    std::fflush(stdout);
  });
  return app.run(argc, argv);
}
