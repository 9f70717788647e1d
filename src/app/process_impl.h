// What a Process is inside; App works with it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "app/wake.h"
#include "mg/app/app.h"
#include "mg/app/process.h"

namespace mg {

class Process::Impl {
 public:
  Impl(Process& self, ProcessOptions options);

  Result<void> set_up();  // Runtime and backends, after the flags are read.
  Task<Result<void>> start_app(App::Impl& app);
  Task<void> live();  // From start to stop; on loop 0.
  void on_signal(int signal);
  void request_stop();  // Threads: shared.
  void look_again();    // An app wants to stop. Threads: shared.
  Task<Result<void>> connect_broker();
  void report_started(Result<void> outcome);

  Process* const self;
  ProcessOptions options;
  SystemRandom system_random;
  Flags flags;
  CommonFlags common;
  BackendsFactory make_backends;
  std::optional<Runtime> runtime;
  Backends backends;
  std::vector<App::Impl*> apps;  // In order of construction.

  bool broker_connected = false;
  std::atomic<bool> stop_requested{false};
  int signals_seen = 0;
  int code = exit_code::kStopped;
  Wake wake;
  bool threads_run = false;  // Between start() and wait().

  std::mutex mutex;  // docs/threads.md: "process start"
  std::condition_variable changed;
  std::optional<Result<void>> started;
};

}  // namespace mg
