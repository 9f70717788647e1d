// mg/runtime/task.h -- Task<T>: the one async shape. Lazy, awaited once, resumes its awaiter by symmetric transfer.
//
//   Task<Result<int>> load(std::string key);        // parameters by value
//   Task<Result<int>> now() { return Result<int>(7); }   // a value that is there already costs no coroutine frame
//   return then(load(key), [](Result<int> n) -> Result<int> { return n ? *n + 1 : n; });   // nor does going on after
//   one spawn(serve(std::move(connection)));            // runs until it ends by itself; nobody waits
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "mg/base/error.h"
#include "mg/runtime/task_state.h"

namespace mg {

template <class T = void>
class Task;

namespace detail {

// Coroutine frames come from free lists of the thread (plain malloc under AddressSanitizer).
void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;
// Whether objects are used again rather than freed: not under sanitizers, unless MG_POOLS=1 is in the environment.
bool pooling() noexcept;

struct TaskPromiseBase {
  // Who goes on at the end. A task that was started before it is awaited may end on another thread while its awaiter
  // arrives here: then the two meet in this word, in which the end leaves done().
  std::atomic<void*> continuation{nullptr};
  bool started = false;  // By Task::start().
  // Whose start() runs on this thread. A task that ends within it has nobody to meet.
  static inline constinit thread_local const TaskPromiseBase* starting = nullptr;
  static inline char done_mark = 0;
  static void* done() noexcept { return &done_mark; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      TaskPromiseBase& promise = self.promise();
      void* next = nullptr;
      if (!promise.started) {
        next = promise.continuation.load(std::memory_order_relaxed);
      } else if (starting == &promise) {
        promise.continuation.store(done(), std::memory_order_release);
      } else {
        next = promise.continuation.exchange(done(), std::memory_order_acq_rel);
      }
      return next ? std::coroutine_handle<>::from_address(next) : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> result;
  std::exception_ptr failure;

  Task<T> get_return_object() noexcept;
  void unhandled_exception() noexcept { failure = std::current_exception(); }
  template <class U>
    requires std::is_convertible_v<U&&, T>
  void return_value(U&& value) {
    result.emplace(std::forward<U>(value));
  }
  T take() {
    if (failure) [[unlikely]]
      std::rethrow_exception(failure);
    return std::move(*result);
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  std::exception_ptr failure;

  Task<void> get_return_object() noexcept;
  void unhandled_exception() noexcept { failure = std::current_exception(); }
  void return_void() const noexcept {}
  void take() const {
    if (failure) std::rethrow_exception(failure);
  }
};

}  // namespace detail

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
