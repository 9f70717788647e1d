// mg/base/deadline.h -- the moment up to which something may wait; passed down a call chain by value.
//
//   auto deadline = Deadline::after(clock, std::chrono::seconds(10));
//   if (deadline.expired(clock.now())) return fail(code::kTimeout, "no answer from {}", node);
//   call(node, std::min(deadline, caller_deadline));
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>

#include "mg/base/clock.h"

namespace mg {

// A point of a Clock's `now`. Ordered: the smaller one ends first.
class Deadline {
 public:
  using Duration = Clock::Duration;
  using TimePoint = Clock::TimePoint;

  constexpr explicit Deadline(TimePoint at) : at_(at) {}

  static constexpr Deadline never() { return Deadline(TimePoint::max()); }
  // Already expired.
  static constexpr Deadline past() { return Deadline(TimePoint::min()); }

  // `wait` from `now` on; a wait too long to be represented is never(), a negative one has expired.
  static constexpr Deadline after(TimePoint now, Duration wait) {
    if (wait < Duration::zero()) return past();
    if (wait >= TimePoint::max() - std::max(now, TimePoint())) return never();
    return Deadline(now + wait);
  }
  static Deadline after(const Clock& clock, Duration wait) { return after(clock.now(), wait); }

  constexpr bool is_never() const { return at_ == TimePoint::max(); }
  constexpr bool expired(TimePoint now) const { return !is_never() && now >= at_; }

  // What is left: zero when expired, Duration::max() when it never ends.
  constexpr Duration remaining(TimePoint now) const {
    if (is_never()) return Duration::max();
    return expired(now) ? Duration::zero() : at_ - now;
  }

  constexpr TimePoint time() const { return at_; }

  friend constexpr auto operator<=>(const Deadline&, const Deadline&) = default;

 private:
  TimePoint at_;
};

}  // namespace mg
