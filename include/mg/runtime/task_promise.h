// mg/runtime/task_promise.h -- what a coroutine that is a Task keeps in its frame.
//
//   Task<int> seven() { co_return 7; }   // its promise is TaskPromise<int>
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <expected>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "mg/base/error.h"

namespace mg {

template <class T>
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

// Of what most coroutines end with: the Error, which few have, is not in their frames. Thousands of these wait at once.
template <>
struct TaskPromise<Result<void>> : TaskPromiseBase {
  std::unique_ptr<Error> error;
  std::exception_ptr failure;

  Task<Result<void>> get_return_object() noexcept;
  void unhandled_exception() noexcept { failure = std::current_exception(); }
  void return_value(Result<void>&& value) {
    if (!value) [[unlikely]]
      error = std::make_unique<Error>(std::move(value.error()));
  }
  void return_value(const Result<void>& value) { return_value(Result<void>(value)); }
  template <class E>
    requires std::is_convertible_v<E&&, Error>
  void return_value(std::unexpected<E>&& value) {
    error = std::make_unique<Error>(std::move(value).error());
  }
  Result<void> take() {
    if (failure) [[unlikely]]
      std::rethrow_exception(failure);
    if (error) [[unlikely]]
      return std::unexpected(std::move(*error));
    return {};
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

}  // namespace mg
