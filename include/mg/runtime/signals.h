// mg/runtime/signals.h -- signals of the process as calls on a loop.
//
//   ignore_signals({SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2});      // first lines of main
//   Signals signals(loop, {SIGTERM, SIGINT, SIGQUIT}, [&](int signal) { app.stop(signal); });
#pragma once

#include <csignal>
#include <functional>
#include <initializer_list>
#include <vector>

#include "mg/runtime/loop.h"

namespace mg {

// While it lives, the signals named call `callback` on the loop instead of what they did before. Equal signals that
// come before the loop's next turn are one call.
// Threads: made and destroyed on the loop's thread, or while the loop does not run; not from within `callback` (post
// it). Requires: where two watch the same signal the later one gets it, and is destroyed first.
class Signals final : private IoHandler {
 public:
  Signals(Loop& loop, std::initializer_list<int> signals, std::move_only_function<void(int signal)> callback);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  struct Inbox;

 private:
  struct Before {
    int signal;
    Inbox* inbox;  // Of the Signals that had it.
    struct ::sigaction action;
  };
  void on_events(std::uint32_t events) override;

  Loop& loop_;
  std::move_only_function<void(int)> callback_;
  Inbox* inbox_;
  std::vector<Before> before_;
};

// The process does nothing on these signals from now on, nor do those it starts, until they say otherwise.
void ignore_signals(std::initializer_list<int> signals);

}  // namespace mg
