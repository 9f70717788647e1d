#include "mg/runtime/task.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "mg/runtime/fetch.h"
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
// thread than it was made on: it then serves there. Where they are is not kept in the frames: with thousands of calls
// under way these are in no near cache, and the next one is fetched while there is time.
class FramePool {
 public:
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kOwn = 8;
  static constexpr std::size_t kClasses = 32;         // Frames up to 2 KiB; larger ones are plain allocations.
  static constexpr std::size_t kKeepPerClass = 4096;  // Bounds what a burst leaves behind.
  static constexpr std::size_t kFirst = 64;

  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool() {
    for (Class& c : classes_) {
      while (c.count > 0) ::operator delete(c.frames[--c.count]);
    }
  }

  void* take(std::size_t size) {
    const std::size_t index = (size + kOwn - 1) / kStep;
    if (index >= kClasses) return ::operator new(size);
    Class& c = classes_[index];
    if (c.count == 0) return ::operator new((index + 1) * kStep - kOwn);
    void* const frame = c.frames[--c.count];
    if (c.count > 0) fetch(c.frames[c.count - 1], size);
    return frame;
  }

  void give(void* frame, std::size_t size) noexcept {
    const std::size_t index = (size + kOwn - 1) / kStep;
    if (index >= kClasses) return ::operator delete(frame);
    Class& c = classes_[index];
    if (c.count == c.room && !c.grow()) [[unlikely]] {
      return ::operator delete(frame);
    }
    c.frames[c.count++] = frame;
  }

 private:
  struct Class {
    std::unique_ptr<void*[]> frames;
    std::size_t count = 0;
    std::size_t room = 0;

    // False: it keeps no more, or there is no memory for it.
    bool grow() noexcept {
      const std::size_t more = room == 0 ? kFirst : room * 2;
      if (more > kKeepPerClass) return false;
      std::unique_ptr<void*[]> grown(new (std::nothrow) void*[more]);
      if (!grown) return false;
      std::copy_n(frames.get(), count, grown.get());
      frames = std::move(grown);
      room = more;
      return true;
    }
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
