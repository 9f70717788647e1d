// Takes memory in small pieces until there is no more, which its address space ends soon.
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "app/out_of_memory.h"

int main() {
  mg::end_when_out_of_memory();
  const rlimit limit{128 << 20, 128 << 20};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) return 100;
  if (::write(STDERR_FILENO, "start\n", 6) != 6) return 101;
  std::vector<std::unique_ptr<char[]>> all;
  while (all.size() < 1'000'000) all.push_back(std::make_unique<char[]>(1000));
  return 102;
}
