// The client through twemproxy (nutcracker) in front of two servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "mg/store/redis/lock_backend.h"
#include "mg/store/redis/meta_cache.h"
#include "store/redis/testing.h"
#include "tests/support/server.h"

namespace mg::redis {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;
using mg::testing::run_until;
using mg::testing::Server;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

Server proxy_of(const std::vector<const Server*>& servers) {
  std::string list;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    list += fmt::format("   - {}:1 s{}\n", servers[i]->address(), i);
  }
  auto command = [list](std::uint16_t port, const std::string& dir) -> std::vector<std::string> {
    const std::string file = dir + "/proxy.yml";
    std::FILE* const out = std::fopen(file.c_str(), "w");
    fmt::print(out,
               "pool:\n  listen: 127.0.0.1:{}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n"
               "  timeout: 2000\n  preconnect: true\n  auto_eject_hosts: false\n  servers:\n{}",
               port, list);
    std::fclose(out);
    return {"/usr/sbin/nutcracker",
            "-c",
            file,
            "-o",
            "/dev/stderr",
            "-v",
            "6",
            "-a",
            "127.0.0.1",
            "-s",
            std::to_string(mg::testing::free_port()),
            "-i",
            "1000"};
  };
  return Server({.name = "nutcracker", .command = std::move(command), .ready = "run, rabbit run"});
}

class RedisProxy : public ::testing::Test {
 protected:
  template <class T>
  Result<T> wait(Task<Result<T>> task) {
    return await_on(loop_, std::move(task));
  }
  Server one_ = Server::redis(), two_ = Server::redis();
  Server proxy_ = proxy_of({&one_, &two_});
  Loop loop_;
  Client client_{loop_, {.url = proxy_.address(), .name = {}, .timeout = 18s, .first_pause = 10ms}};
  CloseAtEnd end_{client_};
};

TEST_F(RedisProxy, KeysAreSpreadAndCommandsOnOneKeyWork) {
  std::vector<Task<Result<bool>>> tasks;
  for (int i = 0; i < 200; ++i) tasks.push_back(client_.set(fmt::format("k{}", i), i));
  for (auto& task : tasks) EXPECT_EQ(wait(std::move(task)), true);
  std::int64_t sum = 0;
  for (const Server* server : {&one_, &two_}) {
    Client direct(loop_, {.url = server->address(), .name = {}, .timeout = 18s});
    const CloseAtEnd end(direct);
    const auto size = wait(direct.dbsize());
    EXPECT_GT(size.value_or(0), 0);
    sum += size.value_or(0);
  }
  EXPECT_EQ(sum, 200);
  EXPECT_THAT(*wait(client_.mget({"k1", "none", "k2", "k3"})), ElementsAre("1", std::nullopt, "2", "3"));
  EXPECT_EQ(wait(client_.del({"k1", "k2", "k3", "k1"})), 3);
  EXPECT_EQ(wait(client_.hset("h", "f", 1)), 1);
  EXPECT_EQ(wait(client_.hincrby("h", "f", 5)), 6);
  EXPECT_EQ(wait(client_.rpush("l", {"a", "b"})), 2);
  EXPECT_EQ(wait(client_.lpop("l")), "a");
  EXPECT_EQ(wait(client_.sadd("s", {"x", "y"})), 2);
  EXPECT_THAT(*wait(client_.smembers("s")), UnorderedElementsAre("x", "y"));
  EXPECT_EQ(wait(client_.zadd("z", {{"m", 1.5}})), 1);
  EXPECT_EQ(wait(client_.zscore("z", "m")), 1.5);
  EXPECT_EQ(wait(client_.expire("k4", 100s)), true);
  EXPECT_EQ(wait(client_.incr("text")), 1);
  EXPECT_EQ(wait(client_.set("text", "t")), true);
  EXPECT_FALSE(wait(client_.incr("text")));  // An error of the server; the connection goes on.
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  EXPECT_EQ(wait(client_.run(script, {"n"}, {"7"}))->integer, 7);
  EXPECT_EQ(wait(client_.run(script, {"n"}, {"7"}))->integer, 14);
  EXPECT_EQ(client_.stats().lost, 0);
}

TEST_F(RedisProxy, ManyCallsInARowAreAnsweredInOrder) {
  std::vector<Task<Result<std::optional<std::string>>>> tasks;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(wait(client_.set(fmt::format("k{}", i), i)), true);
  for (int i = 0; i < 5000; ++i) tasks.push_back(client_.get(fmt::format("k{}", i * 37 % 100)));
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(wait(std::move(tasks[static_cast<std::size_t>(i)])), std::to_string(i * 37 % 100));
  }
}

// It closes the connection on a command that it does not know: those on their way are told, a new one is made.
TEST_F(RedisProxy, UnknownCommandsEndTheConnectionOnly) {
  EXPECT_EQ(wait(client_.set("k", 1)), true);
  EXPECT_EQ(wait(client_.keys("*")).error().code, code::kServer);
  EXPECT_EQ(wait(client_.get("k")), "1");
  EXPECT_EQ(client_.stats().lost, 1);
}

TEST_F(RedisProxy, AServerBehindItThatDiesIsAnError) {
  std::map<bool, int> good;
  EXPECT_EQ(wait(client_.set("k", 1)), true);
  two_.kill();
  for (int i = 0; i < 50; ++i) ++good[wait(client_.set(fmt::format("k{}", i), i)).has_value()];
  EXPECT_GT(good[true], 0);   // On the other server.
  EXPECT_GT(good[false], 0);  // Told, not made up.
  two_.start();
  // Its connection comes back with the next calls.
  ASSERT_TRUE(run_until(loop_, [&] {
    int count = 0;
    for (int i = 0; i < 50; ++i) count += wait(client_.set(fmt::format("k{}", i), i)).has_value() ? 1 : 0;
    return count == 50;
  }));
}

TEST_F(RedisProxy, LocksAndMetadata) {
  LockBackend backend(client_, {.messages = false});
  lock::Locks locks(loop_, backend);
  auto mine = wait(locks.obtain("role", 42, {.ttl = 60s, .wait = 10s, .timeout = 18s}));
  ASSERT_TRUE(mine) << mine.error().detail;
  EXPECT_EQ(wait(locks.obtain("role", 42, {.wait = 0ms, .timeout = 18s})).error().code, code::kTimeout);
  EXPECT_TRUE(wait(mine->refresh(60s)));
  EXPECT_TRUE(wait(mine->release()));
  auto next = wait(locks.obtain("role", 42, {.ttl = 60s, .wait = 10s, .timeout = 18s}));
  ASSERT_TRUE(next);
  EXPECT_GT(next->fence(), mine->fence());
  EXPECT_TRUE(wait(next->release()));

  const Meta::Entry entries[] = {{"Role-Id", "7"}, {"Client-Ip", ""}};
  EXPECT_TRUE(wait(save_metas(client_, {{"meta:1", Meta(entries)}, {"meta:2", Meta(entries)}})));
  const auto loaded = wait(load_metas(client_, {"meta:1", "meta:none", "meta:2"}));
  ASSERT_TRUE(loaded);
  EXPECT_THAT(*loaded, ElementsAre(Meta(entries), Meta(), Meta(entries)));
  EXPECT_TRUE(wait(delete_metas(client_, {"meta:1", "meta:2"})));
  EXPECT_EQ(*wait(load_meta(client_, "meta:1")), Meta());
}

}  // namespace
}  // namespace mg::redis
