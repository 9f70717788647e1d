// mg/base/check.h -- preconditions: a broken one ends the process with its place and text.
//
//   check(n > 0, "below(0) has no result");
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace mg {

// Aborts unless `ok`. For mistakes of the calling code only: whatever comes from outside is a Result.
inline void check(bool ok, const char* text, std::source_location at = std::source_location::current()) {
  if (ok) [[likely]]
    return;
  std::fprintf(stderr, "%s:%u: %s: %s\n", at.file_name(), static_cast<unsigned>(at.line()), at.function_name(), text);
  std::abort();
}

}  // namespace mg
