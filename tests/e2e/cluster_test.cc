// Apps of several processes that meet by real servers; some of the processes are objects of this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e/member.h"

namespace mg {
namespace {

using test::broker_flag;
using test::eventually;
using test::Hammer;
using test::Member;
using test::node;
using test::on_loop;
using test::registry_flag;
using test::StringValue;
using test::uuid_of;
using ::testing::HasSubstr;
using testing::Server;
using ::testing::UnorderedElementsAre;

// ---- each backend by itself -------------------------------------------------------------------------------------

TEST(Cluster, TopicsAndCancelReachOtherProcessesByNats) {
  Server nats = Server::nats();
  Member gate("gate", {broker_flag(nats)}), game("game", {broker_flag(nats)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(game.start());
  // The server may have seen the first publication before the other's subscription.
  ASSERT_TRUE(eventually([&] { return gate.pub("up") && !game.all_heard().empty(); }));
  EXPECT_EQ(game.all_heard().front(), "7 up");
  EXPECT_EQ(gate.all_heard().front(), "7 up");
  // The registry is each process's own.
  EXPECT_THAT(gate.call("game", "Test.Who"), HasSubstr("service game: not found"));
  ASSERT_TRUE(on_loop(gate.process, gate.app.cancel("game", game.app.id())));
  EXPECT_EQ(game.process.wait(), exit_code::kStopped);
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, WithoutItsBrokerAServiceDoesNotStart) {
  Server nats = Server::nats();
  nats.stop();
  Member game("game", {broker_flag(nats)});
  const auto started = game.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr(nats.address()));
  EXPECT_EQ(game.process.wait(), exit_code::kStartFailed);
}

TEST(Cluster, FlagsSayWhoComesToTheServersAndThatTheySpeakTls) {
  const testing::TempDir dir;
  const std::string cert = dir.path() + "/cert.pem", key = dir.path() + "/key.pem";
  const auto made = testing::run_program(
      {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
       "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert});
  ASSERT_EQ(made.status, 0) << made.text;
  Server etcd = Server::etcd({"--cert-file=" + cert, "--key-file=" + key}, "https");
  Server nats = Server::nats({"--tls", "--tlscert", cert, "--tlskey", key, "--user", "game", "--pass", "word"});
  Server bearer = Server::nats({"--auth", "letmein"});
  const std::vector<std::string> all{registry_flag(etcd),  broker_flag(nats),        "--registry_tls_ca=" + cert,
                                     "--broker_user=game", "--broker_password=word", "--broker_tls_ca=" + cert};
  Member gate("gate", all), game("game", all);
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(game.start());
  ASSERT_TRUE(gate.sees("game", 1));
  EXPECT_EQ(gate.call("game", "Test.Who"), game.app.id());
  EXPECT_TRUE(eventually([&] { return gate.pub("up") && !game.all_heard().empty(); }));

  Member token("token", {broker_flag(bearer), "--broker_token=letmein"});
  EXPECT_TRUE(token.start());
  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {broker_flag(bearer)},
           {broker_flag(nats), "--broker_user=game", "--broker_password=guess", "--broker_tls_ca=" + cert},
           {broker_flag(nats), "--broker_user=game", "--broker_password=word", "--broker_tls=true"}}) {
    Member stranger("stranger", wrong);
    EXPECT_FALSE(stranger.start());
  }
}

TEST(Cluster, NodesOfOtherProcessesAreFoundAndCalled) {
  Server etcd = Server::etcd();
  Server one = node("game", {registry_flag(etcd)}), two = node("game", {registry_flag(etcd)});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 2));
  const std::string first = uuid_of(one), second = uuid_of(two);
  EXPECT_THAT(gate.ids("game"), UnorderedElementsAre(first, second));

  std::set<std::string> answered;
  for (int i = 0; i < 50; ++i) answered.insert(gate.call("game", "Test.Who"));
  EXPECT_THAT(answered, UnorderedElementsAre(first, second));
  EXPECT_EQ(gate.call("game", "Test.Who", "", first.c_str()), first);
  EXPECT_EQ(gate.call("game", "Test.Who", "", second.c_str()), second);
  for (const char* nobody : {"", "nobody"}) {
    EXPECT_THAT(gate.call("game", "Test.Who", "", nobody), HasSubstr("error selecting game node: none available"));
  }
  // And back: the other process calls this one, with the metadata that came.
  EXPECT_EQ(gate.call("game", "Test.Forward", "gate Test.Echo hello"), "hello game 7");

  const Nodes& nodes = gate.app.nodes();
  EXPECT_TRUE(on_loop(gate.process, nodes.exists("game")).value());
  EXPECT_FALSE(on_loop(gate.process, nodes.exists("hall")).value());
  EXPECT_TRUE(on_loop(gate.process, nodes.exists("game", first)).value());
  EXPECT_FALSE(on_loop(gate.process, nodes.exists("game", "nobody")).value());
  const auto got = on_loop(gate.process, nodes.get("game", first));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->address, one.address());
  EXPECT_EQ(got->metadata.find("protocol")->second, "grpc");
  EXPECT_EQ(got->metadata.find("registry")->second, "etcd");
  EXPECT_EQ(on_loop(gate.process, nodes.list("game")).value().size(), 2);
  EXPECT_EQ(on_loop(gate.process, nodes.list_version("game", "latest")).value().size(), 2);
  EXPECT_EQ(on_loop(gate.process, nodes.list_version("game", "v2")).value().size(), 0);
  EXPECT_EQ(on_loop(gate.process, nodes.exclude("game", first)).value().at(0).id, "game-" + second);
  EXPECT_EQ(on_loop(gate.process, nodes.random("gate")).value(), gate.app.id());
  EXPECT_THAT(on_loop(gate.process, nodes.random("game")).value(), ::testing::AnyOf(first, second));
  EXPECT_EQ(on_loop(gate.process, nodes.services()).value()->size(), 2);
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, TheRecordIsThatOfAGoService) {
  Server etcd = Server::etcd();
  Server game = node("game", {registry_flag(etcd)});
  const std::string id = "game-" + uuid_of(game);
  const auto record = [&] {
    return testing::run_program(
        {"etcdctl", "--endpoints=" + etcd.address(), "get", "/micro/registry/game/" + id, "--print-value-only"});
  };
  ASSERT_TRUE(eventually([&] { return record().text.contains("{"); }));
  EXPECT_THAT(record().text,
              ::testing::StartsWith(fmt::format(
                  R"({{"name":"game","version":"latest","metadata":null,"endpoints":[],"nodes":[{{"id":"{}",)"
                  R"("address":"{}","metadata":{{"broker":"local","mg-)",
                  id, game.address())));
  EXPECT_THAT(record().text,
              HasSubstr(R"("protocol":"grpc","registry":"etcd","server":"grpc","transport":"grpc"}}]})"));
}

TEST(Cluster, CancelStopsTheNodeThatIsMeant) {
  Server etcd = Server::etcd();
  Server nats = Server::nats();
  Member gate("gate", {registry_flag(etcd), broker_flag(nats)});
  Member one("game", {registry_flag(etcd), broker_flag(nats)}), two("game", {registry_flag(etcd), broker_flag(nats)});
  for (Member* each : {&gate, &one, &two}) ASSERT_TRUE(each->start());
  ASSERT_TRUE(gate.sees("game", 2));
  ASSERT_TRUE(on_loop(gate.process, gate.app.cancel("game", one.app.id())));
  EXPECT_EQ(one.process.wait(), exit_code::kStopped);
  ASSERT_TRUE(gate.sees("game", 1));
  EXPECT_EQ(gate.call("game", "Test.Who"), two.app.id());
  ASSERT_TRUE(on_loop(gate.process, gate.app.cancel("game")));
  EXPECT_EQ(two.process.wait(), exit_code::kStopped);
  ASSERT_TRUE(gate.sees("game", 0));
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

// ---- nodes and servers that come and go -------------------------------------------------------------------------

TEST(Cluster, AStoppedNodeDisappearsAndNoCallFails) {
  Server etcd = Server::etcd();
  Server one = node("game", {registry_flag(etcd)}), two = node("game", {registry_flag(etcd)});
  const std::string second = uuid_of(two);
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 2));
  ::kill(one.pid(), SIGTERM);
  ASSERT_TRUE(eventually([&] {
    EXPECT_EQ(gate.call("game", "Test.Echo", "x"), "x");
    return gate.ids("game").size() == 1;
  }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(gate.call("game", "Test.Who"), second);
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, AKilledNodeIsPassedOverAndItsSuccessorIsAnotherNode) {
  Server etcd = Server::etcd();
  Server one = node("game", {registry_flag(etcd)}), two = node("game", {registry_flag(etcd)});
  const std::string killed = uuid_of(one), second = uuid_of(two);
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 2));
  for (int i = 0; i < 20; ++i) gate.call("game", "Test.Who");
  one.kill();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(gate.call("game", "Test.Who"), second);
  EXPECT_EQ(gate.ids("game").size(), 2);  // Its lease has not ended.
  EXPECT_THAT(gate.call("game", "Test.Who", "", killed.c_str()), HasSubstr(R"("code":503)"));
  one.start();  // On the same port, while the registry still tells of the old one.
  const std::string third = uuid_of(one);
  ASSERT_TRUE(gate.sees("game", 3));
  for (int i = 0; i < 50; ++i) EXPECT_THAT(gate.call("game", "Test.Who"), ::testing::AnyOf(second, third));
  EXPECT_EQ(gate.call("game", "Test.Who", "", third.c_str()), third);
  const std::string refused = gate.call("game", "Test.Who", "", killed.c_str());
  EXPECT_THAT(refused, HasSubstr(R"("code":503)"));
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, ANodeThatDiesInMidCallEndsItAtOnce) {
  Server etcd = Server::etcd();
  Server game = node("game", {registry_flag(etcd)}, false);
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  for (int round = 0; round < test::rounds(3, 100); ++round) {
    game.start();
    const std::string uuid = uuid_of(game);
    ASSERT_TRUE(eventually([&] { return std::ranges::count(gate.ids("game"), uuid) == 1; }));
    const auto before = std::chrono::steady_clock::now();
    const std::string died = gate.call("game", "Test.Abort", "", uuid.c_str(), std::chrono::seconds(15));
    EXPECT_THAT(died, HasSubstr("the request may have run")) << died;
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));  // Not at its deadline.
    game.kill();
  }
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, AStoppedProcessCostsDeadlinesUntilItIsSetAside) {
  Server etcd = Server::etcd();
  Server one = node("game", {registry_flag(etcd)}), two = node("game", {registry_flag(etcd)});
  const std::string first = uuid_of(one), second = uuid_of(two);
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 2));
  one.pause();
  for (std::uint32_t i = 0; i < rpc::NodeHealth::kMisses; ++i) {
    EXPECT_THAT(gate.call("game", "Test.Who", "", first.c_str(), std::chrono::milliseconds(50)), HasSubstr("408"));
  }
  for (int i = 0; i < 20; ++i) {
    const std::string who = gate.call("game", "Test.Who", "", nullptr, std::chrono::milliseconds(500));
    // Now and then a call tries whether it is back.
    EXPECT_THAT(who, ::testing::AnyOf(second, HasSubstr("408")));
  }
  one.resume();
  EXPECT_TRUE(eventually([&] { return gate.call("game", "Test.Who") == first; }));
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, EtcdMayComeLaterAndGo) {
  Server etcd = Server::etcd();
  etcd.stop();
  Server game = node("game", {registry_flag(etcd)});  // Starts all the same.
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  EXPECT_THAT(gate.call("game", "Test.Who"), HasSubstr("go.micro.client"));
  etcd.start();
  ASSERT_TRUE(eventually([&] { return gate.call("game", "Test.Who") == uuid_of(game); }));
  etcd.kill();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(gate.call("game", "Test.Who"), uuid_of(game));
  etcd.wipe();
  etcd.start();
  const std::string id = "game-" + uuid_of(game);
  EXPECT_TRUE(eventually([&] {
    return testing::run_program(
               {"etcdctl", "--endpoints=" + etcd.address(), "get", "--prefix", "--keys-only", "/micro/registry/game/"})
        .text.contains(id);
  }));
  EXPECT_EQ(gate.call("game", "Test.Who"), uuid_of(game));
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, ARollingRestartFailsNoCall) {
  Server etcd = Server::etcd();
  Server one = node("game", {registry_flag(etcd)}), two = node("game", {registry_flag(etcd)});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 2));
  Hammer hammer(gate);
  for (Server* each : {&one, &two, &one, &two}) {
    const int before = hammer.calls();
    ASSERT_TRUE(eventually([&] { return hammer.calls() > before + 20; }));
    each->stop();
    each->start();
    const std::string uuid = uuid_of(*each);
    ASSERT_TRUE(eventually([&] { return std::ranges::count(gate.ids("game"), uuid) == 1; }));
  }
  EXPECT_THAT(hammer.stop(), ::testing::IsEmpty()) << hammer.calls() << " calls";
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

TEST(Cluster, CallsInACircleEnd) {
  Server etcd = Server::etcd();
  Server game = node("game", {registry_flag(etcd)}), hall = node("hall", {registry_flag(etcd)});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 1));
  ASSERT_TRUE(gate.sees("hall", 1));
  std::string circle = "gate Test.Who x";
  for (int i = 0; i < 50; ++i) circle = "hall Test.Forward game Test.Forward " + circle;
  EXPECT_EQ(gate.call("game", "Test.Forward", circle), gate.app.id());
  // Within one process it is the stack that is used up.
  std::string own = "game Test.Who x";
  for (int i = 0; i < 100; ++i) own = "game Test.Forward " + own;
  EXPECT_THAT(gate.call("game", "Test.Forward", own), HasSubstr("calls inside each other (max_nested)"));
  EXPECT_EQ(gate.process.stop(), exit_code::kStopped);
}

}  // namespace
}  // namespace mg
