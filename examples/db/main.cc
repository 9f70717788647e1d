// The db service as a process of its own.
#include <cstdio>

#include "examples/db/db_service.h"

int main(int argc, char** argv) {
  mg::App app({.name = "db"});
  example::DbService db(app);
  app.after_start([] {
    std::puts("ready");
    std::fflush(stdout);
  });
  return app.run(argc, argv);
}
