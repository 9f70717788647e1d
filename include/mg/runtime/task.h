// mg/runtime/task.h -- Task<T>: the one async shape. Lazy, awaited once, resumes its awaiter by symmetric transfer.
//
//   Task<Result<int>> load(std::string key);        // parameters by value
//   Task<Result<int>> now() { return Result<int>(7); }   // a value that is there already costs no coroutine frame
//   spawn(serve(std::move(connection)));            // runs until it ends by itself; nobody waits
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace mg {

template <class T = void>
class Task;

namespace detail {

// Coroutine frames come from free lists of the thread (plain malloc under AddressSanitizer).
void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;

struct TaskPromiseBase {
  // Who goes on at the end. A task that was started before it is awaited may end on another thread while its awaiter
  // arrives here: then the two meet in this word, in which the end leaves done().
  std::atomic<void*> continuation{nullptr};
  bool started = false;  // By Task::start().
  static inline char done_mark = 0;
  static void* done() noexcept { return &done_mark; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      TaskPromiseBase& promise = self.promise();
      void* const next = promise.started ? promise.continuation.exchange(done(), std::memory_order_acq_rel)
                                         : promise.continuation.load(std::memory_order_relaxed);
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

struct Empty {};

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

  explicit Task(Handle handle) noexcept : handle_(handle) {}
  // A task that is done: return Task<void>::done();
  static Task done() noexcept
    requires std::is_void_v<T>
  {
    return Task(Handle());
  }
  template <class U = Value>
    requires(!std::is_void_v<T> && std::is_convertible_v<U &&, Value> && !std::is_same_v<std::decay_t<U>, Task>)
  Task(U&& value) : value_(std::in_place, std::forward<U>(value)) {}  // NOLINT: implicit, a value is a finished task
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})), value_(std::move(other.value_)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
      value_ = std::move(other.value_);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // True when awaiting will not suspend.
  bool ready() const noexcept {
    return !handle_ || (handle_.promise().started && handle_.promise().continuation.load(std::memory_order_acquire) ==
                                                         detail::TaskPromiseBase::done());
  }

  // Starts it now, before it is awaited, and runs it up to its first suspension or its end. Whoever finds it ready()
  // afterwards needs no coroutine of his own to await it. Requires: not started yet.
  void start() {
    if (!handle_) return;
    handle_.promise().started = true;
    handle_.resume();
  }
  // What awaiting gives, for a task that is ready().
  T take() { return Awaiter(*this).await_resume(); }
  // The value of a task made from one, which stays in it; null for a coroutine.
  const Value* peek() const noexcept { return handle_ || !value_ ? nullptr : &*value_; }

  class Awaiter {
   public:
    explicit Awaiter(Task& task) noexcept : task_(task) {}
    bool await_ready() const noexcept { return task_.ready(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) const noexcept {
      auto& promise = task_.handle_.promise();
      if (!promise.started) {
        promise.continuation.store(awaiter.address(), std::memory_order_relaxed);
        return task_.handle_;
      }
      void* nobody = nullptr;
      if (promise.continuation.compare_exchange_strong(nobody, awaiter.address(), std::memory_order_acq_rel)) {
        return std::noop_coroutine();
      }
      return awaiter;  // It has ended meanwhile.
    }
    T await_resume() const {
      if (task_.handle_) return task_.handle_.promise().take();
      if constexpr (!std::is_void_v<T>) return std::move(*task_.value_);
    }

   private:
    Task& task_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(*this); }
  Awaiter operator co_await() & noexcept { return Awaiter(*this); }

 private:
  Handle handle_;
  [[no_unique_address]] std::optional<Value> value_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> detail::TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// Starts `task` on this thread; it runs on until it ends. An exception that leaves it ends the process with a message,
// since nobody is there to take it.
void spawn(Task<void> task);

}  // namespace mg
