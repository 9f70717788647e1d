#include "mg/broker/local/local_broker.h"

#include <atomic>
#include <thread>

#include "broker/broker_contract.h"
#include "mg/runtime/runtime.h"

namespace mg::broker {
namespace {

class LocalUnderTest final : public BrokerUnderTest {
 public:
  Loop& loop() override { return loop_; }
  Broker& one() override { return broker_; }
  Broker& other() override { return broker_; }
  void settle() override {}

 private:
  Loop loop_;
  LocalBroker broker_;
};

INSTANTIATE_TEST_SUITE_P(Local, BrokerContract,
                         ::testing::Values(BrokerBackend{"Local", [] { return std::make_unique<LocalUnderTest>(); }}),
                         broker_backend_name);

TEST(LocalBroker, SubscriptionsComeAndGoUnderLoadFromAllLoops) {
  Runtime runtime({.loops = 3});
  LocalBroker broker;
  ASSERT_TRUE(runtime.start());
  std::atomic<bool> on{true};
  std::atomic<int> publishers{0};
  std::atomic<int> subscribers{0};
  std::atomic<std::uint64_t> handled{0};
  struct Run {
    static Task<void> publish(Broker& b, Loop& l, std::atomic<bool>& go, std::atomic<int>& running) {
      while (go) {
        EXPECT_TRUE(co_await b.publish("evt", {{}, "x"}, Deadline::never()));
        co_await l.yield();
      }
      --running;
    }
    static Task<Result<void>> handle(Runtime& r, std::atomic<std::uint64_t>& count) {
      co_await r.loop(count++ % r.size()).resume_here();
      co_return Result<void>();
    }
    static Task<void> come_and_go(Broker& b, Runtime& r, Loop& l, std::atomic<std::uint64_t>& count,
                                  std::atomic<int>& running) {
      for (int i = 0; i < 30; ++i) {
        auto alive = std::make_shared<std::atomic<bool>>(true);
        auto made = b.subscribe({.topic = "evt", .queue = i % 2 ? "q" : "", .loop = &r.loop(i % r.size())},
                                [&r, &count, at = alive.get()](const Message&) {
                                  EXPECT_TRUE(*at);
                                  return handle(r, count);
                                });
        const std::uint64_t before = count;
        while (count < before + 3) co_await l.yield();
        EXPECT_TRUE(co_await made.value()->stop(Deadline::after(l.clock(), std::chrono::seconds(10))));
        *alive = false;
        made.value().reset();
      }
      --running;
    }
  };
  publishers = subscribers = static_cast<int>(runtime.size());
  runtime.for_each_loop([&](Loop& loop) {
    spawn(Run::publish(broker, loop, on, publishers));
    spawn(Run::come_and_go(broker, runtime, loop, handled, subscribers));
  });
  const auto wait_for = [](std::atomic<int>& count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (count > 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return count == 0;
  };
  EXPECT_TRUE(wait_for(subscribers));
  on = false;
  EXPECT_TRUE(wait_for(publishers));
  runtime.stop();
  runtime.join();
}

}  // namespace
}  // namespace mg::broker
