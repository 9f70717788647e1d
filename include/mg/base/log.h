// mg/base/log.h -- lines of text for the operator, written by another thread.
//
//   int main() { log::Logging logging; ... }           // First object of main; GAME_LOG_LEVEL sets the level.
//   log::info("client {} from {} logged in", id, address);
//   log::warn("node {}: {}", node, to_json(error));
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "mg/base/clock.h"

namespace mg::log {

enum class Level : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kFatal, kOff };

// "trace", "debug", "info", "warn", "error", "fatal", any case. Errors: nothing for every other text.
std::optional<Level> parse_level(std::string_view text);
std::string_view level_name(Level level);

struct LoggingOptions {
  std::optional<Level> level = {};           // Lines below it are not made. Empty: GAME_LOG_LEVEL, else info.
  int fd = 2;                                // Written to, not owned.
  std::optional<bool> colour = {};           // Empty: when `fd` is a terminal and NO_COLOR is not set.
  std::uint32_t queue_lines = 4096;          // Lines waiting for the writer; at more the oldest is dropped and counted.
  std::uint32_t max_line_bytes = 16 * 1024;  // A longer line is cut, and says so.
  const Clock* clock = nullptr;              // Of the times shown; null: the system's.
};

// The process's log while it lives. Without one, lines from warn up are written to stderr by the thread that logs.
// A reader that is slow, full or gone costs lines, never a wait or the process: SIGPIPE and SIGXFSZ are ignored from
// here on. The destructor writes what is queued, for a second at most if the reader does not take it.
// Requires: one at a time.
class Logging {
 public:
  explicit Logging(LoggingOptions options = {});
  ~Logging();
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;

  // Lines lost so far, because the queue was full or the output failed. Threads: shared.
  std::uint64_t dropped() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Threads: all functions below are shared.
void set_level(Level level);
Level level();

namespace detail {
extern std::atomic<Level> least_level;
void write(Level level, fmt::string_view text, fmt::format_args args) noexcept;
}  // namespace detail

// Cost: one relaxed load. Ask before work that only a log line needs.
inline bool enabled(Level level) {
  return level >= detail::least_level.load(std::memory_order_relaxed);
}

// One line. Control characters, line ends and broken UTF-8 are shown as escapes, so that text from outside can
// neither forge a line nor steer a terminal.
template <class... Args>
void write(Level level, fmt::format_string<Args...> text, Args&&... args) {
  if (enabled(level)) [[unlikely]]
    detail::write(level, text, fmt::make_format_args(args...));
}

template <class... Args>
void trace(fmt::format_string<Args...> text, Args&&... args) {
  write<Args...>(Level::kTrace, text, std::forward<Args>(args)...);
}
template <class... Args>
void debug(fmt::format_string<Args...> text, Args&&... args) {
  write<Args...>(Level::kDebug, text, std::forward<Args>(args)...);
}
template <class... Args>
void info(fmt::format_string<Args...> text, Args&&... args) {
  write<Args...>(Level::kInfo, text, std::forward<Args>(args)...);
}
template <class... Args>
void warn(fmt::format_string<Args...> text, Args&&... args) {
  write<Args...>(Level::kWarn, text, std::forward<Args>(args)...);
}
template <class... Args>
void error(fmt::format_string<Args...> text, Args&&... args) {
  write<Args...>(Level::kError, text, std::forward<Args>(args)...);
}
// What the process cannot go on after; it does not end the process.
template <class... Args>
void fatal(fmt::format_string<Args...> text, Args&&... args) {
  write<Args...>(Level::kFatal, text, std::forward<Args>(args)...);
}

}  // namespace mg::log
