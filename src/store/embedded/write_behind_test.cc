// WriteBehind on the embedded store, which fails when it is told to.
#include "mg/store/documents/write_behind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "mg/store/documents/collection.h"
#include "mg/store/embedded/embedded.h"
#include "runtime/testing.h"
#include "tests/support/server.h"

namespace mg::documents {

struct Hero {
  std::int64_t id = 0;
  std::string name;
  std::int64_t gold = 0;
  std::int64_t level = 0;
};
constexpr auto mg_fields(std::type_identity<Hero>) {
  return fields(field("id", &Hero::id).bson("_id"), field("name", &Hero::name), field("gold", &Hero::gold),
                field("level", &Hero::level));
}

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A store with faults in front of writes, taken one after the other.
class Faulty final : public Documents {
 public:
  enum class Fault : std::uint8_t { kNone, kBefore, kAfter, kUnknown };  // kAfter, kUnknown: told as not known.
  explicit Faulty(Documents& store) : store_(store) {}

  std::deque<Fault> faults;
  bool away = false;  // Every call fails.
  std::size_t finds = 0;
  std::vector<std::vector<Write>> writes;  // All that came, but while it was away.

  Task<Result<std::vector<Document>>> find(Call call, Filter filter, FindOptions options) override {
    ++finds;
    if (away) return Result<std::vector<Document>>(gone());
    return store_.find(std::move(call), std::move(filter), std::move(options));
  }
  Task<Result<Written>> write(Call call, std::vector<Write> all, WriteOptions options) override {
    if (away) co_return Result<Written>(gone());
    const Fault fault = faults.empty() ? Fault::kNone : faults.front();
    if (!faults.empty()) faults.pop_front();
    if (fault == Fault::kBefore) co_return Result<Written>(gone());
    writes.push_back(all);
    if (fault == Fault::kUnknown) co_return fail(kOutcomeUnknown, "no reply");
    auto done = co_await store_.write(std::move(call), std::move(all), options);
    if (fault == Fault::kAfter) co_return fail(kOutcomeUnknown, "no reply");
    co_return done;
  }
  Task<Result<std::optional<Document>>> modify(Call call, Modify change) override {
    return store_.modify(std::move(call), std::move(change));
  }
  Task<Result<std::int64_t>> count(Call call, Filter filter) override {
    return store_.count(std::move(call), std::move(filter));
  }
  Task<Result<Array>> distinct(Call call, Path path, Filter filter) override {
    return store_.distinct(std::move(call), std::move(path), std::move(filter));
  }
  Task<Result<std::vector<Document>>> aggregate(Call call, std::vector<Document> pipeline) override {
    return store_.aggregate(std::move(call), std::move(pipeline));
  }
  Task<Result<void>> create_indexes(Call call, std::vector<Index> indexes) override {
    return store_.create_indexes(std::move(call), std::move(indexes));
  }
  Task<Result<void>> drop_index(Call call, std::string name) override {
    return store_.drop_index(std::move(call), std::move(name));
  }
  Task<Result<std::vector<Index>>> indexes(Call call) override { return store_.indexes(std::move(call)); }
  Task<Result<std::vector<std::string>>> collections(Deadline deadline) override {
    return store_.collections(deadline);
  }
  Task<Result<void>> drop(Call call) override { return store_.drop(std::move(call)); }
  Task<Result<std::unique_ptr<Transaction>>> begin(Deadline deadline) override { return store_.begin(deadline); }
  std::string_view kind() const override { return "faulty"; }

 private:
  static std::unexpected<Error> gone() { return fail(code::kUnavailable, "the store is away"); }
  Documents& store_;
};

class WriteBehindCache : public ::testing::Test {
 protected:
  WriteBehindCache() {
    auto opened = Embedded::open({.path = dir_.path() + "/game.db", .sync = false, .timeout = 15s});
    mg::check(opened.has_value(), "the store opens");
    embedded_ = *std::move(opened);
    store_ = std::make_unique<Faulty>(*embedded_);
  }
  ~WriteBehindCache() override {
    heroes_.reset();
    embedded_->close();
    while (loop_.poll()) {
    }
  }
  template <class T>
  T run(Task<T> task) {
    return testing::await_on(loop_, std::move(task));
  }
  template <class Done>
  bool until(Done done) {
    return testing::run_until(loop_, done);
  }
  Deadline soon() { return Deadline::after(loop_.clock(), 19s); }

  WriteBehind<Hero>& cache(WriteBehindOptions options = {}) {
    options.collection = "hero";
    options.timeout = 15s;
    options.first_pause = 1ms;
    options.longest_pause = 5ms;
    options.on_lost = [this](const Lost& lost) { lost_.push_back(lost); };
    heroes_ = std::make_unique<WriteBehind<Hero>>(loop_, *store_, std::move(options));
    return *heroes_;
  }
  // In the store, with a field that Hero has not.
  void insert(std::int64_t from, std::int64_t to) {
    Collection<> all(*embedded_, "hero");
    for (std::int64_t id = from; id <= to; ++id) {
      ASSERT_TRUE(run(all.insert({{"_id", id}, {"name", fmt::format("n{}", id)}, {"gold", 0}, {"other", "kept"}})));
    }
  }
  void load(std::int64_t from, std::int64_t to) {
    for (std::int64_t id = from; id <= to; ++id) ASSERT_TRUE(run(heroes_->load(id)));
  }
  Result<void> give(std::int64_t id, std::int64_t gold) {
    return heroes_->change(id, [&](Hero& hero) { hero.gold += gold; });
  }
  Document stored(std::int64_t id) {
    return run(Collection<>(*embedded_, "hero").find_one(by_id(id))).value_or(Document());
  }
  std::int64_t gold(std::int64_t id) { return stored(id).at("gold").as_whole(); }

  testing::TempDir dir_;
  Loop loop_;
  std::unique_ptr<Embedded> embedded_;
  std::unique_ptr<Faulty> store_;
  std::unique_ptr<WriteBehind<Hero>> heroes_;
  std::vector<Lost> lost_;
};

std::vector<std::string> paths(const Write& write) {
  std::vector<std::string> out;
  for (const auto& change : write.update.changes()) out.push_back(change.path);
  return out;
}

TEST_F(WriteBehindCache, ManyLoadsOfOneDocumentShareARead) {
  insert(1, 1);
  auto& heroes = cache();
  std::vector<std::string> names;
  const auto load_it = [](WriteBehind<Hero>& from, std::vector<std::string>& out) -> Task<void> {
    auto hero = co_await from.load(1);
    out.push_back(hero ? (*hero)->name : hero.error().detail);
  };
  loop_.post_always([&] {
    for (int i = 0; i < 5; ++i) spawn(load_it(heroes, names));
  });
  ASSERT_TRUE(until([&] { return names.size() == 5; }));
  EXPECT_EQ(names, std::vector<std::string>(5, "n1"));
  EXPECT_EQ(store_->finds, 1);
  EXPECT_EQ(heroes.stats().loads, 1);
  EXPECT_EQ(heroes.find(1)->name, "n1");
  EXPECT_EQ(heroes.find(2), nullptr);
  EXPECT_EQ(run(heroes.load(2)).error().code, code::kNotFound);
  EXPECT_EQ(give(2, 1).error().code, code::kNotFound);
}

TEST_F(WriteBehindCache, FieldsThatChangedAreWrittenOnceInTheInterval) {
  insert(1, 2);
  auto& heroes = cache({.interval = 50ms});
  load(1, 2);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(give(1, 1));
  EXPECT_EQ(heroes.find(1)->gold, 100);
  EXPECT_EQ(heroes.stats().dirty, 1);
  EXPECT_THAT(store_->writes, IsEmpty());
  ASSERT_TRUE(until([&] { return heroes.stats().dirty == 0; }));
  ASSERT_EQ(store_->writes.size(), 1);
  ASSERT_EQ(store_->writes[0].size(), 1);
  EXPECT_THAT(paths(store_->writes[0][0]), ElementsAre("gold", kVersionField));
  EXPECT_EQ(gold(1), 100);
  EXPECT_EQ(stored(1).at("other").as_text(), "kept");
  // Changed and changed back: nothing to write.
  ASSERT_TRUE(give(2, 1));
  ASSERT_TRUE(give(2, -1));
  EXPECT_TRUE(run(heroes.flush(soon())));
  EXPECT_EQ(store_->writes.size(), 1);
}

TEST_F(WriteBehindCache, ManyChangedDocumentsAreWrittenAtOnceInBatches) {
  insert(1, 25);
  auto& heroes = cache({.interval = 1h, .flush_at = 25, .batch = 10});
  load(1, 25);
  for (int id = 1; id <= 24; ++id) ASSERT_TRUE(give(id, id));
  while (loop_.poll()) {
  }
  EXPECT_THAT(store_->writes, IsEmpty());
  ASSERT_TRUE(give(25, 25));
  ASSERT_TRUE(until([&] { return heroes.stats().dirty == 0; }));
  std::vector<std::size_t> sizes;
  for (const auto& each : store_->writes) sizes.push_back(each.size());
  EXPECT_THAT(sizes, ElementsAre(10, 10, 5));
  EXPECT_EQ(heroes.stats().written, 25);
  // Again within the interval: none is written a second time.
  for (int id = 1; id <= 25; ++id) ASSERT_TRUE(give(id, id));
  for (int i = 0; i < 100; ++i) loop_.poll();
  EXPECT_EQ(heroes.stats().written, 25);
  EXPECT_TRUE(run(heroes.flush(soon())));
  EXPECT_EQ(heroes.stats().written, 50);
  EXPECT_EQ(gold(7), 14);
}

TEST_F(WriteBehindCache, AnothersWriteIsNotOverwritten) {
  insert(1, 3);
  auto& heroes = cache({.interval = 1h});
  load(1, 3);
  WriteBehind<Hero> other(loop_, *embedded_, {.collection = "hero", .interval = 1h});
  ASSERT_TRUE(run(other.load(1)));
  ASSERT_TRUE(other.change(1, [](Hero& hero) { hero.gold = 1000; }));
  ASSERT_TRUE(run(other.stop(soon())));
  ASSERT_TRUE(run(Collection<Hero>(*embedded_, "hero").remove_one(by_id(2))));
  for (int id = 1; id <= 3; ++id) ASSERT_TRUE(give(id, 5));
  ASSERT_TRUE(run(heroes.flush(soon())));
  ASSERT_EQ(lost_.size(), 2);
  for (const Lost& lost : lost_) {
    EXPECT_EQ(lost.error.code, kConflict);
    EXPECT_EQ(lost.changed, (Document{{"gold", std::int64_t{5}}}));
  }
  EXPECT_EQ(gold(1), 1000);
  EXPECT_EQ(gold(3), 5);
  EXPECT_EQ(heroes.stats().lost, 2);
  // It has left the memory; loaded again it is as the other made it.
  EXPECT_EQ(heroes.find(1), nullptr);
  EXPECT_EQ((*run(heroes.load(1)))->gold, 1000);
  ASSERT_TRUE(give(1, 1));
  ASSERT_TRUE(run(heroes.flush(soon())));
  EXPECT_EQ(gold(1), 1001);
}

TEST_F(WriteBehindCache, AWriteOfUnknownOutcomeHasOneEffect) {
  using enum Faulty::Fault;
  insert(1, 2);
  auto& heroes = cache({.interval = 1h});
  load(1, 2);
  for (const auto& faults : {std::deque{kAfter}, std::deque{kUnknown}, std::deque{kAfter, kUnknown, kBefore, kAfter}}) {
    const std::int64_t before = gold(1);
    store_->faults = faults;
    ASSERT_TRUE(give(1, 10));
    bool done = false;
    const auto flush = [](WriteBehind<Hero>& all, Deadline end, bool& over) -> Task<void> {
      EXPECT_TRUE(co_await all.flush(end));
      over = true;
    };
    loop_.post_always([&] { spawn(flush(heroes, soon(), done)); });
    ASSERT_TRUE(until([&] { return store_->faults.size() < faults.size(); }));
    ASSERT_TRUE(give(1, 1));  // While the outcome of the first is not known.
    ASSERT_TRUE(until([&] { return done; }));
    ASSERT_TRUE(run(heroes.flush(soon())));
    EXPECT_EQ(gold(1), before + 11);
  }
  EXPECT_THAT(lost_, IsEmpty());
}

TEST_F(WriteBehindCache, AStoreThatIsAwayForAWhileGetsAll) {
  insert(1, 50);
  auto& heroes = cache({.interval = 5ms, .batch = 7, .max_dirty = 40});
  load(1, 50);
  store_->away = true;
  std::int64_t taken = 0;
  for (int round = 0; round < 20; ++round) {
    for (int id = 1; id <= 40; ++id) taken += give(id, 1) ? 1 : 0;
    for (int i = 0; i < 10; ++i) loop_.poll();
  }
  ASSERT_TRUE(until([&] { return heroes.stats().failures >= 3; }));
  EXPECT_EQ(taken, 800);
  EXPECT_EQ(heroes.stats().dirty, 40);
  EXPECT_GT(heroes.stats().oldest, 0s);
  const auto more = give(41, 1);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, code::kTooMany);
  EXPECT_THAT(more.error().detail, HasSubstr("the store is away"));
  EXPECT_EQ(heroes.find(41)->gold, 0);
  // What is not written is said, and still there.
  const auto stopped = run(heroes.stop(Deadline::after(loop_.clock(), 30ms)));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, code::kUnavailable);
  EXPECT_THAT(stopped.error().detail, HasSubstr("40 changed documents are not written (the store is away)"));
  EXPECT_EQ(give(1, 1).error().code, code::kFinished);
  store_->away = false;
  ASSERT_TRUE(run(heroes.stop(soon())));
  std::int64_t sum = 0;
  for (int id = 1; id <= 50; ++id) sum += gold(id);
  EXPECT_EQ(sum, taken);
  EXPECT_THAT(lost_, IsEmpty());
}

TEST_F(WriteBehindCache, WhatTheStoreRefusesIsToldAndTheRestIsWritten) {
  insert(1, 5);
  ASSERT_TRUE(run(Collection<>(*embedded_, "hero").create_indexes({Index::on(Sort().up("name")).make_unique()})));
  auto& heroes = cache({.interval = 1h});
  load(1, 5);
  for (int id = 1; id <= 5; ++id) ASSERT_TRUE(give(id, 1));
  ASSERT_TRUE(heroes.change(2, [](Hero& hero) { hero.name = "n5"; }));
  ASSERT_TRUE(heroes.change(4, [](Hero& hero) { hero.name = std::string(20 << 20, 'x'); }));
  ASSERT_TRUE(run(heroes.flush(soon())));
  std::vector<std::pair<std::int64_t, std::int32_t>> lost;
  for (const Lost& each : lost_) lost.emplace_back(each.id.as_whole(), each.error.code);
  EXPECT_THAT(lost, UnorderedElementsAre(std::pair(2, code::kExists), std::pair(4, code::kInvalid)));
  for (const int id : {1, 3, 5}) EXPECT_EQ(gold(id), 1);
  for (const int id : {2, 4}) EXPECT_EQ(gold(id), 0);
}

TEST_F(WriteBehindCache, DocumentsAreAddedAndRemoved) {
  auto& heroes = cache({.interval = 1h});
  auto made = run(heroes.add({.id = 7, .name = "seven"}));
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_EQ(stored(7).at("name").as_text(), "seven");
  EXPECT_EQ(run(heroes.add({.id = 7, .name = {}})).error().code, code::kExists);
  ASSERT_TRUE(give(7, 3));
  ASSERT_TRUE(run(heroes.flush(soon())));
  EXPECT_EQ(gold(7), 3);
  ASSERT_TRUE(give(7, 3));
  ASSERT_TRUE(run(heroes.remove(7)));
  EXPECT_EQ(heroes.find(7), nullptr);
  EXPECT_EQ(run(heroes.load(7)).error().code, code::kNotFound);
  EXPECT_TRUE(run(heroes.add({.id = 7, .name = "again"})));
  ASSERT_TRUE(run(heroes.stop(soon())));
  EXPECT_EQ(stored(7).at("name").as_text(), "again");
  EXPECT_EQ(run(heroes.add({.id = 8, .name = {}})).error().code, code::kFinished);
}

TEST_F(WriteBehindCache, OnlyUnchangedDocumentsLeaveTheMemory) {
  insert(1, 20);
  auto& heroes = cache({.interval = 1h, .max_clean = 3});
  load(1, 5);
  EXPECT_EQ(heroes.stats().clean, 3);
  EXPECT_EQ(heroes.find(1), nullptr);
  ASSERT_TRUE(give(4, 1));
  ASSERT_TRUE(give(5, 1));
  EXPECT_NE(heroes.find(3), nullptr);
  load(6, 20);
  EXPECT_EQ(heroes.find(3), nullptr);
  EXPECT_EQ(heroes.find(4)->gold, 1);
  EXPECT_EQ(heroes.find(5)->gold, 1);
  EXPECT_EQ(heroes.stats().clean, 3);
  ASSERT_TRUE(run(heroes.flush(soon())));
  EXPECT_EQ(heroes.stats().clean, 3);
  EXPECT_EQ(gold(4), 1);
}

TEST_F(WriteBehindCache, NothingIsLostWhenStoppedUnderLoad) {
  using enum Faulty::Fault;
  insert(1, 30);
  auto& heroes = cache({.interval = 2ms, .flush_at = 10, .batch = 4});
  load(1, 30);
  std::int64_t taken = 0;
  int left = 8;
  const auto work = [](Loop& loop, WriteBehind<Hero>& all, std::int64_t& sum, int& workers) -> Task<void> {
    for (std::int64_t id = 1; all.change(id, [](Hero& hero) { ++hero.gold; }); id = id % 30 + 1) {
      ++sum;
      co_await loop.yield();
    }
    --workers;
  };
  loop_.post_always([&] {
    for (int i = 0; i < 8; ++i) spawn(work(loop_, heroes, taken, left));
  });
  ASSERT_TRUE(until([&] { return heroes.stats().written > 60; }));
  store_->faults = {kBefore, kAfter, kNone, kUnknown};
  ASSERT_TRUE(run(heroes.stop(soon())));
  ASSERT_TRUE(until([&] { return left == 0; }));
  std::int64_t sum = 0;
  for (int id = 1; id <= 30; ++id) sum += gold(id);
  EXPECT_EQ(sum, taken);
  EXPECT_EQ(heroes.stats().dirty, 0);
  EXPECT_THAT(lost_, IsEmpty());
}

TEST_F(WriteBehindCache, MayGoWithAWriteOnItsWay) {
  insert(1, 1);
  cache({.interval = 1h});
  load(1, 1);
  ASSERT_TRUE(give(1, 1));
  bool told = false;
  const auto flush = [](WriteBehind<Hero>& all, Deadline end, bool& over) -> Task<void> {
    (void)co_await all.flush(end);
    over = true;
  };
  Task<void> flushing = flush(*heroes_, soon(), told);
  flushing.start();
  while (store_->writes.empty()) loop_.poll();
  flushing = Task<void>::done();
  heroes_.reset();
  ASSERT_TRUE(until([&] { return gold(1) == 1; }));
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace mg::documents
