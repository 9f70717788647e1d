// One direction of a stream: at most one operation of the library at a time, and who waits for it.
//
//   if (reading_.idle()) { reading_.begin(); StartRead(&in_); }
//   if (!co_await reading_.wait(loop, deadline)) ...          // the operation goes on; a later wait may get it
//   bool ok = reading_.take();
//   reading_.end(ok);                                         // posted by OnReadDone
#pragma once

#include <optional>
#include <utility>

#include "mg/runtime/event.h"

namespace mg::rpc::grpc {

// Threads: loop.
class StreamOperation {
 public:
  bool idle() const { return !busy_ && !outcome_; }
  bool busy() const { return busy_; }
  void begin() { busy_ = true; }
  void end(bool ok) {
    busy_ = false;
    outcome_ = ok;
    if (Completion<bool>* const waiting = std::exchange(waiting_, nullptr)) waiting->set(true);
  }
  // Whether it has ended by the deadline. Requires: begin() was called; one waiter at a time.
  // Lifetime: the coroutine is destroyed before this is.
  Task<bool> wait(Loop& loop, Deadline deadline) {
    if (!busy_) return true;
    return wait_busy(*this, loop, deadline);
  }
  bool take() { return std::exchange(outcome_, std::nullopt).value_or(false); }

 private:
  static Task<bool> wait_busy(StreamOperation& self, Loop& loop, Deadline deadline) {
    Completion<bool> done;
    struct Forget {
      StreamOperation& self;
      ~Forget() { self.waiting_ = nullptr; }
    } const forget{self};
    self.waiting_ = &done;
    co_return (co_await done.wait(loop, deadline)).has_value();
  }

  bool busy_ = false;
  std::optional<bool> outcome_;
  Completion<bool>* waiting_ = nullptr;
};

}  // namespace mg::rpc::grpc
