// process.h -- what other processes use: CPU time, memory, descriptors, read from the kernel.
//
//   ProcessUse before = observe(pids); …; double cpu = observe(pids).cpu_s - before.cpu_s;
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mgbench {

// Sums over the processes observed.
struct ProcessUse {
  double cpu_s = 0;                  // User and system, all threads, nanosecond clock.
  std::int64_t rss_bytes = 0;        // Resident, exact (smaps_rollup), or statm where that may not be read.
  std::int64_t anonymous_bytes = 0;  // The part of it that is heap and stacks, not files.
  int descriptors = 0;
  int threads = 0;
};

// Only the CPU: cheap enough for the edges of a measured window.
double cpu_seconds(const std::vector<pid_t>& pids);

ProcessUse observe(const std::vector<pid_t>& pids);

// Empty if every process can be observed, else what is wrong and what to do.
std::string check_pids(const std::vector<pid_t>& pids);

// Raises the descriptor limit (root: as far as the kernel allows). Empty if `needed` fit, else what to do.
std::string raise_descriptor_limit(std::int64_t needed);

}  // namespace mgbench
