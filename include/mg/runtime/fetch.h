// mg/runtime/fetch.h -- asks for memory before it is needed.
//
//   fetch(next, sizeof *next);     // a hint; `next` may be anything, even null
#pragma once

#include <cstddef>

namespace mg {

// Starts to bring `octets` from `at` on into the caches. Cost: about 1 ns for each 64 octets, and no wait.
inline void fetch(const void* at, std::size_t octets) noexcept {
  for (std::size_t i = 0; i < octets; i += 64) __builtin_prefetch(static_cast<const char*>(at) + i);
}

}  // namespace mg
