// mg/base/logging.h -- where the lines of mg/base/log.h go: a console, a file that is rotated, as text or JSON.
//
//   int main() { log::Logging logging; ... }       // First object of main; GAME_LOG_LEVEL, _FILE, _FORMAT set it up.
//   log::Logging logging({.file = {.path = "log/gate.log", .format = log::Format::kJson}});
//
// A line is 2020-01-01T00:00:00.000Z info  module: text name=value, or
// {"time":…,"level":…,"module":…,"text":…,"name":…} where a field called like one of the first has a _ behind its name.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "mg/base/clock.h"
#include "mg/base/log.h"

namespace mg::log {

enum class Format : std::uint8_t { kText, kJson };

struct LogFileOptions {
  std::string path = {};                        // "": GAME_LOG_FILE; none when that is not set either.
  std::optional<Format> format = {};            // Empty: as LoggingOptions.
  std::uint64_t max_bytes = 100 * 1024 * 1024;  // Before it would be longer it is put aside; 0: no limit.
  bool daily = true;                            // It is put aside at midnight UTC too.
  std::uint32_t keep = 10;                      // Files put aside that are kept: path.20240501-235959[-001].
};

struct LoggingOptions {
  std::optional<Level> level = {};    // Of all modules. Empty: GAME_LOG_LEVEL (see set_levels), else info.
  int fd = 2;                         // Written to, not owned; -1: only to the file.
  std::optional<Format> format = {};  // Empty: GAME_LOG_FORMAT (text, json), else text.
  std::optional<bool> colour = {};    // Of text on `fd`. Empty: when it is a terminal and NO_COLOR is not set.
  LogFileOptions file = {};
  std::uint32_t queue_bytes = 1024 * 1024;   // Of lines that wait; at more the oldest is dropped and counted.
  std::uint32_t max_line_bytes = 16 * 1024;  // A longer text is cut, and says so; likewise all fields together.
  std::uint32_t max_repeats = 1000;          // Lines of one call a second, from info up; more are only counted.
  const Clock* clock = nullptr;              // Of the times shown; null: the system's.
};

// The process's log while it lives. Without one, lines from warn up are written to stderr by the thread that logs.
// A reader that is slow, full or gone costs lines, never a wait or the process: SIGPIPE and SIGXFSZ are ignored from
// here on. The destructor writes what is queued, for a second at most if the reader does not take it.
// A file that somebody moves or deletes is made anew within a second.
// Requires: one at a time. Cost of a line: formatting, a lock and a copy; no allocation up to some 400 octets, no
// system call while lines are coming. They are written within some 5 ms.
class Logging {
 public:
  explicit Logging(LoggingOptions options = {});
  ~Logging();
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;

  // Lines lost so far, of those accepted: the queue was full, or an output failed. A line in the log tells too.
  // Threads: shared.
  std::uint64_t dropped() const;
  // Lines left out because of max_repeats; a line in the log tells of which.
  std::uint64_t repeats() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace mg::log
