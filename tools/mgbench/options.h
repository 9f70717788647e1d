// options.h -- what mgbench is asked to do.
//
//   Options options;
//   if (auto exit_code = parse_options(argc, argv, options)) return *exit_code;
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/common/url.h"

namespace mgbench {

enum class Mode : std::uint8_t { kEcho, kIdle, kBroadcast, kChurn };
enum class Leave : std::uint8_t { kClose, kReset };

struct Options {
  mgtools::Url url;
  Mode mode = Mode::kEcho;
  int connections = 100;       // 1..; in churn mode: how many at a time
  int depth = 1;               // Requests in flight per connection, closed loop
  std::uint32_t payload = 64;  // Octets of data in one request, 1..
  double rate = 0;             // Requests per second over all connections; 0: closed loop
  double ramp = 0;             // New connections per second; 0: as fast as they are accepted
  int threads = 1;
  int sources = 0;              // Local addresses 127.0.0.x to connect from; 0: as many as are needed
  std::uint64_t cycles = 1000;  // Churn: connect-login-leave this many times
  std::chrono::nanoseconds duration{std::chrono::seconds(5)};
  std::chrono::nanoseconds warmup{std::chrono::seconds(1)};
  std::chrono::nanoseconds period{std::chrono::milliseconds(100)};  // Broadcast: from one to the next
  std::chrono::nanoseconds timeout{std::chrono::seconds(10)};       // Of connecting and logging in, and of a reply
  std::optional<Leave> leave;                                       // Default: reset in churn mode, else close
  bool reconnect = false;  // Echo: a connection that fails is counted and comes back
  bool login = true;
  bool role = false;  // After the login, create and select a role; broadcast mode always does
  std::string token_secret = "microgame-demo";
  std::string account = "bench";  // Connection n logs in as <account><n>
  std::uint32_t login_cmd = 10001;
  std::uint32_t create_cmd = 10002;
  std::uint32_t select_cmd = 10003;
  std::uint32_t echo_cmd = 10005;
  std::uint32_t chat_cmd = 10006;
  std::uint32_t push_cmd = 20001;  // Broadcast: what is counted
  std::vector<pid_t> pids;         // Of the server
  std::string ca;                  // PEM file to verify a TLS server with; empty: not verified
  bool json = false;
  bool quiet = false;

  bool open_loop() const { return rate > 0; }
  bool enters() const { return login && (role || mode == Mode::kBroadcast); }
  Leave leaving() const { return leave.value_or(mode == Mode::kChurn ? Leave::kReset : Leave::kClose); }
};

const char* mode_name(Mode mode);

// Fills `options` from flags and environment. Returns the exit code when the program is to end at once: 0 after
// --help, 2 after a bad flag (its name, value and expected form have been printed).
std::optional<int> parse_options(int argc, char** argv, Options& options);

}  // namespace mgbench
