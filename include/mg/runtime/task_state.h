// mg/runtime/task_state.h -- what a Task is made of: a coroutine, or a value already.
//
//   TaskState<int, Handle> coming(handle);            // destroyed with the state
//   TaskState<int, Handle> there(std::in_place, 7);
//   there.take();                                     // 7
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "mg/base/error.h"

namespace mg::detail {

struct Empty {};

// What a task is before it is awaited: a coroutine, or a value already.
template <class T, class Handle>
class TaskState {
 public:
  explicit TaskState(Handle handle) noexcept : handle_(handle) {}
  template <class U>
  TaskState(std::in_place_t, U&& value) : value_(std::in_place, std::forward<U>(value)) {}
  TaskState(TaskState&& other) noexcept : handle_(std::exchange(other.handle_, {})), value_(std::move(other.value_)) {}
  ~TaskState() {
    if (handle_) handle_.destroy();
  }

  Handle handle() const noexcept { return handle_; }
  bool succeeded() const noexcept { return value_.has_value(); }
  const Error* error() const noexcept { return nullptr; }
  T take() {
    if constexpr (!std::is_void_v<T>) return std::move(*value_);
  }

 private:
  Handle handle_{};
  [[no_unique_address]] std::optional<std::conditional_t<std::is_void_v<T>, Empty, T>> value_;
};

// Of what most tasks end with, in one word: an Error is 104 octets, and such states are handed on with every message.
template <class Handle>
class TaskState<Result<void>, Handle> {
 public:
  explicit TaskState(Handle handle) noexcept : word_(reinterpret_cast<std::uintptr_t>(handle.address())) {}
  TaskState(std::in_place_t, Result<void>&& value)
      : word_(value ? kSuccess : kSuccess | reinterpret_cast<std::uintptr_t>(new Error(std::move(value.error())))) {}
  TaskState(TaskState&& other) noexcept : word_(std::exchange(other.word_, kSuccess)) {}
  ~TaskState() {
    if (word_ != kSuccess) [[unlikely]]
      destroy();
  }

  Handle handle() const noexcept {
    return (word_ & kSuccess) != 0 ? Handle() : Handle::from_address(reinterpret_cast<void*>(word_));
  }
  bool succeeded() const noexcept { return word_ == kSuccess; }
  const Error* error() const noexcept {
    return (word_ & kSuccess) == 0 ? nullptr : reinterpret_cast<const Error*>(word_ & ~kSuccess);
  }
  Result<void> take() {
    if (succeeded()) [[likely]]
      return {};
    return std::unexpected(std::move(*const_cast<Error*>(error())));
  }

 private:
  static constexpr std::uintptr_t kSuccess = 1;  // Alone, or with the address of an Error.
  void destroy() noexcept {
    delete error();
    if (const Handle coroutine = handle()) coroutine.destroy();
  }
  std::uintptr_t word_;  // Else the address of a coroutine, or none.
};

}  // namespace mg::detail
