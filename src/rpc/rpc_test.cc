#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "mg/rpc/errors.h"
#include "mg/rpc/exchange.h"
#include "mg/rpc/handlers.h"
#include "mg/rpc/selector.h"
#include "mg/rpc/transport.h"

namespace mg::rpc {
namespace {

using google::protobuf::Int32Value;
using google::protobuf::StringValue;
using ::testing::ElementsAre;

Result<void> echo(const Context&, const StringValue& in, StringValue& out) {
  out.set_value(in.value());
  return {};
}

// ---- names and errors -------------------------------------------------------------------------------------------

std::string parsed(std::string_view endpoint, std::string_view service = "game") {
  const auto name = parse_endpoint(service, endpoint);
  return name ? fmt::format("{}|{}", name->handler, name->method) : name.error().detail;
}

TEST(Endpoint, NamesHandlerAndMethod) {
  EXPECT_EQ(parsed("Forward.Protocol"), "Forward|Protocol");
  EXPECT_EQ(parsed("/game.Forward/Protocol"), "Forward|Protocol");
  EXPECT_EQ(parsed("/a.b.Forward/Protocol"), "Forward|Protocol");
  EXPECT_EQ(parsed("/Forward/Protocol"), "Forward|Protocol");
}

TEST(Endpoint, RefusesWhatIsNoPath) {
  for (const char* bad : {"", "Forward", "a.b.c", "/Forward.Protocol", "/a/b.Pub/Flow", "/"}) {
    EXPECT_EQ(parsed(bad), fmt::format("malformed method name: \"{}\"", bad));
  }
  EXPECT_EQ(parsed("Pub.Flow", "a/b"), R"(malformed method name: "/a/b.Pub/Flow")");
}

TEST(NodeId, LosesTheServicesNameOnce) {
  EXPECT_EQ((Node{.id = "game-1574", .address = {}, .metadata = {}}).uuid("game"), "1574");
  EXPECT_EQ((Node{.id = "db-12db-3", .address = {}, .metadata = {}}).uuid("db"), "12db-3");
  EXPECT_EQ((Node{.id = "other", .address = {}, .metadata = {}}).uuid("db"), "other");
  EXPECT_EQ((Node{.id = "db-", .address = {}, .metadata = {}}).uuid("db"), "");
}

TEST(HandlerError, IsCompletedForTheCaller) {
  EXPECT_EQ(to_json(handler_error(make_error(3, "bad 7"), "n1")),
            R"({"id":"n1","code":3,"detail":"bad 7","status":"invalid"})");
  EXPECT_EQ(to_json(handler_error({.id = "x", .code = 7, .detail = "d", .status = "s"}, "n1")),
            R"({"id":"x","code":7,"detail":"d","status":"s"})");
  EXPECT_EQ(to_json(handler_error({.id = "", .code = 0, .detail = "d", .status = "s"}, "n1")),
            R"({"id":"n1","code":2,"detail":"d","status":"unknown"})");
  EXPECT_EQ(panic_error(std::make_exception_ptr(7)).detail, "panic recovered: unknown exception");
}

// ---- Handlers ---------------------------------------------------------------------------------------------------

TEST(Handlers, RefuseBadAndDoubleNames) {
  Handlers handlers;
  EXPECT_TRUE(handlers.add("Greeter.Echo", &echo));
  EXPECT_EQ(handlers.add("Greeter.Echo", &echo).error().code, code::kExists);
  for (const char* bad : {"", "Greeter", ".Echo", "Greeter.", "a.b.c", "Gree ter.Echo", "Greeter/Echo", "1a.Echo"}) {
    EXPECT_EQ(handlers.add(bad, &echo).error().code, code::kInvalid) << bad;
  }
  EXPECT_THAT(handlers.names(), ElementsAre("Greeter.Echo"));
}

struct Object {
  std::string prefix;
  Result<void> echo(const Context&, const StringValue& in, StringValue& out) {
    out.set_value(prefix + in.value());
    return {};
  }
  Task<Result<void>> later(const Context&, const StringValue& in, StringValue& out) {
    out.set_value(prefix + in.value());
    co_return Result<void>();
  }
};

TEST(Handlers, TakeFunctionsLambdasAndMethods) {
  Handlers handlers;
  Object object{"o:"};
  EXPECT_TRUE(handlers.add("T.Function", &echo));
  EXPECT_TRUE(
      handlers.add("T.Lambda", [&object](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
        out.set_value(object.prefix + in.value());
        return {};
      }));
  EXPECT_TRUE(handlers.add("T.Method", object, &Object::echo));
  EXPECT_TRUE(handlers.add("T.Later", object, &Object::later));
  StringValue in, out;
  in.set_value("x");
  for (const auto& [name, expected] : {std::pair{"Function", "x"}, {"Lambda", "o:x"}, {"Method", "o:x"}}) {
    const Handler* const handler = handlers.find("T", name).value();
    EXPECT_TRUE(handler->immediate);
    EXPECT_TRUE(handler->invoke_immediate(handler->target.get(), Context(), in, out));
    EXPECT_EQ(out.value(), expected);
    EXPECT_TRUE(handler->invoke(handler->target.get(), Context(), in, out).ready());
  }
  EXPECT_FALSE(handlers.find("T", "Later").value()->immediate);
}

// ---- Exchange ---------------------------------------------------------------------------------------------------

TEST(ExchangePool, GivesTheSameMessagesAgainEmpty) {
  ExchangePool pool(StringValue::default_instance(), Int32Value::default_instance());
  ExchangePtr first = pool.take();
  Exchange* const address = first.get();
  static_cast<StringValue&>(first->request()).set_value("x");
  static_cast<Int32Value&>(first->reply()).set_value(7);
  first = {};
  const ExchangePtr again = pool.take();
  EXPECT_EQ(again.get(), address);
  EXPECT_EQ(again->request().ByteSizeLong() + again->reply().ByteSizeLong(), 0);
}

TEST(ExchangePool, FreesWhatBecameLargeButForAFew) {
  ExchangePool pool(StringValue::default_instance(), StringValue::default_instance());
  const auto text = [](const ExchangePtr& of) -> std::string& {
    return *static_cast<StringValue&>(of->request()).mutable_value();
  };
  std::vector<ExchangePtr> taken;
  for (std::uint32_t i = 0; i < 3 * ExchangePool::kKeepUnmeasured; ++i) {
    taken.push_back(pool.take());
    text(taken.back()).assign(ExchangePool::kKeepOctets + 1, 'x');
  }
  taken.clear();
  std::uint32_t large = 0;
  for (std::uint32_t i = 0; i < 3 * ExchangePool::kKeepUnmeasured; ++i) {
    taken.push_back(pool.take());
    large += text(taken.back()).capacity() > ExchangePool::kKeepOctets;
  }
  EXPECT_EQ(large, ExchangePool::kKeepUnmeasured);
}

TEST(ExchangePool, MayGoBeforeWhatWasTaken) {
  ExchangePtr left;
  {
    ExchangePool pool(StringValue::default_instance(), StringValue::default_instance());
    left = pool.take();
    const ExchangePtr other = pool.take();
  }
  static_cast<StringValue&>(left->request()).set_value("still there");
  const ExchangePtr copy = left;
  left = {};
  EXPECT_EQ(static_cast<StringValue&>(copy->request()).value(), "still there");
}

// ---- choice -----------------------------------------------------------------------------------------------------

TEST(NodeHealth, SetsAsideLongerEachTimeUntilACallWorks) {
  const ManualClock clock;
  NodeHealth health;
  const Clock::TimePoint now = clock.now();
  EXPECT_FALSE(health.set_aside(now));
  Clock::Duration before{};
  for (int i = 0; i < 12; ++i) {
    health.failed(now);
    Clock::Duration pause{};
    while (health.set_aside(now + pause)) pause += std::chrono::milliseconds(10);
    EXPECT_GE(pause, before);
    EXPECT_LE(pause, NodeHealth::kLongestPause);
    before = pause;
  }
  EXPECT_EQ(before, NodeHealth::kLongestPause);
  health.worked();
  EXPECT_FALSE(health.set_aside(now));
  health.failed(now);
  EXPECT_FALSE(health.set_aside(now + NodeHealth::kFirstPause));
}

TEST(PickRandom, SharesTheLoadOfANodeThatIsSetAside) {
  const ManualClock clock;
  SeededRandom random(1);
  std::vector<Candidate> nodes(4);
  for (Candidate& node : nodes) node.health = std::make_shared<NodeHealth>();
  nodes[1].health->failed(clock.now());
  std::vector<int> hits(4);
  for (int i = 0; i < 3000; ++i) ++hits[pick_random(nodes, clock.now(), random)];
  EXPECT_EQ(hits[1], 0);
  for (const int i : {0, 2, 3}) EXPECT_NEAR(hits[i], 1000, 200);
  for (Candidate& node : nodes) node.health->failed(clock.now());
  hits.assign(4, 0);
  for (int i = 0; i < 400; ++i) ++hits[pick_random(nodes, clock.now(), random)];
  EXPECT_THAT(hits, ::testing::Each(::testing::Gt(0)));
}

// Nodes n0, n1 …, none set aside.
std::vector<Candidate> candidates(std::size_t count) {
  static const std::vector<std::string> kNames{"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"};
  std::vector<Candidate> nodes(count);
  for (std::size_t i = 0; i < count; ++i) {
    nodes[i].uuid = kNames[i];
    nodes[i].health = std::make_shared<NodeHealth>();
  }
  return nodes;
}

TEST(RoundRobin, TakesEachNodeInTurnAndPassesOverThoseSetAside) {
  const ManualClock clock;
  SeededRandom random(1);
  const std::vector<Candidate> nodes = candidates(4);
  const auto picker = round_robin()();
  std::vector<int> hits(4);
  for (int i = 0; i < 400; ++i) ++hits[picker->pick(nodes, Context(), clock.now(), random)];
  EXPECT_THAT(hits, ::testing::Each(100));
  nodes[2].health->failed(clock.now());
  for (int i = 0; i < 300; ++i) ++hits[picker->pick(nodes, Context(), clock.now(), random)];
  EXPECT_THAT(hits, ElementsAre(200, 200, 100, 200));
  const std::vector<Candidate> fewer = candidates(1);
  EXPECT_EQ(picker->pick(fewer, Context(), clock.now(), random), 0);
}

TEST(LeastPending, TakesTheIdlestThatIsNotSetAside) {
  const ManualClock clock;
  SeededRandom random(1);
  std::vector<Candidate> nodes = candidates(4);
  const auto picker = least_pending()();
  for (const std::size_t i : {0, 1, 3}) nodes[i].pending = 2;
  nodes[2].pending = 1;
  EXPECT_EQ(picker->pick(nodes, Context(), clock.now(), random), 2);
  nodes[2].health->failed(clock.now());
  std::vector<int> hits(4);
  for (int i = 0; i < 300; ++i) ++hits[picker->pick(nodes, Context(), clock.now(), random)];
  EXPECT_EQ(hits[2], 0);
  for (const int i : {0, 1, 3}) EXPECT_GT(hits[i], 30);
}

TEST(ConsistentHash, KeepsAValueOnItsNodeAndMovesOnlyThoseOfTheNodeThatGoes) {
  const ManualClock clock;
  SeededRandom random(1);
  const auto picker = consistent_hash("Role-Id")();
  const auto other = consistent_hash("Role-Id")();
  const std::vector<Candidate> all = candidates(10);
  const std::span<const Candidate> fewer = std::span(all).first(9);
  picker->update(all);
  other->update(fewer);
  std::vector<int> hits(10);
  for (int player = 0; player < 5000; ++player) {
    const Meta meta{{"Role-Id", std::to_string(player)}};
    const std::size_t chosen = picker->pick(all, Context(meta), clock.now(), random);
    EXPECT_EQ(picker->pick(all, Context(meta), clock.now(), random), chosen);
    ++hits[chosen];
    const std::size_t without = other->pick(fewer, Context(meta), clock.now(), random);
    if (chosen != 9) {
      EXPECT_EQ(without, chosen) << player;
    }
  }
  for (const int count : hits) EXPECT_NEAR(count, 500, 120);
}

TEST(ConsistentHash, GoesElsewhereWhileItsNodeIsSetAside) {
  const ManualClock clock;
  SeededRandom random(1);
  const auto picker = consistent_hash("Role-Id")();
  const std::vector<Candidate> nodes = candidates(4);
  picker->update(nodes);
  const Meta meta{{"Role-Id", "7"}};
  const std::size_t first = picker->pick(nodes, Context(meta), clock.now(), random);
  nodes[first].health->failed(clock.now());
  const std::size_t second = picker->pick(nodes, Context(meta), clock.now(), random);
  EXPECT_NE(second, first);
  EXPECT_EQ(picker->pick(nodes, Context(meta), clock.now(), random), second);
  nodes[first].health->worked();
  EXPECT_EQ(picker->pick(nodes, Context(meta), clock.now(), random), first);
}

TEST(ConsistentHash, SpreadsCallsWithoutAValue) {
  const ManualClock clock;
  SeededRandom random(1);
  const auto picker = consistent_hash("Role-Id")();
  const std::vector<Candidate> nodes = candidates(4);
  picker->update(nodes);
  std::vector<int> hits(4);
  for (int i = 0; i < 400; ++i) ++hits[picker->pick(nodes, Context(), clock.now(), random)];
  EXPECT_THAT(hits, ::testing::Each(::testing::Gt(50)));
}

TEST(PickerOf, KnowsTheRulesByName) {
  for (const char* name : {"round_robin", "least_pending", "hash:Role-Id"}) {
    const auto picker = picker_of(name);
    ASSERT_TRUE(picker) << name;
    EXPECT_TRUE(*picker) << name;
  }
  for (const char* name : {"", "random"}) EXPECT_FALSE(picker_of(name).value()) << name;
  for (const char* name : {"hash", "hash:", "static", "dns"}) {
    EXPECT_THAT(picker_of(name).error().detail, ::testing::HasSubstr("round_robin")) << name;
  }
}

}  // namespace
}  // namespace mg::rpc
