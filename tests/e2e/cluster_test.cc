// Apps of two processes, here two in one, that meet by real servers.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <mutex>
#include <thread>

#include "mg/app/app.h"
#include "mg/base/check.h"
#include "tests/support/server.h"

namespace mg {
namespace {

using google::protobuf::StringValue;
using testing::Server;

template <class T>
T on_loop(Process& process, Task<T> task) {
  std::promise<T> promise;
  auto future = promise.get_future();
  process.runtime().loop(0).post_always([&] {
    spawn([](Task<T> awaited, std::promise<T>& out) -> Task<void> { out.set_value(co_await std::move(awaited)); }(
                                                        std::move(task), promise));
  });
  check(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready, "a task of this test does not end");
  return future.get();
}

template <class Done>
bool eventually(Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// One process with one app that hears a topic.
struct Member {
  Member(const char* name, const std::string& broker)
      : broker_flag("--broker_address=" + broker), app(process, {.name = name}) {
    app.add_pub("level");
    app.add_sub("level", [this](const Meta& meta, const StringValue& message) -> Result<void> {
      const std::lock_guard lock(mutex);
      heard.push_back(std::string(meta.get("Role-Id")) + " " + message.value());
      return {};
    });
  }
  Result<void> start() {
    const std::vector<const char*> arguments{"--loops=1", broker_flag.c_str()};
    return process.start(arguments);
  }
  Result<void> pub(std::string text) {
    StringValue message;
    message.set_value(std::move(text));
    return on_loop(process, app.pub("level", Meta{{"Role-Id", "7"}}, message));
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex);
    return heard;
  }

  std::string broker_flag;
  Process process;
  App app;
  std::mutex mutex;
  std::vector<std::string> heard;
};

TEST(Cluster, TopicsAndCancelReachOtherProcessesByNats) {
  Server nats = Server::nats();
  Member gate("gate", nats.address()), game("game", nats.address());
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(game.start());
  // The server may have seen the first publication before the other's subscription.
  ASSERT_TRUE(eventually([&] { return gate.pub("up") && !game.all().empty(); }));
  EXPECT_EQ(game.all().front(), "7 up");
  EXPECT_EQ(gate.all().front(), "7 up");
  ASSERT_TRUE(on_loop(gate.process, gate.app.cancel("game", game.app.id())));
  EXPECT_EQ(game.process.wait(), exit_code::kStopped);
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, WithoutItsBrokerAServiceDoesNotStart) {
  Server nats = Server::nats();
  nats.stop();
  Member game("game", nats.address());
  const auto started = game.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, ::testing::HasSubstr(nats.address()));
  EXPECT_EQ(game.process.wait(), exit_code::kStartFailed);
}

}  // namespace
}  // namespace mg
