// base/allocation_counter.h -- for tests: heap blocks that this thread asks for.
//
//   const auto before = allocations();
//   work();
//   EXPECT_EQ(allocations(), before);
//
// To be included by one file of a program. In plain builds it stands in for the global operator new; under sanitizers,
// which have their own, it listens to theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MG_COUNT_BY_SANITIZER 1
#include <sanitizer/allocator_interface.h>
#endif
#endif

namespace mg::testing {

inline thread_local std::uint64_t allocation_count = 0;
inline std::uint64_t allocations() {
  return allocation_count;
}

#ifdef MG_COUNT_BY_SANITIZER
inline constexpr bool kPooledFrames = false;  // Coroutine frames are plain blocks then.
inline const bool listens = [] {
  __sanitizer_install_malloc_and_free_hooks([](const volatile void*, std::size_t) { ++allocation_count; },
                                            [](const volatile void*) {});
  return true;
}();
#else
inline constexpr bool kPooledFrames = true;
inline void* counted(std::size_t size, std::size_t alignment) {
  ++allocation_count;
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  void* const block = std::aligned_alloc(alignment, whole ? whole : alignment);
  if (!block) std::abort();
  return block;
}
#endif

}  // namespace mg::testing

#ifndef MG_COUNT_BY_SANITIZER
void* operator new(std::size_t size) {
  return mg::testing::counted(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return mg::testing::counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  std::free(block);
}
#endif
