// mgbench: load generator for game servers that speak the client packets.
#include "coordinator.h"
#include "fmt/core.h"
#include "options.h"
#include "report.h"

// Exit code: 0 no errors, 1 errors or no run, 2 bad flags, 130 interrupted.
int main(int argc, char** argv) {
  mgbench::Options options;
  if (const auto code = mgbench::parse_options(argc, argv, options)) return *code;
  mgbench::Result result;
  if (const std::string error = mgbench::run(options, result); !error.empty()) {
    fmt::print(stderr, "mgbench: {}\n", error);
    return 1;
  }
  fmt::print(options.json ? stderr : stdout, "{}", mgbench::to_table(result));
  if (options.json) fmt::print("{}\n", mgbench::to_json(result));
  if (result.interrupted) return 130;
  return result.failed() == 0 ? 0 : 1;
}
