// A coroutine that starts at once, frees itself at its end, and that nobody waits for.
//
//   Detached drive(Task<Result<void>> task) { use(co_await std::move(task)); }
#pragma once

#include <cstddef>

#include "mg/runtime/task.h"

namespace mg {

namespace detail {
// An exception left one: ends the process with a message, since nobody is there to take it.
[[noreturn]] void detached_threw() noexcept;
}  // namespace detail

struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { detail::detached_threw(); }
    static void* operator new(std::size_t size) { return detail::allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { detail::free_frame(frame, size); }
  };
};

}  // namespace mg
