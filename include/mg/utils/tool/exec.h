// mg/utils/tool/exec.h -- runs another program and waits for it, for a time at most.
//
//   Result<ExecOutput> got = exec({"git", "rev-parse", "HEAD"}, {.timeout = 5s});
//   if (got && got->status == 0) use(got->out);
//
// No shell: arguments are never interpreted. It blocks: on a loop run it on the blocking pool.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "mg/base/error.h"

namespace mg::tool {

struct ExecOptions {
  std::chrono::milliseconds timeout{std::chrono::seconds(30)};  // Then it is killed, with what it started.
  std::string input{};                                          // To its standard input.
  std::string folder{};                                         // "": this one's.
  std::size_t max_output_bytes = 16 * 1024 * 1024;              // Of both outputs each; at more it is killed.
};

struct ExecOutput {
  std::string out;
  std::string error;
  int status = 0;  // Exit code, or 128 + the number of the signal that ended it.
};

// Errors: kInvalid  no program, a zero octet in an argument   kNotFound  no such program
//         kTimeout  not done in time   kTooMany  too much output   kServer  no process could be made
// Threads: shared.
Result<ExecOutput> exec(const std::vector<std::string>& arguments, const ExecOptions& options = {});

// The standard output; an exit code that is not 0 is an error, "exit status 3" and the standard error behind it.
Result<std::string> exec_output(const std::vector<std::string>& arguments, const ExecOptions& options = {});

}  // namespace mg::tool
