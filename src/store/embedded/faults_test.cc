// A store whose process is killed, and whose disk fails.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/random.h"
#include "mg/store/documents/collection.h"
#include "mg/store/embedded/embedded.h"
#include "runtime/testing.h"
#include "tests/support/server.h"

namespace mg::documents {
namespace {

struct Said {
  std::set<std::int64_t> acknowledged;
  std::vector<std::pair<std::int64_t, std::string>> failed;  // Id, and code with text.
};
Said read(const std::string& text) {
  Said out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, rest;
    std::int64_t id = 0;
    words >> word >> id;
    if (word == "ack" && words) out.acknowledged.insert(id);
    if (word == "fail") {
      std::getline(words, rest);
      out.failed.emplace_back(id, rest.empty() ? rest : rest.substr(1));
    }
  }
  return out;
}

std::set<std::int64_t> stored(const std::string& path, const std::function<void()>& opened = [] {}) {
  Loop loop;
  auto store = Embedded::open({.path = path});
  EXPECT_TRUE(store) << store.error().detail;
  if (!store) return {};
  opened();
  auto fine = testing::await_on(loop, (*store)->verify(Deadline::never()));
  EXPECT_TRUE(fine) << fine.error().detail;
  auto all = testing::await_on(loop, (*store)->find({.collection = "things"}, {}, {}));
  EXPECT_TRUE(all) << all.error().detail;
  std::set<std::int64_t> out;
  for (const Document& each : *all) out.insert(each.at("_id").as_whole());
  (*store)->close();
  return out;
}

TEST(EmbeddedFaults, NothingAcknowledgedIsLostWhenTheProcessIsKilled) {
  SeededRandom random(7);
  std::size_t most = 0;
  for (int round = 0; round < 20; ++round) {
    testing::Server storm({.name = "store_storm",
                           .command =
                               [](std::uint16_t, const std::string& dir) {
                                 return std::vector<std::string>{MG_STORE_STORM, dir + "/game.db", "storm", "32"};
                               },
                           .ready = "ack 1\n"});
    const std::size_t enough = random.below(20'000);  // Octets of its output, at which it dies.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(4);
    while (storm.output().size() < enough && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    storm.kill();
    const Said said = read(storm.output());
    EXPECT_TRUE(said.failed.empty());
    const auto there = stored(storm.dir() + "/data/game.db");
    for (const std::int64_t id : said.acknowledged)
      EXPECT_TRUE(there.contains(id)) << "round " << round << ", id " << id;
    most = std::max(most, said.acknowledged.size());
  }
  EXPECT_GT(most, 100u);
}

// ---- killed at random moments, from the opening on ------------------------------------------------------------------

Task<void> insert_in_order(Collection<> things, std::int64_t& next, int acknowledged) {
  for (;;) {
    const std::int64_t id = ++next;
    const auto done = co_await things.insert(Document{{"_id", id}, {"text", std::string(50, 'x')}});
    if (!done || ::write(acknowledged, &id, sizeof id) != sizeof id) ::_exit(1);
  }
}

// A process of its own without the cost of a program's start: inserts behind what is there, eight calls on their way.
pid_t insert_until_killed(const std::string& path, std::int64_t next, int acknowledged) {
  const pid_t parent = ::getpid(), child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  auto store = Embedded::open({.path = path, .checkpoint_pages = 20});
  if (!store) ::_exit(1);
  Loop loop;
  loop.post([&] {
    for (int i = 0; i < 8; ++i) spawn(insert_in_order({**store, "things"}, next, acknowledged));
  });
  loop.run();
  ::_exit(1);
}

class EmbeddedKills : public ::testing::TestWithParam<std::uint64_t> {};
// 1,000 in all.
INSTANTIATE_TEST_SUITE_P(Part, EmbeddedKills, ::testing::Range<std::uint64_t>(1, 21));

TEST_P(EmbeddedKills, AtAnyMomentLeaveAPrefixWithAllThatWasAcknowledged) {
  constexpr int kFiles = 2, kKills = 25;
  SeededRandom random(GetParam());
  std::vector<std::chrono::steady_clock::duration> reopened;
  std::int64_t acknowledged_in_all = 0;
  for (int file = 0; file < kFiles; ++file) {
    const testing::TempDir dir;
    const std::string path = dir.path() + "/game.db";
    std::int64_t last = 0;  // In the store.
    for (int round = 0; round < kKills; ++round) {
      int ends[2];
      ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
      const pid_t child = insert_until_killed(path, last, ends[1]);
      ASSERT_GT(child, 0);
      ::close(ends[1]);
      std::int64_t id = 0, acknowledged = 0;
      // In a quarter of the rounds it has not got so far: it opens the file, and mends what the last one left.
      for (std::uint64_t left = random.below(4) == 0 ? 0 : random.below(30); left > 0; --left) {
        ASSERT_EQ(::read(ends[0], &id, sizeof id), static_cast<ssize_t>(sizeof id)) << "it ended by itself";
        acknowledged = std::max(acknowledged, id);
      }
      const auto moment = std::chrono::steady_clock::now() + std::chrono::microseconds(random.below(3000));
      while (std::chrono::steady_clock::now() < moment) std::this_thread::yield();
      ::kill(child, SIGKILL);
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
      while (::read(ends[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id))
        acknowledged = std::max(acknowledged, id);
      ::close(ends[0]);

      const auto from = std::chrono::steady_clock::now();
      const auto there = stored(path, [&] { reopened.push_back(std::chrono::steady_clock::now() - from); });
      last = std::max(last, acknowledged);
      EXPECT_GE(there.size(), static_cast<std::size_t>(last)) << "file " << file << ", round " << round;
      if (!there.empty()) {
        EXPECT_EQ(*there.begin(), 1);
        EXPECT_EQ(*there.rbegin(), static_cast<std::int64_t>(there.size())) << "a gap";
      }
      last = static_cast<std::int64_t>(there.size());
    }
    acknowledged_in_all += last;
  }
  EXPECT_GT(acknowledged_in_all, kFiles * kKills);
  std::ranges::nth_element(reopened, reopened.begin() + kFiles * kKills / 2);
  EXPECT_LE(reopened[kFiles * kKills / 2], std::chrono::seconds(1));
}

// ---- a disk that fails ----------------------------------------------------------------------------------------------

// Runs `write 30` with system calls that fail.
Said with_failing(const std::string& path, const std::string& injection) {
  const std::string calls = injection.substr(0, injection.find(':'));
  const auto output = testing::run_program({"env", "ASAN_OPTIONS=detect_leaks=0", "strace", "-f", "-qq", "-e",
                                            "trace=" + calls, "-e", "signal=none", "-o", "/dev/null", "-e",
                                            "inject=" + injection, MG_STORE_STORM, path, "write", "30"});
  EXPECT_THAT(output.text, ::testing::HasSubstr("open")) << output.text;
  return read(output.text);
}

TEST(EmbeddedFaults, SyncThatFailsIsNeverCalledASuccess) {
  for (const int when : {8, 12, 20}) {
    const testing::TempDir dir;
    const Said said = with_failing(dir.path() + "/game.db", fmt::format("fsync,fdatasync:error=EIO:when={}", when));
    ASSERT_FALSE(said.failed.empty()) << when;
    EXPECT_THAT(said.failed[0].second, ::testing::StartsWith(std::to_string(kOutcomeUnknown)));
    // From then on nothing is written: the disk may have lost more than it told.
    EXPECT_EQ(said.failed.size() + said.acknowledged.size(), 30u);
    EXPECT_EQ(said.failed[0].first, static_cast<std::int64_t>(said.acknowledged.size()) + 1);
    for (std::size_t i = 1; i < said.failed.size(); ++i)
      EXPECT_THAT(said.failed[i].second, ::testing::StartsWith("503"));
    const auto there = stored(dir.path() + "/game.db");
    for (const std::int64_t id : said.acknowledged) EXPECT_TRUE(there.contains(id)) << id;
    for (std::size_t i = 1; i < said.failed.size(); ++i) EXPECT_FALSE(there.contains(said.failed[i].first));
  }
}

TEST(EmbeddedFaults, FullDiskLeavesTheOldState) {
  for (const int when : {30, 41, 52}) {
    const testing::TempDir dir;
    // Full for a while, then somebody made room.
    const Said said =
        with_failing(dir.path() + "/game.db", fmt::format("pwrite64:error=ENOSPC:when={}..{}", when, when + 3));
    ASSERT_FALSE(said.failed.empty()) << when;
    for (const auto& [id, text] : said.failed) {
      EXPECT_THAT(text, ::testing::StartsWith("503")) << id;
      EXPECT_THAT(text, ::testing::HasSubstr("full"));
    }
    EXPECT_TRUE(said.acknowledged.contains(30));  // It goes on.
    EXPECT_EQ(stored(dir.path() + "/game.db"), said.acknowledged);
  }
}

TEST(EmbeddedFaults, FailingWritesAreReported) {
  const testing::TempDir dir;
  const Said said = with_failing(dir.path() + "/game.db", "pwrite64:error=EIO:when=40+");
  ASSERT_FALSE(said.failed.empty());
  const auto there = stored(dir.path() + "/game.db");
  for (const std::int64_t id : said.acknowledged) EXPECT_TRUE(there.contains(id)) << id;
}

}  // namespace
}  // namespace mg::documents
