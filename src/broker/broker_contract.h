// What every broker::Broker does; a test of an adapter includes this and names itself:
//
//   INSTANTIATE_TEST_SUITE_P(Local, BrokerContract, ::testing::Values(BrokerBackend{...}), broker_backend_name);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mg/broker/broker.h"
#include "mg/runtime/event.h"
#include "runtime/testing.h"

namespace mg::broker {

// One broker, as two processes see it. Both are connected.
class BrokerUnderTest {
 public:
  virtual ~BrokerUnderTest() = default;
  virtual Loop& loop() = 0;
  virtual Broker& one() = 0;
  virtual Broker& other() = 0;
  // Returns when subscriptions made so far get what is published from now on.
  virtual void settle() = 0;
};
struct BrokerBackend {
  std::string name;
  std::function<std::unique_ptr<BrokerUnderTest>()> make;
};
inline std::string broker_backend_name(const ::testing::TestParamInfo<BrokerBackend>& info) {
  return info.param.name;
}
inline void PrintTo(const BrokerBackend& backend, std::ostream* out) {
  *out << backend.name;
}

class BrokerContract : public ::testing::TestWithParam<BrokerBackend> {
 protected:
  // A subscription that writes down the bodies it got.
  struct Log {
    std::vector<std::string> bodies;
    std::vector<Headers> headers;
    std::vector<Completion<bool>*> held;  // Messages "hold…" that wait for release().
    std::unique_ptr<Subscription> subscription;

    void release() {
      Completion<bool>* const first = held.front();
      held.erase(held.begin());
      first->set(true);
    }
  };

  std::unique_ptr<Log> subscribe(Broker& broker, std::string topic, std::string queue = {}, std::uint32_t most = 4096) {
    auto log = std::make_unique<Log>();
    auto made =
        broker.subscribe({.topic = std::move(topic), .queue = std::move(queue), .loop = &loop(), .max_queued = most},
                         [to = log.get()](const Message& message) { return handle(*to, message); });
    if (!made) {
      ADD_FAILURE() << to_json(made.error());
      return log;
    }
    log->subscription = std::move(*made);
    made_->settle();
    return log;
  }
  Result<void> publish(Broker& broker, std::string topic, std::string body, Headers headers = {}) {
    return testing::await_on(loop(), broker.publish(std::move(topic), {std::move(headers), std::move(body)}, soon()));
  }
  Result<void> stop(Log& log, Clock::Duration time = std::chrono::seconds(10)) {
    return testing::await_on(loop(), log.subscription->stop(Deadline::after(loop().clock(), time)));
  }
  void until_bodies(const Log& log, std::size_t count) {
    EXPECT_TRUE(testing::run_until(loop(), [&] { return log.bodies.size() >= count; }));
  }
  template <class Done>
  void until(Done done) {
    EXPECT_TRUE(testing::run_until(loop(), std::move(done)));
  }
  Deadline soon() { return Deadline::after(loop().clock(), std::chrono::seconds(10)); }
  Loop& loop() { return made_->loop(); }
  Broker& one() { return made_->one(); }
  Broker& other() { return made_->other(); }

  std::unique_ptr<BrokerUnderTest> made_ = GetParam().make();

 private:
  static Task<Result<void>> handle(Log& log, const Message& message) {
    log.bodies.push_back(message.body);
    log.headers.push_back(message.headers);
    if (message.body == "throw") throw std::runtime_error("boom");
    if (message.body == "fail") co_return fail(code::kInvalid, "bad 7");
    if (message.body.starts_with("hold")) {
      Completion<bool> released;
      log.held.push_back(&released);
      co_await released.wait(*Loop::current(), Deadline::never());
      log.bodies.push_back(message.body + " done");
    }
    co_return Result<void>();
  }
};

TEST_P(BrokerContract, SubscriberGetsHeadersAndBody) {
  const auto log = subscribe(other(), "evt");
  const Headers headers{{"Content-Type", "application/grpc+proto"}, {"Role-Id", "7"}, {"Empty", ""}, {"Name", "张三"}};
  const std::string body("\0\xff\x7f\r\n\"x", 8);
  EXPECT_TRUE(publish(one(), "evt", body, headers));
  EXPECT_TRUE(publish(one(), "evt", "", {}));
  until_bodies(*log, 2);
  EXPECT_EQ(log->bodies[0], body);
  EXPECT_EQ(log->headers[0], headers);
  EXPECT_EQ(log->bodies[1], "");
}

TEST_P(BrokerContract, EverySubscriberWithoutQueueGetsEachMessageItselfIncluded) {
  const auto here = subscribe(one(), "evt");
  const auto there = subscribe(other(), "evt");
  const auto there_too = subscribe(other(), "evt");
  const auto elsewhere = subscribe(other(), "evt2");
  for (const char* body : {"1", "2"}) EXPECT_TRUE(publish(one(), "evt", body));
  EXPECT_TRUE(publish(one(), "evt2", "3"));
  for (const auto* log : {&here, &there, &there_too}) {
    until_bodies(**log, 2);
    EXPECT_THAT((*log)->bodies, ::testing::ElementsAre("1", "2"));
  }
  until_bodies(*elsewhere, 1);
  EXPECT_THAT(elsewhere->bodies, ::testing::ElementsAre("3"));
}

TEST_P(BrokerContract, OneOfAQueueGetsEachMessage) {
  const auto first = subscribe(one(), "evtq", "evtq");
  const auto second = subscribe(other(), "evtq", "evtq");
  const auto other_queue = subscribe(other(), "evtq", "logs");
  const auto each = subscribe(other(), "evtq");
  constexpr std::size_t kMessages = 200;
  for (std::size_t i = 0; i < kMessages; ++i) EXPECT_TRUE(publish(one(), "evtq", std::to_string(i)));
  until_bodies(*each, kMessages);
  until_bodies(*other_queue, kMessages);
  until([&] { return first->bodies.size() + second->bodies.size() == kMessages; });
  EXPECT_GT(first->bodies.size(), 0);
  EXPECT_GT(second->bodies.size(), 0);
  EXPECT_EQ(each->bodies.size(), kMessages);
}

TEST_P(BrokerContract, QueueGoesOnWithoutAMemberThatLeft) {
  const auto stays = subscribe(one(), "evtq", "evtq");
  auto leaves = subscribe(other(), "evtq", "evtq");
  EXPECT_TRUE(stop(*leaves));
  made_->settle();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(publish(one(), "evtq", "x"));
  until_bodies(*stays, 20);
  EXPECT_EQ(leaves->bodies.size(), 0);
}

TEST_P(BrokerContract, MessagesKeepTheirOrderAndAreHandledOneByOne) {
  const auto log = subscribe(other(), "evt");
  for (const char* body : {"1", "hold", "2"}) EXPECT_TRUE(publish(one(), "evt", body));
  until([&] { return log->held.size() == 1; });
  const auto another = subscribe(other(), "evt");
  EXPECT_TRUE(publish(one(), "evt", "3"));
  until_bodies(*another, 1);  // Others go on.
  EXPECT_THAT(log->bodies, ::testing::ElementsAre("1", "hold"));
  log->release();
  until_bodies(*log, 5);
  EXPECT_THAT(log->bodies, ::testing::ElementsAre("1", "hold", "hold done", "2", "3"));
}

TEST_P(BrokerContract, ManyMessagesArriveInOrder) {
  const auto log = subscribe(other(), "evt");
  std::vector<std::string> sent;
  for (int i = 0; i < 1000; ++i) {
    sent.push_back(std::to_string(i));
    EXPECT_TRUE(publish(one(), "evt", sent.back()));
  }
  until_bodies(*log, sent.size());
  EXPECT_EQ(log->bodies, sent);
}

TEST_P(BrokerContract, FailingHandlerIsCountedAndTheNextMessageHandled) {
  const auto log = subscribe(other(), "evt");
  for (const char* body : {"fail", "throw", "good"}) EXPECT_TRUE(publish(one(), "evt", body));
  until_bodies(*log, 3);
  until([&] { return log->subscription->stats().handled == 3; });
  EXPECT_EQ(log->subscription->stats().failed, 2);
  EXPECT_EQ(log->subscription->stats().dropped, 0);
}

TEST_P(BrokerContract, SlowSubscriberLosesWhatDoesNotFitAndCountsIt) {
  const auto slow = subscribe(other(), "evt", "", 3);
  const auto quick = subscribe(other(), "evt");
  EXPECT_TRUE(publish(one(), "evt", "hold"));
  until([&] { return slow->held.size() == 1; });
  until([&] { return quick->held.size() == 1; });
  quick->release();
  for (int i = 1; i <= 10; ++i) EXPECT_TRUE(publish(one(), "evt", std::to_string(i)));
  until_bodies(*quick, 12);
  until([&] { return slow->subscription->stats().dropped == 7; });
  slow->release();
  until_bodies(*slow, 5);
  EXPECT_THAT(slow->bodies, ::testing::ElementsAre("hold", "hold done", "1", "2", "3"));
}

TEST_P(BrokerContract, MessageWithoutSubscriberIsNoError) {
  EXPECT_TRUE(publish(one(), "nobody.listens", "x"));
}

TEST_P(BrokerContract, RefusesTopicsThatMeanSomethingElse) {
  for (const char* bad : {"", "a b", "a\r\nPUB x", "a\t", "*", "a.*", ">", "a.>", ".a", "a.", "a..b", "caf\xc3\xa9"}) {
    EXPECT_EQ(publish(one(), bad, "x").error().code, code::kInvalid) << bad;
    const auto handler = [](const Message&) -> Task<Result<void>> { return Result<void>(); };
    EXPECT_EQ(one().subscribe({.topic = bad, .queue = {}, .loop = &loop()}, handler).error().code, code::kInvalid)
        << bad;
    if (*bad == '\0') continue;
    EXPECT_EQ(one().subscribe({.topic = "a", .queue = bad, .loop = &loop()}, handler).error().code, code::kInvalid)
        << bad;
  }
  EXPECT_EQ(publish(one(), std::string(300, 'x'), "x").error().code, code::kInvalid);
  EXPECT_EQ(one().subscribe({.topic = "a"}, {}).error().code, code::kInvalid);
}

TEST_P(BrokerContract, EndedSubscriptionGetsNothing) {
  auto ended = subscribe(other(), "evt");
  const auto log = subscribe(other(), "evt");
  EXPECT_TRUE(publish(one(), "evt", "1"));
  until_bodies(*ended, 1);
  ended->subscription.reset();
  made_->settle();
  EXPECT_TRUE(publish(one(), "evt", "2"));
  until_bodies(*log, 2);
  EXPECT_EQ(ended->bodies.size(), 1);
}

TEST_P(BrokerContract, StopDropsWhatWaitsAndWaitsForWhatRuns) {
  const auto log = subscribe(other(), "evt");
  for (const char* body : {"hold", "never"}) EXPECT_TRUE(publish(one(), "evt", body));
  until([&] { return log->held.size() == 1; });
  std::optional<Result<void>> stopped;
  struct Run {
    static Task<void> stop(Subscription& subscription, Deadline deadline, std::optional<Result<void>>& out) {
      out = co_await subscription.stop(deadline);
    }
  };
  loop().post_always([&] { spawn(Run::stop(*log->subscription, soon(), stopped)); });
  for (int i = 0; i < 10; ++i) loop().poll();
  EXPECT_FALSE(stopped.has_value());
  log->release();
  until([&] { return stopped.has_value(); });
  EXPECT_TRUE(*stopped);
  EXPECT_THAT(log->bodies, ::testing::ElementsAre("hold", "hold done"));
  EXPECT_TRUE(stop(*log));  // Again is fine.
}

TEST_P(BrokerContract, StopGivesUpAtItsDeadline) {
  const auto log = subscribe(other(), "evt");
  EXPECT_TRUE(publish(one(), "evt", "hold"));
  until([&] { return log->held.size() == 1; });
  EXPECT_EQ(stop(*log, std::chrono::milliseconds(0)).error().code, code::kTimeout);
  log->release();
  EXPECT_TRUE(stop(*log));
}

TEST_P(BrokerContract, HandlerMayEndItsOwnSubscription) {
  std::unique_ptr<Subscription> subscription;
  int calls = 0;
  auto made =
      other().subscribe({.topic = "evt", .queue = {}, .loop = &loop()}, [&](const Message&) -> Task<Result<void>> {
        ++calls;
        subscription.reset();
        return Result<void>();
      });
  ASSERT_TRUE(made);
  subscription = std::move(*made);
  const auto log = subscribe(other(), "evt");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(publish(one(), "evt", "x"));
  until_bodies(*log, 5);
  until([&] { return calls > 0; });  // No order holds between two subscriptions.
  EXPECT_TRUE(publish(one(), "evt", "x"));
  until_bodies(*log, 6);
  EXPECT_EQ(calls, 1);
}

}  // namespace mg::broker
