#include "mg/runtime/task.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "runtime/detached.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MG_PLAIN_FRAMES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MG_PLAIN_FRAMES 1
#endif

namespace mg {
namespace detail {
namespace {

// Free frames of one thread, by size in steps of 64 octets less malloc's own eight. A frame may be freed on another
// thread than it was made on: it then serves there.
class FramePool {
 public:
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kOwn = 8;
  static constexpr std::size_t kClasses = 32;           // Frames up to 2 KiB; larger ones are plain allocations.
  static constexpr std::uint32_t kKeepPerClass = 4096;  // Bounds what a burst leaves behind.

  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool() {
    for (Class& c : classes_) {
      while (c.head) ::operator delete(std::exchange(c.head, c.head->next));
    }
  }

  void* take(std::size_t size) {
    const std::size_t index = (size + kOwn - 1) / kStep;
    if (index >= kClasses) return ::operator new(size);
    Class& c = classes_[index];
    if (!c.head) return ::operator new((index + 1) * kStep - kOwn);
    --c.count;
    return std::exchange(c.head, c.head->next);
  }

  void give(void* frame, std::size_t size) noexcept {
    const std::size_t index = (size + kOwn - 1) / kStep;
    if (index >= kClasses || classes_[index].count >= kKeepPerClass) return ::operator delete(frame);
    Class& c = classes_[index];
    c.head = new (frame) Node{c.head};
    ++c.count;
  }

 private:
  struct Node {
    Node* next;
  };
  struct Class {
    Node* head = nullptr;
    std::uint32_t count = 0;
  };
  std::array<Class, kClasses> classes_{};
};

FramePool& frames() {
  thread_local FramePool pool;
  return pool;
}

}  // namespace

#ifdef MG_PLAIN_FRAMES
bool pooling() noexcept {
  static const bool wanted = std::getenv("MG_POOLS") != nullptr;
  return wanted;
}
// Plain allocations, so that a use after the end is found.
void* allocate_frame(std::size_t size) {
  return pooling() ? frames().take(size) : ::operator new(size);
}
void free_frame(void* frame, std::size_t size) noexcept {
  pooling() ? frames().give(frame, size) : ::operator delete(frame);
}
#else
bool pooling() noexcept {
  return true;
}
void* allocate_frame(std::size_t size) {
  return frames().take(size);
}
void free_frame(void* frame, std::size_t size) noexcept {
  frames().give(frame, size);
}
#endif

void detached_threw() noexcept {
  try {
    throw;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mg::spawn: a detached task threw: %s\n", e.what());
  } catch (...) {
    std::fprintf(stderr, "mg::spawn: a detached task threw\n");
  }
  std::abort();
}

}  // namespace detail

namespace {

Detached run_detached(Task<void> task) {
  co_await std::move(task);
}

}  // namespace

void spawn(Task<void> task) {
  run_detached(std::move(task));
}

}  // namespace mg
