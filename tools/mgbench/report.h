// report.h -- the result of one run, as a table and as JSON.
//
//   fmt::print("{}", to_table(result));
//   fmt::print("{}\n", to_json(result));
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "engine.h"
#include "histogram.h"
#include "options.h"
#include "process.h"

namespace mgbench {

struct Result {
  const Options* options = nullptr;
  double seconds = 0;          // Of the measured window.
  std::uint64_t messages = 0;  // Replies in it; broadcast: pushes; churn: cycles.
  std::uint64_t bytes_in = 0;  // In it.
  std::uint64_t bytes_out = 0;
  std::uint64_t open = 0;  // At its end.
  std::uint64_t broadcasts = 0;
  double connect_s = 0;  // Until all were logged in.
  Histogram latencies;   // Echo: round trip; broadcast: to each arrival; churn: connect to login's reply.
  std::array<FirstFailure, kFailures> failures;
  double client_cpu_s = 0;  // Of this program, in the window.
  double server_cpu_s = 0;  // Of --pid, in the window.
  ProcessUse before;        // Of --pid: before the first connection,
  ProcessUse loaded;        // at the end of the window (idle: when all had logged in),
  ProcessUse held;          // idle: at the end of the hold,
  ProcessUse after;         // and after the last had left.
  bool interrupted = false;

  std::uint64_t failed() const;
  double per_message_us(double cpu_s) const { return messages == 0 ? 0 : cpu_s * 1e6 / static_cast<double>(messages); }
  // Idle: growth of the server per connection, in octets.
  double rss_per_connection() const;
};

std::string to_table(const Result& result);
std::string to_json(const Result& result);

}  // namespace mgbench
