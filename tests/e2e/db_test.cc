// The example's db service, asked over RPC by another service: in one process, and as a process of its own that is
// killed.
#include "examples/db/db_service.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "tests/e2e/on_loop.h"
#include "tests/support/server.h"

namespace mg {
namespace {

using test::eventually;
using test::on_loop;
using ::testing::ElementsAre;
using testing::Server;

db::InDbTrade trade(std::string id, std::int64_t from, std::int64_t to, std::int64_t gold) {
  db::InDbTrade out;
  out.set_id(std::move(id));
  out.set_from(from);
  out.set_to(to);
  out.set_gold(gold);
  return out;
}

// Who asks, in a process object of its own or beside the service.
struct Caller {
  explicit Caller(Process& in) : process(in), app(in, {.name = "game"}) {}

  static rpc::Context soon() { return rpc::Context(Deadline::after(system_clock(), test::kLongEnough)); }
  template <class Out, class Method, class In>
  Result<Out> ask(const Method& method, const In& in) {
    Out out;
    const rpc::Context context = soon();
    const auto done = on_loop(process, [&] { return method(context, in, out); });
    if (!done) return std::unexpected(done.error());
    return out;
  }
  std::int64_t account(const std::string& name) {
    db::InDbAccount in;
    in.set_name(name);
    const auto out = ask<db::OutDbAccount>(db.account, in);
    EXPECT_TRUE(out) << out.error().detail;
    return out ? out->id() : 0;
  }
  Result<db::OutDbCreate> create(std::int64_t account, const std::string& name) {
    db::InDbCreate in;
    in.set_account(account);
    in.set_name(name);
    return ask<db::OutDbCreate>(db.create, in);
  }
  std::int64_t hero(const std::string& name) {
    const auto made = create(account("of " + name), name);
    EXPECT_TRUE(made) << made.error().detail;
    return made ? made->role().id() : 0;
  }
  std::vector<std::int64_t> heroes(int count) {
    std::vector<std::int64_t> out;
    for (int i = 0; i < count; ++i) out.push_back(hero(fmt::format("h{}", i)));
    return out;
  }
  // Of the hero of that name.
  std::int64_t gold(const std::string& name) {
    db::InDbRoles in;
    in.set_account(account("of " + name));
    const auto roles = ask<db::OutDbRoles>(db.roles, in);
    EXPECT_TRUE(roles) << roles.error().detail;
    return roles && roles->roles_size() == 1 ? roles->roles(0).gold() : -1;
  }
  Result<db::OutDbTrade> deal(const db::InDbTrade& in) { return ask<db::OutDbTrade>(db.trade, in); }
  Result<db::OutDbScore> score(std::int64_t role, std::int64_t points) {
    db::InDbScore in;
    in.set_role(role);
    in.set_points(points);
    return ask<db::OutDbScore>(db.score, in);
  }

  Process& process;
  App app;
  db::Db::Client db{app, "db"};
};

// Trade after trade in a ring of heroes, several at the same time, each asked for until it is answered.
class Market {
 public:
  static constexpr int kTraders = 4;

  Market(Caller& caller, std::vector<std::int64_t> heroes) : caller_(caller), heroes_(std::move(heroes)) {
    balance_.assign(heroes_.size(), example::DbService::kFirstGold);
    caller.process.runtime().loop(0).post_always([this] {
      for (int i = 0; i < kTraders; ++i) spawn(run(i));
    });
  }
  Market(const Market&) = delete;
  Market& operator=(const Market&) = delete;
  ~Market() { stop(); }
  int done() const { return done_; }
  int asked_again() const { return asked_again_; }
  // What heroes must have, after all that was answered.
  const std::vector<std::int64_t>& stop() {
    stop_ = true;
    check(eventually([&] { return ended_ == kTraders; }), "trades of this test do not end");
    return balance_;
  }

 private:
  Task<void> run(int trader) {
    const std::size_t count = heroes_.size();
    for (int i = 0; !stop_; ++i) {
      const std::size_t from = static_cast<std::size_t>(trader + i) % count;
      const std::size_t to = (from + (trader % 2 ? 1 : count - 1)) % count;
      const auto in = trade(fmt::format("{}-{}", trader, i), heroes_[from], heroes_[to], 1 + i % 9);
      for (;;) {
        db::OutDbTrade out;
        const rpc::Context context(Deadline::after(system_clock(), std::chrono::seconds(10)));
        const auto traded = co_await caller_.db.trade(context, in, out);
        if (traded) {
          balance_[from] -= in.gold();
          balance_[to] += in.gold();
          ++done_;
          break;
        }
        if (traded.error().code == code::kForbidden) break;  // Not so much gold.
        ++asked_again_;
        co_await Loop::current()->sleep_for(std::chrono::milliseconds(20));
      }
    }
    ++ended_;
  }

  Caller& caller_;
  std::vector<std::int64_t> heroes_;
  std::vector<std::int64_t> balance_;  // Of the one loop until all have ended.
  std::atomic<bool> stop_{false};
  std::atomic<int> done_{0}, asked_again_{0}, ended_{0};
};

// ---- in one process -------------------------------------------------------------------------------------------------

class DbExample : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string file = "--db_file=" + dir_.path() + "/game.db";
    const char* arguments[] = {"--loops=2", file.c_str()};
    const auto started = process_.start(arguments);
    ASSERT_TRUE(started) << started.error().detail;
  }
  ~DbExample() override { EXPECT_EQ(process_.stop(), exit_code::kStopped); }

  testing::TempDir dir_;
  Process process_;
  App app_{process_, {.name = "db"}};
  example::DbService service_{app_};
  Caller game_{process_};
};

TEST_F(DbExample, AccountsAndRolesHaveNumbersInARow) {
  const auto ann = game_.account("ann");
  EXPECT_EQ(ann, 1);
  EXPECT_EQ(game_.account("bob"), 2);
  EXPECT_EQ(game_.account("ann"), ann);
  const auto first = game_.create(ann, "Knight");
  ASSERT_TRUE(first) << first.error().detail;
  EXPECT_EQ(first->role().id(), 1);
  EXPECT_EQ(first->role().gold(), example::DbService::kFirstGold);
  EXPECT_EQ(game_.create(ann, "Knight").error().code, code::kExists);
  EXPECT_EQ(game_.create(ann, "").error().code, code::kInvalid);
  ASSERT_TRUE(game_.create(ann, "Mage"));
  db::InDbRoles in;
  in.set_account(ann);
  const auto roles = game_.ask<db::OutDbRoles>(game_.db.roles, in);
  ASSERT_TRUE(roles);
  ASSERT_EQ(roles->roles_size(), 2);
  EXPECT_EQ(roles->roles(0).name(), "Knight");
  EXPECT_EQ(roles->roles(1).name(), "Mage");
}

TEST_F(DbExample, TradesMoveGoldOrDoNothing) {
  const auto a = game_.hero("a"), b = game_.hero("b");
  const auto done = game_.deal(trade("1", b, a, 30));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->fromgold(), 70);
  EXPECT_EQ(done->togold(), 130);
  EXPECT_EQ(game_.deal(trade("2", b, a, 71)).error().code, code::kForbidden);
  EXPECT_EQ(game_.deal(trade("3", a, 999, 1)).error().code, code::kNotFound);
  EXPECT_EQ(game_.deal(trade("4", a, a, 1)).error().code, code::kInvalid);
  EXPECT_EQ(game_.deal(trade("5", a, b, -1)).error().code, code::kInvalid);
  EXPECT_EQ(game_.deal(trade("", a, b, 1)).error().code, code::kInvalid);
  const auto back = game_.deal(trade("6", a, b, 130));
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->fromgold(), 0);
  EXPECT_EQ(back->togold(), 200);
}

TEST_F(DbExample, ATradeThatIsAskedForAgainHappensOnce) {
  const auto a = game_.hero("a"), b = game_.hero("b");
  ASSERT_TRUE(game_.deal(trade("1", a, b, 30)));
  ASSERT_TRUE(game_.deal(trade("2", a, b, 5)));
  const auto again = game_.deal(trade("1", a, b, 30));
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->fromgold(), 70);
  EXPECT_EQ(again->togold(), 130);
  EXPECT_EQ(game_.deal(trade("1", a, b, 31)).error().code, code::kExists);
  EXPECT_EQ(game_.gold("a"), 65);
  EXPECT_EQ(game_.gold("b"), 135);
}

TEST_F(DbExample, TradesAtTheSameTimeLoseNoGold) {
  const auto heroes = game_.heroes(3);
  Market market(game_, heroes);
  ASSERT_TRUE(eventually([&] { return market.done() >= 60; }));
  const auto must_have = market.stop();
  for (std::size_t i = 0; i < heroes.size(); ++i) EXPECT_EQ(game_.gold(fmt::format("h{}", i)), must_have[i]) << i;
}

TEST_F(DbExample, TheLeaderboardIsInOrder) {
  const auto a = game_.hero("a"), b = game_.hero("b"), c = game_.hero("c");
  EXPECT_EQ(game_.score(a, 10)->rank(), 1);
  EXPECT_EQ(game_.score(b, 30)->rank(), 1);
  EXPECT_EQ(game_.score(c, 20)->rank(), 2);
  const auto up = game_.score(a, 15);
  ASSERT_TRUE(up);
  EXPECT_EQ(up->score(), 25);
  EXPECT_EQ(up->rank(), 2);
  EXPECT_EQ(game_.score(999, 1).error().code, code::kNotFound);
  db::InDbTop in;
  in.set_count(2);
  const auto top = game_.ask<db::OutDbTop>(game_.db.top, in);
  ASSERT_TRUE(top);
  std::vector<std::string> names;
  for (const auto& place : top->places()) names.push_back(place.name());
  EXPECT_THAT(names, ElementsAre("b", "a"));
}

// ---- a process of its own, with real servers ------------------------------------------------------------------------

TEST(DbProcess, KillsInMidTradeLoseAndDoubleNothing) {
  Server etcd = Server::etcd();
  Server redis = Server::redis();
  const std::string registry = "--registry_address=" + etcd.address();
  Server db({.name = "db",
             .command =
                 [&](std::uint16_t port, const std::string& dir) {
                   return std::vector<std::string>{MG_DB,
                                                   "--loops=1",
                                                   registry,
                                                   fmt::format("--rpc_address=127.0.0.1:{}", port),
                                                   "--redis=redis://" + redis.address(),
                                                   "--db_file=" + dir + "/game.db"};
                 },
             .ready = "ready\n"});
  Process process;
  Caller game(process);
  const char* arguments[] = {"--loops=1", registry.c_str(), "--rpc_address=127.0.0.1:0"};
  const auto started = process.start(arguments);
  ASSERT_TRUE(started) << started.error().detail;
  const auto there = [&] {
    const auto ids = on_loop(process, game.app.nodes().ids("db"));
    return ids && !ids->empty();
  };
  ASSERT_TRUE(eventually(there));

  const auto heroes = game.heroes(3);
  ASSERT_TRUE(game.score(heroes[1], 7));
  {
    Market market(game, heroes);
    for (int round = 0; round < test::rounds(4, 20); ++round) {
      const int before = market.done();
      ASSERT_TRUE(eventually([&] { return market.done() > before + 10; })) << round;
      db.kill();
      db.start();
    }
    const int before = market.done();
    ASSERT_TRUE(eventually([&] { return market.done() > before; }));
    EXPECT_GT(market.asked_again(), 0);
    const auto must_have = market.stop();
    for (std::size_t i = 0; i < heroes.size(); ++i) EXPECT_EQ(game.gold(fmt::format("h{}", i)), must_have[i]) << i;
  }
  EXPECT_EQ(game.score(heroes[1], 1)->score(), 8);  // In Redis.
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

}  // namespace
}  // namespace mg
