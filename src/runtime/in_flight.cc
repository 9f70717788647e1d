#include "mg/runtime/in_flight.h"

#include "mg/base/check.h"
#include "mg/runtime/timer.h"

namespace mg {

// One wait for the end of all work, in the frame of drained().
struct InFlight::Drain {
  InFlight& owner;
  Loop& loop;
  Deadline deadline;
  Drain* next = nullptr;
  Drain** link = nullptr;  // What points to this one; null when not in the list.
  std::coroutine_handle<> awaiter{};
  Timer timer{[](void* self) { static_cast<Drain*>(self)->resume(); }, this};

  Drain(InFlight& o, Loop& l, Deadline d) noexcept : owner(o), loop(l), deadline(d) {}
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;
  ~Drain() { unlink(); }

  bool await_ready() const noexcept { return owner.count_ == 0 || deadline.expired(loop.now()); }
  void await_suspend(std::coroutine_handle<> handle) {
    awaiter = handle;
    next = owner.first_;
    if (next) next->link = &next;
    link = &owner.first_;
    owner.first_ = this;
    if (!deadline.is_never()) timer.arm(loop, deadline.time());
  }
  bool await_resume() const noexcept { return owner.count_ == 0; }

  void unlink() noexcept {
    if (!link) return;
    *link = next;
    if (next) next->link = link;
    link = nullptr;
  }
  void resume() {
    unlink();
    timer.cancel();
    awaiter.resume();
  }
};

InFlight::~InFlight() {
  check(count_ == 0 && !first_, "work outlives its InFlight");
}

Result<InFlight::Token> InFlight::refuse() {
  return fail(code::kUnavailable, "shutting down: no new work is taken");
}

// All waiters are on this loop, the one of the object.
void InFlight::wake() noexcept {
  first_->loop.flush_later(*this);
}

void InFlight::flush() {
  // Work may have started again before the end of the turn; then they wait on.
  while (first_ && count_ == 0) {
    Drain* const drain = first_;
    const bool last = drain->next == nullptr;
    drain->resume();
    if (last) return;  // Whoever was last may free this object.
  }
}

Task<bool> InFlight::drained(Loop& loop, Deadline deadline) {
  co_return co_await Drain(*this, loop, deadline);
}

}  // namespace mg
