// mg/base/clock.h -- time as an interface, so that tests and simulations own it.
//
//   Session(const Clock& clock) : started_(clock.now()) {}
//   ManualClock clock;                 // in a test
//   clock.advance(std::chrono::seconds(5));
#pragma once

#include <atomic>
#include <chrono>

namespace mg {

// Where all code gets the time from. Threads: shared.
class Clock {
 public:
  using Duration = std::chrono::nanoseconds;
  using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
  using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

  virtual ~Clock() = default;

  // Never goes back and has no meaning outside the process: deadlines and intervals.
  virtual TimePoint now() const = 0;
  // Time of day: what is shown, stored or sent. May jump.
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

// The clock of the machine. It has no state, so everything may share it.
inline const Clock& system_clock() {
  static constinit SystemClock clock;
  return clock;
}

// A clock that stands still until told. Threads: shared.
class ManualClock final : public Clock {
 public:
  // 2020-01-01T00:00:00Z, and a `now` far from zero, so that subtracting a timeout does not underflow.
  static constexpr WallTime kStart{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};

  explicit ManualClock(WallTime wall = kStart) : wall_(wall.time_since_epoch().count()) {}

  TimePoint now() const override { return TimePoint(Duration(now_.load())); }
  WallTime wall() const override { return WallTime(Duration(wall_.load())); }

  // Moves both times. Requires: step >= 0.
  void advance(Duration step) {
    now_ += step.count();
    wall_ += step.count();
  }

  // Sets the time of day alone, as an administrator or NTP does.
  void set_wall(WallTime wall) { wall_ = wall.time_since_epoch().count(); }

 private:
  std::atomic<Duration::rep> now_{std::chrono::nanoseconds(std::chrono::hours(24 * 365)).count()};
  std::atomic<Duration::rep> wall_;
};

}  // namespace mg
