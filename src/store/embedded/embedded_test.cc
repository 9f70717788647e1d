#include "mg/store/embedded/embedded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "mg/runtime/runtime.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/collection.h"
#include "mg/store/documents/tables.h"
#include "runtime/testing.h"
#include "tests/support/server.h"

namespace mg::documents {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class EmbeddedStore : public ::testing::Test {
 protected:
  ~EmbeddedStore() override { close(); }
  void open(EmbeddedOptions options = {}) {
    options.path = path();
    options.timeout = std::chrono::seconds(15);
    auto opened = Embedded::open(std::move(options));
    ASSERT_TRUE(opened) << opened.error().detail;
    store_ = *std::move(opened);
  }
  void close() {
    if (store_) store_->close();
    while (loop_.poll()) {
    }
    store_.reset();
  }
  std::string path() const { return dir_.path() + "/game.db"; }
  template <class T>
  T run(Task<T> task) {
    return testing::await_on(loop_, std::move(task));
  }
  Collection<> things() { return {*store_, "things"}; }
  void insert(int from, int to) {
    for (int i = from; i <= to; ++i)
      ASSERT_TRUE(run(things().insert(Document{{"_id", i}, {"a", i % 10}, {"b", i % 7}, {"tags", Array{i, -i}}})));
  }
  std::string plan(Filter filter, FindOptions options = {}) {
    auto text = run(store_->explain({.collection = "things"}, std::move(filter), std::move(options)));
    return text ? *text : text.error().detail;
  }

  testing::TempDir dir_;
  Loop loop_;
  std::unique_ptr<Embedded> store_;
};

TEST_F(EmbeddedStore, QueriesGoByIndexes) {
  open();
  insert(1, 50);
  EXPECT_THAT(plan(where("a").eq(3)), HasSubstr("SCAN"));
  ASSERT_TRUE(run(things().create_indexes({Index::on(Sort().up("a").down("b")), Index::on(Sort().up("tags"))})));
  EXPECT_THAT(plan(by_id(3)), HasSubstr("SEARCH c1 USING INDEX sqlite_autoindex_c1_1 (id=?)"));
  EXPECT_THAT(plan(where("_id").gt(3)), HasSubstr("(id>? AND id<?)"));
  for (const Filter& filter : {where("a").eq(3), where("a").gt(3), where("a").eq(3) && where("b").lt(2),
                               where("a").in({1, 2}), where("a").gte(1) && where("c").eq(1), where("a").eq(nullptr)}) {
    const std::string text = plan(filter);
    EXPECT_THAT(text, HasSubstr("index a_1_b_-1; SEARCH x USING PRIMARY KEY (key>? AND key<?)"));
    EXPECT_THAT(text, HasSubstr("SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"));
    EXPECT_THAT(text, Not(HasSubstr("SCAN")));
  }
  EXPECT_THAT(plan(where("tags").eq(3)), HasSubstr("index tags_1; SEARCH"));
  EXPECT_THAT(plan(where("b").eq(3)), HasSubstr("SCAN"));
  EXPECT_THAT(plan(where("a").ne(3)), HasSubstr("SCAN"));
  // An index also gives the order, read forwards or backwards.
  EXPECT_THAT(plan(where("a").eq(3), {.sort = Sort().down("b")}), Not(HasSubstr("sorted afterwards")));
  EXPECT_THAT(plan(where("a").eq(3), {.sort = Sort().up("b")}), Not(HasSubstr("sorted afterwards")));
  EXPECT_THAT(plan({}, {.sort = Sort().up("a").down("b"), .limit = 5}), Not(HasSubstr("sorted afterwards")));
  EXPECT_THAT(plan({}, {.sort = Sort().down("a").down("b")}), HasSubstr("sorted afterwards"));
  EXPECT_THAT(plan({}, {.sort = Sort().down("_id"), .limit = 1}), Not(HasSubstr("sorted afterwards")));
}

TEST_F(EmbeddedStore, KeepsEverythingWhenItIsOpenedAgain) {
  open();
  ASSERT_TRUE(run(things().create_indexes({Index::on(Sort().up("a")).make_unique()})));
  ASSERT_TRUE(run(things().insert(Document{{"_id", 1}, {"a", Array{1, 2}}})));
  close();
  open();
  EXPECT_EQ(to_json(*run(things().find_one(where("a").eq(2)))), R"({"_id":1,"a":[1,2]})");
  EXPECT_TRUE(is_duplicate_key(run(things().insert(Document{{"_id", 2}, {"a", 2}})).error()));
  EXPECT_TRUE(run(store_->verify(Deadline::never())));
}

TEST_F(EmbeddedStore, WritesThatComeTogetherShareASync) {
  open();
  int done = 0;
  const auto caller = [](Collection<> in, int id, int& count) -> Task<void> {
    EXPECT_TRUE(co_await in.insert(Document{{"_id", id}}));
    ++count;
  };
  loop_.post_always([&] {
    for (int i = 0; i < 500; ++i) spawn(caller(things(), i, done));
  });
  ASSERT_TRUE(testing::run_until(loop_, [&] { return done == 500; }));
  EXPECT_EQ(store_->stats().writes, 500u);
  EXPECT_LT(store_->stats().groups, 100u);
  EXPECT_EQ(*run(things().count()), 500);
}

TEST_F(EmbeddedStore, SecondOneIsRefusedWithTheNameOfTheFirst) {
  open();
  auto again = Embedded::open({.path = path()});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, code::kUnavailable);
  EXPECT_EQ(again.error().detail,
            fmt::format("{}: in use by process {}: one process at a time may open a store", path(), ::getpid()));
  const auto other = testing::run_program({MG_STORE_STORM, path(), "open"});
  EXPECT_THAT(other.text, HasSubstr(again.error().detail));
  EXPECT_EQ(other.status, 1);
  insert(1, 1);  // The first has lost nothing by it.
  close();
  EXPECT_THAT(testing::run_program({MG_STORE_STORM, path(), "open"}).text, HasSubstr("open"));
}

TEST_F(EmbeddedStore, OtherFilesAreRefused) {
  dir_.write("game.db", std::string(8192, 'x'));
  auto opened = Embedded::open({.path = path()});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().detail, HasSubstr("not a database"));
  EXPECT_EQ(Embedded::open({.path = dir_.path() + "/no/such/folder.db"}).error().code, code::kUnavailable);
  EXPECT_EQ(Embedded::open({.path = ""}).error().code, code::kInvalid);
}

TEST_F(EmbeddedStore, DocumentsExpire) {
  ManualClock clock;
  open({.expire_every = std::chrono::milliseconds(0), .clock = &clock});
  ASSERT_TRUE(run(things().create_indexes({Index::on(Sort().down("seen")).expires(std::chrono::seconds(60))})));
  const Date now = std::chrono::floor<std::chrono::milliseconds>(clock.wall());
  for (int i = 0; i < 1200; ++i) {
    ASSERT_TRUE(run(things().insert(Document{{"_id", i},
                                             {"seen", i < 1100   ? Value(now)
                                                      : i < 1150 ? Value(now + std::chrono::seconds(1))
                                                                 : Value("never")}})));
  }
  EXPECT_EQ(*run(store_->expire(Deadline::never())), 0);
  clock.advance(std::chrono::seconds(60));
  EXPECT_EQ(*run(store_->expire(Deadline::never())), 1100);
  EXPECT_EQ(*run(things().count()), 100);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(*run(store_->expire(Deadline::never())), 50);
  EXPECT_TRUE(run(store_->verify(Deadline::never())));
}

TEST_F(EmbeddedStore, ExpiresByItself) {
  open({.expire_every = std::chrono::milliseconds(1)});
  ASSERT_TRUE(run(things().create_indexes({Index::on(Sort().up("seen")).expires(std::chrono::seconds(0))})));
  ASSERT_TRUE(run(things().insert(Document{{"seen", Date()}})));
  ASSERT_TRUE(testing::run_until(loop_, [&] { return *run(things().count()) == 0; }));
}

TEST_F(EmbeddedStore, ResultsAreBounded) {
  open({.max_results = 10, .max_result_bytes = 4000});
  insert(1, 11);
  EXPECT_EQ(run(things().find()).error().code, code::kTooMany);
  EXPECT_EQ(run(things().find({}, {.limit = 10}))->size(), 10u);
  EXPECT_EQ(run(things().find({}, {.sort = Sort().up("b"), .limit = 10}))->size(), 10u);
  ASSERT_TRUE(run(things().insert(Document{{"_id", 20}, {"x", std::string(5000, 'x')}})));
  EXPECT_EQ(run(things().find(by_id(20))).error().code, code::kTooMany);
}

TEST_F(EmbeddedStore, SortOfManyKeepsTheFirstOnes) {
  open();
  std::vector<Document> all;
  for (int i = 0; i < 2000; ++i) all.push_back(Document{{"_id", i}, {"n", (i * 7919) % 500}});
  ASSERT_TRUE(run(things().insert_many(all)));
  auto top = run(things().find({}, {.sort = Sort().up("n"), .skip = 2, .limit = 4}));
  ASSERT_TRUE(top) << top.error().detail;
  std::string text;
  for (const Document& each : *top) text += to_json(each);
  // Of equal ones the first that was inserted comes first.
  auto everything = run(things().find({}, {.sort = Sort().up("n").up("_id"), .skip = 2, .limit = 4}));
  std::string expected;
  for (const Document& each : *everything) expected += to_json(each);
  EXPECT_EQ(text, expected);
}

TEST_F(EmbeddedStore, TransactionThatTakesTooLongIsAborted) {
  open({.transaction_time = std::chrono::milliseconds(100)});
  auto transaction = run(store_->begin(Deadline::never()));
  ASSERT_TRUE(transaction) << transaction.error().detail;
  auto inside = run(things().insert(Document{{"_id", 1}}, {.transaction = transaction->get()}));
  if (!inside) EXPECT_EQ(inside.error().code, kConflict);   // On a slow machine.
  ASSERT_TRUE(run(things().insert(Document{{"_id", 2}})));  // Waits until then.
  auto late = run((*transaction)->commit(Deadline::never()));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, kConflict);
  EXPECT_EQ(*run(things().count()), 1);
}

TEST_F(EmbeddedStore, RefusesWhatItCannot) {
  open();
  EXPECT_EQ(run(things().aggregate({})).error().code, code::kInvalid);
  EXPECT_THAT(run(things().aggregate({})).error().detail, HasSubstr("MongoDB"));
  ASSERT_TRUE(run(things().create_indexes({Index::on(Sort().up("l").up("m"))})));
  EXPECT_EQ(run(things().insert(Document{{"l", Array{1, 2}}, {"m", Array{1, 2}}})).error().code, code::kInvalid);
  EXPECT_EQ(run(store_->drop_index({.collection = "things"}, "_id_")).error().code, code::kInvalid);
  EXPECT_EQ(run(store_->drop_index({.collection = "things"}, "x")).error().code, code::kNotFound);
}

TEST_F(EmbeddedStore, FlippedBitIsFoundByItsSum) {
  open();
  ASSERT_TRUE(run(things().insert(Document{{"_id", 1}, {"text", "needle-in-the-file"}})));
  ASSERT_TRUE(run(things().insert(Document{{"_id", 2}})));
  close();
  std::string file;
  {
    std::ifstream in(path(), std::ios::binary);
    file.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::size_t at = file.find("needle-in-the-file");
  ASSERT_NE(at, std::string::npos);
  file[at] = static_cast<char>(file[at] ^ 1);
  dir_.write("game.db", file);
  open();
  auto damaged = run(things().find_one(by_id(1)));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, code::kServer);
  EXPECT_THAT(damaged.error().detail, HasSubstr("damaged"));
  EXPECT_TRUE(run(things().find_one(by_id(2))));
  EXPECT_FALSE(run(store_->verify(Deadline::never())));
  // Who writes at the same time does not suffer for it.
  int done = 0;
  const auto good = [](Collection<> in, int id, int& count) -> Task<void> {
    EXPECT_TRUE(co_await in.insert(Document{{"_id", id}}));
    ++count;
  };
  const auto bad = [](Collection<> in, int& count) -> Task<void> {
    auto written = co_await in.update_one(by_id(1), Update().set("x", 1));
    EXPECT_FALSE(written);
    if (!written) EXPECT_EQ(written.error().code, code::kServer);
    ++count;
  };
  loop_.post_always([&] {
    for (int i = 10; i < 20; ++i) spawn(good(things(), i, done));
    spawn(bad(things(), done));
    for (int i = 20; i < 30; ++i) spawn(good(things(), i, done));
  });
  ASSERT_TRUE(testing::run_until(loop_, [&] { return done == 21; }));
}

TEST_F(EmbeddedStore, CutFilesGiveAPrefix) {
  open({.checkpoint_pages = 1'000'000});
  insert(1, 12);
  // As a crash of the machine leaves them: the file, and some of what was to go into it.
  const testing::TempDir copies;
  std::filesystem::copy_file(path(), copies.path() + "/game.db");
  std::string log;
  {
    std::ifstream in(path() + "-wal", std::ios::binary);
    log.assign(std::istreambuf_iterator<char>(in), {});
  }
  close();
  ASSERT_GT(log.size(), 4096u * 12);
  std::int64_t most = 0;
  for (std::size_t size = 0; size <= log.size(); size += size < 5000 ? 509 : 1999) {
    const testing::TempDir copy;
    std::filesystem::copy_file(copies.path() + "/game.db", copy.path() + "/game.db");
    copy.write("game.db-wal", log.substr(0, size));
    auto opened = Embedded::open({.path = copy.path() + "/game.db", .readers = 1});
    ASSERT_TRUE(opened) << size << ": " << opened.error().detail;
    auto found = run(Collection<>(**opened, "things").find());
    ASSERT_TRUE(found) << found.error().detail;
    std::int64_t expected = 0;
    for (const Document& each : *found) EXPECT_EQ(each.at("_id").as_whole(), ++expected);
    EXPECT_GE(expected, most);  // The longer, the more.
    most = expected;
    EXPECT_TRUE(run((*opened)->verify(Deadline::never())));
    (*opened)->close();
  }
  while (loop_.poll()) {
  }
  EXPECT_GE(most, 11);
}

TEST_F(EmbeddedStore, StopsUnderLoad) {
  open();
  Runtime runtime({.loops = 2});
  std::atomic<int> ended{0};
  struct Load {
    static Task<void> run(Embedded& in, int number, std::atomic<int>& count) {
      Collection<> things(in, "things");
      for (int i = 0;; ++i) {
        auto done = co_await things.insert(Document{{"_id", number * 1'000'000 + i}});
        auto read = co_await things.find_one(by_id(number * 1'000'000 + i));
        if (!done || !read) {
          EXPECT_EQ((done ? read.error() : done.error()).code, code::kUnavailable);
          break;
        }
      }
      ++count;
    }
  };
  runtime.for_each_loop([&](Loop& loop) {
    for (int i = 0; i < 20; ++i) spawn(Load::run(*store_, static_cast<int>(loop.index()) * 20 + i, ended));
  });
  ASSERT_TRUE(runtime.start());
  while (store_->stats().writes < 500) std::this_thread::yield();
  store_->close();
  while (ended < 40) std::this_thread::yield();
  runtime.stop();
  runtime.join();
}

}  // namespace
}  // namespace mg::documents
