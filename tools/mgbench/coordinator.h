// coordinator.h -- one run: starts the engines, moves them from phase to phase, samples the server at the edges.
//
//   Result result;
//   if (std::string error = run(options, result); !error.empty()) die(error);
#pragma once

#include <string>

#include "options.h"
#include "report.h"

namespace mgbench {

// Returns why the run could not be made, naming what to do; empty when there is a result (which may hold failures).
// SIGINT and SIGTERM end the run early with what was measured so far.
std::string run(const Options& options, Result& result);

}  // namespace mgbench
