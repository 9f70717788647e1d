// Two processes that find each other by etcd and call over the link.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "mg/app/app.h"
#include "mg/base/check.h"
#include "tests/support/server.h"

namespace mg {
namespace {

using google::protobuf::StringValue;
using mg::testing::Server;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr std::string_view kSecret = "--rpc_link_secret=a secret of all nodes";

Server peer(const Server& etcd, std::vector<std::string> extra = {std::string(kSecret)}) {
  return Server({.name = "link_peer",
                 .command =
                     [&etcd, extra](std::uint16_t, const std::string&) {
                       std::vector<std::string> command{MG_LINK_PEER, "--registry_address=" + etcd.address(),
                                                        "--rpc_address=127.0.0.1:0", "--loops=1"};
                       command.insert(command.end(), extra.begin(), extra.end());
                       return command;
                     },
                 .ready = "ready"});
}

struct Caller {
  explicit Caller(const Server& etcd, std::vector<std::string> extra = {std::string(kSecret)})
      : arguments{"--registry_address=" + etcd.address(), "--rpc_address=127.0.0.1:0", "--loops=1"} {
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    std::vector<const char*> views;
    for (const std::string& argument : arguments) views.push_back(argument.c_str());
    const auto started = process.start(views);
    check(started.has_value(), "the caller does not start");
  }
  ~Caller() { EXPECT_EQ(process.stop(), exit_code::kStopped); }

  struct Answer {
    Result<void> done;
    std::string text;
  };
  std::future<Answer> call(std::string endpoint) {
    std::promise<Answer> promise;
    auto future = promise.get_future();
    process.runtime().loop(0).post_always([this, endpoint, promise = std::move(promise)]() mutable {
      spawn(run(app, std::move(endpoint), std::move(promise)));
    });
    return future;
  }
  static Task<void> run(App& app, std::string endpoint, std::promise<Answer> promise) {
    const Meta meta{{"Client-Id", "c1"}};
    StringValue in, out;
    Result<void> done = co_await app.call(
        "peer", endpoint, rpc::Context(meta, Deadline::after(system_clock(), std::chrono::seconds(20))), in, out);
    promise.set_value({std::move(done), out.value()});
  }
  // The answer of a call that did reach somebody.
  std::string say() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      Answer answer = call("Peer.Say").get();
      if (answer.done) return answer.text;
      if (std::chrono::steady_clock::now() > end) return to_json(answer.done.error());
      std::this_thread::yield();
    }
  }

  std::vector<std::string> arguments;
  Process process;
  App app{process, {.name = "caller"}};
};

TEST(Link, CarriesTheCallsBetweenTwoProcesses) {
  const Server etcd = Server::etcd();
  const Server game = peer(etcd);
  Caller caller(etcd);
  // Over gRPC the caller's address has a port.
  EXPECT_THAT(caller.say(), ContainsRegex("^[0-9]+ 127\\.0\\.0\\.1 c1$"));
}

TEST(Link, OffMeansGrpc) {
  const Server etcd = Server::etcd();
  const Server game = peer(etcd);
  Caller caller(etcd, {std::string(kSecret), "--rpc_link=off"});
  EXPECT_THAT(caller.say(), ContainsRegex("^[0-9]+ 127\\.0\\.0\\.1:[0-9]+ c1$"));
}

TEST(Link, NodesWithoutItAreCalledOverGrpc) {
  const Server etcd = Server::etcd();
  const Server game = peer(etcd, {"--rpc_link=off"});
  Caller caller(etcd);
  EXPECT_THAT(caller.say(), ContainsRegex("^[0-9]+ 127\\.0\\.0\\.1:[0-9]+ c1$"));
}

TEST(Link, AnotherSecretKeepsNodesApart) {
  const Server etcd = Server::etcd();
  const Server game = peer(etcd, {"--rpc_link_secret=the secret of other nodes"});
  Caller caller(etcd);
  const auto answer = caller.call("Peer.Say").get();
  ASSERT_FALSE(answer.done);
  EXPECT_THAT(answer.done.error().detail, HasSubstr("did not run"));
}

TEST(Link, AKilledPeerFailsItsCallsAtOnceAndAnotherTakesOver) {
  const Server etcd = Server::etcd();
  Server game = peer(etcd);
  Caller caller(etcd);
  const std::string before = caller.say();
  auto held = caller.call("Peer.Hold");
  while (!game.output().contains("holding")) std::this_thread::yield();
  game.kill();
  ASSERT_EQ(held.wait_for(std::chrono::seconds(15)), std::future_status::ready);  // Long before its deadline.
  const auto answer = held.get();
  ASSERT_FALSE(answer.done);
  EXPECT_EQ(answer.done.error().code, code::kServer);
  EXPECT_THAT(answer.done.error().detail, HasSubstr("may have run"));
  EXPECT_THAT(caller.call("Peer.Say").get().done.error().detail, HasSubstr("did not run"));
  // The record of the dead one is still there.
  game.start();
  const std::string after = caller.say();
  EXPECT_NE(after, before);
  EXPECT_THAT(after, ContainsRegex(" 127\\.0\\.0\\.1 c1$"));
}

TEST(Link, APeerThatStoodStillForAMomentGoesOn) {
  const Server etcd = Server::etcd();
  Server game = peer(etcd);
  Caller caller(etcd);
  const std::string before = caller.say();
  game.pause();
  auto waiting = caller.call("Peer.Say");
  game.resume();
  EXPECT_EQ(waiting.get().text, before);
}

}  // namespace
}  // namespace mg
