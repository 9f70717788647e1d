#include "mg/store/mongo/mongo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "mg/base/flags.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/collection.h"
#include "mg/store/documents/tables.h"
#include "runtime/testing.h"
#include "tests/support/mongo.h"

namespace mg::documents {
namespace {

using ::testing::HasSubstr;

TEST(MongoAddress, IsCompletedAsGoServicesDo) {
  const auto uri = [](std::string url) { return MongoOptions{.url = std::move(url)}.uri(); };
  EXPECT_EQ(*uri(""), "mongodb://127.0.0.1:27017,127.0.0.1:27018,127.0.0.1:27019/?replicaSet=rs1");
  EXPECT_EQ(*uri("db:1/?replicaSet=x"), "mongodb://db:1/?replicaSet=x");
  EXPECT_EQ(*uri("mongodb://u:p@db/?replicaSet=x&w=1"), "mongodb://u:p@db/?replicaSet=x&w=1");
  EXPECT_THAT(uri("mongodb://db").error().detail, HasSubstr("replicaSet"));
  EXPECT_THAT(uri("mongodb+srv://db/?replicaSet=x").error().detail, HasSubstr("mongodb+srv is not supported"));
  EXPECT_EQ(uri("mongodb://").error().code, code::kInvalid);
  EXPECT_EQ(uri("http://db").error().code, code::kInvalid);
}

TEST(MongoFlags, HaveTheNamesOfGoServices) {
  MongoOptions options;
  Flags flags("db", "1");
  options.add_to(flags);
  const char* const arguments[] = {"--mongo_min_pool", "3"};
  const char* const environment[] = {"GAME_MONGO_URL=h/?replicaSet=a", "GAME_MONGO_MAX_POOL=7"};
  EXPECT_FALSE(flags.read(arguments, environment).exit);
  EXPECT_EQ(options.url, "h/?replicaSet=a");
  EXPECT_EQ(options.min_pool, 3u);
  EXPECT_EQ(options.max_pool, 7u);
}

class MongoStore : public ::testing::Test {
 protected:
  ~MongoStore() override {
    if (store_) store_->close();
    while (loop_.poll()) {
    }
  }
  template <class T>
  T run(Task<T> task) {
    return testing::await_on(loop_, std::move(task));
  }
  Result<void> connect(std::string url, std::chrono::milliseconds timeout = std::chrono::milliseconds(5000)) {
    auto made = run(Mongo::connect({.url = std::move(url), .database = "game", .min_pool = 4, .timeout = timeout}));
    if (!made) return std::unexpected(made.error());
    store_ = *std::move(made);
    return {};
  }
  Loop loop_;
  std::unique_ptr<Mongo> store_;
};

TEST_F(MongoStore, NoServerIsUnavailableInTime) {
  const auto alone =
      connect("127.0.0.1:" + std::to_string(testing::free_port()) + "/?replicaSet=rs1", std::chrono::milliseconds(300));
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, code::kUnavailable) << alone.error().detail;
}

TEST_F(MongoStore, AggregatesCountsAndTells) {
  const testing::Server server = testing::java_server();
  ASSERT_TRUE(connect(testing::url_of(server)));
  Collection<> things(*store_, "things");
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(run(things.insert(Document{{"_id", i}, {"k", i % 2}, {"n", i}})));
  auto sums = run(things.aggregate({Document{{"$group", Document{{"_id", "$k"}, {"sum", Document{{"$sum", "$n"}}}}}},
                                    Document{{"$sort", Document{{"_id", 1}}}}}));
  ASSERT_TRUE(sums) << sums.error().detail;
  ASSERT_EQ(sums->size(), 2u);
  EXPECT_EQ(to_json((*sums)[0]), R"({"_id":0,"sum":6})");
  EXPECT_FALSE(run(things.insert(Document{{"_id", 1}})));
  const Mongo::Stats stats = store_->stats();
  EXPECT_EQ(stats.threads, 4u);
  EXPECT_GE(stats.calls, 8u);
  EXPECT_EQ(stats.running, 0u);
}

TEST_F(MongoStore, SilentServerTimesOutAndAWriteIsUnknown) {
  testing::Server server = testing::java_server();
  ASSERT_TRUE(connect(testing::url_of(server)));
  Collection<> things(*store_, "things");
  ASSERT_TRUE(run(things.insert(Document{{"_id", 1}})));
  server.pause();
  const Deadline soon = Deadline::after(loop_.clock(), std::chrono::milliseconds(200));
  auto read = run(things.find_one(by_id(1), {}, {.deadline = soon}));
  EXPECT_EQ(read.error().code, code::kTimeout) << read.error().detail;
  auto written = run(things.insert(Document{{"_id", 2}},
                                   {.deadline = Deadline::after(loop_.clock(), std::chrono::milliseconds(200))}));
  EXPECT_TRUE(is_outcome_unknown(written.error())) << written.error().detail;
  server.resume();
  EXPECT_TRUE(testing::run_until(loop_, [&] { return run(things.count(by_id(1))).value_or(0) == 1; }));
}

// One more, in a transaction of two calls; counts how often it was begun.
Task<Result<std::int64_t>> add_one(Collection<> things, Transaction& in, int& begun) {
  ++begun;
  auto done = co_await things.update_one(by_id(1), Update().inc("n", 1), {.transaction = &in});
  if (!done) co_return std::unexpected(std::move(done).error());
  auto now = co_await things.find_one(by_id(1), {}, {.transaction = &in});
  if (!now) co_return std::unexpected(std::move(now).error());
  co_return now->at("n").as_whole();
}

struct TransactionFault {
  std::vector<std::string> faults;
  int begun;  // So often.
};
class MongoTransactionFaults : public MongoStore, public ::testing::WithParamInterface<TransactionFault> {};
// Elections and lost connections in the middle begin it again; those at the commit repeat the commit.
INSTANTIATE_TEST_SUITE_P(
    Each, MongoTransactionFaults,
    ::testing::Values(TransactionFault{{"update=election"}, 2},
                      TransactionFault{{"update=lost", "find=election", "update=cut"}, 4},
                      TransactionFault{{"commitTransaction=election"}, 1},
                      TransactionFault{{"commitTransaction=lost"}, 1}, TransactionFault{{"commitTransaction=cut"}, 1},
                      TransactionFault{{"commitTransaction=cut", "commitTransaction=lost", "commitTransaction=cut"},
                                       1}));

TEST_P(MongoTransactionFaults, HaveOneEffect) {
  const testing::Server server = testing::secantus_server(GetParam().faults);
  ASSERT_TRUE(connect(testing::url_of(server), std::chrono::milliseconds(15'000)));
  Collection<> things(*store_, "things");
  ASSERT_TRUE(run(things.insert(Document{{"_id", 1}, {"n", 0}})));
  int begun = 0;
  const auto done = run(with_transaction(
      *store_, [&](Transaction& t) { return add_one(things, t, begun); },
      Deadline::after(loop_.clock(), std::chrono::seconds(60))));
  ASSERT_TRUE(done) << done.error().code << " " << done.error().detail;
  EXPECT_EQ(*done, 1);
  EXPECT_EQ(begun, GetParam().begun);
  EXPECT_EQ(run(things.find_one(by_id(1)))->at("n").as_whole(), 1);
  for (const std::string& fault : GetParam().faults) EXPECT_THAT(server.output(), HasSubstr("fault " + fault));
  store_->close();
}

TEST_F(MongoStore, ATransactionWhoseServerStandsStillBeginsAgain) {
  testing::Server server = testing::secantus_server();
  ASSERT_TRUE(connect(testing::url_of(server), std::chrono::milliseconds(2000)));
  Collection<> things(*store_, "things");
  ASSERT_TRUE(run(things.insert(Document{{"_id", 1}, {"n", 0}})));
  struct Paused {
    // What is sent at first is lost in the pause, whatever the server makes of it later.
    static Task<Result<std::int64_t>> first(testing::Server& at, Collection<> in, Transaction& t, int& begun) {
      if (begun > 0) co_return co_await add_one(in, t, begun);
      at.pause();
      auto done = co_await add_one(in, t, begun);
      at.resume();
      co_return done;
    }
  };
  int begun = 0;
  const auto done = run(with_transaction(
      *store_, [&](Transaction& t) { return Paused::first(server, things, t, begun); },
      Deadline::after(loop_.clock(), std::chrono::seconds(60))));
  ASSERT_TRUE(done) << done.error().code << " " << done.error().detail;
  EXPECT_GE(begun, 2);
  EXPECT_EQ(run(things.find_one(by_id(1)))->at("n").as_whole(), 1);
  store_->close();
}

TEST_F(MongoStore, ATransactionWithACallThatWasGivenUpIsNotCommitted) {
  testing::Server server = testing::secantus_server();
  ASSERT_TRUE(connect(testing::url_of(server)));
  Collection<> things(*store_, "things");
  ASSERT_TRUE(run(things.insert(Document{{"_id", 1}, {"n", 0}})));
  auto transaction = run(store_->begin(Deadline::never()));
  ASSERT_TRUE(transaction);
  server.pause();
  const auto given_up = run(things.update_one(
      by_id(1), Update().inc("n", 1),
      {.deadline = Deadline::after(loop_.clock(), std::chrono::milliseconds(200)), .transaction = transaction->get()}));
  EXPECT_TRUE(is_conflict(given_up.error())) << given_up.error().detail;
  server.resume();
  EXPECT_TRUE(is_conflict(run((*transaction)->commit(Deadline::never())).error()));
  (void)run((*transaction)->abort(Deadline::never()));
  EXPECT_EQ(run(things.find_one(by_id(1)))->at("n").as_whole(), 0);
  transaction->reset();
  store_->close();
}

Task<void> storm(Collection<> things, std::int64_t& next, bool& stop, std::set<std::int64_t>& acknowledged,
                 int& ended) {
  while (!stop) {
    const std::int64_t id = ++next;
    auto done = co_await things.insert(Document{{"_id", id}});
    if (done) {
      acknowledged.insert(id);
    } else {
      // Either it was not written, or nobody can know; a duplicate is our own write, seen by the driver's second try.
      EXPECT_TRUE(is_outcome_unknown(done.error()) || done.error().code == code::kUnavailable ||
                  done.error().code == code::kTimeout)
          << done.error().code << " " << done.error().detail;
    }
  }
  ++ended;
}

// Twenty times in all: in parts, so that each ends in time on a slow machine.
class MongoStorm : public MongoStore, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Part, MongoStorm, ::testing::Range(1, 5));

TEST_P(MongoStorm, NothingAcknowledgedIsLostWhenTheServerIsKilled) {
  testing::Server server = testing::java_server(/*kept=*/true);
  ASSERT_TRUE(connect(testing::url_of(server)));
  std::int64_t next = 0;
  std::set<std::int64_t> acknowledged;
  for (int round = 0; round < 5; ++round) {
    bool stop = false;
    int ended = 0;
    const std::size_t before = acknowledged.size();
    loop_.post_always([&] {
      for (int i = 0; i < 4; ++i) spawn(storm({*store_, "things"}, next, stop, acknowledged, ended));
    });
    ASSERT_TRUE(testing::run_until(loop_, [&] { return acknowledged.size() >= before + 20; }));
    server.kill();
    server.start();
    ASSERT_TRUE(
        testing::run_until(loop_, [&] { return acknowledged.size() >= before + 30; }));  // It goes on by itself.
    stop = true;
    ASSERT_TRUE(testing::run_until(loop_, [&] { return ended == 4; }));
  }
  auto all = run(Collection<>(*store_, "things").find());
  ASSERT_TRUE(all) << all.error().detail;
  std::set<std::int64_t> there;
  for (const Document& each : *all) there.insert(each.at("_id").as_whole());
  for (const std::int64_t id : acknowledged) EXPECT_TRUE(there.contains(id)) << id;
}

}  // namespace
}  // namespace mg::documents
