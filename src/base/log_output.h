// base/log_output.h -- where lines are written to: a descriptor, a file that is put aside when it is long or old.
//
//   std::size_t written = output.put(lines);           // Less than all: it failed or is too slow
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/base/logging.h"

namespace mg::log {

// Threads: the one that writes, but for what says otherwise.
class Output {
 public:
  virtual ~Output() = default;
  // Writes whole lines. Returns: the octets that were written.
  virtual std::size_t put(std::string_view lines) = 0;
};

// A pipe, a terminal, a file somebody opened.
class FdOutput final : public Output {
 public:
  // `patience`: how long a reader may take before the rest is given up; 0: for ever.
  FdOutput(int fd, std::chrono::milliseconds patience) : fd_(fd), patience_(patience) {}
  std::size_t put(std::string_view lines) override;
  // Nothing waits beyond it. Threads: shared.
  void close_by(Clock::TimePoint time) { close_by_ = time; }

 private:
  const int fd_;
  const std::chrono::milliseconds patience_;
  bool stuck_ = false;  // The last one was given up: do not wait again until something is taken.
  std::atomic<Clock::TimePoint> close_by_{Clock::TimePoint::max()};
};

// A file of ours. What it cannot write is lost, and tried anew with the next lines.
class FileOutput final : public Output {
 public:
  FileOutput(LogFileOptions options, const Clock& clock);
  ~FileOutput() override;
  std::size_t put(std::string_view lines) override;
  // Why the last put() was cut short; "" when it was not.
  const std::string& problem() const { return problem_; }

 private:
  bool open();
  void close();
  bool put_aside();
  std::vector<std::string> aside() const;
  void look_after();
  void failed(std::string_view step);

  const LogFileOptions options_;
  const Clock& clock_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::chrono::sys_days day_{};  // Of its lines.
  Clock::TimePoint looked_{};    // When it was last seen to be the file of that name.
  std::string problem_;
};

}  // namespace mg::log
