// Holders of locks that are stopped beyond the locks' time, as whole processes.
#include "mg/store/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

#include "mg/store/redis/lock_backend.h"
#include "store/redis/testing.h"
#include "tests/support/guarded_store.h"
#include "tests/support/line_peer.h"
#include "tests/support/server.h"

namespace mg::lock {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;

constexpr int kRounds = 20, kLocks = 50;

struct Second {
  Loop loop;
  redis::Client client;
  redis::CloseAtEnd end{client};
  redis::LockBackend backend{client};
  Locks locks{loop, backend};
  explicit Second(std::string address) : client(loop, {.url = std::move(address), .name = {}, .timeout = 30s}) {}
};

// Takes over every lock and writes; they are held when it returns.
Task<Result<std::vector<Guard>>> take_over(Second& me, int round) {
  std::vector<Guard> out;
  for (int i = 0; i < kLocks; ++i) {
    auto got = co_await me.locks.obtain(mg::testing::guarded_key(round), i, {.ttl = 60s, .retry = 5ms, .wait = 30s});
    if (!got) co_return std::unexpected(got.error());
    EXPECT_TRUE(co_await mg::testing::guarded_write(me.client, round, i, got->fence(), "second"));
    EXPECT_TRUE(co_await mg::testing::plain_write(me.client, round, i, "second"));
    out.push_back(*std::move(got));
  }
  co_return out;
}

// How many values are not what the second holder wrote, of the guarded and of the plain ones; and releases its locks.
Task<Result<std::pair<int, int>>> count_doubles(Second& me, int round, std::vector<Guard> held) {
  std::pair<int, int> doubles;
  for (int i = 0; i < kLocks; ++i) {
    doubles.first += *co_await me.client.hget(fmt::format("guarded:{}:{}", round, i), "value") != "second" ? 1 : 0;
    doubles.second += *co_await me.client.get(fmt::format("plain:{}:{}", round, i)) != "second" ? 1 : 0;
    EXPECT_TRUE(co_await held[static_cast<std::size_t>(i)].release()) << "its lock was deleted by the first holder";
  }
  co_return doubles;
}

// 1,000 holders in all. The plain values show that the fault is there.
TEST(PausedHolder, LateWritesAreRefusedByTheFencingNumber) {
  auto server = mg::testing::Server::redis();
  mg::testing::LinePeer first({MG_LOCK_HOLDER, server.address()});
  Second second(server.address());
  int doubles = 0, plain_doubles = 0;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_EQ(first.ask(fmt::format("obtain {} {} 100", round, kLocks)), fmt::format("held {}", kLocks));
    first.pause();
    auto held = await_on(second.loop, take_over(second, round));
    ASSERT_TRUE(held) << held.error().detail;
    first.say("write");
    first.resume();
    // It was told, of each lock, that it is lost; none was deleted.
    EXPECT_EQ(first.read(), fmt::format("guarded 0 plain {} released 0 lost {}", kLocks, kLocks));
    const auto found = await_on(second.loop, count_doubles(second, round, *std::move(held)));
    doubles += found->first;
    plain_doubles += found->second;
  }
  EXPECT_EQ(doubles, 0);
  EXPECT_EQ(plain_doubles, kRounds * kLocks);
}

// 10,000 rounds of 100 contenders in four processes, in parts, so that each ends in time on a slow machine.
class Contenders : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Part, Contenders, ::testing::Range(1, 5));

TEST_P(Contenders, ExcludeEachOtherAndNobodyStarves) {
  constexpr int kProcesses = 4, kContenders = 25, kTimes = 25;
  auto server = mg::testing::Server::redis();
  const mg::testing::TempDir dir;
  const std::string file = dir.write("number", "0");
  std::vector<std::unique_ptr<mg::testing::LinePeer>> processes;
  for (int i = 0; i < kProcesses; ++i) {
    processes.push_back(
        std::make_unique<mg::testing::LinePeer>(std::vector<std::string>{MG_LOCK_HOLDER, server.address()}));
    processes.back()->say(fmt::format("count {} {} {}", kContenders, kTimes, file));
  }
  int all = 0;
  double waited = 0, longest = 0;
  for (auto& process : processes) {
    std::istringstream said(process->read(std::chrono::seconds(170)));
    std::string word;
    int counted = 0;
    double sum = 0, most = 0;
    said >> word >> counted >> word >> sum >> word >> most;
    EXPECT_EQ(counted, kContenders * kTimes) << said.str();
    all += counted;
    waited += sum;
    longest = std::max(longest, most);
  }
  long number = 0;
  std::ifstream(file) >> number;
  EXPECT_EQ(number, kProcesses * kContenders * kTimes);
  EXPECT_LE(longest, 10 * waited / all) << "microseconds";
}

}  // namespace
}  // namespace mg::lock
