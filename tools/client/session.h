// tools/client/session.h -- a player: sends commands, prints replies and pushes as they come.
//
//   Session session(options, *connection);
//   if (auto in = session.login(); !in) return in;
//   session.run(options.commands);                     // each waits for the reply to the one before
//   session.run_terminal();                            // lines from stdin, until quit or its end
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "tools/client/commands.h"
#include "tools/client/connection.h"
#include "tools/client/options.h"

namespace mgclient {

// Errors of all: the connection's; a request refused or not answered in time (its code, and what to do).
// Threads: one at a time. Lifetime: options and connection must outlive it.
class Session {
 public:
  Session(const Options& options, Connection& connection) : options_(options), connection_(connection) {}

  // Logs in, and plays options.role if there is one.
  mg::Result<void> login();

  // Ends at the first command that fails, or at quit.
  mg::Result<void> run(std::span<const Command> commands);

  // A refused request is printed and does not end it.
  mg::Result<void> run_terminal();

 private:
  struct Request {
    std::uint16_t serial;
    std::uint32_t cmd;
    std::string_view name;  // Shown with the reply; empty: nothing is.
  };

  mg::Result<void> start(const Command& command);
  mg::Result<void> send(std::uint32_t cmd, std::string_view body, std::string_view name);
  // Sends and waits for the reply; its body.
  mg::Result<std::string> call(std::uint32_t cmd, std::string_view body, std::string_view name);
  // Waits until everything sent has been answered. A success may have no reply, so where that can be, an echo is sent
  // behind it: replies keep their order.
  mg::Result<void> settle();
  mg::Result<void> wait_pushes(std::uint64_t count);

  // Waits for input of the gate, or of stdin when that is asked for; handles what the gate sent. True: stdin has some.
  mg::Result<bool> pump(bool with_stdin, std::optional<std::chrono::steady_clock::time_point> deadline);
  mg::Result<void> handle_input();
  void handle(const Packet& packet);
  mg::Result<bool> handle_line(std::string_view line);

  const Options& options_;
  Connection& connection_;
  std::uint16_t serial_ = 0;
  std::deque<Request> requests_;      // Sent and not known to be answered, oldest first.
  Packet last_;                       // The last reply shown.
  std::optional<mg::Error> refusal_;  // Of a request since the last look.
  std::uint64_t pushes_ = 0;          // Not yet waited for.
  bool logged_in_ = false;
  std::chrono::steady_clock::time_point sent_at_;
};

}  // namespace mgclient
