#include "mg/protocol/router.h"

#include <gmock/gmock.h>
#include <google/protobuf/empty.pb.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/logging.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"
#include "src/protocol/router_test.pb.h"

namespace mg::protocol {
namespace {

using google::protobuf::Empty;
using std::chrono::seconds;
using test::Cancel;
using test::Tree;
using ::testing::HasSubstr;

// Every kind of method there is.
class GameHandler {
 public:
  explicit GameHandler(Loop* loop = nullptr) : loop_(loop) {}

  Result<void> Echo_10001(AgentMeta&, const Cancel& request, Cancel& reply) {
    reply = request;
    return {};
  }
  Result<void> Const_10002(AgentMeta& meta, const Cancel&, Cancel& reply) const noexcept {
    reply.set_name(std::string(meta.client_id()));
    return {};
  }
  Task<Result<void>> Slow_10003(AgentMeta& meta, const Cancel& request, Cancel& reply) {
    co_await gate_.wait(*loop_, Deadline::never());
    reply.set_name(request.name() + "/" + std::string(meta.client_id()));
    co_return Result<void>();
  }
  Task<Result<void>> Ready_10004(AgentMeta&, const Cancel& request, Cancel& reply) {
    reply.set_nodeid(request.name());
    return Result<void>();
  }
  Result<void> Silent_10005(AgentMeta&, const Cancel&, Empty&) { return {}; }
  Result<void> Fail_10006(AgentMeta&, const Cancel& request, Cancel& reply) {
    reply.set_name("must not be sent");
    return std::unexpected(Error{.id = "x", .code = code_, .detail = request.name(), .status = status_});
  }
  Result<void> Throw_10007(AgentMeta&, const Cancel& request, Cancel&) { throw std::runtime_error(request.name()); }
  Task<Result<void>> ThrowLater_10008(AgentMeta&, const Cancel& request, Cancel&) {
    co_await gate_.wait(*loop_, Deadline::never());
    throw std::runtime_error(request.name());
  }
  Result<void> ThrowInt_10009(AgentMeta&, const Cancel&, Cancel&) { throw 5; }
  Result<void> Tree_10010(AgentMeta&, const Tree& request, Tree& reply) {
    reply = request;
    return {};
  }
  Result<void> Big_10011(AgentMeta&, const Tree& request, Tree& reply) {
    reply.set_data(std::string(static_cast<std::size_t>(request.numbers(0)), 'x'));
    return {};
  }
  Task<Result<void>> Each_10012(AgentMeta&, const Cancel& request, Cancel& reply) {
    co_await loop_->yield();
    reply = request;
    co_return Result<void>();
  }
  using Routes =
      protocol::Routes<&GameHandler::Echo_10001, &GameHandler::Const_10002, &GameHandler::Slow_10003,
                       &GameHandler::Ready_10004, &GameHandler::Silent_10005, &GameHandler::Fail_10006,
                       &GameHandler::Throw_10007, &GameHandler::ThrowLater_10008, &GameHandler::ThrowInt_10009,
                       &GameHandler::Tree_10010, &GameHandler::Big_10011, &GameHandler::Each_10012>;

  Loop* loop_;
  Completion<int> gate_;
  std::int32_t code_ = code::kExists;
  std::string status_;
};

struct Edges {
  Result<void> Zero_0(AgentMeta&, const Cancel&, Cancel& reply) { return reply.set_name("zero"), Result<void>(); }
  Result<void> Max_4294967295(AgentMeta&, const Cancel&, Cancel& reply) {
    return reply.set_name("max"), Result<void>();
  }
  Result<void> Padded_00000000000000000000042(AgentMeta&, const Cancel&, Cancel& reply) {
    return reply.set_name("42"), Result<void>();
  }
  using Routes = protocol::Routes<&Edges::Zero_0, &Edges::Max_4294967295, &Edges::Padded_00000000000000000000042>;
};

template <class T>
struct Generic {
  Result<void> Any_60(AgentMeta&, const T& request, T& reply) { return reply = request, Result<void>(); }
  using Routes = protocol::Routes<&Generic::Any_60>;
};

std::string cancel(std::string_view name, std::string_view node = "") {
  Cancel message;
  message.set_name(std::string(name));
  message.set_nodeid(std::string(node));
  return message.SerializeAsString();
}

class RouterTest : public ::testing::Test {
 protected:
  void add_and_start() {
    router_.add_route(handler_);
    ASSERT_TRUE(router_.start());
  }
  // Calls and waits for the end, which must come without the loop.
  Result<void> call(std::uint32_t cmd, std::string_view body) {
    std::optional<Result<void>> out;
    reply_.clear();
    spawn(keep(router_, meta_, cmd, std::string(body), reply_, out));
    EXPECT_TRUE(out) << "it waits";
    return out.value_or(fail(999, "it waits"));
  }
  static Task<void> keep(const Router& router, AgentMeta& meta, std::uint32_t cmd, std::string body, std::string& reply,
                         std::optional<Result<void>>& out) {
    out = co_await router.call(meta, cmd, body, reply);
  }
  Cancel reply() {
    Cancel message;
    EXPECT_TRUE(message.ParseFromString(reply_));
    return message;
  }

  ManualClock clock_;
  Loop loop_{LoopOptions{.clock = &clock_}};
  GameHandler handler_{&loop_};
  Router router_{RouterOptions{.clock = &clock_}};
  AgentMeta meta_{"gate", "node-1", "client-1"};
  std::string reply_;
};

TEST_F(RouterTest, CallsTheMethodOfTheCommand) {
  add_and_start();
  ASSERT_TRUE(call(10001, cancel("a", "b")));
  EXPECT_EQ(reply().name(), "a");
  EXPECT_EQ(reply().nodeid(), "b");
  ASSERT_TRUE(call(10002, ""));
  EXPECT_EQ(reply().name(), "client-1");
  ASSERT_TRUE(call(10004, cancel("c")));
  EXPECT_EQ(reply().nodeid(), "c");
}

TEST_F(RouterTest, AReplyIsAppendedToTheText) {
  add_and_start();
  std::optional<Result<void>> out;
  std::string text = "head";
  spawn(keep(router_, meta_, 10001, cancel("a"), text, out));
  EXPECT_EQ(text, "head" + cancel("a"));
}

TEST_F(RouterTest, AReplyHasItsSizeHoweverTheTextGrows) {
  add_and_start();
  for (std::size_t size = 0; size < 300; ++size) {
    const std::string body = cancel(std::string(size, 'x'));
    for (std::size_t before : {0, 1, 14, 15, 16, 100}) {
      std::string text(before, 'h');
      std::optional<Result<void>> out;
      spawn(keep(router_, meta_, 10001, body, text, out));
      ASSERT_EQ(text, std::string(before, 'h') + body);
    }
  }
}

TEST_F(RouterTest, AnEmptyReplyAsksForNoRoom) {
  add_and_start();
  const ReplyTo never([](void*, std::size_t) -> std::byte* { std::abort(); }, nullptr);
  std::optional<Result<void>> out;
  const auto body = [](const Router& router, AgentMeta& meta, ReplyTo to,
                       std::optional<Result<void>>& o) -> Task<void> {
    o = co_await router.call(meta, 10005, "", to);
    if (*o) o = co_await router.call(meta, 10001, "", to);
  };
  spawn(body(router_, meta_, never, out));
  EXPECT_TRUE(out && *out);
}

TEST_F(RouterTest, WithoutRoomForTheReplyTheCallFails) {
  add_and_start();
  std::optional<Result<void>> out;
  const auto body = [](const Router& router, AgentMeta& meta, std::optional<Result<void>>& o) -> Task<void> {
    o = co_await router.call(meta, 10001, cancel("a"),
                             ReplyTo([](void*, std::size_t) -> std::byte* { return nullptr; }, nullptr));
  };
  spawn(body(router_, meta_, out));
  ASSERT_TRUE(out && !*out);
  EXPECT_EQ(out->error().code, code::kUnavailable);
}

TEST_F(RouterTest, UnknownCommandsAreNotFound) {
  add_and_start();
  for (std::uint32_t cmd : {0u, 10000u, 10013u, 0xFFFF'FFFFu}) {
    auto result = call(cmd, "");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code::kNotFound);
    EXPECT_EQ(result.error().detail, fmt::format("not found protocol {}", cmd));
    EXPECT_FALSE(router_.has(cmd));
  }
  EXPECT_TRUE(router_.has(10001));
}

TEST_F(RouterTest, IsUnavailableBeforeStart) {
  router_.add_route(handler_);
  auto result = call(10001, "");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code::kUnavailable);
}

TEST_F(RouterTest, FindsCommandsFarApart) {
  Edges edges;
  router_.add_route(edges).add_route(handler_);
  ASSERT_TRUE(router_.start());
  ASSERT_TRUE(call(0, ""));
  EXPECT_EQ(reply().name(), "zero");
  ASSERT_TRUE(call(0xFFFF'FFFF, ""));
  EXPECT_EQ(reply().name(), "max");
  ASSERT_TRUE(call(42, ""));
  EXPECT_EQ(reply().name(), "42");
  ASSERT_TRUE(call(10001, cancel("a")));
  EXPECT_EQ(reply().name(), "a");
  EXPECT_EQ(call(1, "").error().code, code::kNotFound);
  EXPECT_EQ(call(0xFFFF'FFFE, "").error().code, code::kNotFound);
}

TEST_F(RouterTest, ARouterWithoutRoutesFindsNothing) {
  ASSERT_TRUE(router_.start());
  EXPECT_EQ(call(0, "").error().code, code::kNotFound);
  EXPECT_TRUE(router_.routes().empty());
}

TEST_F(RouterTest, ListsItsRoutesByCommand) {
  Generic<Tree> generic;
  router_.add_route(handler_).add_route(generic);
  ASSERT_TRUE(router_.start());
  const auto routes = router_.routes();
  ASSERT_EQ(routes.size(), 13u);
  EXPECT_EQ(routes[0].cmd, 60u);
  EXPECT_THAT(std::string(routes[0].name), ::testing::MatchesRegex("Generic<.*>::Any_60"));
  EXPECT_EQ(routes[1].cmd, 10001u);
  EXPECT_EQ(routes[1].name, "GameHandler::Echo_10001");
  EXPECT_EQ(routes[1].method, "Echo_10001");
  EXPECT_EQ(routes[1].request, "mg.protocol.test.Cancel");
  EXPECT_EQ(routes[5].reply, "google.protobuf.Empty");
  EXPECT_FALSE(routes[1].coroutine);
  EXPECT_TRUE(routes[3].coroutine);
  for (std::uint32_t i = 0; i < routes.size(); ++i) EXPECT_EQ(routes[i].index, i);
}

struct ShopHandler {
  Result<void> Buy_10001(AgentMeta&, const Cancel&, Cancel&) { return {}; }
  Result<void> Sell_10006(AgentMeta&, const Cancel&, Cancel&) { return {}; }
  using Routes = protocol::Routes<&ShopHandler::Buy_10001, &ShopHandler::Sell_10006>;
};

TEST_F(RouterTest, StartNamesBothHandlersOfACommand) {
  ShopHandler shop;
  router_.add_route(handler_).add_route(shop);
  auto started = router_.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, code::kExists);
  EXPECT_THAT(started.error().detail, HasSubstr("command 10001"));
  EXPECT_THAT(started.error().detail, HasSubstr("GameHandler::Echo_10001 and ShopHandler::Buy_10001"));
  EXPECT_THAT(started.error().detail, HasSubstr("GameHandler::Fail_10006 and ShopHandler::Sell_10006"));
}

TEST_F(RouterTest, AddingTheSameHandlerTwiceIsRefused) {
  router_.add_route(handler_).add_route(handler_);
  EXPECT_FALSE(router_.start());
}

TEST_F(RouterTest, AConstHandlerServesWithConstMethods) {
  struct Fixed {
    Result<void> Get_5(AgentMeta&, const Cancel&, Cancel& reply) const { return reply.set_name(name), Result<void>(); }
    std::string name = "fixed";
    using Routes = protocol::Routes<&Fixed::Get_5>;
  };
  const Fixed fixed;
  router_.add_route(fixed);
  ASSERT_TRUE(router_.start());
  ASSERT_TRUE(call(5, ""));
  EXPECT_EQ(reply().name(), "fixed");
}

TEST_F(RouterTest, ADerivedHandlerServesItsBasesMethods) {
  struct Derived : ShopHandler {};
  Derived derived;
  router_.add_route(derived);
  ASSERT_TRUE(router_.start());
  EXPECT_TRUE(call(10006, ""));
}

TEST_F(RouterTest, AHandlersErrorPassesAndItsReplyIsDropped) {
  add_and_start();
  handler_.status_ = "exists";
  auto result = call(10006, cancel("already there"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{.id = "x", .code = 4, .detail = "already there", .status = "exists"}));
  EXPECT_EQ(reply_, "");
}

TEST_F(RouterTest, AnErrorNeverLooksLikeSuccess) {
  add_and_start();
  for (std::int32_t bad : {0, -5, std::numeric_limits<std::int32_t>::min()}) {
    handler_.code_ = bad;
    auto result = call(10006, cancel("kept"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code::kUnknown);
    EXPECT_EQ(result.error().detail, "kept");
    EXPECT_EQ(result.error().status, "unknown");
  }
}

TEST_F(RouterTest, AnExceptionIsAServerErrorWithItsText) {
  add_and_start();
  auto result = call(10007, cancel("boom"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code::kServer);
  EXPECT_EQ(result.error().detail, "boom");
  EXPECT_EQ(call(10009, "").error().code, code::kServer);
  EXPECT_EQ(reply_, "");
  EXPECT_TRUE(call(10001, cancel("alive")));
}

TEST_F(RouterTest, ACoroutineHandlerEndsLater) {
  add_and_start();
  std::optional<Result<void>> slow, thrown;
  std::string slow_reply, thrown_reply;
  spawn(keep(router_, meta_, 10003, cancel("a"), slow_reply, slow));
  EXPECT_FALSE(slow);
  ASSERT_TRUE(call(10001, cancel("meanwhile")));
  handler_.gate_.set(1);
  ASSERT_TRUE(slow);
  EXPECT_EQ(slow_reply, cancel("a/client-1"));
  spawn(keep(router_, meta_, 10008, cancel("late boom"), thrown_reply, thrown));
  ASSERT_TRUE(thrown && !*thrown);
  EXPECT_EQ(thrown->error().code, code::kServer);
  EXPECT_EQ(thrown->error().detail, "late boom");
}

TEST_F(RouterTest, ManyCallsOfOneRouteInFlightKeepTheirOwnMessages) {
  add_and_start();
  constexpr int kCalls = 300;  // More than are kept for later.
  for (int round = 0; round < 3; ++round) {
    std::vector<std::optional<Result<void>>> results(kCalls);
    std::vector<std::string> replies(kCalls);
    for (std::size_t i = 0; i < kCalls; ++i) {
      spawn(keep(router_, meta_, 10012, cancel(std::to_string(i), "node"), replies[i], results[i]));
    }
    loop_.poll();
    for (std::size_t i = 0; i < kCalls; ++i) {
      ASSERT_TRUE(results[i] && *results[i]);
      EXPECT_EQ(replies[i], cancel(std::to_string(i), "node"));
    }
  }
}

TEST_F(RouterTest, ACallThatIsGivenUpReturnsItsMessages) {
  add_and_start();
  {
    auto task = router_.call(meta_, 10003, cancel("a"), reply_);
    ASSERT_FALSE(task.ready());
    std::move(task).operator co_await().await_suspend(std::noop_coroutine()).resume();
  }
  {
    auto never_awaited = router_.call(meta_, 10003, cancel("a"), reply_);
  }
  ASSERT_TRUE(call(10001, cancel("a")));
  EXPECT_EQ(reply_, cancel("a"));
}

TEST_F(RouterTest, NothingOfOneCallIsSeenByTheNext) {
  add_and_start();
  ASSERT_TRUE(call(10001, cancel("secret", "node")));
  ASSERT_TRUE(call(10001, cancel("", "n")));
  EXPECT_EQ(reply_, cancel("", "n"));
  ASSERT_FALSE(call(10006, cancel("first")));
  EXPECT_FALSE(call(10001, "\x0a\x03z"));  // Cut short, after a name was begun.
  ASSERT_TRUE(call(10001, ""));
  EXPECT_EQ(reply_, "");
}

TEST_F(RouterTest, ABodyThatCannotBeReadIsUnknownWithTheReason) {
  add_and_start();
  struct {
    std::string body;
    std::string detail;
  } const cases[] = {
      {std::string("\x0a\x05"
                   "a"),
       "unexpected EOF"},
      {"\x0a", "unexpected EOF"},
      {"\x80", "unexpected EOF"},
      {"\x09"
       "1234567",
       "unexpected EOF"},
      {"\x1b", "unexpected EOF"},
      {"\x0f", "proto: "},
      {"\x0c", "proto: "},
      {std::string("\x02\x00", 2), "proto: "},
      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: "},
      {"\x0a\x02\xc3\x28", "proto: "},  // Not UTF-8.
  };
  for (const auto& [body, detail] : cases) {
    auto result = call(10001, body);
    ASSERT_FALSE(result) << ::testing::PrintToString(body);
    EXPECT_EQ(result.error().code, code::kUnknown);
    EXPECT_THAT(result.error().detail, ::testing::StartsWith(detail)) << ::testing::PrintToString(body);
    EXPECT_EQ(result.error().status, "unknown");
  }
}

TEST_F(RouterTest, BodiesUpToTheLimitAreRead) {
  Router router({.max_body_bytes = 100});
  router.add_route(handler_);
  ASSERT_TRUE(router.start());
  const std::string most = cancel(std::string(98, 'x'));
  ASSERT_EQ(most.size(), 100u);
  std::optional<Result<void>> out;
  spawn(keep(router, meta_, 10001, most, reply_, out));
  EXPECT_TRUE(*out);
  spawn(keep(router, meta_, 10001, cancel(std::string(99, 'x')), reply_, out));
  ASSERT_FALSE(*out);
  EXPECT_EQ(out->error().code, 413);
  EXPECT_THAT(out->error().detail, HasSubstr("at most 100"));
}

TEST_F(RouterTest, RepliesUpToTheLimitAreSent) {
  Router router({.max_reply_bytes = 102});
  router.add_route(handler_);
  ASSERT_TRUE(router.start());
  Tree ask;
  ask.add_numbers(100);
  std::optional<Result<void>> out;
  spawn(keep(router, meta_, 10011, ask.SerializeAsString(), reply_, out));
  EXPECT_TRUE(*out);
  EXPECT_EQ(reply_.size(), 102u);
  ask.set_numbers(0, 101);
  reply_.clear();
  spawn(keep(router, meta_, 10011, ask.SerializeAsString(), reply_, out));
  ASSERT_FALSE(*out);
  EXPECT_EQ(out->error().code, code::kServer);
  EXPECT_EQ(reply_, "");
}

std::string nested(int depth) {
  std::string body;
  for (int i = 0; i < depth; ++i) {
    Tree shell;
    std::string outer = shell.SerializeAsString();
    outer += '\x12';
    std::size_t size = body.size();
    do {
      outer += static_cast<char>((size & 0x7F) | (size > 0x7F ? 0x80 : 0));
      size >>= 7;
    } while (size != 0);
    body = outer + body;
  }
  return body;
}

TEST_F(RouterTest, NestingIsLimited) {
  for (int limit : {100, 10}) {
    Router router({.max_nesting = limit});
    router.add_route(handler_);
    ASSERT_TRUE(router.start());
    std::optional<Result<void>> out;
    spawn(keep(router, meta_, 10010, nested(limit), reply_, out));
    EXPECT_TRUE(*out) << limit;
    spawn(keep(router, meta_, 10010, nested(limit + 1), reply_, out));
    EXPECT_FALSE(*out) << limit;
    spawn(keep(router, meta_, 10010, nested(2000), reply_, out));
    EXPECT_FALSE(*out) << limit;
  }
}

TEST_F(RouterTest, MessagesThatGrewAreNotKept) {
  // Bodies that each stay small but leave ever more behind in a message that is used again.
  MessagePair* pair = MessagePair::make<Tree, Tree>();
  std::size_t kept = 0;
  for (int i = 0; i < 1000; ++i) {
    Tree body;
    for (int k = 0; k < i; ++k) body.add_texts();
    body.add_texts(std::string(4000, 'x'));
    ASSERT_TRUE(pair->request->ParseFromString(body.SerializeAsString()));
    if (!pair->clear(64 * 1024)) break;
    ++kept;
  }
  delete pair;
  EXPECT_LT(kept, 65u) << "it would hold 4 MB";
  pair = MessagePair::make<Tree, Tree>();
  pair->passed_bytes = 65 * 1024;
  EXPECT_FALSE(pair->clear(64 * 1024));
  delete pair;
}

TEST_F(RouterTest, ServesSeveralLoopsAtOnce) {
  add_and_start();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Loop loop;
      AgentMeta meta("gate", "node", "client-" + std::to_string(t));
      const auto work = [](const Router& router, AgentMeta& m, int thread, std::atomic<int>& w) -> Task<void> {
        std::string reply;
        for (int i = 0; i < 2000; ++i) {
          reply.clear();
          const std::string body = cancel(std::to_string(thread), std::to_string(i));
          auto result = co_await router.call(m, 10001, body, reply);
          if (!result || reply != body) ++w;
          reply.clear();
          result = co_await router.call(m, 10002, body, reply);
          if (!result || reply != cancel(m.client_id())) ++w;
        }
      };
      spawn(work(router_, meta, t, wrong));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

// A hook that writes down what it sees.
struct Recorder : Hook {
  Recorder(std::vector<std::string>& l, std::string n) : lines(l), name(std::move(n)) {}
  void start(std::span<const RouteInfo> routes) override { lines.push_back(fmt::format("{} {}", name, routes.size())); }
  Result<void> before(AgentMeta&, const RouteInfo& route, std::string_view body) override {
    lines.push_back(fmt::format("{}< {} {} {}", name, route.cmd, route.method, body.size()));
    if (throws) throw std::runtime_error("hook");
    if (refuses) return fail(code::kForbidden, "no");
    return {};
  }
  void after(const AgentMeta&, const RouteInfo& route, const Result<void>& result,
             std::chrono::nanoseconds elapsed) override {
    lines.push_back(fmt::format("{}> {} {} {}", name, route.cmd, result ? 0 : result.error().code,
                                std::chrono::duration_cast<seconds>(elapsed).count()));
  }
  std::vector<std::string>& lines;
  std::string name;
  bool refuses = false, throws = false;
};

class RouterHookTest : public RouterTest {
 protected:
  Recorder& add_hook(std::string name) {
    auto hook = std::make_unique<Recorder>(lines_, std::move(name));
    Recorder& out = *hook;
    router_.use(std::move(hook));
    return out;
  }
  std::vector<std::string> take() { return std::exchange(lines_, {}); }
  std::vector<std::string> lines_;
};

using Lines = std::vector<std::string>;

TEST_F(RouterHookTest, RunInOrderBeforeAndInReverseAfter) {
  add_hook("a");
  add_hook("b");
  add_and_start();
  EXPECT_EQ(take(), (Lines{"a 12", "b 12"}));
  ASSERT_TRUE(call(10001, cancel("x")));
  EXPECT_EQ(take(), (Lines{"a< 10001 Echo_10001 3", "b< 10001 Echo_10001 3", "b> 10001 0 0", "a> 10001 0 0"}));
  ASSERT_FALSE(call(10006, ""));
  EXPECT_EQ(take().back(), "a> 10006 4 0");
  ASSERT_FALSE(call(77, ""));
  EXPECT_EQ(take(), (Lines{"a< 77  0", "b< 77  0", "b> 77 404 0", "a> 77 404 0"}));
}

TEST_F(RouterHookTest, OneThatRefusesEndsTheCall) {
  add_hook("a");
  add_hook("b").refuses = true;
  add_hook("c");
  add_and_start();
  take();
  auto result = call(10001, cancel("x"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code::kForbidden);
  EXPECT_EQ(reply_, "");
  EXPECT_EQ(take(), (Lines{"a< 10001 Echo_10001 3", "b< 10001 Echo_10001 3", "a> 10001 403 0"}));
}

TEST_F(RouterHookTest, OneThatThrowsEndsTheCall) {
  add_hook("a");
  add_hook("b").throws = true;
  add_and_start();
  take();
  auto result = call(10001, cancel("x"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code::kServer);
  EXPECT_EQ(take().back(), "a> 10001 500 0");
}

TEST_F(RouterHookTest, SeeTheEndOfACoroutineAndItsTime) {
  add_hook("a");
  add_and_start();
  take();
  std::optional<Result<void>> out;
  spawn(keep(router_, meta_, 10003, cancel("x"), reply_, out));
  EXPECT_EQ(take(), (Lines{"a< 10003 Slow_10003 3"}));
  clock_.advance(seconds(3));
  handler_.gate_.set(1);
  EXPECT_EQ(take(), (Lines{"a> 10003 0 3"}));
}

TEST_F(RouterHookTest, AuthHookLetsNobodyInWithoutAnAccount) {
  router_.use(std::make_unique<AuthHook>(std::vector{10001u}));
  add_and_start();
  EXPECT_TRUE(call(10001, cancel("x")));
  for (std::uint32_t cmd : {10004u, 77u}) {
    auto result = call(cmd, "");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code::kUnauthorized);
    EXPECT_EQ(result.error().detail, "Game Login Unauthorized");
  }
  meta_.set_account_id(0);
  EXPECT_FALSE(call(10004, ""));
  meta_.set_account_id(7);
  EXPECT_TRUE(call(10004, ""));
  EXPECT_EQ(call(77, "").error().code, code::kNotFound);
}

TEST_F(RouterHookTest, TimingHookCounts) {
  auto own = std::make_unique<TimingHook>();
  TimingHook& timing = *own;
  router_.use(std::move(own));
  add_and_start();
  ASSERT_TRUE(call(10001, ""));
  ASSERT_TRUE(call(10001, ""));
  ASSERT_FALSE(call(10006, ""));
  ASSERT_FALSE(call(1, ""));
  std::optional<Result<void>> out;
  spawn(keep(router_, meta_, 10003, "", reply_, out));
  clock_.advance(seconds(2));
  handler_.gate_.set(1);
  const auto rows = timing.rows();
  ASSERT_EQ(rows.size(), 13u);
  EXPECT_EQ(rows[0].calls, 2u);
  EXPECT_EQ(rows[0].errors, 0u);
  EXPECT_EQ(rows[2].route.name, "GameHandler::Slow_10003");
  EXPECT_EQ(rows[2].total, seconds(2));
  EXPECT_EQ(rows[2].longest, seconds(2));
  EXPECT_EQ(rows[5].errors, 1u);
  EXPECT_EQ(rows[12].calls, 1u);
  EXPECT_EQ(rows[12].errors, 1u);
}

TEST_F(RouterHookTest, LogHookWritesWhoWhatAndHow) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  {
    log::Logging logging({.level = log::Level::kInfo, .fd = pipe[1], .colour = false});
    router_.use(std::make_unique<LogHook>());
    add_and_start();
    ASSERT_TRUE(call(10001, ""));
    ASSERT_FALSE(call(10006, cancel("why")));
    ASSERT_FALSE(call(5, ""));
  }
  ::close(pipe[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(pipe[0], text.data(), text.size()))));
  ::close(pipe[0]);
  EXPECT_THAT(text, HasSubstr("10001 GameHandler::Echo_10001 client client-1 account 0: ok in 0.0 us"));
  EXPECT_THAT(text, HasSubstr("10006 GameHandler::Fail_10006 client client-1 account 0: error 4 \"why\""));
  EXPECT_THAT(text, HasSubstr("5 no route client client-1"));
}

static_assert(parse_method_name("Login_10001").cmd == 10001);
static_assert(parse_method_name("A_007").cmd == 7);
static_assert(parse_method_name("_7").fault == NameFault::kNone);
static_assert(parse_method_name("A_4294967295").cmd == 0xFFFF'FFFF);
static_assert(parse_method_name("A_").fault == NameFault::kCommand);
static_assert(parse_method_name("A_99999999999999999999999999").fault == NameFault::kCommand);

// A handler that takes the player's turn lets the next message in when it likes.
class TurnHandler {
 public:
  explicit TurnHandler(Loop& loop) : loop_(loop) {}

  Task<Result<void>> Keep_20001(AgentMeta&, const Cancel&, Cancel&) {
    co_await gate_.wait(loop_, Deadline::never());
    co_return Result<void>();
  }
  Task<Result<void>> LetIn_20002(AgentMeta&, const Cancel&, Cancel&, Mailbox::Turn turn) {
    turn.release();
    co_await gate_.wait(loop_, Deadline::never());
    co_return Result<void>();
  }
  Task<Result<void>> LetInAtEnd_20003(AgentMeta&, const Cancel&, Cancel&, Mailbox::Turn) {
    co_await gate_.wait(loop_, Deadline::never());
    co_return Result<void>();
  }
  Result<void> AtOnce_20004(AgentMeta&, const Cancel&, Cancel&, Mailbox::Turn) const { return {}; }
  void open() { gate_.set(true); }

  using Routes = protocol::Routes<&TurnHandler::Keep_20001, &TurnHandler::LetIn_20002, &TurnHandler::LetInAtEnd_20003,
                                  &TurnHandler::AtOnce_20004>;

 private:
  Loop& loop_;
  Completion<bool> gate_;
};

TEST(RouterTurn, IsReleasedByTheHandlerThatTakesIt) {
  for (const std::uint32_t cmd : {20001u, 20002u, 20003u, 20004u}) {
    Loop loop;
    Mailbox mailbox(loop);
    TurnHandler handler(loop);
    Router router;
    router.add_route(handler);
    ASSERT_TRUE(router.start());
    AgentMeta meta;
    std::string reply;
    {
      std::optional<Mailbox::Turn> turn = mailbox.try_enter(7);
      ASSERT_TRUE(turn);
      Task<Result<void>> task = router.call(meta, cmd, "", reply, &*turn);
      task.start();
      EXPECT_EQ(task.ready(), cmd == 20004) << cmd;
      EXPECT_EQ(mailbox.keys(), cmd == 20002 || cmd == 20004 ? 0u : 1u) << cmd;
      handler.open();
      for (int i = 0; i < 100 && !task.ready(); ++i) loop.poll();
      ASSERT_TRUE(task.ready()) << cmd;
      EXPECT_EQ(mailbox.keys(), cmd == 20001 || cmd == 20003 ? 1u : 0u) << cmd << ": until the call's Task goes";
    }
    EXPECT_EQ(mailbox.keys(), 0u) << cmd;
  }
}

TEST(RouterTurn, OfNobodyWithoutAMailbox) {
  Loop loop;
  TurnHandler handler(loop);
  Router router;
  router.add_route(handler);
  ASSERT_TRUE(router.start());
  AgentMeta meta;
  std::string reply;
  Task<Result<void>> task = router.call(meta, 20004, "", reply);
  task.start();
  ASSERT_TRUE(task.ready());
  EXPECT_TRUE(task.take());
}

}  // namespace
}  // namespace mg::protocol
