#include "mg/registry/local/local_registry.h"

#include <atomic>
#include <thread>

#include "mg/runtime/runtime.h"
#include "registry/registry_contract.h"

namespace mg::registry {
namespace {

class LocalUnderTest final : public RegistryUnderTest {
 public:
  Loop& loop() override { return loop_; }
  Registry& one() override { return registry_; }
  Registry& other() override { return registry_; }
  void pass(Clock::Duration time) override {
    clock_.advance(time);
    while (loop_.poll()) {
    }
  }

 private:
  ManualClock clock_;
  Loop loop_{{.clock = &clock_}};
  LocalRegistry registry_{loop_};
};

INSTANTIATE_TEST_SUITE_P(Local, RegistryContract,
                         ::testing::Values(RegistryBackend{"Local", [] { return std::make_unique<LocalUnderTest>(); }}),
                         registry_backend_name);

Service node(std::string uuid, std::string address = "local") {
  return {.name = "game",
          .version = "latest",
          .metadata = {},
          .endpoints = {},
          .nodes = {{.id = "game-" + uuid, .address = std::move(address), .metadata = {}}}};
}
Result<void> add(Loop& loop, Registry& registry, Service service) {
  return testing::await_on(loop, registry.add(std::move(service), {}));
}

TEST(LocalRegistry, LeaseEndsAtItsTimeAndNotBefore) {
  ManualClock clock;
  Loop loop({.clock = &clock});
  LocalRegistry registry(loop);
  ASSERT_TRUE(testing::await_on(loop, registry.add(node("a"), {.ttl = std::chrono::seconds(60)})));
  const auto known = [&] { return testing::await_on(loop, registry.get("game", Deadline::never())).has_value(); };
  clock.advance(std::chrono::milliseconds(59'999));
  EXPECT_TRUE(known());
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(known());
}

TEST(LocalRegistry, RefreshChangesNoVersion) {
  Loop loop;
  LocalRegistry registry(loop);
  ASSERT_TRUE(add(loop, registry, node("a")));
  const std::uint64_t version = registry.version();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(add(loop, registry, node("a")));
  EXPECT_EQ(registry.version(), version);
}

TEST(LocalRegistry, RefusesMoreNodesThanItMayHold) {
  Loop loop;
  LocalRegistry registry(loop, {.max_nodes = 2});
  EXPECT_TRUE(add(loop, registry, node("a")));
  EXPECT_TRUE(add(loop, registry, node("b")));
  EXPECT_EQ(add(loop, registry, node("c")).error().code, code::kTooMany);
  EXPECT_TRUE(add(loop, registry, node("a", "elsewhere")));
}

TEST(LocalRegistry, WatchThatFallsBehindIsToldToReadAnew) {
  Loop loop;
  LocalRegistry registry(loop, {.max_queued_events = 3});
  std::vector<Action> actions;
  const auto watch = registry.watch("", loop, [&](const Event& event) { actions.push_back(event.action); });
  for (int i = 0; i < 5; ++i) {  // Ready at once: the loop does not turn.
    auto added = registry.add(node("a", std::to_string(i)), {});
    ASSERT_TRUE(added.ready());
  }
  while (loop.poll()) {
  }
  EXPECT_THAT(actions, ::testing::ElementsAre(Action::kReset, Action::kUpdate, Action::kUpdate));
}

TEST(LocalRegistry, ServesAllThreadsAtOnce) {
  Runtime runtime({.loops = 3});
  LocalRegistry registry(runtime.loop(0));
  std::atomic<int> events{0};
  std::atomic<int> done{0};
  std::vector<std::unique_ptr<Watch>> watches(runtime.size());
  constexpr int kRounds = 200;
  runtime.for_each_loop([&](Loop& loop) {
    watches[loop.index()] = registry.watch("game", loop, [&](const Event&) { ++events; });
    ++done;
  });
  ASSERT_TRUE(runtime.start());
  const auto wait_for = [](auto holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return holds();
  };
  ASSERT_TRUE(wait_for([&] { return done == 3; }));
  runtime.for_each_loop([&](Loop& loop) {
    struct Run {
      static Task<void> flap(Registry& r, Loop& l, std::atomic<int>& ended) {
        const std::string uuid = std::to_string(l.index());
        for (int i = 0; i < kRounds; ++i) {
          EXPECT_TRUE(co_await r.add(node(uuid), {.ttl = std::chrono::seconds(1)}));
          (void)co_await r.get("game", Deadline::never());
          EXPECT_TRUE(co_await r.remove("game", "game-" + uuid, Deadline::never()));
          co_await l.yield();
        }
        ++ended;
      }
    };
    spawn(Run::flap(registry, loop, done));
  });
  EXPECT_TRUE(wait_for([&] { return done == 6 && events == 3 * 3 * 2 * kRounds; }));
  runtime.stop();
  runtime.join();
}

}  // namespace
}  // namespace mg::registry
