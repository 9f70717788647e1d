// What every rpc::Transport does; a test of an adapter includes this and names itself:
//
//   INSTANTIATE_TEST_SUITE_P(Local, RpcContract, ::testing::Values(RpcBackend{...}), rpc_backend_name);
#pragma once

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/client.h"
#include "mg/runtime/event.h"
#include "rpc/rpc_backend.h"
#include "runtime/testing.h"

namespace mg::rpc {

class RpcContract : public ::testing::TestWithParam<RpcBackend> {
 protected:
  using StringValue = google::protobuf::StringValue;
  using Int32Value = google::protobuf::Int32Value;

  // A served node of the service "game".
  struct Game {
    std::string uuid;
    Handlers handlers;
    std::unique_ptr<Served> served;
    std::string seen;  // By the last call.
    Meta meta;
    Deadline deadline = Deadline::never();
    int calls = 0;
    int ended = 0;                        // Of the suspended ones.
    std::vector<Completion<bool>*> held;  // Calls of Test.Hold that wait for release().
    std::vector<Request> requests;

    void release(std::size_t i = 0) {
      Completion<bool>* const one = held[i];
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
      one->set(true);
    }
  };

  ~RpcContract() override {
    for (auto& game : games_) {
      while (!game->held.empty()) game->release();
      if (game->served) EXPECT_TRUE(stop(*game));
    }
  }

  Game& serve(std::string uuid) {
    games_.push_back(std::make_unique<Game>());
    Game& game = *games_.back();
    game.uuid = std::move(uuid);
    add_handlers(game);
    start(game);
    return game;
  }
  void start(Game& game) {
    auto served = testing::await_on(
        loop_,
        transports_.server->serve({.service = "game", .uuid = game.uuid, .handlers = &game.handlers, .observer = {}}));
    ASSERT_TRUE(served) << to_json(served.error());
    game.served = std::move(*served);
    publish();
  }
  // Tells the resolver of all nodes that are served.
  void publish() {
    std::vector<Node> nodes;
    for (const auto& game : games_) {
      if (game->served) {
        nodes.push_back({"game-" + game->uuid, game->served->address(), game->served->metadata()});
      }
    }
    resolver_.set("game", std::move(nodes));
  }
  Result<void> stop(Game& game, Clock::Duration time = std::chrono::seconds(10)) {
    auto done = testing::await_on(loop_, game.served->stop(Deadline::after(loop_.clock(), time)));
    if (done) game.served.reset();
    return done;
  }

  Result<void> call(const Target& target, std::string_view endpoint, const Context& context, const MessageLite& in,
                    MessageLite& out) {
    return testing::await_on(loop_, calling(client_, target, endpoint, context, in, out));
  }
  // The reply's text, or the error as JSON.
  std::string call(std::string_view endpoint, std::string text = "hi", const Context& context = Context(),
                   std::string_view uuid = {}) {
    StringValue in, out;
    in.set_value(std::move(text));
    const Result<void> done = call({.service = "game", .node = uuid}, endpoint, context, in, out);
    return done ? out.value() : to_json(done.error());
  }
  // A call on the test's own time: messages it can destroy.
  struct Pending {
    StringValue in;
    StringValue out;
    std::optional<Result<void>> done;
  };
  std::unique_ptr<Pending> start_call(std::string_view endpoint, std::string text, Deadline deadline) {
    auto pending = std::make_unique<Pending>();
    pending->in.set_value(std::move(text));
    loop_.post_always(
        [this, endpoint, deadline, to = pending.get()] { spawn(pend(client_, endpoint, deadline, *to)); });
    return pending;
  }
  Deadline in(Clock::Duration time) { return Deadline::after(loop_.clock(), time); }
  template <class Done>
  void until(Done done) {
    ASSERT_TRUE(testing::run_until(loop_, std::move(done)));
  }

  Loop loop_;
  Loop* loops_[1] = {&loop_};
  RpcTransports transports_ = GetParam().make(loops_);
  ListResolver resolver_;
  SeededRandom random_{7};
  Client client_{{.name = "gate"}, loops_, resolver_, {transports_.client.get()}, random_};
  std::vector<std::unique_ptr<Game>> games_;

  // Calls begin on the loop.
  static Task<Result<void>> calling(Client& client, Target target, std::string_view endpoint, Context context,
                                    const MessageLite& in, MessageLite& out) {
    co_return co_await client.call(target, endpoint, context, in, out);
  }

 private:
  static Task<void> pend(Client& client, std::string_view endpoint, Deadline deadline, Pending& pending) {
    pending.done = co_await client.call({.service = "game"}, endpoint, Context(deadline), pending.in, pending.out);
  }
  static Task<Result<void>> hold(Game& game, const StringValue& in, StringValue& out) {
    ++game.calls;
    Completion<bool> released;
    game.held.push_back(&released);
    co_await released.wait(*Loop::current(), Deadline::never());
    out.set_value("held " + in.value());
    ++game.ended;
    co_return Result<void>();
  }
  static Task<Result<void>> suspend_and_throw() {
    co_await Loop::current()->yield();
    throw std::runtime_error("late boom");
  }

  void add_handlers(Game& game) {
    const auto add = [&](std::string_view name, auto fn) { ASSERT_TRUE(game.handlers.add(name, std::move(fn))); };
    add("Test.Echo", [&game](const Context& context, const StringValue& in, StringValue& out) -> Result<void> {
      ++game.calls;
      game.meta = context.meta();
      game.deadline = context.deadline();
      game.seen = context.caller();
      out.set_value(in.value());
      return {};
    });
    add("Test.ChangeMeta", [](const Context& context, const StringValue& in, StringValue& out) -> Task<Result<void>> {
      AgentMeta& own = context.own_meta();
      const std::string before(own.get("Room"));
      own.set("Room", in.value());
      co_await Loop::current()->yield();
      out.set_value(fmt::format("{} {} {}", before, own.get("Room"), context.meta().get("Room")));
      co_return Result<void>();
    });
    add("Test.Who", [&game](const Context&, const StringValue&, StringValue& out) -> Result<void> {
      ++game.calls;
      out.set_value(game.uuid);
      return {};
    });
    add("Test.Later", [](const Context&, const StringValue& in, StringValue& out) -> Task<Result<void>> {
      co_await Loop::current()->yield();
      out.set_value("later " + in.value());
      co_return Result<void>();
    });
    add("Test.Ready", [](const Context&, const StringValue& in, StringValue& out) -> Task<Result<void>> {
      out.set_value("ready " + in.value());
      return Result<void>();
    });
    add("Test.Hold", [&game](const Context&, const StringValue& in, StringValue& out) { return hold(game, in, out); });
    add("Test.Fail", [&game](const Context&, const StringValue& in, StringValue&) -> Result<void> {
      ++game.calls;
      const Error error = parse_error(in.value());
      return std::unexpected(error);
    });
    add("Test.FailLater", [](const Context&, const StringValue& in, StringValue&) -> Task<Result<void>> {
      const Error error = parse_error(in.value());
      co_await Loop::current()->yield();
      co_return std::unexpected(error);
    });
    add("Test.FailZero", [](const Context&, const StringValue&, StringValue&) -> Result<void> {
      return std::unexpected(Error{.id = "", .code = 0, .detail = "zero", .status = ""});
    });
    add("Test.Throw",
        [](const Context&, const StringValue&, StringValue&) -> Result<void> { throw std::runtime_error("boom"); });
    add("Test.ThrowLater",
        [](const Context&, const StringValue&, StringValue&) -> Task<Result<void>> { return suspend_and_throw(); });
    add("Test.Size", [](const Context&, const StringValue& in, Int32Value& out) -> Result<void> {
      out.set_value(static_cast<std::int32_t>(in.value().size()));
      return {};
    });
  }
};

TEST_P(RpcContract, CallReachesTheHandlerAndFillsTheReply) {
  serve("a");
  EXPECT_EQ(call("Test.Echo", "hello"), "hello");
  EXPECT_EQ(call("Test.Ready", "hello"), "ready hello");
  EXPECT_EQ(call("Test.Later", "hello"), "later hello");
}

TEST_P(RpcContract, EndpointMayBeAPath) {
  serve("a");
  EXPECT_EQ(call("/game.Test/Echo"), "hi");
  EXPECT_EQ(call("/any.thing.Test/Echo"), "hi");
  EXPECT_EQ(call("/Test/Echo"), "hi");
}

TEST_P(RpcContract, HandlerSeesMetadataCallerAndDeadline) {
  Game& game = serve("a");
  const Meta meta{{"Client-Id", "cid-1"}, {"Role-Id", "42"}, {"Snake_key", ""}};
  const Deadline deadline = in(std::chrono::seconds(5));
  EXPECT_EQ(call("Test.Echo", "hi", Context(meta, deadline)), "hi");
  EXPECT_EQ(game.meta.get("Client-Id"), "cid-1");
  EXPECT_EQ(game.meta.get_int64("Role-Id"), 42);
  EXPECT_TRUE(game.meta.has("Snake_key"));
  EXPECT_EQ(game.seen, "gate");
  EXPECT_LE(game.deadline, deadline);
  EXPECT_GT(game.deadline, in(std::chrono::seconds(0)));
}

TEST_P(RpcContract, AHandlersChangesOfItsMetadataAreItsOwn) {
  serve("a");
  const Meta meta{{"Room", "7"}};
  for (const char* room : {"8", "9"}) {
    StringValue in, out;
    in.set_value(room);
    ASSERT_TRUE(call({.service = "game"}, "Test.ChangeMeta", Context(meta), in, out));
    EXPECT_EQ(out.value(), fmt::format("7 {0} {0}", room));
    EXPECT_EQ(meta.get("Room"), "7");
  }
}

TEST_P(RpcContract, CallWithoutDeadlineGetsTheClientsTimeout) {
  Game& game = serve("a");
  EXPECT_EQ(call("Test.Echo"), "hi");
  EXPECT_LE(game.deadline, in(std::chrono::seconds(10)));
  EXPECT_GT(game.deadline, in(std::chrono::seconds(5)));
}

TEST_P(RpcContract, PooledMessagesAreCleanEachTime) {
  serve("a");
  const Method method = client_.method("game", "Test.Later");
  struct Run {
    static Task<Result<void>> twice(Method method, std::vector<std::string>& got) {
      for (int i = 0; i < 2; ++i) {
        auto call = method.make_call<StringValue, StringValue>();
        EXPECT_EQ(call.request().value(), "");
        EXPECT_EQ(call.reply().value(), "");
        call.request().set_value(std::to_string(i));
        if (auto done = co_await call.send(Context()); !done) co_return done;
        got.push_back(call.reply().value());
      }
      co_return Result<void>();
    }
  };
  std::vector<std::string> got;
  EXPECT_TRUE(testing::await_on(loop_, Run::twice(method, got)));
  EXPECT_THAT(got, ::testing::ElementsAre("later 0", "later 1"));
}

TEST_P(RpcContract, ReplyTypeMayDifferFromTheRequests) {
  serve("a");
  StringValue in;
  Int32Value out;
  in.set_value("12345");
  EXPECT_TRUE(call({.service = "game"}, "Test.Size", Context(), in, out));
  EXPECT_EQ(out.value(), 5);
}

TEST_P(RpcContract, LargeMessagesPass) {
  serve("a");
  const std::string text(3 << 20, 'x');
  EXPECT_EQ(call("Test.Echo", text), text);
}

// ---- errors -----------------------------------------------------------------------------------------------------

TEST_P(RpcContract, HandlerErrorArrivesWithTheNodesId) {
  serve("node-a");
  for (const char* endpoint : {"Test.Fail", "Test.FailLater"}) {
    EXPECT_EQ(call(endpoint, R"({"code":3,"detail":"bad 7"})"),
              R"({"id":"node-a","code":3,"detail":"bad 7","status":"invalid"})");
    EXPECT_EQ(call(endpoint, R"({"code":10001,"detail":"mine","status":"own"})"),
              R"({"id":"node-a","code":10001,"detail":"mine","status":"own"})");
  }
}

TEST_P(RpcContract, HandlerErrorWithAnIdIsUnchanged) {
  serve("node-a");
  const std::string json = R"({"id":"db","code":404,"detail":"role missing","status":"Not Found"})";
  EXPECT_EQ(call("Test.Fail", json), json);
}

TEST_P(RpcContract, ErrorCodeZeroBecomesUnknown) {
  serve("node-a");
  EXPECT_EQ(call("Test.FailZero"), R"({"id":"node-a","code":2,"detail":"zero","status":"unknown"})");
}

TEST_P(RpcContract, ThrowingHandlerIsAnErrorOfItsCallerOnly) {
  serve("a");
  EXPECT_EQ(call("Test.Throw"),
            R"({"id":"go.micro.server","code":500,"detail":"panic recovered: boom","status":"Internal Server Error"})");
  EXPECT_EQ(
      call("Test.ThrowLater"),
      R"({"id":"go.micro.server","code":500,"detail":"panic recovered: late boom","status":"Internal Server Error"})");
  EXPECT_EQ(call("Test.Echo"), "hi");
}

TEST_P(RpcContract, UnknownNamesSayWhichIsUnknown) {
  serve("a");
  const auto error = [](std::string detail) {
    return R"({"id":"go.micro.client","code":500,"detail":")" + detail + R"(","status":"Internal Server Error"})";
  };
  EXPECT_EQ(call("Nope.Echo"), error("unknown service Nope"));
  EXPECT_EQ(call("Test.Nope"), error("unknown service Test.Nope"));
  EXPECT_EQ(call("test.echo"), error("unknown service test"));
  EXPECT_EQ(call("/a/b.Test/Echo"), error(R"(malformed method name: \"/a/b.Test/Echo\")"));
  StringValue in, out;
  EXPECT_EQ(to_json(call({.service = "nope"}, "Test.Echo", Context(), in, out).error()),
            error("service nope: not found"));
  EXPECT_EQ(call("Test.Echo", "hi", Context(), "other"), error("error selecting game node: none available"));
  EXPECT_EQ(call("Test.Echo", "hi", Context(), std::string_view("")),
            error("error selecting game node: none available"));
}

// ---- choice of nodes --------------------------------------------------------------------------------------------

TEST_P(RpcContract, CallNodeReachesThatNode) {
  for (const char* uuid : {"b", "a", "c"}) serve(uuid);
  for (const char* uuid : {"a", "b", "c"}) EXPECT_EQ(call("Test.Who", "", Context(), uuid), uuid);
}

TEST_P(RpcContract, CallsSpreadOverAllNodes) {
  for (const char* uuid : {"a", "b", "c"}) serve(uuid);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(call("Test.Who"));
  EXPECT_THAT(seen, ::testing::ElementsAre("a", "b", "c"));
}

TEST_P(RpcContract, FilterDecidesWhichNodesCount) {
  for (const char* uuid : {"a", "b", "c"}) serve(uuid);
  StringValue in, out;
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const Target target{.service = "game", .node = {}, .filter = [](const Node& node) { return node.id != "game-b"; }};
    ASSERT_TRUE(call(target, "Test.Who", Context(), in, out));
    seen.insert(out.value());
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("a", "c"));
  const Target none{.service = "game", .node = {}, .filter = [](const Node&) { return false; }};
  EXPECT_EQ(call(none, "Test.Who", Context(), in, out).error().detail, "error selecting game node: none available");
}

TEST_P(RpcContract, NewNodesAreSeenAndGoneOnesForgotten) {
  Game& a = serve("a");
  EXPECT_EQ(call("Test.Who"), "a");
  Game& b = serve("b");
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) seen.insert(call("Test.Who"));
  EXPECT_EQ(seen.size(), 2);
  EXPECT_TRUE(stop(a));
  publish();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(call("Test.Who"), "b");
  EXPECT_TRUE(stop(b));
}

TEST_P(RpcContract, ResolverMayAnswerLater) {
  resolver_.asks_on = &loop_;
  serve("a");
  EXPECT_EQ(call("Test.Echo"), "hi");
  EXPECT_EQ(call("Test.Echo"), "hi");
  EXPECT_EQ(resolver_.asked, 1);
  StringValue in, out;
  EXPECT_EQ(call({.service = "nope"}, "Test.Echo", Context(), in, out).error().detail, "service nope: not found");
}

// ---- deadlines --------------------------------------------------------------------------------------------------

TEST_P(RpcContract, ExpiredDeadlineFailsWithoutRunning) {
  Game& game = serve("a");
  const std::string timeout =
      R"({"id":"go.micro.client","code":408,"detail":"context deadline exceeded","status":"Request Timeout"})";
  EXPECT_EQ(call("Test.Echo", "hi", Context(Deadline::past())), timeout);
  EXPECT_EQ(call("Test.Echo", "hi", Context(in(std::chrono::seconds(0)))), timeout);
  EXPECT_EQ(call("Test.Echo", "hi", Context(in(std::chrono::seconds(-1)))), timeout);
  EXPECT_EQ(game.calls, 0);
}

TEST_P(RpcContract, DeadlineEndsTheCallAndTheLateReplyIsDropped) {
  Game& game = serve("a");
  auto late = start_call("Test.Hold", "first", in(std::chrono::milliseconds(300)));
  until([&] { return late->done.has_value(); });
  EXPECT_EQ(late->done->error().code, code::kTimeout);
  EXPECT_EQ(late->out.value(), "");
  late.reset();  // Its messages are gone while the handler still works on what it sees.
  until([&] { return game.held.size() == 1; });
  auto next = start_call("Test.Hold", "second", in(std::chrono::seconds(10)));
  until([&] { return game.held.size() == 2; });
  game.release();  // The late one.
  until([&] { return game.ended == 1; });
  EXPECT_FALSE(next->done.has_value());
  game.release();
  until([&] { return next->done.has_value(); });
  EXPECT_TRUE(*next->done);
  EXPECT_EQ(next->out.value(), "held second");
}

TEST_P(RpcContract, CallersMayGiveUp) {
  Game& game = serve("a");
  const Method method = client_.method("game", "Test.Hold");
  struct Run {
    static Task<void> wait(Method method, std::optional<Task<void>>& self) {
      auto call = method.make_call<StringValue, StringValue>();
      call.request().set_value("x");
      (void)co_await call.send(Context());
      ADD_FAILURE() << "a call that was given up ended";
      self.reset();
    }
    static Task<void> give_up(Method method, Loop& loop, Game& game, bool& done) {
      {
        std::optional<Task<void>> waiting;
        waiting.emplace(wait(method, waiting));
        auto started = std::move(*waiting).operator co_await().await_suspend(std::noop_coroutine());
        started.resume();
        while (game.held.empty()) co_await loop.yield();
      }
      done = true;
    }
  };
  bool done = false;
  loop_.post_always([&] { spawn(Run::give_up(method, loop_, game, done)); });
  until([&] { return done; });
  game.release();
  until([&] { return game.ended == 1; });
  EXPECT_EQ(call("Test.Echo"), "hi");
}

TEST_P(RpcContract, RepliesGoToTheirCallersInAnyOrder) {
  Game& game = serve("a");
  std::vector<std::unique_ptr<Pending>> calls;
  for (int i = 0; i < 50; ++i)
    calls.push_back(start_call("Test.Hold", std::to_string(i), in(std::chrono::seconds(10))));
  until([&] { return game.held.size() == 50; });
  std::size_t at = 0;
  while (!game.held.empty()) game.release(at = (at * 7 + 3) % game.held.size());
  until([&] { return std::ranges::all_of(calls, [](const auto& each) { return each->done.has_value(); }); });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(calls[i]->out.value(), "held " + std::to_string(i));
}

// ---- bounds -----------------------------------------------------------------------------------------------------

TEST_P(RpcContract, TooManyPendingCallsAreRefused) {
  Game& game = serve("a");
  Client bounded({.name = "gate", .max_pending = 3}, loops_, resolver_, {transports_.client.get()}, random_);
  std::vector<std::optional<Result<void>>> done(4);
  StringValue in;
  std::vector<StringValue> out(4);
  struct Run {
    static Task<void> one(Client& client, const StringValue& in, StringValue& out, std::optional<Result<void>>& done) {
      done = co_await client.call({.service = "game"}, "Test.Hold", Context(), in, out);
    }
  };
  for (int i = 0; i < 4; ++i) loop_.post_always([&, i] { spawn(Run::one(bounded, in, out[i], done[i])); });
  until([&] { return done[3].has_value(); });
  EXPECT_EQ(done[3]->error().code, code::kTooMany);
  until([&] { return game.held.size() == 3; });
  while (!game.held.empty()) game.release();
  until([&] { return done[0] && done[1] && done[2]; });
  EXPECT_TRUE(*done[0]);
  loop_.post_always([&] { spawn(Run::one(bounded, in, out[3], done[3])); });
  until([&] { return game.held.size() == 1; });
  game.release();
  until([&] { return done[3]->has_value(); });
}

TEST_P(RpcContract, RetriesAsConfigured) {
  Game& game = serve("a");
  Client once({.name = "gate", .retries = 1}, loops_, resolver_, {transports_.client.get()}, random_);
  StringValue in, out;
  in.set_value(R"({"code":500,"detail":"again"})");
  const auto call_it = [&] {
    return testing::await_on(loop_, calling(once, {.service = "game"}, "Test.Fail", Context(), in, out));
  };
  EXPECT_EQ(call_it().error().code, 500);
  EXPECT_EQ(game.calls, 2);
  in.set_value(R"({"code":3,"detail":"not again"})");
  EXPECT_EQ(call_it().error().code, 3);
  EXPECT_EQ(game.calls, 3);
}

TEST_P(RpcContract, RetriesOfABusyServiceAreFew) {
  Game& game = serve("a");
  Client eager({.name = "gate", .retries = 5}, loops_, resolver_, {transports_.client.get()}, random_);
  constexpr int kCalls = 200;
  int done = 0;
  struct Run {
    static Task<void> one(Client& client, int& done) {
      StringValue in, out;
      in.set_value(R"({"code":500,"detail":"busy"})");
      EXPECT_FALSE(co_await client.call({.service = "game"}, "Test.Fail", Context(), in, out));
      ++done;
    }
  };
  for (int i = 0; i < kCalls; ++i) loop_.post_always([&] { spawn(Run::one(eager, done)); });
  until([&] { return done == kCalls; });
  EXPECT_GE(game.calls, kCalls);
  EXPECT_LE(game.calls, kCalls + kCalls / 5 + 10);
}

// ---- stopping ---------------------------------------------------------------------------------------------------

TEST_P(RpcContract, StoppedNodeFailsAtOnceAndSaysSo) {
  Game& game = serve("a");
  EXPECT_EQ(call("Test.Echo"), "hi");
  EXPECT_TRUE(stop(game));
  StringValue in, out;
  const auto done = call({.service = "game"}, "Test.Echo", Context(), in, out);
  ASSERT_FALSE(done);
  EXPECT_TRUE(is_not_run(done.error())) << to_json(done.error());
  EXPECT_THAT(done.error().detail, ::testing::HasSubstr("game-a"));
  EXPECT_EQ(game.calls, 1);
}

TEST_P(RpcContract, CallsGoOnOnTheOtherNodesWhenOneStops) {
  Game& a = serve("a");
  serve("b");
  for (int i = 0; i < 20; ++i) call("Test.Who");
  EXPECT_TRUE(stop(a));  // And the resolver does not know yet.
  for (int i = 0; i < 50; ++i) EXPECT_EQ(call("Test.Who"), "b");
  StringValue in, out;
  EXPECT_TRUE(is_not_run(call({.service = "game", .node = "a"}, "Test.Who", Context(), in, out).error()));
}

TEST_P(RpcContract, StopWaitsForTheCallsThatRun) {
  Game& game = serve("a");
  auto pending = start_call("Test.Hold", "x", in(std::chrono::seconds(10)));
  until([&] { return game.held.size() == 1; });
  std::optional<Result<void>> stopped;
  struct Run {
    static Task<void> stop(Served& served, Deadline deadline, std::optional<Result<void>>& out) {
      out = co_await served.stop(deadline);
    }
  };
  loop_.post_always([&] { spawn(Run::stop(*game.served, in(std::chrono::seconds(10)), stopped)); });
  until([&] {
    StringValue request, reply;
    return !call({.service = "game"}, "Test.Echo", Context(), request, reply);
  });
  EXPECT_FALSE(stopped.has_value());
  game.release();
  until([&] { return stopped.has_value() && pending->done.has_value(); });
  EXPECT_TRUE(*stopped);
  EXPECT_TRUE(*pending->done);
  EXPECT_EQ(pending->out.value(), "held x");
  game.served.reset();
}

TEST_P(RpcContract, StopGivesUpAtItsDeadline) {
  Game& game = serve("a");
  auto pending = start_call("Test.Hold", "x", in(std::chrono::seconds(10)));
  until([&] { return game.held.size() == 1; });
  const auto stopped = stop(game, std::chrono::milliseconds(20));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, code::kTimeout);
  game.release();
  until([&] { return pending->done.has_value(); });
  EXPECT_TRUE(stop(game));
}

TEST_P(RpcContract, NodeOfTheSameIdMayComeBack) {
  Game& game = serve("a");
  EXPECT_EQ(call("Test.Echo"), "hi");
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(stop(game));
    start(game);
    EXPECT_EQ(call("Test.Echo"), "hi");
  }
}

}  // namespace mg::rpc
