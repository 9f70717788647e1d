// What a line costs the thread that logs it, beside spdlog's asynchronous logger; both write to /dev/null.
#include <fcntl.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "mg/base/logging.h"
#include "utils/bench_case.h"

namespace mg::bench {
namespace {

constexpr std::size_t kLines = 1000;
constexpr double kBarNs = 1000;

}  // namespace

void log_rows(Report& report) {
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0) std::abort();
  const std::string name(160, 'n');
  {
    const auto pool = std::make_shared<spdlog::details::thread_pool>(4096, 1);
    const auto theirs = std::make_shared<spdlog::async_logger>(
        "bench", std::make_shared<spdlog::sinks::basic_file_sink_mt>("/dev/null"), pool,
        spdlog::async_overflow_policy::overrun_oldest);
    log::Logging logging({.level = log::Level::kInfo, .fd = null, .queue_bytes = 4 << 20, .max_repeats = 0});
    const auto both = [&](std::string_view row, auto ours, auto yardstick) {
      report.row({row, 0}, kLines, ours, yardstick);
    };
    const auto limited = [&](std::string_view row, auto ours) { report.row({row, kBarNs}, kLines, ours); };
    const auto line = [&] {
      for (std::size_t i = 0; i < kLines; ++i) log::info("client {} from {} logged in after {} ms", i, "10.0.0.1", 17);
    };
    const auto long_line = [&] {
      for (std::size_t i = 0; i < kLines; ++i) log::info("client {} is {}, in room {}", i, name, 100 + i);
    };
    limited("log: a line accepted", line);
    limited("log: 200 octets accepted", long_line);
    limited("log: a line with three fields accepted", [] {
      for (std::size_t i = 0; i < kLines; ++i) log::info({{"client", i}, {"ip", "10.0.0.1"}, {"ms", 17}}, "logged in");
    });
    both("log: a line, beside spdlog", line, [&] {
      for (std::size_t i = 0; i < kLines; ++i)
        theirs->info("client {} from {} logged in after {} ms", i, "10.0.0.1", 17);
    });
    limited("log: a line below the level", [] {
      for (std::size_t i = 0; i < kLines; ++i) log::debug("client {}", i);
    });
  }
  {
    log::Logging logging({.level = log::Level::kInfo, .fd = null});
    report.row({"log: a repeat that is left out", kBarNs}, kLines, [] {
      for (std::size_t i = 0; i < kLines; ++i) log::info("flood {}", i);
    });
  }
  close(null);
}

}  // namespace mg::bench
