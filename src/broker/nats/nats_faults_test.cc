// Faults of NATS, and topics that JetStream keeps.
#include <arpa/inet.h>
#include <nats/nats.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "broker/nats/stored.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mg/broker/nats/nats_broker.h"
#include "mg/runtime/event.h"
#include "runtime/testing.h"
#include "tests/support/rounds.h"
#include "tests/support/server.h"

namespace mg::broker {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;
using mg::testing::run_until;
using mg::testing::Server;

class NatsFaults : public ::testing::Test {
 protected:
  Deadline soon(Clock::Duration time = 20s) { return Deadline::after(loop_.clock(), time); }
  Result<void> connect(NatsBroker& broker) { return await_on(loop_, broker.connect(soon())); }
  Result<void> publish(NatsBroker& broker, std::string topic, std::string body, Headers headers = {},
                       Clock::Duration patience = 15s) {
    return await_on(loop_, broker.publish(std::move(topic), {std::move(headers), std::move(body)}, soon(patience)));
  }
  void flush(NatsBroker& broker) { EXPECT_TRUE(await_on(loop_, broker.flush(soon()))); }
  template <class Done>
  bool until(Done done) {
    return run_until(loop_, std::move(done));
  }

  // What one subscription got, by body; `outcome` decides what its handler says.
  struct Log {
    std::map<std::string, int> times;
    std::vector<std::string> order;
    std::vector<Headers> headers;
    std::function<Result<void>(const Message&)> outcome = [](const Message&) { return Result<void>(); };
    std::unique_ptr<Subscription> subscription;
  };
  std::unique_ptr<Log> subscribe(NatsBroker& broker, std::string topic, std::string queue = {},
                                 std::uint32_t most = 4096) {
    auto log = std::make_unique<Log>();
    auto made =
        broker.subscribe({.topic = std::move(topic), .queue = std::move(queue), .loop = &loop_, .max_queued = most},
                         [to = log.get()](const Message& message) -> Task<Result<void>> {
                           ++to->times[message.body];
                           to->order.push_back(message.body);
                           to->headers.push_back(message.headers);
                           return to->outcome(message);
                         });
    EXPECT_TRUE(made) << to_json(made.error());
    if (made) log->subscription = std::move(*made);
    return log;
  }
  static NatsOptions options(const Server& server) {
    return {.addresses = {server.address()}, .reconnect_wait = 50ms, .reconnect_jitter = 10ms};
  }
  static NatsOptions storing(const Server& server) {
    NatsOptions made = options(server);
    made.stored = {{.topic = "evt.kept", .ack_wait = 1s, .retry_pause = 20ms, .max_deliver = 3}};
    return made;
  }

  Loop loop_;
};

TEST_F(NatsFaults, TenRestartsAndEachSubscriptionIsThereOnce) {
  Server server = Server::nats();
  NatsBroker broker(options(server));
  const auto log = subscribe(broker, "evt");
  ASSERT_TRUE(connect(broker));
  for (int i = 1; i <= 10; ++i) {
    server.kill();
    server.start();
    ASSERT_TRUE(until([&] { return broker.stats().reconnects == static_cast<std::uint64_t>(i); }));
    ASSERT_TRUE(publish(broker, "evt", std::to_string(i)));
    ASSERT_TRUE(until([&] { return log->order.size() == static_cast<std::size_t>(i); }));
  }
  flush(broker);
  for (const auto& [body, times] : log->times) EXPECT_EQ(times, 1) << body;
}

TEST_F(NatsFaults, SlowHandlerLosesItsOwnMessagesAndKeepsTheConnection) {
  Server server = Server::nats();
  NatsBroker broker(options(server));
  ASSERT_TRUE(connect(broker));
  Completion<bool> release;
  struct Run {
    static Task<Result<void>> wait(Completion<bool>& done, int& calls) {
      if (++calls == 1) co_await done.wait(*Loop::current(), Deadline::never());
      co_return Result<void>();
    }
  };
  int calls = 0;
  auto made = broker.subscribe({.topic = "evt", .loop = &loop_, .max_queued = 10},
                               [&](const Message&) { return Run::wait(release, calls); });
  ASSERT_TRUE(made);
  const auto other = subscribe(broker, "other");
  constexpr std::uint64_t kMessages = 500;
  for (std::uint64_t i = 0; i < kMessages; ++i) ASSERT_TRUE(publish(broker, "evt", std::string(1000, 'x')));
  ASSERT_TRUE(publish(broker, "other", "1"));
  ASSERT_TRUE(until([&] { return other->order.size() == 1; }));
  ASSERT_TRUE(until([&] { return (*made)->stats().dropped == kMessages - 11; }));
  EXPECT_TRUE(broker.stats().connected);
  EXPECT_EQ(broker.stats().reconnects, 0);
  release.set(true);
  EXPECT_TRUE(until([&] { return (*made)->stats().handled == 11; }));
}

TEST_F(NatsFaults, MessageThatTheServerWouldRefuseIsRefusedHere) {
  Server server = Server::nats();
  NatsBroker broker(options(server));
  const auto log = subscribe(broker, "evt");
  ASSERT_TRUE(connect(broker));
  const auto refused = publish(broker, "evt", std::string(1 << 20, 'x'));  // 4/3 of it in base64.
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, code::kInvalid);
  ASSERT_TRUE(publish(broker, "evt", "x"));
  EXPECT_TRUE(until([&] { return log->order.size() == 1; }));
  EXPECT_EQ(broker.stats().reconnects, 0);
}

TEST_F(NatsFaults, ServerThatSpeaksNonsenseIsAnError) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(listener, 16), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
  constexpr const char* kLines[] = {"",
                                    "HTTP/1.1 400 Bad Request\r\n\r\n",
                                    "INFO {\r\n",
                                    "INFO []\r\n",
                                    "INFO {}\r\nMSG evt 1 -5\r\n",
                                    "INFO {\"max_payload\":1}\r\nPONG\r\nMSG a b c d e\r\n",
                                    "-ERR 'no'\r\n"};
  std::atomic<bool> ended{false};
  std::thread server([&] {
    for (std::size_t i = 0; !ended; ++i) {
      const int peer = ::accept(listener, nullptr, nullptr);
      if (peer < 0) break;
      const std::string_view line = kLines[i % std::size(kLines)];
      (void)!::send(peer, line.data(), line.size(), MSG_NOSIGNAL);
      ::close(peer);
    }
  });
  for (std::size_t i = 0; i < 2 * std::size(kLines); ++i) {
    NatsBroker broker({.addresses = {"127.0.0.1:" + std::to_string(ntohs(at.sin_port))}, .connect_timeout = 500ms});
    EXPECT_EQ(connect(broker).error().code, code::kUnavailable);
  }
  ended = true;
  ::shutdown(listener, SHUT_RDWR);
  server.join();
  ::close(listener);
}

// ---- topics that are kept ------------------------------------------------------------------------------------------

TEST_F(NatsFaults, KeptTopicWaitsForItsQueue) {
  Server server = Server::nats({"-js"});
  NatsBroker broker(storing(server));
  const auto connected = connect(broker);
  ASSERT_TRUE(connected) << to_json(connected.error());
  {
    const auto first = subscribe(broker, "evt.kept", "workers");
    flush(broker);
    ASSERT_TRUE(publish(broker, "evt.kept", "1", {{"Role-Id", "7"}}));
    ASSERT_TRUE(until([&] { return first->order.size() == 1; }));
    EXPECT_EQ(first->headers[0].at("Role-Id"), "7");
    EXPECT_FALSE(first->headers[0].at("Nats-Msg-Id").empty());
    ASSERT_TRUE(until([&] { return first->subscription->stats().handled == 1; }));
    flush(broker);
  }
  for (const char* body : {"2", "3"}) ASSERT_TRUE(publish(broker, "evt.kept", body));
  const auto second = subscribe(broker, "evt.kept", "workers");
  ASSERT_TRUE(until([&] { return second->order.size() == 2; }));
  EXPECT_THAT(second->order, ::testing::ElementsAre("2", "3"));
}

TEST_F(NatsFaults, QueuesOfAKeptTopicEachGetAllAndMembersShare) {
  Server server = Server::nats({"-js"});
  NatsBroker one(storing(server)), other(storing(server));
  ASSERT_TRUE(connect(one));
  ASSERT_TRUE(connect(other));
  const auto a1 = subscribe(one, "evt.kept", "a");
  const auto a2 = subscribe(other, "evt.kept", "a");
  const auto b = subscribe(other, "evt.kept", "b");
  const auto plain = subscribe(one, "evt.kept");
  flush(one);
  flush(other);
  constexpr std::size_t kMessages = 100;
  for (std::size_t i = 0; i < kMessages; ++i) ASSERT_TRUE(publish(one, "evt.kept", std::to_string(i)));
  ASSERT_TRUE(until([&] { return b->order.size() == kMessages && plain->order.size() == kMessages; }));
  ASSERT_TRUE(until([&] { return a1->order.size() + a2->order.size() == kMessages; }));
  EXPECT_GT(a1->order.size(), 0);
  EXPECT_GT(a2->order.size(), 0);
}

TEST_F(NatsFaults, EqualMessageIdsAreStoredOnce) {
  Server server = Server::nats({"-js"});
  NatsBroker broker(storing(server));
  ASSERT_TRUE(connect(broker));
  const auto log = subscribe(broker, "evt.kept", "workers");
  flush(broker);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(publish(broker, "evt.kept", "once", {{"Nats-Msg-Id", "order 7"}}));
  ASSERT_TRUE(publish(broker, "evt.kept", "end"));
  ASSERT_TRUE(until([&] { return log->times["end"] == 1; }));
  EXPECT_EQ(log->times["once"], 1);
}

TEST_F(NatsFaults, FailedMessageComesAgainAndAtLastGoesToTheDead) {
  Server server = Server::nats({"-js"});
  NatsBroker broker(storing(server));
  ASSERT_TRUE(connect(broker));
  const auto dead = subscribe(broker, "evt.kept.dead");
  const auto log = subscribe(broker, "evt.kept", "workers");
  log->outcome = [&](const Message& message) -> Result<void> {
    if (message.body == "poison" || (message.body == "twice" && log->times["twice"] < 2)) {
      return fail(code::kInvalid, "bad");
    }
    return {};
  };
  flush(broker);
  for (const char* body : {"poison", "twice", "good"}) ASSERT_TRUE(publish(broker, "evt.kept", body));
  ASSERT_TRUE(until([&] { return dead->order.size() == 1; }));
  EXPECT_EQ(dead->order[0], "poison");
  EXPECT_TRUE(until([&] { return broker.stats().dead == 1; }));
  EXPECT_EQ(log->times["poison"], 3);
  EXPECT_TRUE(until([&] { return log->times["twice"] == 2; }));
  EXPECT_EQ(log->times["good"], 1);
}

TEST_F(NatsFaults, LostAcknowledgementHasNoSecondEffect) {
  Server server = Server::nats({"-js"});
  NatsBroker broker(storing(server));
  ASSERT_TRUE(connect(broker));
  const auto log = subscribe(broker, "evt.kept", "workers");
  log->outcome = [&](const Message& message) -> Result<void> {
    if (message.body == "kill") server.kill();  // Between the effect and its acknowledgement.
    return {};
  };
  flush(broker);
  ASSERT_TRUE(publish(broker, "evt.kept", "kill"));
  ASSERT_TRUE(until([&] { return log->times["kill"] == 1; }));
  server.start();
  ASSERT_TRUE(publish(broker, "evt.kept", "after"));
  ASSERT_TRUE(until([&] { return log->times["after"] == 1; }));
  // It comes again, or its acknowledgement came later; either way it was handled once.
  ASSERT_TRUE(until([&] { return log->subscription->stats().handled >= 2; }));
  EXPECT_EQ(log->times["kill"], 1);
}

TEST_F(NatsFaults, NothingStoredIsLostThroughTenKills) {
  Server server = Server::nats({"-js"});
  NatsBroker publisher(storing(server)), worker(storing(server));
  ASSERT_TRUE(connect(publisher));
  ASSERT_TRUE(connect(worker));
  const auto log = subscribe(worker, "evt.kept", "workers");
  flush(worker);
  static const int kMessages = testing::rounds(2000, 100'000);
  int stored = 0, ended = 0;
  struct Run {
    static Task<void> publish(NatsBroker& broker, Loop& loop, int first, int& stored, int& ended) {
      for (int i = first; i < kMessages; i += 20) {
        Message message{.headers = {}, .body = std::to_string(i)};
        const auto done = co_await broker.publish("evt.kept", std::move(message), Deadline::after(loop.clock(), 30s));
        EXPECT_TRUE(done) << to_json(done.error());
        if (done) ++stored;
      }
      ++ended;
    }
  };
  loop_.post_always([&] {
    for (int i = 0; i < 20; ++i) spawn(Run::publish(publisher, loop_, i, stored, ended));
  });
  for (int kills = 0; kills < 10; ++kills) {
    ASSERT_TRUE(until([&] { return stored >= kills * kMessages / 11; }));
    server.kill();
    server.start();
  }
  ASSERT_TRUE(until([&] { return ended == 20; }));
  EXPECT_EQ(stored, kMessages);
  ASSERT_TRUE(until([&] { return log->times.size() == static_cast<std::size_t>(kMessages); })) << log->times.size();
  for (const auto& [body, times] : log->times) EXPECT_EQ(times, 1) << body;
}

TEST_F(NatsFaults, ServerThatLostItsDataKeepsAgain) {
  Server server = Server::nats({"-js"});
  NatsBroker broker(storing(server));
  ASSERT_TRUE(connect(broker));
  const auto log = subscribe(broker, "evt.kept", "workers");
  flush(broker);
  ASSERT_TRUE(publish(broker, "evt.kept", "1"));
  ASSERT_TRUE(until([&] { return log->order.size() == 1; }));
  server.kill();
  server.wipe();
  server.start();
  ASSERT_TRUE(publish(broker, "evt.kept", "2"));
  EXPECT_TRUE(until([&] { return log->times["2"] == 1; }));
}

TEST_F(NatsFaults, WithoutJetStreamKeptTopicsAreAnErrorAtTheStart) {
  Server server = Server::nats();
  NatsBroker broker(storing(server));
  for (int i = 0; i < 2; ++i) {
    const auto connected = connect(broker);
    ASSERT_FALSE(connected);
    EXPECT_EQ(connected.error().code, code::kUnavailable);
  }
}

TEST_F(NatsFaults, NotStoredInTimeSaysThatItMayBe) {
  Server server = Server::nats({"-js"});
  NatsBroker broker(storing(server));
  ASSERT_TRUE(connect(broker));
  server.pause();
  const auto done = publish(broker, "evt.kept", "x", {}, 300ms);
  server.resume();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, code::kTimeout);
  EXPECT_THAT(done.error().detail, ::testing::HasSubstr("may be"));
}

}  // namespace
}  // namespace mg::broker
