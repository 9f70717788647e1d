#include "mg/store/redis/lock_backend.h"

#include "mg/store/redis/local/local.h"
#include "store/lock_contract_cases.h"
#include "store/redis/testing.h"
#include "tests/support/server.h"

namespace mg::redis {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;
using mg::testing::run_until;
using mg::testing::Server;

Server& shared_server() {
  static Server* const server = new Server(Server::redis());
  return *server;
}

class InRedis final : public lock::BackendUnderTest {
 public:
  explicit InRedis(bool scripts)
      : one_(std::make_unique<LockBackend>(a_, LockBackendOptions{.scripts = scripts})),
        other_(std::make_unique<LockBackend>(b_, LockBackendOptions{.scripts = scripts})) {
    EXPECT_TRUE(await_on(loop_, a_.flushdb(10s)));
  }
  ~InRedis() override {
    one_.reset();
    other_.reset();
    close(loop_, a_);
    close(loop_, b_);
  }
  Loop& loop() override { return loop_; }
  lock::Backend& one() override { return *one_; }
  lock::Backend& other() override { return *other_; }
  bool listens() override { return await_on(loop_, a_.command({"PUBSUB", "NUMPAT"}))->integer > 0; }

 private:
  Options options_{.url = shared_server().address(), .name = {}};
  Loop loop_;
  Client a_{loop_, options_};
  Client b_{loop_, options_};
  std::unique_ptr<LockBackend> one_, other_;
};

// In the twin, and by WATCH and MULTI at the server.
class InTwin final : public lock::BackendUnderTest {
 public:
  Loop& loop() override { return loop_; }
  lock::Backend& one() override { return one_; }
  lock::Backend& other() override { return other_; }

 private:
  Loop loop_;
  LocalData data_;
  Local a_{loop_, data_}, b_{loop_, data_};
  LockBackend one_{a_, {.scripts = false}}, other_{b_, {.scripts = false}};
};

}  // namespace
}  // namespace mg::redis

namespace mg::lock {
INSTANTIATE_TEST_SUITE_P(Twin, LockContract,
                         ::testing::Values(LockBackendKind{"Twin", [] { return std::make_unique<redis::InTwin>(); }}),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(
    Redis, LockContract,
    ::testing::Values(LockBackendKind{"Redis", [] { return std::make_unique<redis::InRedis>(true); }},
                      LockBackendKind{"WithoutScripts", [] { return std::make_unique<redis::InRedis>(false); }}),
    [](const auto& info) { return info.param.name; });
}  // namespace mg::lock

namespace mg::redis {
namespace {

class RedisLock : public ::testing::Test {
 protected:
  ~RedisLock() override {
    backend_.reset();
    close(loop_, client_);
  }
  template <class T>
  Result<T> wait(Task<Result<T>> task) {
    return await_on(loop_, std::move(task));
  }
  Server server_ = Server::redis();
  Loop loop_;
  Client client_{loop_, {.url = server_.address(), .name = {}, .first_pause = 10ms, .longest_pause = 50ms}};
  std::unique_ptr<LockBackend> backend_ = std::make_unique<LockBackend>(client_);
  lock::Locks locks_{loop_, *backend_};
};

// The commands that a Go service sends (redislock 0.7), as captured in wire.md section 7.
TEST_F(RedisLock, AGoHolderAndOursExcludeEachOther) {
  const std::string token = "TZvpSL_oqObofk3mDKMAqQ";
  const auto go_takes = [&] {
    return wait(client_.set("LOCK:role:42", token, {.expiry = 3s, .when = SetWhen::kMissing}));
  };
  EXPECT_EQ(go_takes(), true);
  EXPECT_EQ(wait(locks_.obtain("role", 42, {.wait = 0ms})).error().code, code::kTimeout);
  const Script release(
      R"(if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end)");
  EXPECT_EQ(wait(client_.run(release, {"LOCK:role:42"}, {token}))->integer, 1);
  auto mine = wait(locks_.obtain("role", 42, {.ttl = 10s, .metadata = "m"}));
  ASSERT_TRUE(mine);
  EXPECT_EQ(go_takes(), false);
  EXPECT_EQ(wait(client_.get("LOCK:role:42")), mine->token() + "m");
  EXPECT_EQ(wait(client_.run(release, {"LOCK:role:42"}, {token}))->integer, 0);
  EXPECT_TRUE(wait(mine->release()));
  EXPECT_EQ(go_takes(), true);
}

TEST_F(RedisLock, DataLostTellsTheHolderAndTheNumberStillGrows) {
  std::string why;
  auto lock = wait(locks_.obtain("a", {.ttl = 1s, .wait = 20s, .on_lost = [&](std::string_view w) { why = w; }}));
  ASSERT_TRUE(lock);
  ASSERT_TRUE(wait(client_.flushdb(5s)));
  ASSERT_TRUE(run_until(loop_, [&] { return !why.empty(); }));
  auto next = wait(locks_.obtain("a", {.wait = 20s}));
  ASSERT_TRUE(next);
  EXPECT_GT(next->fence(), lock->fence());
}

TEST_F(RedisLock, AServerThatIsGoneLosesTheLockInTime) {
  std::string why;
  auto lock = wait(locks_.obtain("a", {.ttl = 1s, .wait = 20s, .on_lost = [&](std::string_view w) { why = w; }}));
  ASSERT_TRUE(lock);
  server_.kill();
  ASSERT_TRUE(run_until(loop_, [&] { return !why.empty(); }));
  EXPECT_FALSE(lock->held());
  EXPECT_FALSE(wait(locks_.obtain("b", {.wait = 100ms, .timeout = 100ms})));
}

TEST_F(RedisLock, WaitersThatGoAwayOrWaitAgainDoNoHarm) {
  auto lock = wait(locks_.obtain("a", {.ttl = 60s}));
  ASSERT_TRUE(lock);
  const std::string name = lock->name();
  const Deadline late = Deadline::after(loop_.clock(), 60s);
  int woken = 0;
  bool over = false;
  const auto waits_on = [](LockBackend& backend, std::string name, Deadline until, int& count,
                           bool& end) -> Task<void> {
    while (count < 100 && !end) {
      co_await backend.wait(name, until);
      ++count;
    }
  };
  {
    Task<void> dropped = backend_->wait(name, late);
    dropped.start();
  }
  spawn(waits_on(*backend_, name, late, woken, over));
  ASSERT_TRUE(run_until(loop_, [&] { return wait(client_.command({"PUBSUB", "NUMPAT"}))->integer > 0; }));
  ASSERT_TRUE(wait(lock->release()));
  ASSERT_TRUE(run_until(loop_, [&] { return woken > 0; }));
  EXPECT_EQ(woken, 1) << "one message wakes a waiter once";
  over = true;
  EXPECT_TRUE(wait(client_.publish("UNLOCK:" + name, "")));
  ASSERT_TRUE(run_until(loop_, [&] { return woken > 1; }));
}

TEST_F(RedisLock, AShortStopIsBridgedByRenewal) {
  bool lost = false;
  auto lock = wait(locks_.obtain("a", {.ttl = 10s, .on_lost = [&](std::string_view) { lost = true; }}));
  ASSERT_TRUE(lock);
  server_.pause();
  EXPECT_EQ(wait(lock->refresh(10s)).error().code, code::kTimeout);
  server_.resume();
  EXPECT_TRUE(wait(lock->refresh(10s)));
  EXPECT_FALSE(lost);
}

}  // namespace
}  // namespace mg::redis
