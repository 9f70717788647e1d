// tests/support/line_peer.h -- a child process that is told what to do by lines, and answers with lines.
//
//   LinePeer holder({path, server.address()});
//   EXPECT_EQ(holder.ask("obtain 50"), "held 50");
//   holder.pause(); holder.say("write"); holder.resume(); holder.read();
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace mg::testing {

// It dies with the thread that started it. Errors of all functions, thrown as std::runtime_error: it is gone, or says
// nothing (does not end) for a minute, or so long. Requires: after its end, nothing but the destructor.
class LinePeer {
 public:
  explicit LinePeer(std::vector<std::string> command);
  LinePeer(const LinePeer&) = delete;
  LinePeer& operator=(const LinePeer&) = delete;
  ~LinePeer();  // SIGKILL.

  void say(std::string_view line);
  // Its next line, without the end.
  std::string read(std::chrono::seconds patience = std::chrono::seconds(60));
  std::string ask(std::string_view line) {
    say(line);
    return read();
  }
  void pause();   // SIGSTOP; returns when it stands.
  void resume();  // SIGCONT.
  int stop();     // SIGTERM; returns its exit code, or -signal.
  int wait();     // For its own end; the same.
  void kill();    // SIGKILL.

 private:
  int reap();

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string buffer_;
};

}  // namespace mg::testing
