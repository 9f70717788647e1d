// mg/runtime/in_flight.h -- who starts work can wait for it.
//
//   auto token = in_flight.enter();                       // Result<InFlight::Token>; held while the work goes on
//   in_flight.close();                                    // no new work
//   bool done = co_await in_flight.drained(loop, deadline);
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg {

// Counts the work that goes on. Threads: loop (have one for each loop). Lifetime: outlives its tokens.
// Cost: two additions.
class InFlight final : private Flushable {
 public:
  // Work going on; its end is counted when it dies. Empty after a move or release().
  class [[nodiscard]] Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Token& operator=(Token&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~Token() { release(); }
    void release() noexcept {
      if (owner_) std::exchange(owner_, nullptr)->leave();
    }

   private:
    friend class InFlight;
    explicit Token(InFlight* owner) noexcept : owner_(owner) {}
    InFlight* owner_ = nullptr;
  };

  InFlight() = default;
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight();

  // Errors: kUnavailable  closed
  Result<Token> enter() {
    if (closed_) [[unlikely]] {
      return refuse();
    }
    ++count_;
    return Token(this);
  }

  // From now on enter() fails.
  void close() noexcept { closed_ = true; }
  bool closed() const noexcept { return closed_; }
  std::size_t count() const noexcept { return count_; }

  // Waits until nothing goes on: true, or false when `deadline` came first. Close first, unless new work ends by
  // itself. The waiter continues at the end of the loop's turn in which the last work ended, so it may free what that
  // work used.
  // Cancellation: destroying the Task.
  Task<bool> drained(Loop& loop, Deadline deadline);

 private:
  struct Drain;
  void leave() noexcept {
    if (--count_ == 0 && first_) [[unlikely]] {
      wake();
    }
  }
  static Result<Token> refuse();
  void wake() noexcept;
  void flush() override;

  std::size_t count_ = 0;
  bool closed_ = false;
  Drain* first_ = nullptr;  // Who waits.
};

}  // namespace mg
