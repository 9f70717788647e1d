#include "mg/base/logging.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/allocation_counter.h"
#include "mg/base/deadline.h"

namespace mg::log {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using mg::testing::allocations;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constinit Module agent_log("agent");
constinit Module link_log("rpc.link");

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void wait_until(const std::function<bool()>& done) {
  for (const auto deadline = Deadline::after(system_clock(), 60s); !done(); std::this_thread::yield()) {
    ASSERT_FALSE(deadline.expired(system_clock().now()));
  }
}

// A folder that goes with the test.
class LogFileTest : public ::testing::Test {
 protected:
  LogFileTest() {
    std::string name = fs::temp_directory_path() / "mg-log-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~LogFileTest() override { fs::remove_all(folder_); }

  fs::path path() const { return folder_ / "gate.log"; }
  LoggingOptions options() const {
    return {.level = Level::kInfo, .fd = -1, .file = {.path = path()}, .max_repeats = 0, .clock = &clock_};
  }
  // The files there, sorted by name.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  fs::path folder_;
  ManualClock clock_;
};

TEST_F(LogFileTest, FieldsStandBehindTheText) {
  {
    const Logging logging(options());
    agent_log.warn({{"client", 7}, {"role", "a b"}, {"ip", std::string("::1")}}, "late by {}", 3);
    info({{"a", ""}, {"b", "x=\"1\"\n"}, {"c", -1.5}, {"d", true}, {"e", std::numeric_limits<std::uint64_t>::max()}},
         "-");
    info({{"least", std::numeric_limits<std::int64_t>::min()}, {"c", std::nan("")}, {"empty name?", 1}}, "");
    info({}, "none");
  }
  EXPECT_THAT(
      lines_of(path()),
      ElementsAre("2020-01-01T00:00:00.000Z warn  agent: late by 3 client=7 role=\"a b\" ip=::1",
                  EndsWith(R"(info  - a="" b="x=\"1\"\n" c=-1.5 d=true e=18446744073709551615)"),
                  EndsWith("info   least=-9223372036854775808 c=nan \"empty name?\"=1"), EndsWith("info  none")));
}

TEST_F(LogFileTest, JsonHasOneObjectALine) {
  auto with = options();
  with.format = Format::kJson;
  with.max_line_bytes = 64;
  {
    const Logging logging(with);
    agent_log.error({{"client", 7}, {"text", "mine"}, {"x", std::numeric_limits<double>::infinity()}}, "a\n\"{}\"\xff",
                    "b");
    info("{}", std::string(100, 'x'));
  }
  EXPECT_THAT(
      lines_of(path()),
      ElementsAre(
          R"({"time":"2020-01-01T00:00:00.000Z","level":"error","module":"agent","text":"a\n\"b\"\ufffd","client":7,"text_":"mine","x":"inf"})",
          R"({"time":"2020-01-01T00:00:00.000Z","level":"info","text":")" + std::string(64, 'x') +
              R"(","left_out":36})"));
}

TEST_F(LogFileTest, FieldsAreCutAsTextIs) {
  auto with = options();
  with.max_line_bytes = 100;
  {
    const Logging logging(with);
    info({{"long", std::string(1000, 'y')}, {"then", 1}}, "text");
  }
  const auto lines = lines_of(path());
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0], HasSubstr("text long=yyyyyyyy"));
  EXPECT_LT(lines[0].size(), 180u);
}

TEST_F(LogFileTest, AFullFileIsPutAsideAndTheOldestGo) {
  auto with = options();
  with.file.max_bytes = 200;  // Five lines of 39 octets.
  with.file.keep = 3;
  {
    const Logging logging(with);
    for (int i = 0; i < 52; ++i) info("line {:03}", i);
  }
  EXPECT_THAT(names(), ElementsAre("gate.log", "gate.log.20200101-000000-007", "gate.log.20200101-000000-008",
                                   "gate.log.20200101-000000-009"));
  EXPECT_THAT(lines_of(path()), ElementsAre(EndsWith("line 050"), EndsWith("line 051")));
  EXPECT_THAT(lines_of(folder_ / "gate.log.20200101-000000-009"), SizeIs(5));
}

TEST_F(LogFileTest, AFileThatCannotBePutAsideGrowsOn) {
  fs::create_directory(folder_ / "gate.log.20200101-000000-999");  // In the way of the only name that is left.
  auto with = options();
  with.file.max_bytes = 1;
  {
    const Logging logging(with);
    for (int i = 0; i < 3; ++i) info("x");
    EXPECT_EQ(logging.dropped(), 0u);
  }
  EXPECT_THAT(lines_of(path()), SizeIs(3));
}

TEST_F(LogFileTest, ALineLongerThanAFileHasOneToItself) {
  auto with = options();
  with.file.max_bytes = 60;
  {
    const Logging logging(with);
    info("short");
    info("{}", std::string(500, 'x'));
    info("short");
  }
  EXPECT_THAT(names(), SizeIs(3));
  EXPECT_THAT(lines_of(path()), ElementsAre(EndsWith("short")));
}

TEST_F(LogFileTest, ADayBeginsAFile) {
  {
    const Logging logging(options());
    clock_.advance(24h - 1s);
    info("last");
    wait_until([&] { return fs::exists(path()) && !read_all(path()).empty(); });
    clock_.advance(1s);
    info("first");
  }
  EXPECT_THAT(names(), ElementsAre("gate.log", "gate.log.20200102-000000"));
  EXPECT_THAT(lines_of(path()), ElementsAre(EndsWith("first")));
  EXPECT_THAT(lines_of(folder_ / "gate.log.20200102-000000"), ElementsAre(EndsWith("last")));
}

TEST_F(LogFileTest, AFileOfAnotherDayIsNotGoneOnWith) {
  std::ofstream(path()) << "of 1970\n";
  const timespec times[2] = {};
  ASSERT_EQ(utimensat(AT_FDCWD, path().c_str(), times, 0), 0);
  {
    const Logging logging(options());
    info("now");
  }
  EXPECT_THAT(names(), SizeIs(2));
  EXPECT_THAT(lines_of(path()), ElementsAre(EndsWith("now")));
}

TEST_F(LogFileTest, GoesOnBehindHalfALine) {
  std::ofstream(path()) << "cut sho";
  auto with = options();
  with.file.daily = false;
  {
    const Logging logging(with);
    info("whole");
  }
  EXPECT_THAT(lines_of(path()), ElementsAre("cut sho", EndsWith("whole")));
}

TEST_F(LogFileTest, AFileThatIsMovedAwayIsMadeAnew) {
  {
    const Logging logging(options());
    info("one");
    wait_until([&] { return fs::exists(path()) && !read_all(path()).empty(); });
    fs::rename(path(), folder_ / "moved");
    clock_.advance(2s);
    info("two");
  }
  EXPECT_THAT(lines_of(folder_ / "moved"), ElementsAre(EndsWith("one")));
  EXPECT_THAT(lines_of(path()), ElementsAre(EndsWith("two")));
}

TEST_F(LogFileTest, MakesItsFolder) {
  auto with = options();
  with.file.path = folder_ / "a" / "b" / "gate.log";
  {
    const Logging logging(with);
    info("x");
  }
  EXPECT_THAT(lines_of(folder_ / "a" / "b" / "gate.log"), SizeIs(1));
}

TEST_F(LogFileTest, AFileThatCannotBeWrittenCostsLinesAndTheConsoleTells) {
  const fs::path console = folder_ / "console";
  const int fd = open(console.c_str(), O_RDWR | O_CREAT | O_APPEND, 0600);
  ASSERT_GE(fd, 0);
  auto with = options();
  with.fd = fd;
  with.file.path = "/dev/full";  // Opens, and has no room.
  std::uint64_t dropped = 0;
  {
    const Logging logging(with);
    for (int i = 0; i < 10; ++i) info("x");
    wait_until([&] { return logging.dropped() == 10; });
    dropped = logging.dropped();
  }
  close(fd);
  EXPECT_EQ(dropped, 10u);
  const std::string text = read_all(console);
  EXPECT_THAT(text, HasSubstr("the log file cannot be written: writing /dev/full: No space left on device"));
  EXPECT_EQ(std::ranges::count(lines_of(console), "2020-01-01T00:00:00.000Z info  x"), 10);
}

TEST_F(LogFileTest, AConsoleThatNobodyReadsDoesNotKeepTheFileWaiting) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  auto with = options();
  with.fd = ends[1];
  with.queue_bytes = 4 * 1024 * 1024;
  {
    const Logging logging(with);
    for (int i = 0; i < 5000; ++i) info("{:<80}|", i);
    wait_until([&] { return lines_of(path()).size() >= 5000; });
  }
  close(ends[0]);
  close(ends[1]);
}

TEST_F(LogFileTest, RepeatsOfOneCallAreCounted) {
  auto with = options();
  with.max_repeats = 5;
  {
    const Logging logging(with);
    for (int i = 0; i < 100; ++i) agent_log.warn("client {} misbehaves", i);
    for (int i = 0; i < 3; ++i) agent_log.warn("another");
    EXPECT_EQ(logging.repeats(), 95u);
    clock_.advance(1s);
    agent_log.warn("client {} misbehaves", "again");  // NOLINT: the same text, another call or not
  }
  const auto lines = lines_of(path());
  EXPECT_EQ(std::ranges::count_if(lines, [](auto& line) { return line.ends_with(" misbehaves"); }), 6);
  EXPECT_EQ(std::ranges::count_if(lines, [](auto& line) { return line.ends_with("another"); }), 3);
  EXPECT_EQ(
      std::ranges::count_if(
          lines,
          [](auto& line) { return line.ends_with("agent: 95 lines like \"client {} misbehaves\" were left out"); }),
      1);
}

TEST_F(LogFileTest, DebugLinesAreNotCountedAsRepeats) {
  auto with = options();
  with.level = Level::kDebug;
  with.max_repeats = 5;
  {
    const Logging logging(with);
    for (int i = 0; i < 100; ++i) debug("x");
    EXPECT_EQ(logging.repeats(), 0u);
  }
  EXPECT_THAT(lines_of(path()), SizeIs(100));
}

TEST_F(LogFileTest, ALineAboutRepeatsComesWithoutAnotherLine) {
  auto with = options();
  with.max_repeats = 1;
  const Logging logging(with);
  for (int i = 0; i < 3; ++i) info("flood");
  clock_.advance(1s);
  wait_until([&] { return read_all(path()).find("2 lines like \"flood\" were left out") != std::string::npos; });
}

TEST_F(LogFileTest, TheEnvironmentNamesFileAndFormat) {
  setenv("GAME_LOG_FILE", path().c_str(), 1);
  setenv("GAME_LOG_FORMAT", "json", 1);
  {
    const Logging logging({.level = Level::kInfo, .fd = -1, .clock = &clock_});
    info("x");
  }
  setenv("GAME_LOG_FORMAT", "xml", 1);
  {
    const Logging logging({.level = Level::kInfo, .fd = -1, .clock = &clock_});
    info("y");
  }
  unsetenv("GAME_LOG_FILE");
  unsetenv("GAME_LOG_FORMAT");
  EXPECT_THAT(lines_of(path()),
              ElementsAre(R"({"time":"2020-01-01T00:00:00.000Z","level":"info","text":"x"})",
                          EndsWith("GAME_LOG_FORMAT is \"xml\": expected text or json; text is used"), EndsWith(" y")));
}

TEST_F(LogFileTest, ALineOf256OctetsNeedsNoAllocation) {
  auto with = options();
  with.max_repeats = 1000;
  const Logging logging(with);
  const std::string text(200, 'x');
  agent_log.info("first");
  const std::size_t before = allocations();
  for (int i = 0; i < 100; ++i) {
    agent_log.info({{"client", i}, {"role", "seven"}}, "client {} is {} since {:.3f} s", i, text, 1.5);
    agent_log.debug("{}", text);
  }
  EXPECT_EQ(allocations(), before);
}

TEST_F(LogFileTest, ModulesHaveLevelsOfTheirOwn) {
  {
    const Logging logging(options());
    link_log.debug("no");
    set_level("rpc", Level::kDebug);
    link_log.debug("as rpc");
    set_level("rpc.link", Level::kError);
    link_log.info("no");
    agent_log.debug("no");
    debug("no");
    EXPECT_EQ(levels(), "info,rpc=debug,rpc.link=error");
    set_level("rpc.link", std::nullopt);
    link_log.debug("as rpc again");
    set_level("rpc.lin", Level::kFatal);
    link_log.debug("another module's level");
    EXPECT_TRUE(link_log.enabled(Level::kDebug));
    EXPECT_FALSE(agent_log.enabled(Level::kDebug));
  }
  EXPECT_THAT(lines_of(path()),
              ElementsAre(EndsWith("debug rpc.link: as rpc"), EndsWith("debug rpc.link: as rpc again"),
                          EndsWith("debug rpc.link: another module's level")));
}

TEST(LogLevels, AreReadAllAtOnce) {
  ASSERT_TRUE(set_levels("WARN, agent = trace ,rpc.link=off"));
  EXPECT_EQ(levels(), "warn,agent=trace,rpc.link=off");
  EXPECT_TRUE(agent_log.enabled(Level::kTrace));
  EXPECT_FALSE(link_log.enabled(Level::kFatal));
  EXPECT_EQ(level(), Level::kWarn);
  const auto bad = set_levels("info,agent=loud");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().detail, "\"agent=loud\": expected a module = trace, debug, info, warn, error, fatal or off");
  EXPECT_EQ(levels(), "warn,agent=trace,rpc.link=off") << "a bad text changes nothing";
  ASSERT_TRUE(set_levels("agent=debug"));
  EXPECT_EQ(levels(), "info,agent=debug");
  ASSERT_TRUE(set_levels("warn"));
}

TEST(LogLevels, MayChangeWhileThreadsLog) {
  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop) link_log.debug("below every level set here");
    });
  }
  for (int i = 0; i < 1000; ++i) set_level("rpc", i % 2 == 0 ? Level::kWarn : Level::kOff);
  stop = true;
  threads.clear();
  ASSERT_TRUE(set_levels("warn"));
}

}  // namespace
}  // namespace mg::log
