// A Go service and ours take the same locks.
#include "mg/store/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "mg/store/redis/lock_backend.h"
#include "store/redis/testing.h"
#include "tests/support/line_peer.h"
#include "tests/support/server.h"

namespace mg::lock {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;
using ::testing::MatchesRegex;

std::string go_program() {
  const char* const path = std::getenv("MG_INTEROP_GO_LOCK");
  return path ? path : "";
}

class InteropLock : public ::testing::Test {
 protected:
  template <class T>
  Result<T> wait(Task<Result<T>> task) {
    return await_on(loop_, std::move(task));
  }
  mg::testing::Server server_ = mg::testing::Server::redis();
  mg::testing::LinePeer go_{{go_program(), server_.address()}};
  Loop loop_;
  redis::Client client_{loop_, {.url = server_.address(), .name = {}, .timeout = 20s}};
  redis::CloseAtEnd end_{client_};
  redis::LockBackend backend_{client_};
  Locks locks_{loop_, backend_};
};

TEST_F(InteropLock, OneExcludesTheOther) {
  // Go holds it.
  EXPECT_THAT(go_.ask("obtain LOCK:role:42 60000"), MatchesRegex("[A-Za-z0-9_-]{22}"));
  EXPECT_EQ(wait(locks_.obtain("role", 42, {.wait = 200ms})).error().code, code::kTimeout);
  EXPECT_EQ(go_.ask("release"), "ok");
  // We hold it.
  auto mine = wait(locks_.obtain("role", 42, {.ttl = 60s, .wait = 20s}));
  ASSERT_TRUE(mine);
  EXPECT_EQ(go_.ask("obtain LOCK:role:42 300"), "redislock: not obtained");
  EXPECT_EQ(go_.ask("release"), "redislock: lock not held");  // Its old token does not delete ours.
  EXPECT_TRUE(mine->held());
  EXPECT_TRUE(wait(mine->refresh(60s)));
  EXPECT_TRUE(wait(mine->release()));
  // Go again, refreshed beyond its first time.
  EXPECT_THAT(go_.ask("obtain LOCK:role:42 60000"), MatchesRegex("[A-Za-z0-9_-]{22}"));
  EXPECT_EQ(go_.ask("refresh 120000"), "ok");
  EXPECT_GT(std::atoi(go_.ask("ttl").c_str()), 60'000);
  EXPECT_EQ(wait(locks_.obtain("role", 42, {.wait = 0ms})).error().code, code::kTimeout);
  EXPECT_EQ(go_.ask("release"), "ok");
}

// Go waits for as long as the time that it asks for, by asking every 100 ms.
TEST_F(InteropLock, GoGetsItWhenOursIsReleased) {
  auto mine = wait(locks_.obtain("role", 7, {.ttl = 60s, .wait = 20s}));
  ASSERT_TRUE(mine);
  go_.say("obtain LOCK:role:7 30000");
  EXPECT_TRUE(wait(mine->release()));
  EXPECT_THAT(go_.read(), MatchesRegex("[A-Za-z0-9_-]{22}"));
  EXPECT_EQ(wait(locks_.obtain("role", 7, {.wait = 0ms})).error().code, code::kTimeout);
}

// Ours has expired at the server (its process was stopped, say) and Go has taken it: told, and Go keeps it.
TEST_F(InteropLock, ATakeoverByGoIsNoticed) {
  std::string why;
  auto mine =
      wait(locks_.obtain("role", 9, {.ttl = 1s, .wait = 20s, .on_lost = [&](std::string_view text) { why = text; }}));
  ASSERT_TRUE(mine);
  EXPECT_EQ(wait(client_.del({"LOCK:role:9"}, 20s)), 1);
  EXPECT_THAT(go_.ask("obtain LOCK:role:9 60000"), MatchesRegex("[A-Za-z0-9_-]{22}"));
  ASSERT_TRUE(mg::testing::run_until(loop_, [&] { return !why.empty(); }));
  EXPECT_FALSE(wait(mine->release()));
  EXPECT_EQ(go_.ask("release"), "ok");
}

}  // namespace
}  // namespace mg::lock
