// tests/support/rounds.h -- how much of a case runs: little in every run, all of it with MG_HEAVY=1.
//
//   for (int i = 0; i < testing::rounds(3, 100); ++i) ...
#pragma once

#include <cstdlib>
#include <string_view>

namespace mg::testing {

// The size of a case: `light` in every run, `heavy` with MG_HEAVY=1.
inline int rounds(int light, int heavy) {
  const char* const asked = std::getenv("MG_HEAVY");
  return asked && *asked && std::string_view(asked) != "0" ? heavy : light;
}

}  // namespace mg::testing
