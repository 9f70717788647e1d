// mg/app/process.h -- the process around its apps: flags, loops, backends, signals, start and stop.
//
//   Process process({.name = "demo"});
//   App game(process, {.name = "game"});
//   App gate(process, {.name = "gate"});            // started after game, stopped before it
//   return process.run(argc, argv);
#pragma once

#include <memory>
#include <span>
#include <string>

#include "mg/app/backends.h"
#include "mg/app/common_flags.h"
#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/base/flags.h"
#include "mg/base/random.h"
#include "mg/runtime/runtime.h"

namespace mg {

// What run() returns, main's exit code.
namespace exit_code {
inline constexpr int kStopped = 0;
inline constexpr int kStartFailed = 1;
inline constexpr int kBadFlags = 2;
inline constexpr int kStopFailed = 3;   // Stopped, but a hook failed or work was left when the time was up.
inline constexpr int kOutOfMemory = 4;  // `new` found none while run() was on: one line on stderr, nothing undone.
// A second signal ends the process at once with 128 + its number.
}  // namespace exit_code

struct ProcessOptions {
  std::string name = "microgame";
  std::string version = "latest";
  std::string about = {};        // One line for --help.
  const Clock* clock = nullptr;  // The system's when null. Outlives the process object.
  Random* random = nullptr;      // Of ids and choices; the system's when null. Used on one thread at a time.
};

// Start: the apps in order of their construction, each completely before the next. Stop: in reverse.
// Signals while run() is on: SIGTERM, SIGINT and SIGQUIT stop gracefully, a second one of them ends the process at
// once; SIGPIPE, SIGHUP, SIGUSR1 and SIGUSR2 do nothing.
// Threads: request_stop() is shared; the others belong to the thread that made it.
// Lifetime: outlives its apps and what they use (declare it first).
class Process {
 public:
  explicit Process(ProcessOptions options = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // Stops and waits when it runs.

  // The flags; add yours before run(). Those of CommonFlags are there.
  Flags& flags();
  const CommonFlags& common() const;
  void set_backends(BackendsFactory factory);

  // Reads the flags, starts the apps, serves until a signal, request_stop() or the end of the last app, stops.
  // Loop 0 runs on this thread. Returns: an exit_code.
  int run(int argc, const char* const* argv);

  // The same in steps and without signals, for tests and programs that do more: start() returns when all apps have
  // started, with all loops on threads of their own. Shape: arguments without the program's name; the environment does
  // not count.
  // Errors: kInvalid  a flag · whatever kept an app from starting; everything is stopped again then
  Result<void> start(std::span<const char* const> arguments = {});
  // Waits until everything has stopped. Returns: an exit_code.
  int wait();
  void request_stop();
  int stop() {
    request_stop();
    return wait();
  }

  // From the first before_start hook on. Requires: run() or start() has read the flags.
  Runtime& runtime();
  const Backends& backends() const;
  Random& random();  // Threads: on loop 0.

  class Impl;

 private:
  friend class App;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mg
