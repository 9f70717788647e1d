// The embedded document store beside SQLite by hand.
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/check.h"
#include "mg/runtime/loop.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/collection.h"
#include "mg/store/documents/write_behind.h"
#include "mg/store/embedded/embedded.h"
#include "store/store_bench.h"

namespace mg::bench {

struct Role {
  std::int64_t id = 0;
  std::string name;
  int level = 0;
  std::int64_t gold = 0;
  std::string note;
};
constexpr auto mg_fields(std::type_identity<Role>) {
  return fields(field("id", &Role::id).bson("_id"), field("name", &Role::name), field("level", &Role::level),
                field("gold", &Role::gold), field("note", &Role::note));
}

namespace {

using documents::Collection;
using documents::Document;
using documents::Embedded;

constexpr int kCallers = 64, kEach = 8;
constexpr std::int64_t kDocuments = 20'000;

// On the disk the benchmark is started from: a sync in memory costs nothing.
class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::current_path() / "store-bench-XXXXXX";
    check(::mkdtemp(pattern.data()) != nullptr, "a folder for the store can be made here");
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

Document role(std::int64_t id) {
  return {{"_id", id},
          {"name", "role number " + std::to_string(id)},
          {"level", 7},
          {"gold", std::int64_t{123'456}},
          {"note", std::string(110, 'n')}};
}

// The same table, with every insert a transaction of its own.
class Raw {
 public:
  explicit Raw(const std::string& path) {
    check(sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                          nullptr) == SQLITE_OK,
          "sqlite opens");
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=FULL");
    run("CREATE TABLE t(rid INTEGER PRIMARY KEY, id INTEGER UNIQUE NOT NULL, doc BLOB NOT NULL)");
    sqlite3_prepare_v2(db_, "INSERT INTO t(id, doc) VALUES(?1, ?2)", -1, &insert_, nullptr);
    sqlite3_prepare_v2(db_, "SELECT doc FROM t WHERE id=?1", -1, &select_, nullptr);
  }
  ~Raw() {
    sqlite3_finalize(insert_);
    sqlite3_finalize(select_);
    sqlite3_close(db_);
  }
  void run(const char* sql) { check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sql); }
  void insert(std::int64_t id) {
    const auto octets = encode(role(id));
    sqlite3_bind_int64(insert_, 1, id);
    sqlite3_bind_blob(insert_, 2, octets.data(), static_cast<int>(octets.size()), SQLITE_STATIC);
    check(sqlite3_step(insert_) == SQLITE_DONE, "a row is inserted");
    sqlite3_reset(insert_);
  }
  // The document, as a program would want it.
  Document read(std::int64_t id) {
    sqlite3_bind_int64(select_, 1, id);
    check(sqlite3_step(select_) == SQLITE_ROW, "the row is there");
    auto document = documents::decode({static_cast<const std::byte*>(sqlite3_column_blob(select_, 0)),
                                       static_cast<std::size_t>(sqlite3_column_bytes(select_, 0))});
    sqlite3_reset(select_);
    return *std::move(document);
  }

 private:
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
};

Task<void> insert_some(Collection<> in, std::int64_t& next, int& left, Loop& loop) {
  for (int i = 0; i < kEach; ++i) check((co_await in.insert(role(++next))).has_value(), "a document is inserted");
  if (--left == 0) loop.stop();
}
Task<void> read_some(Collection<> in, std::int64_t& next, int& left, Loop& loop) {
  for (int i = 0; i < kEach; ++i) {
    next = (next + 7919) % kDocuments;
    auto found = co_await in.find_one(documents::by_id(next + 1));
    check(found.has_value(), "the document is there");
    keep(*found);
  }
  if (--left == 0) loop.stop();
}

constexpr std::int64_t kDirty = 10'000;
using Roles = documents::WriteBehind<Role>;

Task<void> load_all(Roles& roles, bool& done) {
  for (std::int64_t id = 1; id <= kDirty; ++id) check((co_await roles.load(id)).has_value(), "a role is loaded");
  done = true;
}
Task<void> flush_all(Roles& roles, bool& done) {
  check((co_await roles.flush(Deadline::never())).has_value(), "all roles are written");
  done = true;
}
void write_behind_rows(Report& report, documents::Documents& store, Loop& loop) {
  Roles roles(loop, store, {.collection = "role", .interval = std::chrono::hours(1), .flush_at = 2 * kDirty});
  const auto turns_until = [&](const bool& done) {
    double longest = 0;
    auto last = std::chrono::steady_clock::now();
    while (!done) {
      if (!loop.poll()) std::this_thread::yield();
      const auto now = std::chrono::steady_clock::now();
      longest = std::max(longest, std::chrono::duration<double, std::milli>(now - last).count());
      last = now;
    }
    return longest;
  };
  bool loaded = false;
  loop.post_always([&] { spawn(load_all(roles, loaded)); });
  turns_until(loaded);
  const auto flush = [&] {
    for (int change = 0; change < 3; ++change) {
      for (std::int64_t id = 1; id <= kDirty; ++id) {
        check(roles.change(id, [](Role& role) { ++role.gold; }).has_value(), "a role is changed");
      }
    }
    bool flushed = false;
    loop.post_always([&] { spawn(flush_all(roles, flushed)); });
    return turns_until(flushed);
  };
  report.figure({"write-behind, longest turn of a flush of 10,000", 1.0}, "ms", flush);
  report.figure({"write-behind, writes for each role changed 3 times", 1.0}, "writes", [&] {
    const auto before = roles.stats().written;
    flush();
    return static_cast<double>(roles.stats().written - before) / kDirty;
  });
}

}  // namespace

void embedded_rows(Report& report) {
  const Folder folder;
  Raw raw(folder.file("raw.db"));
  auto store = Embedded::open({.path = folder.file("store.db"), .timeout = std::chrono::milliseconds(60'000)});
  check(store.has_value(), "the store opens");
  Collection<> roles(**store, "role");
  Loop loop;
  const auto all_callers = [&](auto call, std::int64_t& next) {
    int left = kCallers;
    loop.post_always([&] {
      for (int i = 0; i < kCallers; ++i) spawn(call(roles, next, left, loop));
    });
    loop.run();
  };
  std::int64_t ours = 0, theirs = 0;
  report.row(
      {"embedded insert, 64 callers", 0.2}, kCallers * kEach, [&] { all_callers(insert_some, ours); },
      [&] {
        for (int i = 0; i < kCallers * kEach; ++i) raw.insert(++theirs);
      });
  while (ours < kDocuments) all_callers(insert_some, ours);
  raw.run("BEGIN");
  while (theirs < kDocuments) raw.insert(++theirs);
  raw.run("COMMIT");
  std::int64_t at = 0, raw_at = 0;
  report.row(
      {"embedded read by id, 64 callers", 1 / 0.7}, kCallers * kEach, [&] { all_callers(read_some, at); },
      [&] {
        for (int i = 0; i < kCallers * kEach; ++i) {
          raw_at = (raw_at + 7919) % kDocuments;
          keep(raw.read(raw_at + 1));
        }
      });
  write_behind_rows(report, **store, loop);
  (*store)->close();
  while (loop.poll()) {
  }
}

}  // namespace mg::bench
