// The gate over real sockets: two loops on threads of their own, players on blocking sockets.
#include "mg/agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>

#include "mg/agent/tcp/transport.h"
#include "mg/agent/ws/transport.h"
#include "mg/runtime/event.h"
#include "tests/e2e/player.h"

namespace mg::agent {
namespace {

using test::kPatience;
using test::Player;
using namespace std::chrono_literals;

constexpr std::uint32_t kEcho = 1, kLogin = 2, kFail = 3, kThrow = 4, kHold = 5, kSilent = 6, kBig = 7, kCode = 8,
                        kThrowAtOnce = 9;

class AgentTest : public testing::TestWithParam<Player::Transport> {
 protected:
  AgentTest() {
    options_.types = {"tcp", "ws"};
    options_.ports = {"127.0.0.1:0"};
    options_.linger = 200ms;
  }
  ~AgentTest() override { stop(); }

  void start() {
    std::vector<std::unique_ptr<Transport>> transports;
    transports.push_back(tcp::make_transport());
    transports.push_back(ws::make_transport());
    agent_ = std::make_unique<Agent>(options_, std::move(transports));
    agent_->on_connect([this](Client& client) { note([&] { connected_.push_back(ClientPtr(&client)); }); });
    agent_->on_disconnect([this](ClientPtr client, std::string reason) -> Task<void> {
      EXPECT_FALSE(agent_->get_client(client->id()));  // Has left the tables already.
      note([&] { gone_.emplace_back(client->id(), reason); });
      co_return;
    });
    agent_->on_receive([this](Client& client, const Packet& in, Reply& out) {
      if (in.head.cmd == kThrowAtOnce) throw std::runtime_error("no coroutine");
      return serve(client, in, out);
    });
    const auto started = agent_->start(runtime_, "gate", "node");
    ASSERT_TRUE(started) << to_json(started.error());
    ASSERT_TRUE(runtime_.start());
    running_ = true;
    for (const std::string& url : agent_->urls()) {
      const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
      (url.starts_with("tcp") ? tcp_port_ : ws_port_) = port;
    }
  }

  Task<Result<void>> serve(Client& client, const Packet& in, Reply& out) {
    switch (in.head.cmd) {
      case kLogin:
        client.set_auth_state(true);
        client.set_meta("Role-Id", as_text(in.payload));
        out.data = "welcome";
        co_return Result<void>();
      case kFail:
        co_return fail(401, "no");
      case kThrow:
        throw std::runtime_error("handler");
      case kHold: {
        Completion<bool> release;
        note([&] { held_.push_back({&client.loop(), &release}); });
        co_await release.wait(client.loop(), Deadline::never());
        out.data.assign(as_text(in.payload));
        co_return Result<void>();
      }
      case kSilent:
        co_return Result<void>();
      case kBig:
        out.data.assign(256 * 1024, 'b');
        co_return Result<void>();
      case kCode:
        out.code = 404;
        co_return Result<void>();
      default:
        out.data.assign(as_text(in.payload));
        co_return Result<void>();
    }
  }

  // Lets the i-th held handler go on.
  void release(std::size_t i) {
    const auto [loop, completion] = held_.at(i);
    loop->post([completion] { completion->set(true); });
  }

  bool stop() {
    if (!running_) return true;
    running_ = false;
    bool clean = false;
    std::atomic<bool> done{false};
    runtime_.loop(0).post([&] {
      spawn([](AgentTest& test, bool& result, std::atomic<bool>& end) -> Task<void> {
        result = co_await test.agent_->stop();
        end = true;
        end.notify_one();
      }(*this, clean, done));
    });
    done.wait(false);
    runtime_.stop();
    runtime_.join();
    return clean;
  }

  template <class Fn>
  void note(Fn fn) {
    const std::lock_guard lock(mutex_);
    fn();
    changed_.notify_all();
  }
  template <class Condition>
  [[nodiscard]] bool wait_for(Condition condition) {
    std::unique_lock lock(mutex_);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      // Not everything that is waited for is noted here: look again every few milliseconds.
      if (changed_.wait_for(lock, 5ms) == std::cv_status::timeout && std::chrono::steady_clock::now() > end)
        return false;
    }
    return true;
  }
  ClientPtr client(std::size_t i) {
    EXPECT_TRUE(wait_for([&] { return connected_.size() > i; }));
    const std::lock_guard lock(mutex_);
    return connected_.at(i);
  }
  std::string reason(std::size_t i) {
    EXPECT_TRUE(wait_for([&] { return gone_.size() > i; }));
    const std::lock_guard lock(mutex_);
    return gone_.at(i).second;
  }

  std::uint16_t port() const { return GetParam() == Player::kTcp ? tcp_port_ : ws_port_; }
  std::unique_ptr<Player> join(std::string_view role = "1", int receive_buffer = 0) {
    auto player = std::make_unique<Player>(GetParam(), port(), receive_buffer);
    player->say(1, kLogin, role);
    const auto welcome = player->hear();
    EXPECT_TRUE(welcome && welcome->body == "welcome");
    return player;
  }

  AgentOptions options_;
  Runtime runtime_{{.loops = 2}};
  std::unique_ptr<Agent> agent_;
  bool running_ = false;
  std::uint16_t tcp_port_ = 0, ws_port_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ClientPtr> connected_;
  std::vector<std::pair<Uuid, std::string>> gone_;
  std::deque<std::pair<Loop*, Completion<bool>*>> held_;
};

INSTANTIATE_TEST_SUITE_P(Transports, AgentTest, testing::Values(Player::kTcp, Player::kWs),
                         [](const auto& info) { return info.param == Player::kTcp ? "Tcp" : "Ws"; });

TEST_P(AgentTest, AnswersWithSerialAndCommandOfTheRequest) {
  start();
  auto player = join();
  player->say(65535, kEcho, "hello");
  const auto heard = player->hear();
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->head, (codec::ServerHead{.serial = 65535, .cmd = kEcho, .code = 0}));
  EXPECT_EQ(heard->body, "hello");
  player->say(9, kSilent, "");
  player->say(10, kCode, "");
  const auto code = player->hear();  // Nothing for the silent one: no code and no data.
  ASSERT_TRUE(code);
  EXPECT_EQ(code->head, (codec::ServerHead{.serial = 10, .cmd = kCode, .code = 404}));
}

TEST_P(AgentTest, AnswersAThousandPipelinedMessagesInOrder) {
  start();
  auto player = join();
  std::string all;
  for (std::uint16_t i = 0; i < 1000; ++i) all += player->packet(i, kEcho, std::to_string(i));
  player->send(all);
  for (std::uint16_t i = 0; i < 1000; ++i) {
    const auto heard = player->hear();
    ASSERT_TRUE(heard);
    ASSERT_EQ(heard->head.serial, i);
    ASSERT_EQ(heard->body, std::to_string(i));
  }
}

TEST_P(AgentTest, HandlesOneMessageOfAClientAtATime) {
  start();
  auto player = join();
  auto other = join("2");
  player->say(1, kHold, "first");
  player->say(2, kEcho, "second");
  ASSERT_TRUE(wait_for([&] { return held_.size() == 1; }));
  other->say(1, kEcho, "others go on");
  ASSERT_TRUE(other->hear());
  release(0);
  EXPECT_EQ(player->hear()->body, "first");
  EXPECT_EQ(player->hear()->body, "second");
}

TEST_P(AgentTest, WithDepthMessagesOverlapAndRepliesKeepOrder) {
  options_.depth = 3;
  start();
  auto player = join();
  for (std::uint16_t i = 0; i < 4; ++i) player->say(i, kHold, std::to_string(i));
  ASSERT_TRUE(wait_for([&] { return held_.size() == 3; }));  // The fourth waits for a place.
  release(2);
  release(1);
  release(0);
  ASSERT_TRUE(wait_for([&] { return held_.size() == 4; }));
  release(3);
  for (std::uint16_t i = 0; i < 4; ++i) EXPECT_EQ(player->hear()->body, std::to_string(i));
}

TEST_P(AgentTest, AHandlersErrorOrExceptionClosesTheClientWithoutAReply) {
  start();
  auto player = join();
  player->say(1, kFail, "");
  EXPECT_FALSE(player->hear());
  EXPECT_THAT(reason(0), testing::HasSubstr("401"));
  auto second = join();
  second->say(1, kThrow, "");
  EXPECT_FALSE(second->hear());
  EXPECT_EQ(reason(1), "handler");
  auto third = join();
  third->say(1, kThrowAtOnce, "");
  EXPECT_FALSE(third->hear());
  EXPECT_THAT(reason(2), testing::HasSubstr("no coroutine"));
}

TEST_P(AgentTest, ClosesWhoDoesNotLogInInTime) {
  options_.auth_time = 100ms;
  start();
  Player stranger(GetParam(), port());
  EXPECT_TRUE(stranger.ended());
  EXPECT_EQ(reason(0), "authentication timeout");
  auto player = join();
  client(1)->set_auth_state(false);  // Starts the timer anew.
  EXPECT_TRUE(player->ended());
}

TEST_P(AgentTest, TellsOfEachDisconnectExactlyOnce) {
  start();
  join()->leave();
  join()->reset();
  auto destroyed = join();
  client(2)->destroy("by test");
  EXPECT_TRUE(destroyed->ended());
  auto closed = join();
  client(3)->close("by test");
  client(3)->close("again");
  client(3)->destroy("and again");
  EXPECT_TRUE(closed->ended());
  auto left = join();
  ASSERT_TRUE(wait_for([&] { return gone_.size() == 4; }));
  EXPECT_EQ(agent_->count(), 1U);
  EXPECT_TRUE(stop());
  EXPECT_EQ(gone_.size(), 5U);
  EXPECT_EQ(agent_->count(), 0U);
  std::vector<Uuid> ids;
  for (const auto& [id, why] : gone_) ids.push_back(id);
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::unique(ids).size(), 0U);
}

TEST_P(AgentTest, ClosesAfterWhatIsQueued) {
  start();
  auto player = join();
  const ClientPtr here = client(0);
  const std::string big(200'000, 'q');
  here->write({.cmd = 9}, big);
  here->write({.cmd = 10}, "last");
  here->close("done");
  here->write({.cmd = 11}, "too late");
  EXPECT_EQ(player->hear()->body, big);
  EXPECT_EQ(player->hear()->head.cmd, 10U);
  EXPECT_FALSE(player->hear());
  if (GetParam() == Player::kWs) EXPECT_EQ(player->close_code(), 1000);
  EXPECT_EQ(reason(0), "done");
}

TEST_P(AgentTest, ClosesAfterWhatWaitsForASlowReader) {
  options_.write_queue_bytes = 32 * 1024 * 1024;
  start();
  auto slow = join("1", 4096);
  const ClientPtr here = client(0);
  const std::string chunk(256 * 1024, 'q');
  for (std::uint32_t i = 0; i < 100; ++i) here->write({.cmd = i}, chunk);
  here->close("done");
  for (std::uint32_t i = 0; i < 100; ++i) {
    const auto heard = slow->hear();
    ASSERT_TRUE(heard) << i;
    ASSERT_EQ(heard->head.cmd, i);
  }
  EXPECT_FALSE(slow->hear());
  if (GetParam() == Player::kWs) EXPECT_EQ(slow->close_code(), 1000);
  EXPECT_EQ(reason(0), "done");
}

TEST_P(AgentTest, FindsClientsByIdAndByAnyMetadata) {
  start();
  auto one = join("11");
  auto two = join("22");
  const ClientPtr first = client(0);
  EXPECT_EQ(agent_->get_client(first->id()), first);
  EXPECT_EQ(agent_->get_client(first->id().text()), first);
  EXPECT_FALSE(agent_->get_client("nobody"));
  ASSERT_TRUE(wait_for([&] { return agent_->online_count() == 2; }));
  EXPECT_EQ(agent_->find_one("Role-Id", "11"), first);
  EXPECT_TRUE(agent_->find("Role-Id", "33").empty());
  EXPECT_TRUE(agent_->find("Role-Id", "").empty());
  // Indexes follow changes.
  client(1)->set_meta("Role-Id", "11");
  ASSERT_TRUE(wait_for([&] { return agent_->find("Role-Id", "11").size() == 2; }));
  EXPECT_TRUE(agent_->find("Role-Id", "22").empty());
  first->set_meta("Guild", std::int64_t{7});
  ASSERT_TRUE(wait_for([&] { return agent_->find_one("Guild", "7") == first; }));
  EXPECT_EQ(first->meta().get("Guild"), "7");
  EXPECT_EQ(first->meta().node_name(), "gate");
  EXPECT_EQ(first->meta().client_ip(), "127.0.0.1");
  one->leave();
  ASSERT_TRUE(wait_for([&] { return agent_->find("Role-Id", "11").size() == 1; }));
  EXPECT_FALSE(agent_->find_one("Guild", "7"));
  EXPECT_EQ(agent_->filter([](const Client& c) { return c.meta().role_id() == 11; }).size(), 1U);
  std::size_t seen = 0;
  agent_->for_each([&](Client&) { return ++seen, true; });
  EXPECT_EQ(seen, 1U);
}

TEST_P(AgentTest, BroadcastsReachWhoIsOnlineAndPassesTheFilter) {
  start();
  auto one = join("1");
  auto two = join("2");
  Player stranger(GetParam(), port());  // Not online.
  client(2);
  ASSERT_TRUE(wait_for([&] { return agent_->online_count() == 2; }));
  agent_->broadcast({.cmd = 50}, as_bytes("all"));
  agent_->broadcast({.cmd = 51}, as_bytes("one"), [](const Client& c) { return c.meta_here().role_id() == 1; });
  agent_->broadcast({.cmd = 52}, as_bytes("end"));
  EXPECT_EQ(one->hear()->head.cmd, 50U);
  EXPECT_EQ(one->hear()->head.cmd, 51U);
  EXPECT_EQ(one->hear()->head.cmd, 52U);
  EXPECT_EQ(two->hear()->body, "all");
  EXPECT_EQ(two->hear()->head.cmd, 52U);
  stranger.say(5, kEcho, "only this");
  EXPECT_EQ(stranger.hear()->head.cmd, kEcho);
}

TEST_P(AgentTest, GroupsEndWithTheirMembers) {
  options_.max_groups_per_client = 2;
  start();
  auto one = join("1");
  auto two = join("2");
  client(0)->join("room");
  client(0)->join("room");
  client(1)->join("room");
  client(1)->join("second");
  client(1)->join("third");  // Over the limit.
  agent_->broadcast_group("room", {.cmd = 60}, as_bytes("x"));
  EXPECT_EQ(one->hear()->head.cmd, 60U);
  EXPECT_EQ(two->hear()->head.cmd, 60U);
  client(0)->leave("room");
  one->leave();
  ASSERT_TRUE(wait_for([&] { return agent_->count() == 1; }));
  agent_->broadcast_group("third", {.cmd = 61}, as_bytes("x"));
  agent_->broadcast_group("room", {.cmd = 62}, as_bytes("x"));
  EXPECT_EQ(two->hear()->head.cmd, 62U);
}

TEST_P(AgentTest, WritesFromAnyThreadKeepTheirOrder) {
  start();
  auto player = join();
  const ClientPtr here = client(0);
  for (std::uint32_t i = 0; i < 500; ++i) here->write({.cmd = i}, "x");
  for (std::uint32_t i = 0; i < 500; ++i) ASSERT_EQ(player->hear()->head.cmd, i);
}

TEST_P(AgentTest, ASlowClientIsClosedByDefault) {
  options_.write_queue_bytes = 256 * 1024;
  start();
  auto slow = join("1", 4096);
  auto other = join("2");
  const ClientPtr here = client(0);
  const std::string chunk(64 * 1024, 's');
  EXPECT_TRUE(wait_for([&] {
    here->write({.cmd = 70}, chunk);
    return !here->connected();
  }));
  EXPECT_THAT(reason(0), testing::HasSubstr("slow client"));
  EXPECT_GE(agent_->stats().slow_closed, 1U);
  other->say(1, kEcho, "alive");
  EXPECT_EQ(other->hear()->body, "alive");
}

TEST_P(AgentTest, ASlowClientMayLoseTheOldestInstead) {
  options_.write_queue_bytes = 64 * 1024;
  options_.slow_client = SlowClient::kDropOldest;
  start();
  auto slow = join("1", 4096);
  const ClientPtr here = client(0);
  const std::string chunk(16 * 1024, 's');
  std::uint32_t last = 0;
  EXPECT_TRUE(wait_for([&] {
    here->write({.cmd = ++last}, chunk);
    return agent_->stats().dropped > 20;
  }));
  EXPECT_TRUE(here->connected());
  std::uint32_t previous = 0;
  while (previous != last) {
    const auto heard = slow->hear();
    ASSERT_TRUE(heard);
    ASSERT_GT(heard->head.cmd, previous);  // Gaps, but in order, and the last one comes.
    ASSERT_EQ(heard->body.size(), chunk.size());
    previous = heard->head.cmd;
  }
}

TEST_P(AgentTest, ASlowClientMayKeepOnlyTheLatestOfAKey) {
  start();
  auto slow = join("1", 4096);
  const ClientPtr here = client(0);
  const std::string chunk(16 * 1024, 's');
  const WriteOptions latest{.slow_client = SlowClient::kKeepLatest, .key = 5};
  int value = 0;
  EXPECT_TRUE(wait_for([&] {
    here->write({.cmd = 80}, as_bytes(chunk + std::to_string(++value)), latest);
    return agent_->stats().dropped > 50;
  }));
  const std::string newest = chunk + std::to_string(value);
  for (;;) {
    const auto heard = slow->hear();
    ASSERT_TRUE(heard);
    if (heard->body == newest) break;
  }
}

TEST_P(AgentTest, WhoAsksWithoutReadingIsHeldBack) {
  options_.write_queue_bytes = 1024 * 1024;
  start();
  auto greedy = join("1", 4096);
  auto other = join("2");
  std::string asks;
  for (std::uint16_t i = 0; i < 200; ++i) asks += greedy->packet(i, kBig, "");  // For 50 MiB in all.
  greedy->send(asks);
  other->say(1, kEcho, "alive");
  EXPECT_EQ(other->hear()->body, "alive");
  for (std::uint16_t i = 0; i < 200; ++i) {
    const auto heard = greedy->hear();
    ASSERT_TRUE(heard) << i;
    ASSERT_EQ(heard->head.serial, i);
  }
}

TEST_P(AgentTest, AClientThatTakesNothingIsClosedInTime) {
  options_.write_queue_bytes = 64 * 1024 * 1024;
  options_.write_timeout = 200ms;
  start();
  auto slow = join("1", 4096);
  client(0)->write({.cmd = 1}, std::string(32 * 1024 * 1024, 'w'));
  EXPECT_EQ(reason(0), "slow client: it takes nothing");
}

TEST_P(AgentTest, RefusesConnectionsOverTheLimitAndTakesThemAgain) {
  options_.conn_max = 2;
  start();
  auto one = join("1");
  auto two = join("2");
  Player third(GetParam(), port());
  EXPECT_TRUE(third.ended());
  EXPECT_EQ(agent_->stats().refused, 1U);
  one->leave();
  ASSERT_TRUE(wait_for([&] { return agent_->count() == 1; }));
  // The socket goes a moment after the client.
  bool in = false;
  for (const auto end = std::chrono::steady_clock::now() + kPatience; !in && std::chrono::steady_clock::now() < end;) {
    Player again(GetParam(), port());
    again.say(1, kEcho, "in");
    in = again.hear().has_value();
  }
  EXPECT_TRUE(in);
}

TEST_P(AgentTest, AClientOverItsRateIsReadSlowerAndLosesNothing) {
  options_.rate_messages = 200;
  start();
  auto player = join();
  std::string all;
  for (std::uint16_t i = 0; i < 300; ++i) all += player->packet(i, kEcho, "r");
  player->send(all);
  for (std::uint16_t i = 0; i < 300; ++i) {
    const auto heard = player->hear();
    ASSERT_TRUE(heard);
    ASSERT_EQ(heard->head.serial, i);
  }
  EXPECT_GT(agent_->stats().throttled, 0U);
}

TEST_P(AgentTest, AMessageThatDoesNotComeWholeEndsTheConnection) {
  options_.read_timeout = 100ms;
  start();
  auto player = join();
  const std::string packet = player->packet(1, kEcho, "hello");
  player->send(std::string_view(packet).substr(0, packet.size() - 1));
  EXPECT_TRUE(player->ended());
  EXPECT_THAT(reason(0), testing::HasSubstr("read timeout"));
}

TEST_P(AgentTest, ASilentPeerIsNoticed) {
  options_.idle_timeout = 150ms;
  options_.heartbeat_interval = 100ms;
  options_.heartbeat_deadline = 100ms;
  start();
  auto player = join();
  EXPECT_TRUE(player->ended());
  EXPECT_THAT(reason(0), testing::AnyOf("idle timeout", "heartbeat timeout"));
  if (GetParam() == Player::kWs) EXPECT_EQ(player->pings(), 1);
}

TEST_P(AgentTest, AHalfClosedPeerStillGetsItsAnswer) {
  start();
  auto player = join();
  player->say(1, kHold, "answer");
  player->half_close();
  ASSERT_TRUE(wait_for([&] { return held_.size() == 1; }));
  release(0);
  const auto heard = player->hear();
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->body, "answer");
  EXPECT_TRUE(player->ended());
}

TEST_P(AgentTest, StopWaitsForTheMessagesInFlight) {
  start();
  auto busy = join("1");
  auto idle = join("2");
  busy->say(3, kHold, "finished");
  ASSERT_TRUE(wait_for([&] { return held_.size() == 1; }));
  std::thread stopper([&] { EXPECT_TRUE(stop()); });
  EXPECT_TRUE(idle->ended());
  if (GetParam() == Player::kWs) EXPECT_EQ(idle->close_code(), 1001);
  release(0);
  const auto heard = busy->hear();
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->body, "finished");
  EXPECT_TRUE(busy->ended());
  if (GetParam() == Player::kWs) EXPECT_EQ(busy->close_code(), 1001);
  stopper.join();
}

TEST_P(AgentTest, StopUnderLoadEndsEverything) {
  options_.depth = 4;
  start();
  std::atomic<bool> go{true};
  std::vector<std::thread> players;
  for (int t = 0; t < 4; ++t) {
    players.emplace_back([&, t] {
      while (go) {
        Player player(t % 2 ? Player::kTcp : Player::kWs, t % 2 ? tcp_port_ : ws_port_);
        player.say(1, kLogin, "9");
        for (std::uint16_t i = 0; i < 50 && go; ++i) player.say(i, kEcho, "load");
        if (!player.hear()) break;
        if (t == 0) player.reset();
      }
    });
  }
  EXPECT_TRUE(wait_for([&] { return connected_.size() > 50; }));
  EXPECT_TRUE(stop());
  go = false;
  for (auto& player : players) player.join();
  EXPECT_EQ(connected_.size(), gone_.size());
  EXPECT_EQ(agent_->count(), 0U);
}

TEST_P(AgentTest, ConnectAndLeaveAtOnceLeavesNothing) {
  start();
  for (int i = 0; i < 300; ++i) {
    Player player(Player::kTcp, port());  // On the ws port: nothing is said at all.
    if (i % 2) player.reset();
  }
  auto player = join();
  EXPECT_TRUE(wait_for([&] { return agent_->count() == 1; }));
}

// Handshake, authentication, idle time and heartbeat each armed a timer; all are gone with their connections.
TEST_P(AgentTest, ComingAndGoingLeavesNoTimersAndNoDescriptors) {
  start();
  const auto timers = [this] {
    std::size_t all = 0;
    for (std::size_t i = 0; i < runtime_.size(); ++i) {
      std::promise<std::size_t> count;
      Loop& loop = runtime_.loop(i);
      loop.post([&] { count.set_value(loop.timers().size()); });
      all += count.get_future().get();
    }
    return all;
  };
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  constexpr std::size_t kPlayers = 200;
  join();
  ASSERT_TRUE(wait_for([&] { return gone_.size() == 1; }));
  std::size_t timers_before = 1;
  ASSERT_TRUE(wait_for([&] { return (timers_before = timers()) == 0; })) << timers_before;
  const auto descriptors_before = descriptors();
  for (std::size_t i = 0; i < kPlayers; ++i) {
    auto player = join();
    player->say(2, kEcho, "x");
    EXPECT_TRUE(player->hear());
    EXPECT_GT(timers(), 0u);
    if (i % 2) player->reset();
  }
  ASSERT_TRUE(wait_for([&] { return gone_.size() == kPlayers + 1; }));
  EXPECT_TRUE(wait_for([&] { return timers() == 0; })) << timers();
  EXPECT_TRUE(wait_for([&] { return descriptors() == descriptors_before; })) << descriptors() - descriptors_before;
}

TEST(AgentOptions, WhatCannotBeIsRefusedByName) {
  const auto start = [](AgentOptions options) {
    std::vector<std::unique_ptr<Transport>> transports;
    transports.push_back(tcp::make_transport());
    Runtime runtime({.loops = 1});
    Agent agent(std::move(options), std::move(transports));
    agent.on_receive([](Client&, const Packet&, Reply&) -> Task<Result<void>> { return Result<void>(); });
    const auto started = agent.start(runtime, "gate", "node");
    return started ? std::string() : started.error().detail;
  };
  EXPECT_EQ(start({.types = {"tcp"}, .ports = {"127.0.0.1:0"}}), "");
  EXPECT_THAT(start({.types = {"udp"}, .ports = {}}), testing::HasSubstr("udp"));
  EXPECT_THAT(start({.types = {"ws"}, .ports = {}}), testing::HasSubstr("no such transport"));
  EXPECT_THAT(start({.types = {"tcp"}, .ports = {"here"}}), testing::HasSubstr("here"));
  EXPECT_THAT(start({.types = {"tcp"}, .ports = {":0", ":0"}}), testing::HasSubstr("2 addresses for 1"));
  EXPECT_THAT(start({.types = {"tcp"}, .ports = {":0"}, .tls_cert = "x.pem"}), testing::HasSubstr("both or neither"));
  EXPECT_THAT(start({.types = {"tcp"}, .ports = {":0"}, .tls_cert = "no.pem", .tls_key = "no.key"}),
              testing::HasSubstr("no.pem"));
}

}  // namespace
}  // namespace mg::agent
