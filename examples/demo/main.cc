// Gate and game in one process: a whole game server, with nothing installed but this program.
#include <cstdio>

#include "examples/game/game_service.h"
#include "examples/gate/gate_service.h"
#include "mg/base/logging.h"

int main(int argc, char** argv) {
  mg::log::Logging logging;
  mg::Process process({.name = "demo", .about = "A game server in one process: gate and game."});
  mg::App game_app(process, {.name = "game"});
  example::GameService game(game_app);
  mg::App gate_app(process, {.name = "gate"});
  example::GateService gate(
      gate_app, {.types = {"websocket", "tcp"}, .ports = {"127.0.0.1:9000", "127.0.0.1:9001"}, .host = "127.0.0.1"});
  gate_app.after_start([&] {
    for (const std::string& url : gate.urls()) std::puts(url.c_str());
    std::puts("ready");
    std::fflush(stdout);
  });
  return process.run(argc, argv);
}
