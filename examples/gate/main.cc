// The gate service as a process of its own.
#include <cstdio>

#include "examples/gate/gate_service.h"

int main(int argc, char** argv) {
  mg::App app({.name = "gate"});
  example::GateService gate(app);
  app.after_start([&] {
    for (const std::string& url : gate.urls()) std::puts(url.c_str());
    std::puts("ready");
    std::fflush(stdout);
  });
  return app.run(argc, argv);
}
