// A store whose process is killed, and whose disk fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <sstream>
#include <string>
#include <thread>

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

std::set<std::int64_t> stored(const std::string& path) {
  Loop loop;
  auto store = Embedded::open({.path = path});
  EXPECT_TRUE(store) << store.error().detail;
  if (!store) return {};
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
