// mg/runtime/task.h -- Task<T>: the one async shape. Lazy, awaited once, resumes its awaiter by symmetric transfer.
//
//   Task<Result<int>> load(std::string key);        // parameters by value
//   Task<Result<int>> now() { return Result<int>(7); }   // a value that is there already costs no coroutine frame
//   return then(load(key), [](Result<int> n) -> Result<int> { return n ? *n + 1 : n; });   // nor does going on after
//   one spawn(serve(std::move(connection)));            // runs until it ends by itself; nobody waits
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "mg/base/error.h"
#include "mg/runtime/task_promise.h"
#include "mg/runtime/task_state.h"

namespace mg {

template <class T = void>
class Task;

// A result that comes later, or is there already.
// Lifetime: arguments of the coroutine must be values, or outlive the Task. An exception of the coroutine is
//           rethrown to the awaiter. A Task that is never awaited never starts.
// Cost: one pooled frame (about 12 ns); none when made from a value.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;
  using Value = std::conditional_t<std::is_void_v<T>, detail::Empty, T>;

  explicit Task(Handle handle) noexcept : state_(handle) {}
  // A task that is done: return Task<void>::done();
  static Task done() noexcept
    requires std::is_void_v<T>
  {
    return Task(Handle());
  }
  template <class U = Value>
    requires(!std::is_void_v<T> && std::is_convertible_v<U &&, Value> && !std::is_same_v<std::decay_t<U>, Task>)
  Task(U&& value) : state_(std::in_place, std::forward<U>(value)) {}  // NOLINT: implicit, a value is a finished task
  Task(Task&&) noexcept = default;
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      std::destroy_at(&state_);
      std::construct_at(&state_, std::move(other.state_));
    }
    return *this;
  }

  // True when awaiting will not suspend.
  bool ready() const noexcept {
    const Handle handle = state_.handle();
    return !handle || (handle.promise().started && handle.promise().continuation.load(std::memory_order_acquire) ==
                                                       detail::TaskPromiseBase::done());
  }

  // Starts it now, before it is awaited, and runs it up to its first suspension or its end. Whoever finds it ready()
  // afterwards needs no coroutine of his own to await it. Requires: not started yet.
  void start() {
    const Handle handle = state_.handle();
    if (!handle) return;
    promise_type& promise = handle.promise();
    promise.started = true;
    const auto* const outer = std::exchange(detail::TaskPromiseBase::starting, &promise);
    handle.resume();
    detail::TaskPromiseBase::starting = outer;
  }
  // What awaiting gives, for a task that is ready().
  T take() { return Awaiter(*this).await_resume(); }
  // Of a task made from a value, before it is taken: whether it is a success, and the error if it is none. For a
  // coroutine false and null.
  bool succeeded() const noexcept { return state_.succeeded(); }
  const Error* error() const noexcept { return state_.error(); }

  class Awaiter {
   public:
    explicit Awaiter(Task& task) noexcept : task_(task) {}
    bool await_ready() const noexcept { return task_.ready(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) const noexcept {
      const Handle handle = task_.state_.handle();
      auto& promise = handle.promise();
      if (!promise.started) {
        promise.continuation.store(awaiter.address(), std::memory_order_relaxed);
        return handle;
      }
      void* nobody = nullptr;
      if (promise.continuation.compare_exchange_strong(nobody, awaiter.address(), std::memory_order_acq_rel)) {
        return std::noop_coroutine();
      }
      return awaiter;  // It has ended meanwhile.
    }
    T await_resume() const {
      if (const Handle handle = task_.state_.handle()) return handle.promise().take();
      return task_.state_.take();
    }

   private:
    Task& task_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(*this); }
  Awaiter operator co_await() & noexcept { return Awaiter(*this); }

 private:
  detail::TaskState<T, Handle> state_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<Result<void>> detail::TaskPromise<Result<void>>::get_return_object() noexcept {
  return Task<Result<void>>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> detail::TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

namespace detail {
template <class T, class Fn>
Task<std::invoke_result_t<Fn&, T>> then_later(Task<T> task, Fn fn) {
  co_return fn(co_await std::move(task));
}
}  // namespace detail

// The task of fn(result of `task`), which is started now. No coroutine when it is done by then: this is how a function
// on the path of every message goes on after a call that mostly does not wait. `fn` lives as long as the task.
template <class T, class Fn>
  requires(!std::is_void_v<T>)
Task<std::invoke_result_t<Fn&, T>> then(Task<T> task, Fn fn) {
  task.start();
  if (task.ready()) [[likely]] {
    return fn(task.take());
  }
  return detail::then_later(std::move(task), std::move(fn));
}

// Starts `task` on this thread; it runs on until it ends. An exception that leaves it ends the process with a message,
// since nobody is there to take it.
void spawn(Task<void> task);

}  // namespace mg
