#include "mg/rpc/local/network.h"

#include <atomic>
#include <thread>

#include "mg/runtime/runtime.h"
#include "rpc/forward_contract.h"
#include "rpc/rpc_contract.h"
#include "rpc/stream_contract.h"

namespace mg::rpc {

RpcBackend local(std::string name, bool serialise) {
  return {.name = std::move(name), .make = [serialise](std::span<Loop* const> loops) {
            auto network = std::make_shared<LocalNetwork>(loops, LocalOptions{.serialise = serialise});
            return RpcTransports{network, network};
          }};
}

INSTANTIATE_TEST_SUITE_P(Local, StreamContract, ::testing::Values(local("Plain", false)), rpc_backend_name);
INSTANTIATE_TEST_SUITE_P(Local, ForwardContract, ::testing::Values(local("Direct", false), local("Serialised", true)),
                         rpc_backend_name);
INSTANTIATE_TEST_SUITE_P(Local, RpcContract, ::testing::Values(local("Direct", false), local("Serialised", true)),
                         rpc_backend_name);

namespace {

using google::protobuf::BytesValue;
using google::protobuf::StringValue;

// A client, a network and nodes of "game" on the given loops.
struct Cluster {
  explicit Cluster(std::span<Loop* const> loops, ClientOptions options = {.name = "gate"}, bool serialise = false)
      : network(loops, {.serialise = serialise}), client(std::move(options), loops, resolver, {&network}, random) {}

  std::unique_ptr<Served> serve(Loop& loop, std::string uuid, RequestObserver observer = {}) {
    auto served = testing::await_on(
        loop, network.serve({.service = "game", .uuid = uuid, .handlers = &handlers, .observer = std::move(observer)}));
    nodes.push_back({"game-" + uuid, served.value()->address(), {}});
    resolver.set("game", nodes);
    return std::move(*served);
  }

  Handlers handlers;
  LocalNetwork network;
  ListResolver resolver;
  SeededRandom random{3};
  Client client;
  std::vector<Node> nodes;
};

Task<Result<void>> call(Client& client, std::string_view endpoint, const MessageLite& in, MessageLite& out) {
  co_return co_await client.call({.service = "game"}, endpoint, Context(), in, out);
}
Result<void> stop(Loop& loop, Served& served) {
  return testing::await_on(loop, served.stop(Deadline::after(loop.clock(), std::chrono::seconds(10))));
}

TEST(LocalNetwork, ImmediateHandlerWorksOnTheCallersMessages) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  const StringValue* seen_in = nullptr;
  StringValue* seen_out = nullptr;
  ASSERT_TRUE(
      cluster.handlers.add("T.Look", [&](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
        seen_in = &in;
        seen_out = &out;
        return {};
      }));
  const auto served = cluster.serve(loop, "a");
  StringValue in, out;
  ASSERT_TRUE(testing::await_on(loop, call(cluster.client, "T.Look", in, out)));
  EXPECT_EQ(seen_in, &in);
  EXPECT_EQ(seen_out, &out);
  EXPECT_TRUE(stop(loop, *served));
}

TEST(LocalNetwork, SerialisingKeepsMessagesApart) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops, {.name = "gate"}, true);
  const StringValue* seen = nullptr;
  ASSERT_TRUE(cluster.handlers.add("T.Look", [&](const Context&, const StringValue& in, StringValue&) -> Result<void> {
    seen = &in;
    return {};
  }));
  const auto served = cluster.serve(loop, "a");
  StringValue in, out;
  ASSERT_TRUE(testing::await_on(loop, call(cluster.client, "T.Look", in, out)));
  EXPECT_NE(seen, nullptr);
  EXPECT_NE(seen, &in);
  EXPECT_TRUE(stop(loop, *served));
}

TEST(LocalNetwork, MessagesOfOtherTypesAreConverted) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  ASSERT_TRUE(
      cluster.handlers.add("T.Echo", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
        out.set_value(in.value());
        return {};
      }));
  const auto served = cluster.serve(loop, "a");
  BytesValue in, out;  // The same on the wire.
  in.set_value("text");
  ASSERT_TRUE(testing::await_on(loop, call(cluster.client, "T.Echo", in, out)));
  EXPECT_EQ(out.value(), "text");
  in.set_value("\xff\xfe");  // No UTF-8, so no string.
  const auto refused = testing::await_on(loop, call(cluster.client, "T.Echo", in, out));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail, "grpc: failed to unmarshal the received message unexpected EOF");
  EXPECT_TRUE(stop(loop, *served));
}

struct Circle {
  Client* client = nullptr;
  int depth = 0;
  int deepest = 0;
  Task<Result<void>> again(const Context& context, const StringValue& in, StringValue& out) {
    deepest = std::max(deepest, ++depth);
    Result<void> done = co_await client->call({.service = "game"}, "T.Again", context, in, out);
    --depth;
    co_return done;
  }
};

TEST(LocalNetwork, CallsInACircleEndInAnError) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops, {.name = "game", .max_nested = 20});
  Circle circle{.client = &cluster.client};
  ASSERT_TRUE(cluster.handlers.add("T.Again", circle, &Circle::again));
  const auto served = cluster.serve(loop, "a");
  StringValue in, out;
  const auto done = testing::await_on(loop, call(cluster.client, "T.Again", in, out));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, code::kTooMany);
  EXPECT_EQ(circle.deepest, 20);
  EXPECT_TRUE(stop(loop, *served));
}

TEST(LocalNetwork, TellsItsObserverOfEachRequest) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  ASSERT_TRUE(cluster.handlers.add("T.Echo", [](const Context&, const StringValue&, StringValue&) -> Result<void> {
    return fail(code::kInvalid, "no");
  }));
  ASSERT_TRUE(
      cluster.handlers.add("T.Later", [](const Context&, const StringValue&, StringValue&) -> Task<Result<void>> {
        co_await Loop::current()->yield();
        co_return Result<void>();
      }));
  std::vector<std::string> seen;
  const auto served = cluster.serve(loop, "a", [&](const Request& request) {
    seen.push_back(
        fmt::format("{} {} {}", request.endpoint, request.context.caller(), request.error ? "failed" : "ok"));
  });
  StringValue in, out;
  EXPECT_FALSE(testing::await_on(loop, call(cluster.client, "T.Echo", in, out)));
  EXPECT_TRUE(testing::await_on(loop, call(cluster.client, "T.Later", in, out)));
  EXPECT_THAT(seen, ::testing::ElementsAre("T.Echo gate failed", "T.Later gate ok"));
  EXPECT_TRUE(stop(loop, *served));
}

TEST(LocalNetwork, RefusesASecondNodeOfTheSameId) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  const auto served = cluster.serve(loop, "a");
  const auto second = testing::await_on(
      loop, cluster.network.serve({.service = "game", .uuid = "a", .handlers = &cluster.handlers, .observer = {}}));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, code::kExists);
  EXPECT_TRUE(stop(loop, *served));
}

TEST(LocalNetwork, CallOutsideTheLoopsIsAnError) {
  Loop loop, stranger({.index = 5});
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  StringValue in, out;
  const auto done = testing::await_on(stranger, call(cluster.client, "T.Echo", in, out));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().detail, ::testing::HasSubstr("outside the loops"));
}

TEST(LocalNetwork, DeadlineIsTheClocks) {
  ManualClock clock;
  Loop loop({.clock = &clock});
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  Completion<bool> never;
  ASSERT_TRUE(cluster.handlers.add("T.Hang", [&](const Context&, const StringValue&, StringValue&) {
    struct Run {
      static Task<Result<void>> hang(Completion<bool>& until) {
        co_await until.wait(*Loop::current(), Deadline::never());
        co_return Result<void>();
      }
    };
    return Run::hang(never);
  }));
  const auto served = cluster.serve(loop, "a");
  StringValue in, out;
  std::optional<Result<void>> done;
  loop.post([&] {
    spawn([](Client& client, const StringValue& i, StringValue& o, std::optional<Result<void>>& d) -> Task<void> {
      d = co_await client.call({.service = "game"}, "T.Hang", Context(), i, o);
    }(cluster.client, in, out, done));
  });
  while (loop.poll()) {
  }
  clock.advance(std::chrono::milliseconds(9'999));
  loop.poll();
  EXPECT_FALSE(done.has_value());
  clock.advance(std::chrono::milliseconds(1));
  loop.poll();
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->error().code, code::kTimeout);
  never.set(true);
  EXPECT_TRUE(stop(loop, *served));
}

// A picker of the program's own.
class LastPicker final : public Picker {
 public:
  void update(std::span<const Candidate> nodes) override { last_ = nodes.size() - 1; }
  std::size_t pick(std::span<const Candidate>, const Context&, Clock::TimePoint, Random&) override { return last_; }

 private:
  std::size_t last_ = 0;
};

TEST(LocalNetwork, PickerOfTheServiceDecides) {
  Loop loop;
  Loop* loops[] = {&loop};
  Cluster cluster(loops);
  ASSERT_TRUE(cluster.handlers.add(
      "T.Echo", [](const Context&, const StringValue&, StringValue&) -> Result<void> { return {}; }));
  std::vector<std::unique_ptr<Served>> served;
  std::map<std::string, int> calls;
  for (const char* uuid : {"a", "b", "c"}) {
    served.push_back(cluster.serve(loop, uuid, [&calls, uuid](const Request&) { ++calls[uuid]; }));
  }
  cluster.client.set_picker("game", [] { return std::make_unique<LastPicker>(); });
  StringValue in, out;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(testing::await_on(loop, call(cluster.client, "T.Echo", in, out)));
  EXPECT_THAT(calls, ::testing::ElementsAre(std::pair("c", 20)));
  for (const auto& each : served) EXPECT_TRUE(stop(loop, *each));
}

// ---- several loops ----------------------------------------------------------------------------------------------

struct Load {
  Client& client;
  std::atomic<bool>& on;
  std::atomic<std::uint64_t> ok{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> other{0};
  std::atomic<int> running{0};

  static Task<void> run(Load& load, Loop& loop, std::string_view endpoint) {
    const Method method = load.client.method("game", endpoint);
    while (load.on) {
      auto call = method.make_call<StringValue, StringValue>();
      call.request().set_value("load");
      const Result<void> done = co_await call.send(Context());
      if (done && call.reply().value() == "load") {
        ++load.ok;
      } else if (!done && is_not_run(done.error())) {
        ++load.refused;
      } else {
        ++load.other;
      }
      co_await loop.yield();
    }
    --load.running;
  }
};

// Handlers refer to this; a call after stop() would find it gone.
struct Service {
  std::atomic<bool> alive{true};
  Runtime* runtime = nullptr;
  ~Service() { alive = false; }
  Result<void> now(const Context&, const StringValue& in, StringValue& out) {
    EXPECT_TRUE(alive);
    out.set_value(in.value());
    return {};
  }
  Task<Result<void>> hop(const Context&, const StringValue& in, StringValue& out) {
    co_await runtime->loop(runtime->size() - 1).resume_here();
    co_await Loop::current()->yield();
    EXPECT_TRUE(alive);
    out.set_value(in.value());
    co_return Result<void>();
  }
};

TEST(LocalNetwork, NodesStopAndStartUnderLoadFromAllLoops) {
  Runtime runtime({.loops = 3});
  std::vector<Loop*> loops;
  for (std::size_t i = 0; i < runtime.size(); ++i) loops.push_back(&runtime.loop(i));
  LocalNetwork network(loops, {.serialise = false});
  struct SharedResolver final : Resolver {
    std::mutex mutex;
    ListResolver list;
    Task<Result<NodeList>> nodes(std::string service, Deadline deadline) override {
      const std::lock_guard lock(mutex);
      return list.nodes(std::move(service), deadline);
    }
    const std::atomic<std::uint64_t>& version() const override { return list.version(); }
    void set(std::vector<Node> nodes) {
      const std::lock_guard lock(mutex);
      list.set("game", std::move(nodes));
    }
  } resolver;
  SeededRandom random{5};
  Client client({.name = "gate"}, loops, resolver, {&network}, random);
  ASSERT_TRUE(runtime.start());

  std::atomic<bool> on{true};
  Load load{client, on};
  const auto wait_for = [&](auto done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return done();
  };
  const auto run = [&](Task<Result<void>> task) {
    std::atomic<int> outcome{-1};
    runtime.loop(0).post_always([&] {
      spawn([](Task<Result<void>> t, std::atomic<int>& o) -> Task<void> {
        const Result<void> done = co_await std::move(t);
        o = done.has_value();
      }(std::move(task), outcome));
    });
    EXPECT_TRUE(wait_for([&] { return outcome >= 0; }));
    return outcome == 1;
  };
  const std::vector<Node> node{{"game-a", "local", {}}};
  resolver.set(node);
  for (int round = 0; round < 15; ++round) {
    auto service = std::make_unique<Service>();
    service->runtime = &runtime;
    auto handlers = std::make_unique<Handlers>();
    ASSERT_TRUE(handlers->add("T.Now", *service, &Service::now));
    ASSERT_TRUE(handlers->add("T.Hop", *service, &Service::hop));
    std::unique_ptr<Served> served;
    ASSERT_TRUE(run([](LocalNetwork& n, Handlers& h, std::unique_ptr<Served>& s) -> Task<Result<void>> {
      auto made = co_await n.serve({.service = "game", .uuid = "a", .handlers = &h, .observer = {}});
      s = std::move(made.value());
      co_return Result<void>();
    }(network, *handlers, served)));
    resolver.set(node);
    if (round == 0) {
      for (Loop* loop : loops) {
        for (const char* endpoint : {"T.Now", "T.Hop"}) {
          ++load.running;
          loop->post([&load, loop, endpoint] { spawn(Load::run(load, *loop, endpoint)); });
        }
      }
    }
    const std::uint64_t before = load.ok;
    ASSERT_TRUE(wait_for([&] { return load.ok > before + 50; }));
    ASSERT_TRUE(run(served->stop(Deadline::after(system_clock(), std::chrono::seconds(10)))));
    served.reset();
    handlers.reset();
    service.reset();
  }
  on = false;
  EXPECT_TRUE(wait_for([&] { return load.running == 0; }));
  runtime.stop();
  runtime.join();
  EXPECT_EQ(load.other, 0);
  EXPECT_GT(load.refused, 0);
}

}  // namespace
}  // namespace mg::rpc
