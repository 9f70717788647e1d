// Apps of several processes that meet by real servers; some of the processes are objects of this one.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "mg/app/app.h"
#include "mg/base/check.h"
#include "tests/support/server.h"

namespace mg {
namespace {

using google::protobuf::StringValue;
using ::testing::HasSubstr;
using testing::Server;
using ::testing::UnorderedElementsAre;

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

// A service of this test's own, in a process object of its own.
struct Member {
  Member(const char* name, std::vector<std::string> given) : arguments(std::move(given)), app(process, {.name = name}) {
    app.add_pub("level");
    app.add_sub("level", [this](const Meta& meta, const StringValue& message) -> Result<void> {
      const std::lock_guard lock(mutex);
      heard.push_back(std::string(meta.get("Role-Id")) + " " + message.value());
      return {};
    });
    app.add_handler("Test.Who", [this](const rpc::Context&, const StringValue&, StringValue& out) -> Result<void> {
      out.set_value(app.id());
      return {};
    });
    app.add_handler(
        "Test.Echo", [](const rpc::Context& context, const StringValue& in, StringValue& out) -> Result<void> {
          out.set_value(fmt::format("{} {} {}", in.value(), context.caller(), context.meta().get("Role-Id")));
          return {};
        });
  }
  Result<void> start() {
    std::vector<const char*> all{"--loops=1", "--rpc_link=off"};  // Over gRPC; link_test.cc has the link.
    for (const std::string& each : arguments) all.push_back(each.c_str());
    return process.start(all);
  }
  Result<void> pub(std::string text) {
    StringValue message;
    message.set_value(std::move(text));
    return on_loop(process, app.pub("level", Meta{{"Role-Id", "7"}}, message));
  }
  std::vector<std::string> all_heard() {
    const std::lock_guard lock(mutex);
    return heard;
  }
  // The reply's text, or the error as JSON. Without a uuid to any node.
  std::string call(std::string service, std::string endpoint, std::string text = "", const char* uuid = nullptr,
                   Clock::Duration time = std::chrono::seconds(10)) {
    return on_loop(process, calling(app, std::move(service), std::move(endpoint), std::move(text),
                                    uuid ? std::optional<std::string>(uuid) : std::nullopt, time));
  }
  std::vector<std::string> ids(std::string service) {
    return on_loop(process, app.nodes().ids(std::move(service))).value_or(std::vector<std::string>());
  }
  bool sees(std::string service, std::size_t count) {
    return eventually([&] { return ids(service).size() == count; });
  }

  static Task<std::string> calling(App& app, std::string service, std::string endpoint, std::string text,
                                   std::optional<std::string> uuid, Clock::Duration time) {
    StringValue in, out;
    in.set_value(std::move(text));
    const Meta meta{{"Role-Id", "7"}};
    const rpc::Context context(meta, Deadline::after(Loop::current()->now(), time));
    const Result<void> done = uuid ? co_await app.call_node(service, *uuid, endpoint, context, in, out)
                                   : co_await app.call(service, endpoint, context, in, out);
    co_return done ? out.value() : to_json(done.error());
  }

  std::vector<std::string> arguments;
  Process process;
  App app;
  std::mutex mutex;
  std::vector<std::string> heard;
};

std::string registry_flag(const Server& etcd) {
  return "--registry_address=" + etcd.address();
}
std::string broker_flag(const Server& nats) {
  return "--broker_address=" + nats.address();
}

// A process of tests/servers/cluster_node.cc; its port is the one it is called at.
Server node(std::string name, std::vector<std::string> flags, bool started = true) {
  return Server({.name = name,
                 .command =
                     [name, flags](std::uint16_t port, const std::string&) {
                       std::vector<std::string> all{MG_CLUSTER_NODE, name, "--loops=1", "--rpc_link=off",
                                                    "--rpc_address=127.0.0.1:" + std::to_string(port)};
                       all.insert(all.end(), flags.begin(), flags.end());
                       return all;
                     },
                 .ready = "ready "},
                started);
}
// Of the life it is in.
std::string uuid_of(const Server& node) {
  const std::string output = node.output();
  const std::size_t at = output.rfind("ready ");
  return at == output.npos ? "" : output.substr(at + 6, 36);
}

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
  for (int round = 0; round < 3; ++round) {
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

// Calls without a pause until it is told to stop.
struct Hammer {
  static Task<void> run(App& app, std::atomic<bool>& stop, std::atomic<int>& running, std::atomic<int>& calls,
                        std::vector<std::string>& failures) {
    while (!stop) {
      const std::string got =
          co_await Member::calling(app, "game", "Test.Wait", "2", std::nullopt, std::chrono::seconds(10));
      ++calls;
      if (got.starts_with("{")) failures.push_back(got);
    }
    --running;
  }
};

TEST(Cluster, ARollingRestartFailsNoCall) {
  Server etcd = Server::etcd();
  Server one = node("game", {registry_flag(etcd)}), two = node("game", {registry_flag(etcd)});
  Member gate("gate", {registry_flag(etcd)});
  ASSERT_TRUE(gate.start());
  ASSERT_TRUE(gate.sees("game", 2));
  std::atomic<bool> stop{false};
  std::atomic<int> running{8}, calls{0};
  std::vector<std::string> failures;  // Of the gate's one loop.
  for (int i = 0; i < 8; ++i) {
    gate.process.runtime().loop(0).post_always([&] { spawn(Hammer::run(gate.app, stop, running, calls, failures)); });
  }
  for (Server* each : {&one, &two, &one, &two}) {
    const int before = calls;
    ASSERT_TRUE(eventually([&] { return calls > before + 20; }));
    each->stop();
    each->start();
    const std::string uuid = uuid_of(*each);
    ASSERT_TRUE(eventually([&] { return std::ranges::count(gate.ids("game"), uuid) == 1; }));
  }
  stop = true;
  ASSERT_TRUE(eventually([&] { return running == 0; }));
  EXPECT_THAT(failures, ::testing::IsEmpty()) << calls << " calls";
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
