#include "mg/base/logging.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/deadline.h"

namespace mg::log {
struct Throws {};
}  // namespace mg::log

template <>
struct fmt::formatter<mg::log::Throws> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const mg::log::Throws&, Context& context) const -> decltype(context.out()) {
    throw std::runtime_error("no");
  }
};

namespace mg::log {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// A file without a name that a Logging writes to.
class Output {
 public:
  Output() : file_(std::tmpfile()) {}
  ~Output() { std::fclose(file_); }
  int fd() const { return fileno(file_); }
  std::string text() const {
    std::string text(static_cast<std::size_t>(lseek(fd(), 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(fd(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }
  std::vector<std::string> lines() const { return lines_of(text()); }

 private:
  std::FILE* file_;
};

// What `body` logs at level trace.
std::vector<std::string> logged(const std::function<void()>& body, LoggingOptions options = {.level = Level::kTrace}) {
  const ManualClock clock;
  Output out;
  options.fd = out.fd();
  options.clock = &clock;
  {
    Logging logging(options);
    body();
  }
  return out.lines();
}

void wait_until(const std::function<bool()>& done) {
  for (const auto deadline = Deadline::after(system_clock(), 30s); !done(); std::this_thread::yield()) {
    ASSERT_FALSE(deadline.expired(system_clock().now()));
  }
}

TEST(Log, WritesOneLineWithTimeAndLevel) {
  EXPECT_THAT(
      logged([] {
        info("client {} from {}", 7, "10.0.0.1");
        fatal("{:>5}", "x");
      }),
      ElementsAre("2020-01-01T00:00:00.000Z info  client 7 from 10.0.0.1", "2020-01-01T00:00:00.000Z fatal     x"));
}

TEST(Log, LinesBelowTheLevelAreNotMade) {
  EXPECT_THAT(
      logged(
          [] {
            trace("no");
            debug("no");
            info("no");
            warn("warn");
            error("error");
            fatal("fatal");
            set_level(Level::kDebug);
            debug("now");
            set_level(Level::kOff);
            fatal("no");
            EXPECT_FALSE(enabled(Level::kFatal));
          },
          {.level = Level::kWarn}),
      ElementsAre(EndsWith("warn  warn"), EndsWith("error error"), EndsWith("fatal fatal"), EndsWith("debug now")));
}

TEST(Log, TextFromOutsideCannotForgeALine) {
  EXPECT_THAT(logged([] { info("name {}", "x\r\n2020-01-01 error forged\x1b[2J%n{}\xff"); }),
              ElementsAre(EndsWith("name x\\r\\n2020-01-01 error forged\\x1b[2J%n{}\\xff")));
}

TEST(Log, LongLinesAreCut) {
  const std::string big(1 << 20, 'a');
  const auto lines = logged([&] { info("{}", big); }, {.level = Level::kInfo, .max_line_bytes = 100});
  EXPECT_THAT(lines, ElementsAre(EndsWith(" info  " + std::string(100, 'a') + "... (1048476 octets more)")));
  const auto escapes = logged([&] { info("{}", std::string(1000, '\n')); }, {.max_line_bytes = 99});
  ASSERT_EQ(escapes.size(), 1u);
  EXPECT_THAT(escapes[0], EndsWith("\\n... (951 octets more)"));
}

TEST(Log, ColoursOnlyTheLevelAndOnlyWhenAsked) {
  EXPECT_THAT(logged([] { error("x"); }, {.colour = true}), ElementsAre(EndsWith("Z \x1b[31merror\x1b[0m x")));
  EXPECT_THAT(logged([] { error("x"); }, {}), ElementsAre(EndsWith("Z error x"))) << "a file is no terminal";
}

TEST(Log, LevelComesFromTheEnvironment) {
  setenv("GAME_LOG_LEVEL", "ERROR", 1);
  EXPECT_THAT(logged([] { warn("no"), error("yes"); }, {}), ElementsAre(EndsWith("yes")));
  EXPECT_THAT(logged([] { debug("yes"); }, {.level = Level::kDebug}), ElementsAre(EndsWith("yes")));
  setenv("GAME_LOG_LEVEL", "loud\n", 1);
  EXPECT_THAT(logged([] { debug("no"), info("yes"); }, {}),
              ElementsAre(HasSubstr("GAME_LOG_LEVEL is \"loud\\n\": expected trace,"), EndsWith("yes")));
  unsetenv("GAME_LOG_LEVEL");
}

TEST(Log, WithoutLoggingWarningsGoToStderr) {
  testing::internal::CaptureStderr();
  info("no");
  warn("yes {}\n", 1);
  EXPECT_THAT(lines_of(testing::internal::GetCapturedStderr()), ElementsAre(EndsWith("Z warn  yes 1\\n")));
}

TEST(Log, AFormatterThatThrowsLosesOnlyItsLine) {
  EXPECT_THAT(logged([] {
                const Throws value;
                info("{}", value);
                info("after");
              }),
              ElementsAre(EndsWith("after")));
}

TEST(Log, AllThreadsMayLog) {
  const auto lines = logged(
      [] {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
          threads.emplace_back([t] {
            for (int i = 0; i < 500; ++i) info("thread {} line {}", t, i);
          });
        }
      },
      {.level = Level::kInfo, .max_repeats = 0});
  EXPECT_EQ(lines.size(), 2000u);
}

TEST(Log, ThreadsMayLogWhileLoggingEnds) {
  std::atomic<bool> stop = false;
  Output out;
  std::jthread thread([&] {
    while (!stop) info("x");  // Below warn when there is no Logging.
  });
  for (int i = 0; i < 20; ++i) Logging logging({.level = Level::kInfo, .fd = out.fd(), .queue_bytes = 8});
  stop = true;
}

TEST(Log, AFullDiskCostsLinesOnly) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  Logging logging({.level = Level::kInfo, .fd = full});
  for (int i = 0; i < 100; ++i) info("line {}", i);
  wait_until([&] { return logging.dropped() == 100; });
  close(full);
}

TEST(Log, AClosedPipeCostsLinesOnly) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  Logging logging({.level = Level::kInfo, .fd = ends[1]});
  for (int i = 0; i < 100; ++i) info("line {}", i);
  wait_until([&] { return logging.dropped() == 100; });
  close(ends[1]);
}

TEST(Log, ASlowReaderLosesTheOldestLinesAndIsTold) {
  constexpr std::uint64_t kLines = 5000;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::uint64_t dropped = 0;
  std::string text;
  std::thread reader;
  {
    Logging logging({.level = Level::kInfo, .fd = ends[1], .queue_bytes = 1, .max_line_bytes = 100, .max_repeats = 0});
    // Nobody reads: about 600 lines fit the pipe, as many the writer, ten the queue. That this loop ends is the point.
    for (std::uint64_t i = 0; i < kLines; ++i) info("{:<80}|", i);
    dropped = logging.dropped();
    EXPECT_GT(dropped, 1000u);
    reader = std::thread([&] {
      char block[4096];
      for (ssize_t n; (n = read(ends[0], block, sizeof block)) > 0;) text.append(block, static_cast<std::size_t>(n));
    });
  }
  close(ends[1]);
  reader.join();
  close(ends[0]);
  const auto lines = lines_of(text);
  EXPECT_THAT(lines.back(), HasSubstr(std::to_string(kLines - 1)));
  std::uint64_t told = 0, whole = 0;
  for (const auto& line : lines) {
    if (const auto at = line.find(" warn  "); at != line.npos)
      told += std::stoull(line.substr(at + 7));
    else
      whole += line.ends_with('|');
  }
  EXPECT_EQ(told, dropped);
  EXPECT_EQ(whole + dropped, kLines);
}

TEST(Log, AReaderThatNeverComesDelaysTheEndByAboutASecond) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Logging logging({.level = Level::kInfo, .fd = ends[1], .max_repeats = 0});
    for (int i = 0; i < 5000; ++i) info("{:<80}|", i);
  }  // Ends.
  close(ends[0]);
  close(ends[1]);
}

TEST(LogDeathTest, ThereIsOneLoggingAtATime) {
  EXPECT_DEATH(
      {
        Logging one;
        Logging two;
      },
      "there is a Logging already");
}

}  // namespace
}  // namespace mg::log
