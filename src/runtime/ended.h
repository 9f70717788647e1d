// runtime/ended.h -- waits for the end of a task and leaves its result there.
//
//   co_await Ended(task);
//   if (task.succeeded()) ...; else report(task.take());
#pragma once

#include <coroutine>

#include "mg/runtime/task.h"

namespace mg {

// A result that is awaited lives in the awaiter's frame; this way it does not. Requires: `task` outlives the wait.
template <class T>
class Ended {
 public:
  explicit Ended(Task<T>& task) noexcept : awaiter_(task) {}
  bool await_ready() const noexcept { return awaiter_.await_ready(); }
  auto await_suspend(std::coroutine_handle<> handle) const noexcept { return awaiter_.await_suspend(handle); }
  void await_resume() const noexcept {}

 private:
  typename Task<T>::Awaiter awaiter_;
};

}  // namespace mg
