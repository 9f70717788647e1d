// Shared ownership within one loop: counted in the object, without atomics. The last one deletes it, or gives it to
// T::recycle(T*) if there is one.
//
//   struct Set : Counted { ... };
//   LoopPtr<Set> set(new Set);
#pragma once

#include <cstdint>
#include <utility>

namespace mg::rpc {

class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  template <class>
  friend class LoopPtr;
  std::uint32_t references_ = 0;
};

// Threads: loop.
template <class T>
class LoopPtr {
 public:
  LoopPtr() = default;
  explicit LoopPtr(T* object) noexcept : object_(object) {
    if (object_) ++object_->references_;
  }
  LoopPtr(const LoopPtr& other) noexcept : LoopPtr(other.object_) {}
  LoopPtr(LoopPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  LoopPtr& operator=(LoopPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~LoopPtr() {
    if (object_ && --object_->references_ == 0) {
      if constexpr (requires { T::recycle(object_); }) {
        T::recycle(object_);
      } else {
        delete object_;
      }
    }
  }

  T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace mg::rpc
