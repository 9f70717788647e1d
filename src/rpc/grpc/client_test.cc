// What calls over gRPC do beyond the contract: connections, order, nodes that change.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/client.h"
#include "mg/rpc/grpc/transport.h"
#include "rpc/rpc_backend.h"
#include "runtime/testing.h"

namespace mg::rpc::grpc {
namespace {

using google::protobuf::StringValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Nodes = std::vector<mg::rpc::Node>;

class GrpcClient : public ::testing::Test {
 protected:
  // A node whose handlers wait until they are released.
  struct Game {
    Handlers handlers;
    std::unique_ptr<Served> served;
    std::vector<std::string> order;  // Of arrival.
    std::set<std::string> remotes;
    int held = 0;
    int released = 0;
  };
  struct Pending {
    Meta meta;
    StringValue in, out;
    std::optional<Result<void>> done;
  };

  ~GrpcClient() override {
    for (const auto& game : games_) {
      game->released = 1 << 20;
      if (game->served) EXPECT_TRUE(stop(*game));
    }
  }

  void make(GrpcOptions options = {}) {
    options.listen = "127.0.0.1:0";
    transport_ = std::move(*make_transport(std::move(options), loops_));
    client_.emplace(ClientOptions{.name = "gate"}, loops_, resolver_, std::vector<Transport*>{transport_.get()},
                    random_);
  }
  Game& serve(const std::string& uuid) {
    games_.push_back(std::make_unique<Game>());
    Game& game = *games_.back();
    EXPECT_TRUE(game.handlers.add("Test.Hold", [&game](const Context& context, const StringValue& in,
                                                       StringValue& out) { return hold(game, context, in, out); }));
    game.served = std::move(*testing::await_on(
        loop_, transport_->serve({.service = "game", .uuid = uuid, .handlers = &game.handlers, .observer = {}})));
    return game;
  }
  bool stop(Game& game) {
    const bool stopped =
        testing::await_on(loop_, game.served->stop(Deadline::after(loop_.clock(), std::chrono::seconds(10))))
            .has_value();
    game.served.reset();
    return stopped;
  }
  static mg::rpc::Node node(const std::string& uuid, const Game& game) {
    return {"game-" + uuid, game.served->address(), game.served->metadata()};
  }
  std::unique_ptr<Pending> start(std::string text, std::string client, bool ordered,
                                 Clock::Duration time = std::chrono::seconds(10)) {
    auto pending = std::make_unique<Pending>();
    pending->meta.set("Client-Id", client);
    pending->in.set_value(std::move(text));
    loop_.post_always([this, ordered, time, to = pending.get()] { spawn(run(*client_, ordered, time, *to)); });
    return pending;
  }
  template <class Done>
  void until(Done done) {
    ASSERT_TRUE(testing::run_until(loop_, std::move(done)));
  }

  static Task<Result<void>> hold(Game& game, const Context& context, const StringValue& in, StringValue& out) {
    game.order.push_back(in.value());
    game.remotes.insert(std::string(context.remote()));
    ++game.held;
    while (game.released == 0) co_await Loop::current()->yield();
    --game.released;
    --game.held;
    out.set_value(in.value());
    co_return Result<void>();
  }
  static Task<void> run(Client& client, bool ordered, Clock::Duration time, Pending& pending) {
    Context context(pending.meta, Deadline::after(Loop::current()->now(), time));
    if (ordered) context.set_ordered();
    pending.done = co_await client.call({.service = "game"}, "Test.Hold", context, pending.in, pending.out);
  }

  Loop loop_;
  Loop* loops_[1] = {&loop_};
  std::vector<std::unique_ptr<Game>> games_;
  std::unique_ptr<Transport> transport_;
  ListResolver resolver_;
  SeededRandom random_{7};
  std::optional<Client> client_;
};

TEST_F(GrpcClient, OrderedCallsOfAClientWaitForTheOneBefore) {
  make();
  Game& game = serve("a");
  resolver_.set("game", {node("a", game)});
  std::vector<std::unique_ptr<Pending>> calls;
  for (const char* text : {"1", "2", "3", "4"}) calls.push_back(start(text, "one", true));
  calls.push_back(start("other", "two", true));
  calls.push_back(start("free", "one", false));
  until([&] { return game.held == 3; });  // "1", "other" and "free".
  EXPECT_THAT(game.order, ::testing::UnorderedElementsAre("1", "other", "free"));
  game.released = 3;
  until([&] { return game.order.size() == 4 && game.held == 1; });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(game.held, 1);
    EXPECT_EQ(game.order.back(), std::to_string(i + 2));
    game.released = 1;
    until([&] { return calls[static_cast<std::size_t>(i) + 1]->done.has_value(); });
    if (i < 2) until([&] { return game.held == 1; });
  }
  for (const auto& each : calls) {
    ASSERT_TRUE(each->done.has_value());
    EXPECT_TRUE(*each->done);
    EXPECT_EQ(each->out.value(), each->in.value());
  }
}

TEST_F(GrpcClient, AnOrderedCallThatWaitsTooLongDoesNotRunAndTheNextGoesOn) {
  make();
  Game& game = serve("a");
  resolver_.set("game", {node("a", game)});
  auto first = start("1", "one", true);
  until([&] { return game.held == 1; });
  auto late = start("2", "one", true, std::chrono::milliseconds(20));
  auto next = start("3", "one", true);
  until([&] { return late->done.has_value(); });
  EXPECT_EQ(late->done->error().code, code::kTimeout);
  game.released = 2;
  until([&] { return first->done && next->done; });
  EXPECT_THAT(game.order, ElementsAre("1", "3"));
  // The first one gives up: the next goes, though the other still runs.
  game.order.clear();
  auto given_up = start("4", "one", true, std::chrono::milliseconds(300));
  until([&] { return game.held == 1; });
  auto after = start("5", "one", true);
  until([&] { return game.held == 2; });
  EXPECT_EQ(given_up->done->error().code, code::kTimeout);
  game.released = 2;
  until([&] { return after->done.has_value(); });
  EXPECT_THAT(game.order, ElementsAre("4", "5"));
}

TEST_F(GrpcClient, OpensAnotherConnectionWhenOneHasEnoughCalls) {
  make({.pool_size = 3, .pool_calls = 2});
  Game& game = serve("a");
  resolver_.set("game", {node("a", game)});
  std::vector<std::unique_ptr<Pending>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(start("x", std::to_string(i), false));
  until([&] { return game.held == 10; });  // No call waits for a connection.
  EXPECT_EQ(game.remotes.size(), 3);
  game.released = 10;
  until([&] { return std::ranges::all_of(calls, [](const auto& each) { return each->done.has_value(); }); });
  auto more = start("x", "1", false);
  game.released = 1;
  until([&] { return more->done.has_value(); });
  EXPECT_EQ(game.remotes.size(), 3);  // They are kept.
}

TEST_F(GrpcClient, ClosesConnectionsThatAreNotUsed) {
  make({.pool_ttl = std::chrono::milliseconds(50)});
  Game& game = serve("a");
  resolver_.set("game", {node("a", game)});
  game.released = 1000;
  until([&] {
    auto call = start("x", "1", false);
    EXPECT_TRUE(testing::run_until(loop_, [&] { return call->done.has_value(); }));
    testing::await_on(loop_, [](Loop& loop) -> Task<int> {
      co_await loop.sleep_for(std::chrono::milliseconds(120));
      co_return 0;
    }(loop_));
    return game.remotes.size() >= 3;
  });
}

TEST_F(GrpcClient, ANodeMayChangeItsAddress) {
  make();
  Game& old = serve("a");
  resolver_.set("game", {node("a", old)});
  old.released = 1;
  auto before = start("x", "1", false);
  until([&] { return before->done.has_value(); });
  EXPECT_TRUE(stop(old));
  Game& moved = serve("a");
  moved.released = 1;
  resolver_.set("game", {node("a", moved)});
  auto after = start("y", "1", false);
  until([&] { return after->done.has_value(); });
  EXPECT_TRUE(*after->done);
  EXPECT_THAT(moved.order, ElementsAre("y"));
}

TEST_F(GrpcClient, TheNodeThatHasAnothersAddressNowRunsNothingOfIt) {
  make();
  Game& game = serve("new");
  mg::rpc::Node old = node("new", game);
  old.id = "game-old";
  resolver_.set("game", {old});
  auto call = start("x", "1", false);
  until([&] { return call->done.has_value(); });
  ASSERT_FALSE(*call->done);
  EXPECT_TRUE(is_not_run(call->done->error()));
  EXPECT_THAT(game.order, ElementsAre());
  resolver_.set("game", {old, node("new", game)});
  game.released = 20;
  for (int i = 0; i < 10; ++i) {
    auto again = start("x", "1", false);
    until([&] { return again->done.has_value(); });
    EXPECT_TRUE(*again->done);
  }
}

TEST_F(GrpcClient, MetadataThatCannotBeSentIsRefused) {
  make();
  Game& game = serve("a");
  resolver_.set("game", {node("a", game)});
  auto call = start("x", "\xe5\xbc\xa0", false);
  until([&] { return call->done.has_value(); });
  EXPECT_EQ(call->done->error().code, code::kInvalid);
  EXPECT_EQ(game.order.size(), 0);
}

TEST_F(GrpcClient, AnUnreachableAddressFailsAtOnceAndSaysThatNothingRan) {
  make();
  Game& game = serve("a");
  const mg::rpc::Node gone = node("a", game);
  EXPECT_TRUE(stop(game));
  resolver_.set("game", {gone});
  auto call = start("x", "1", false);
  until([&] { return call->done.has_value(); });
  EXPECT_TRUE(is_not_run(call->done->error())) << to_json(call->done->error());
  EXPECT_THAT(call->done->error().detail, HasSubstr(gone.address));
}

}  // namespace
}  // namespace mg::rpc::grpc
