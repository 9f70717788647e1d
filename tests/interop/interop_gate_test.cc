// The example's gate before a game on go-micro, and a gate-like service on go-micro before the example's game.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <csignal>

#include "examples/common/token.h"
#include "examples/game/game_service.h"
#include "examples/gate/gate_service.h"
#include "tests/e2e/player.h"
#include "tests/interop/go_peer.h"
#include "tests/interop/node.h"

namespace mg::interop {
namespace {

using boost::json::object;
using boost::json::value;
using test::Player;
using testing::Server;

std::string text(const value& from) {
  return std::string(from.as_string());
}
// Octets are base64 in the peer's JSON.
std::string encode(std::string_view octets) {
  std::string out((octets.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

class InteropGate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }
  Result<void> start(Process& process) {
    const std::string registry = "--registry_address=" + etcd_.address(),
                      broker = "--broker_address=" + nats_.address();
    const char* arguments[] = {"--loops=2", registry.c_str(), broker.c_str(), "--rpc_address=127.0.0.1:0"};
    return process.start(arguments);
  }

  Server etcd_ = Server::etcd();
  Server nats_ = Server::nats();
};

TEST_F(InteropGate, PlayersOfAGoGame) {
  Process process;
  App app(process, {.name = "gate"});
  example::GateService gate(app, {.types = {"tcp", "websocket"},
                                  .ports = {"127.0.0.1:0"},
                                  .host = "127.0.0.1",
                                  .auth_time = std::chrono::seconds(60)});
  ASSERT_TRUE(start(process));
  GoPeer go({.name = "game", .registry = etcd_.address(), .broker = nats_.address()});
  for (const std::string& url : gate.urls()) {
    const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    Player player(url.starts_with("tcp") ? Player::kTcp : Player::kWs, port);
    auto say = [&, serial = std::uint16_t(0)](std::uint32_t cmd, std::string_view body) mutable {
      player.say(++serial, cmd, body);
      auto heard = player.hear();
      EXPECT_TRUE(heard) << "closed";
      if (heard) EXPECT_EQ(heard->head.serial, serial);
      return heard.value_or(Player::Heard{});
    };
    EXPECT_EQ(say(1, "hello").body, "hello");
    const std::string large(500'000, 'x');
    EXPECT_EQ(say(1, large).body, large);
    const auto unknown = say(3, "");
    EXPECT_EQ(unknown.head.code, 404);
    EXPECT_EQ(unknown.body, "");

    // The game finds the player by what it was told.
    const object meta = boost::json::parse(say(2, "").body).as_object();
    EXPECT_EQ(text(meta.at("Node-Name")), "gate");
    EXPECT_EQ(text(meta.at("Node-Id")), app.id());
    EXPECT_EQ(text(meta.at("Client-Ip")), "127.0.0.1");
    EXPECT_EQ(text(meta.at("Role-Id")), "");
    const std::string client = text(meta.at("Client-Id"));
    const auto to_gate = [&](object command) {
      command["service"] = "gate";
      command["node"] = app.id();
      return go.ask(std::move(command));
    };
    const object bound = to_gate({{"do", "bind"},
                                  {"endpoint", "GateService.Bind"},
                                  {"client_id", client},
                                  {"bind", {{"Role-Id", "42"}, {"Account-Id", "7"}}}});
    EXPECT_FALSE(bound.contains("error")) << serialize(value(bound));
    const object pushed = to_gate({{"do", "push"},
                                   {"endpoint", "GateService.Push"},
                                   {"client_id", client},
                                   {"cmd", 20001},
                                   {"data", encode("news")}});
    EXPECT_FALSE(pushed.contains("error")) << serialize(value(pushed));
    const auto push = player.hear();
    ASSERT_TRUE(push);
    EXPECT_EQ(push->head.serial, 0);
    EXPECT_EQ(push->head.cmd, 20001);
    EXPECT_EQ(push->body, "news");
    const object nobody = to_gate({{"do", "push"}, {"endpoint", "GateService.Push"}, {"client_id", "nobody"}});
    EXPECT_EQ(nobody.at("error").at("code").as_int64(), 2);
    EXPECT_EQ(text(nobody.at("error").at("detail")), "client [nobody] not found");
    EXPECT_EQ(text(boost::json::parse(say(2, "").body).at("Role-Id")), "42");

    // An error of the call closes the client, and the game is told.
    player.say(99, 4, "");
    EXPECT_TRUE(player.ended());
    EXPECT_TRUE(eventually([&] {
      const object heard = go.ask({{"do", "heard"}});
      if (!heard.contains("out") || !heard.at("out").is_array()) return false;
      for (const value& each : heard.at("out").as_array()) {
        if (text(each.at("what")) == "offline" && text(each.at("meta").at("Role-Id")) == "42") return true;
      }
      return false;
    }));
  }
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

TEST_F(InteropGate, GoGateOfAGame) {
  Process process;
  App app(process, {.name = "game"});
  example::GameService game(app);
  ASSERT_TRUE(start(process));
  GoPeer go({.name = "gate", .registry = etcd_.address(), .broker = nats_.address()});
  object meta{{"Node-Name", "gate"},     {"Node-Id", go.id()}, {"Client-Id", "cid-1"},
              {"Client-Ip", "10.9.8.7"}, {"Client-Ver", ""},   {"Account-Id", ""},
              {"Channel-Uid", ""},       {"Server-Id", ""},    {"Role-Id", ""}};
  const auto forward = [&](std::uint32_t cmd, std::string_view body) {
    return go.ask({{"do", "forward"},
                   {"service", "game"},
                   {"endpoint", "Forward.Protocol"},
                   {"meta", meta},
                   {"cmd", cmd},
                   {"data", encode(body)}});
  };
  msg::C2S_10005 echo;
  echo.set_data("hello");
  const object early = forward(10005, echo.SerializeAsString());
  EXPECT_EQ(early.at("error").at("code").as_int64(), 401);
  EXPECT_EQ(text(early.at("error").at("detail")), "Game Login Unauthorized");

  msg::C2S_10001 login;
  login.set_token(example::make_token("ann", system_clock().wall() + std::chrono::hours(1), example::kDemoSecret));
  const object in = forward(10001, login.SerializeAsString());
  ASSERT_TRUE(in.contains("out")) << serialize(value(in));
  EXPECT_FALSE(in.at("out").as_object().contains("Code")) << serialize(value(in));
  // On its way the game has told the gate who the client is.
  const object heard = go.ask({{"do", "heard"}});
  ASSERT_FALSE(heard.at("out").as_array().empty());
  const value& bind = heard.at("out").as_array()[0];
  ASSERT_EQ(text(bind.at("what")), "bind");
  const object bound = boost::json::parse(text(bind.at("text"))).as_object();
  EXPECT_EQ(text(bound.at("ClientId")), "cid-1");
  EXPECT_EQ(bound.at("AuthState").as_int64(), 1);
  meta["Account-Id"] = bound.at("Meta").at("Account-Id");

  const object echoed = forward(10005, echo.SerializeAsString());
  ASSERT_TRUE(echoed.contains("out")) << serialize(value(echoed));
  EXPECT_EQ(text(echoed.at("out").at("Data")), encode(echo.SerializeAsString()));
  EXPECT_EQ(forward(4711, "").at("out").at("Code").as_int64(), 404);
  EXPECT_EQ(forward(10005, "\xFF").at("out").at("Code").as_int64(), 2);
  EXPECT_FALSE(go.ask({{"do", "offline"}, {"service", "game"}, {"endpoint", "Forward.Offline"}, {"meta", meta}})
                   .contains("error"));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

}  // namespace
}  // namespace mg::interop
