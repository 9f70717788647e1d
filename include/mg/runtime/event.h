// mg/runtime/event.h -- Completion<T>: a value that somebody sets once and one coroutine waits for.
//
//   Completion<Reply> reply;                      // in the frame of the caller; pending[id] = &reply
//   auto got = co_await reply.wait(loop, deadline);   // std::optional<Reply>, empty when the deadline came first
//   pending[id]->set(std::move(answer));          // whoever reads the answer
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/timer.h"

namespace mg {

// Threads: loop. From another thread post to the loop: loop.post([&] { completion.set(value); }).
// Lifetime: whoever holds a pointer to it must forget it when wait() returns.
// Cost: no allocation; the timer is armed only while somebody really waits.
template <class T>
class Completion {
  struct Wait;

 public:
  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  // Stores the value and continues the waiter before it returns, so the caller must not rely on anything that the
  // waiter may change. False when there was a value already: the first one stays.
  bool set(T value) {
    if (set_) return false;
    set_ = true;
    value_.emplace(std::move(value));
    if (Wait* wait = std::exchange(waiting_, nullptr)) {
      wait->timer.cancel();
      wait->awaiter.resume();
    }
    return true;
  }
  bool is_set() const noexcept { return set_; }

  // The value, taken out, or nothing when `deadline` came first. A value that is there wins over a deadline that has
  // passed. Deadline::never() arms no timer. Requires: one waiter at a time.
  // Cancellation: destroying the waiting coroutine.
  auto wait(Loop& loop, Deadline deadline) noexcept { return Wait(*this, loop, deadline); }

 private:
  struct [[nodiscard]] Wait {
    Completion& completion;
    Loop& loop;
    Deadline deadline;
    std::coroutine_handle<> awaiter{};
    Timer timer{[](void* self) { static_cast<Wait*>(self)->on_deadline(); }, this};

    Wait(Completion& c, Loop& l, Deadline d) noexcept : completion(c), loop(l), deadline(d) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() {
      if (completion.waiting_ == this) completion.waiting_ = nullptr;
    }
    bool await_ready() const noexcept { return completion.set_ || deadline.expired(loop.now()); }
    void await_suspend(std::coroutine_handle<> handle) {
      awaiter = handle;
      completion.waiting_ = this;
      if (!deadline.is_never()) timer.arm(loop, deadline.time());
    }
    std::optional<T> await_resume() noexcept { return std::exchange(completion.value_, std::nullopt); }
    void on_deadline() {
      completion.waiting_ = nullptr;
      awaiter.resume();
    }
  };

  std::optional<T> value_;
  bool set_ = false;
  Wait* waiting_ = nullptr;
};

}  // namespace mg
