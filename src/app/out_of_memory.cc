#include "app/out_of_memory.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "mg/app/process.h"

namespace mg {
namespace {

// Without memory: no log, no destructors.
void end() {
  char text[] = ": out of memory: ending\n";
  const iovec line[] = {{program_invocation_short_name, std::strlen(program_invocation_short_name)},
                        {text, sizeof text - 1}};
  [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, line, 2);
  std::_Exit(exit_code::kOutOfMemory);
}

}  // namespace

void end_when_out_of_memory() noexcept {
  if (!std::get_new_handler()) std::set_new_handler(end);
}

}  // namespace mg
