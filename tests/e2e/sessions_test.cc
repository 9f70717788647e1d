// The newest login of an account is its only session, on whatever gates logins come at the same time.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include "examples/common/token.h"
#include "examples/game/game_service.h"
#include "examples/gate/gate_service.h"
#include "tests/e2e/on_loop.h"
#include "tests/e2e/player.h"
#include "tests/support/server.h"

namespace mg {
namespace {

using test::eventually;
using test::Player;
using testing::Server;

Result<void> start(Process& process, const Server& etcd) {
  const std::string registry = "--registry_address=" + etcd.address();
  const char* arguments[] = {"--loops=1", registry.c_str(), "--rpc_address=127.0.0.1:0"};
  return process.start(arguments);
}

struct Gate {
  explicit Gate(const Server& etcd) {
    const auto started = start(process, etcd);
    check(started.has_value(), "the gate does not start");
    const std::string url = gate.urls().front();
    port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  ~Gate() { EXPECT_EQ(process.stop(), exit_code::kStopped); }
  Process process;
  App app{process, {.name = "gate"}};
  example::GateService gate{
      app, {.types = {"tcp"}, .ports = {"127.0.0.1:0"}, .host = "127.0.0.1", .auth_time = std::chrono::seconds(60)}};
  std::uint16_t port = 0;
};

struct Game {
  explicit Game(const Server& etcd) {
    const auto started = start(process, etcd);
    check(started.has_value(), "the game does not start");
  }
  ~Game() { EXPECT_EQ(process.stop(), exit_code::kStopped); }
  Process process;
  App app{process, {.name = "game"}};
  example::GameService game{app};
};

// Listens on a thread of its own until its connection ends or it hears the echo of "alive".
class Session {
 public:
  Session(std::uint16_t port, const std::string& account) : player_(Player::kTcp, port) {
    msg::C2S_10001 login;
    login.set_token(example::make_token(account, system_clock().wall() + std::chrono::hours(1), example::kDemoSecret));
    player_.say(1, 10001, login.SerializeAsString());
    listener_ = std::thread([this] {
      while (const auto heard = player_.hear()) {
        if (heard->head.cmd == 20002) told_ = true;
        if (heard->head.cmd == 10001 && heard->head.code == 0) logged_in_ = true;
        if (heard->head.cmd == 10005) alive_ = true;
      }
      ended_ = true;
    });
  }
  ~Session() {
    player_.half_close();  // The gate closes then.
    listener_.join();
  }
  void ask() {
    msg::C2S_10005 echo;
    echo.set_data("alive");
    player_.say(2, 10005, echo.SerializeAsString());
  }
  bool logged_in() const { return logged_in_; }
  bool told() const { return told_; }
  bool alive() const { return alive_; }
  bool ended() const { return ended_; }

 private:
  Player player_;
  std::thread listener_;
  std::atomic<bool> logged_in_{false}, told_{false}, alive_{false}, ended_{false};
};

TEST(Sessions, OfSimultaneousLoginsOneIsLeft) {
  const Server etcd = Server::etcd();
  Game games[2] = {Game(etcd), Game(etcd)};
  Gate gates[2] = {Gate(etcd), Gate(etcd)};
  for (Gate& gate : gates) {
    ASSERT_TRUE(eventually([&] {
      const auto ids = test::on_loop(gate.process, gate.app.nodes().ids("game"));
      return ids && ids->size() == 2;
    }));
  }
  std::unique_ptr<Session> owner;
  for (int round = 0; round < test::rounds(60, 1000); ++round) {
    if (round % 10 == 0) owner.reset();  // Another account, at home on another node perhaps.
    const std::string account = "account" + std::to_string(round / 10);
    std::array<std::unique_ptr<Session>, 2> both;
    for (int i = 0; i < 2; ++i) {
      const std::size_t gate = round % 3 == 0 ? 0 : static_cast<std::size_t>((round + i) % 2);  // Or both at the same.
      both[static_cast<std::size_t>(i)] = std::make_unique<Session>(gates[gate].port, account);
    }
    ASSERT_TRUE(eventually([&] { return both[0]->ended() || both[1]->ended(); })) << round;
    auto& lost = both[0]->ended() ? both[0] : both[1];
    auto& won = both[0]->ended() ? both[1] : both[0];
    ASSERT_TRUE(eventually([&] { return won->logged_in() || won->ended(); })) << round;
    won->ask();
    ASSERT_TRUE(eventually([&] { return won->alive() || won->ended(); })) << round;
    EXPECT_TRUE(won->alive() && !won->ended()) << "nobody is left in round " << round;
    EXPECT_TRUE(lost->told()) << round;
    if (owner) {
      EXPECT_TRUE(eventually([&] { return owner->ended(); })) << round;
      EXPECT_TRUE(owner->told()) << round;
    }
    owner = std::move(won);
  }
}

}  // namespace
}  // namespace mg
