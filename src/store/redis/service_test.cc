// The Redis of a program, on all its loops.
#include "mg/store/redis/local/service.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/support/server.h"

namespace mg::redis {
namespace {

using namespace std::chrono_literals;

class RedisService : public ::testing::Test {
 protected:
  ~RedisService() override {
    runtime_.stop();
    runtime_.join();
  }
  // The value of make()'s task, on loop i.
  template <class Make>
  auto on(std::size_t i, Make make) {
    using T = decltype(make().take());
    std::promise<T> promise;
    auto value = promise.get_future();
    static constexpr auto kCarry = [](Make what, std::promise<T> to) -> Task<void> { to.set_value(co_await what()); };
    runtime_.loop(i).post_always(
        [make, promise = std::move(promise)]() mutable { spawn(kCarry(std::move(make), std::move(promise))); });
    return value.get();
  }
  void check(Service& service) {
    EXPECT_TRUE(on(0, [&] { return service.open(runtime_); }));
    EXPECT_EQ(on(0, [&] { return service.here().incr("n", 18s); }), 1);
    EXPECT_EQ(on(1, [&] { return service.here().incr("n", 18s); }), 2);
    auto lock = on(0, [&] { return service.locks().obtain("role", 42, {.ttl = 60s, .timeout = 18s}); });
    ASSERT_TRUE(lock);
    const auto other = on(1, [&] { return service.locks().obtain("role", 42, {.wait = 0ms, .timeout = 18s}); });
    EXPECT_FALSE(other);
    EXPECT_TRUE(on(0, [&] { return lock->release(); }));
    EXPECT_TRUE(on(0, [&] { return service.close(Deadline::after(runtime_.loop(0).now(), 18s)); }));
  }
  void SetUp() override { ASSERT_TRUE(runtime_.start()); }

  Runtime runtime_{{.loops = 2}};
};

TEST_F(RedisService, WithoutAnAddressItIsInThisProcess) {
  Service service;
  EXPECT_TRUE(service.is_local());
  check(service);
}

TEST_F(RedisService, WithOneItIsThatServer) {
  const mg::testing::Server server = mg::testing::Server::redis();
  Service service({.url = server.address(), .connect_timeout = 18s});
  EXPECT_FALSE(service.is_local());
  check(service);
}

TEST_F(RedisService, NoServerIsAnErrorOfTheStart) {
  Service service({.url = "127.0.0.1:1", .connect_timeout = 100ms});
  const auto opened = on(0, [&] { return service.open(runtime_); });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, code::kUnavailable);
  EXPECT_TRUE(on(0, [&] { return service.close(Deadline::after(runtime_.loop(0).now(), 18s)); }));
}

}  // namespace
}  // namespace mg::redis
