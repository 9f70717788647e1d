#include "mg/utils/color/color.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace mg::color {

bool wanted(int fd) {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string_view(value != nullptr ? value : "");
  };
  if (const auto force = variable("FORCE_COLOR"); !force.empty()) return force != "0";
  return variable("NO_COLOR").empty() && variable("TERM") != "dumb" && ::isatty(fd) == 1;
}

}  // namespace mg::color
