// tests/e2e/member.h -- services of a cluster: in this process, or in one of their own, over gRPC.
//
//   Server etcd = Server::etcd();
//   Server game = node("game", {registry_flag(etcd)});
//   Member gate("gate", {registry_flag(etcd)});
//   ASSERT_TRUE(gate.start() && gate.sees("game", 1));
//   EXPECT_EQ(gate.call("game", "Test.Who"), uuid_of(game));
#pragma once

#include <google/protobuf/wrappers.pb.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mg/app/app.h"
#include "tests/e2e/on_loop.h"
#include "tests/support/server.h"

namespace mg::test {

using google::protobuf::StringValue;
using testing::Server;

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

// Calls the service "game" without a pause, eight at a time, until it is told to stop.
class Hammer {
 public:
  explicit Hammer(Member& member) {
    member.process.runtime().loop(0).post_always([this, &app = member.app] {
      for (int i = 0; i < kTasks; ++i) spawn(run(app));
    });
  }
  Hammer(const Hammer&) = delete;
  Hammer& operator=(const Hammer&) = delete;
  ~Hammer() { stop(); }
  int calls() const { return calls_; }
  // The errors there were.
  std::vector<std::string> stop() {
    stop_ = true;
    check(eventually([&] { return ended_ == kTasks; }), "calls of this test do not end");
    return failures_;
  }

 private:
  static constexpr int kTasks = 8;
  Task<void> run(App& app) {
    while (!stop_) {
      const std::string got =
          co_await Member::calling(app, "game", "Test.Wait", "2", std::nullopt, std::chrono::seconds(30));
      ++calls_;
      if (got.starts_with("{")) failures_.push_back(got);
    }
    ++ended_;
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> calls_{0}, ended_{0};
  std::vector<std::string> failures_;  // Of the one loop.
};

inline std::string registry_flag(const Server& etcd) {
  return "--registry_address=" + etcd.address();
}
inline std::string broker_flag(const Server& nats) {
  return "--broker_address=" + nats.address();
}

// A process of tests/servers/cluster_node.cc; its port is the one it is called at. `before`: a command that runs it.
inline Server node(std::string name, std::vector<std::string> flags, bool started = true,
                   std::vector<std::string> before = {}) {
  return Server({.name = name,
                 .command =
                     [name, flags, before](std::uint16_t port, const std::string&) {
                       std::vector<std::string> all = before;
                       all.insert(all.end(), {MG_CLUSTER_NODE, name, "--loops=1", "--rpc_link=off",
                                              "--rpc_address=127.0.0.1:" + std::to_string(port)});
                       all.insert(all.end(), flags.begin(), flags.end());
                       return all;
                     },
                 .ready = "ready "},
                started);
}
// Of the life it is in.
inline std::string uuid_of(const Server& node) {
  const std::string output = node.output();
  const std::size_t at = output.rfind("ready ");
  return at == output.npos ? "" : output.substr(at + 6, 36);
}

}  // namespace mg::test
