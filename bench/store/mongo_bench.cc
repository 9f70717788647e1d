// The document store on MongoDB beside libmongoc by hand: as many threads, the same calls.
#include <mongoc/mongoc.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/check.h"
#include "mg/runtime/loop.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/collection.h"
#include "mg/store/mongo/mongo.h"
#include "store/store_bench.h"

namespace mg::bench {
namespace {

using documents::Collection;
using documents::Document;
using documents::Mongo;

constexpr int kThreads = 4, kEach = 25;
constexpr std::int64_t kDocuments = 1000;

Task<void> connect(std::string url, std::unique_ptr<Mongo>& out) {
  auto made = co_await Mongo::connect(
      {.url = std::move(url), .database = "bench", .min_pool = kThreads, .timeout = std::chrono::milliseconds(20'000)});
  check(made.has_value(), "the server answers");
  out = *std::move(made);
}
Task<void> fill(Collection<> in, bool& done) {
  for (std::int64_t id = 0; id < kDocuments; ++id) {
    check((co_await in.insert({{"_id", id}, {"n", std::int64_t{0}}, {"note", std::string(110, 'n')}})).has_value(),
          "a document is inserted");
  }
  done = true;
}
Task<void> find_some(Collection<> in, int caller, int& left, Loop& loop) {
  for (int i = 0; i < kEach; ++i) {
    auto found = co_await in.find_one(documents::by_id((caller * 251 + i * 37) % kDocuments));
    check(found.has_value(), "the document is there");
    keep(*found);
  }
  if (--left == 0) loop.stop();
}
Task<void> update_some(Collection<> in, int caller, int& left, Loop& loop) {
  for (int i = 0; i < kEach; ++i) {
    auto done = co_await in.update_one(documents::by_id((caller * 251 + i * 37) % kDocuments),
                                       documents::Update().inc("n", std::int64_t{1}));
    check(done.has_value(), "the document is there");
  }
  if (--left == 0) loop.stop();
}

// The same by hand; documents come back as the store gives them.
class Raw {
 public:
  explicit Raw(const std::string& url) {
    mongoc_uri_t* const uri = mongoc_uri_new(url.c_str());
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true);
    mongoc_write_concern_t* const concern = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(concern, 5000);
    mongoc_write_concern_set_journal(concern, true);
    mongoc_uri_set_write_concern(uri, concern);
    mongoc_write_concern_destroy(concern);
    pool_ = mongoc_client_pool_new(uri);
    mongoc_uri_destroy(uri);
  }
  ~Raw() { mongoc_client_pool_destroy(pool_); }

  template <class Work>
  void on_threads(Work work) {
    std::vector<std::jthread> threads;
    for (int caller = 0; caller < kThreads; ++caller) {
      threads.emplace_back([this, caller, work] {
        mongoc_client_t* const client = mongoc_client_pool_pop(pool_);
        mongoc_collection_t* const roles = mongoc_client_get_collection(client, "bench", "role");
        for (int i = 0; i < kEach; ++i) work(roles, (caller * 251 + i * 37) % kDocuments);
        mongoc_collection_destroy(roles);
        mongoc_client_pool_push(pool_, client);
      });
    }
  }
  static void find(mongoc_collection_t* in, std::int64_t id) {
    bson_t* const query = BCON_NEW("_id", BCON_INT64(id));
    bson_t* const opts = BCON_NEW("limit", BCON_INT64(1), "singleBatch", BCON_BOOL(true));
    mongoc_cursor_t* const cursor = mongoc_collection_find_with_opts(in, query, opts, nullptr);
    const bson_t* item = nullptr;
    check(mongoc_cursor_next(cursor, &item), "the document is there");
    keep(*documents::decode({reinterpret_cast<const std::byte*>(bson_get_data(item)), item->len}));
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
  }
  static void update(mongoc_collection_t* in, std::int64_t id) {
    bson_t* const query = BCON_NEW("_id", BCON_INT64(id));
    bson_t* const change = BCON_NEW("$inc", "{", "n", BCON_INT64(1), "}");
    bson_error_t error;
    check(mongoc_collection_update_one(in, query, change, nullptr, nullptr, &error), "the document is there");
    bson_destroy(change);
    bson_destroy(query);
  }

 private:
  mongoc_client_pool_t* pool_ = nullptr;
};

}  // namespace

void mongo_rows(Report& report, const std::string& url) {
  if (!report.wanted("mongo find by id, 4 threads") && !report.wanted("mongo $inc, 4 threads")) return;
  Loop loop;
  std::unique_ptr<Mongo> store;
  loop.post_always([&] { spawn(connect(url, store)); });
  while (!store) loop.poll();
  Collection<> roles(*store, "role");
  bool filled = false;
  loop.post_always([&] { spawn(fill(roles, filled)); });
  while (!filled) loop.poll();
  Raw raw(url);
  const auto all_callers = [&](auto call) {
    int left = kThreads;
    loop.post_always([&] {
      for (int i = 0; i < kThreads; ++i) spawn(call(roles, i, left, loop));
    });
    loop.run();
  };
  report.row(
      {"mongo find by id, 4 threads", 1.15}, kThreads * kEach, [&] { all_callers(find_some); },
      [&] { raw.on_threads(Raw::find); });
  report.row(
      {"mongo $inc, 4 threads", 1.15}, kThreads * kEach, [&] { all_callers(update_some); },
      [&] { raw.on_threads(Raw::update); });
  store->close();
  while (loop.poll()) {
  }
}

}  // namespace mg::bench
