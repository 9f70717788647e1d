#include "process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "fmt/core.h"

namespace mgbench {
namespace {

int entries(pid_t pid, const char* what) {
  std::error_code error;
  int count = 0;
  for (std::filesystem::directory_iterator at(fmt::format("/proc/{}/{}", pid, what), error), end; !error && at != end;
       at.increment(error)) {
    ++count;
  }
  return count;
}

bool read_smaps(pid_t pid, ProcessUse& use) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  bool found = false;
  for (std::string line; std::getline(file, line);) {
    long long kib = 0;
    if (std::sscanf(line.c_str(), "Rss: %lld kB", &kib) == 1) {
      use.rss_bytes += kib * 1024;
      found = true;
    } else if (std::sscanf(line.c_str(), "Anonymous: %lld kB", &kib) == 1) {
      use.anonymous_bytes += kib * 1024;
    }
  }
  return found;
}

void read_statm(pid_t pid, ProcessUse& use) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::int64_t size = 0;
  std::int64_t resident = 0;
  std::int64_t shared = 0;
  if (!(file >> size >> resident >> shared)) return;
  const auto page = static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
  use.rss_bytes += resident * page;
  use.anonymous_bytes += (resident - shared) * page;
}

}  // namespace

double cpu_seconds(const std::vector<pid_t>& pids) {
  double sum = 0;
  for (const pid_t pid : pids) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0) {
      sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    }
  }
  return sum;
}

ProcessUse observe(const std::vector<pid_t>& pids) {
  ProcessUse use;
  use.cpu_s = cpu_seconds(pids);
  for (const pid_t pid : pids) {
    if (!read_smaps(pid, use)) read_statm(pid, use);
    use.descriptors += entries(pid, "fd");
    use.threads += entries(pid, "task");
  }
  return use;
}

std::string check_pids(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    clockid_t clock{};
    if (const int error = clock_getcpuclockid(pid, &clock); error != 0) {
      return fmt::format("--pid {}: {}; give the process ids of a server that runs on this machine", pid,
                         std::strerror(error));
    }
  }
  return {};
}

std::string raise_descriptor_limit(std::int64_t needed) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_max < static_cast<rlim_t>(needed)) {
    rlimit higher{static_cast<rlim_t>(needed), static_cast<rlim_t>(needed)};  // Root may.
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0) return {};
  }
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= static_cast<rlim_t>(needed)) return {};
  return fmt::format(
      "{} descriptors are needed and {} allowed: use fewer --connections, or raise the hard limit "
      "(`ulimit -Hn {}` as root, or LimitNOFILE / limits.conf)",
      needed, limit.rlim_max, needed);
}

}  // namespace mgbench
