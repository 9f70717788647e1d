// store/embedded/engine.h -- collections in SQLite tables, on one thread.
//
//   Engine engine(limits);
//   engine.open(path, true, true);
//   engine.begin(true); auto written = engine.write("role", writes, {}); engine.commit();
//
// Shape: c<collection>(rid, id, doc): id is the order key of _id (order.h), doc a CRC32C and the BSON.
//        x<index>(key, rid): the order keys of the fields, an entry for each item of an array.
//        mg_collections, mg_indexes: their names and descriptions; PRAGMA user_version counts their changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "mg/store/documents/documents.h"
#include "store/embedded/plan.h"
#include "store/embedded/sqlite.h"

namespace mg::documents {

struct EngineLimits {
  std::size_t max_results = 100'000;
  std::size_t max_result_bytes = 64 << 20;
};

// Functions of the data need a transaction. A Result that fails with engine.faulty() means: roll back.
class Engine {
 public:
  explicit Engine(EngineLimits limits) : limits_(limits) {}

  // `writer`: makes the file and its tables when they are missing.
  Result<void> open(const std::string& path, bool writer, bool sync);
  void close() { db_.close(); }

  Result<void> begin(bool write);
  Result<void> commit();
  void rollback();
  bool faulty() const { return db_.faulty(); }
  Sqlite& db() { return db_; }

  // Set while a call runs that may give up when its caller has.
  void watch(const std::atomic<bool>* given_up) { given_up_ = given_up; }

  Result<std::vector<Document>> find(const std::string& name, const Filter& filter, const FindOptions& options);
  Result<Written> write(const std::string& name, const std::vector<Write>& writes, const WriteOptions& options);
  Result<std::optional<Document>> modify(const std::string& name, const Modify& change);
  Result<std::int64_t> count(const std::string& name, const Filter& filter);
  Result<Array> distinct(const std::string& name, const std::string& path, const Filter& filter);
  Result<void> create_indexes(const std::string& name, const std::vector<Index>& indexes);
  Result<void> drop_index(const std::string& name, const std::string& index);
  Result<std::vector<Index>> indexes(const std::string& name);
  Result<std::vector<std::string>> collections();
  Result<void> drop(const std::string& name);
  Result<std::string> explain(const std::string& name, const Filter& filter, const FindOptions& options);
  // Some of the documents whose time is up before `now`; 0: there are no more.
  Result<std::int64_t> expire(Date now);
  Result<void> verify();

 private:
  struct Stored {
    std::int64_t id = 0;
    std::string name;
    std::vector<IndexInfo> indexes;  // The one of _id first.
  };
  struct Found {
    std::int64_t rid = 0;
    Document document;
    std::size_t octets = 0;
  };
  using Visit = std::function<Result<bool>(Found&)>;  // False: enough.

  Result<void> load_catalog();
  Result<void> refresh_catalog();
  Result<void> catalog_changed();
  Stored* look_up(const std::string& name);
  Result<Stored*> make(const std::string& name);

  std::string sql_of(const Stored& in, const Plan& plan, const Range* range) const;
  Result<void> scan(const Stored& in, const Filter& filter, const Plan& plan, const Visit& visit);
  Result<std::vector<Found>> select(const Stored& in, const Filter& filter, const FindOptions& options);
  Result<Document> read_document(const Stored& in, Bytes octets) const;

  Result<void> write_one(Stored& in, const Write& write, std::size_t at, Written& out);
  Result<void> insert(Stored& in, const Document& document);
  Result<void> replace(Stored& in, std::int64_t rid, const Document& before, const Document& now);
  Result<void> remove(Stored& in, const Found& found);
  Result<std::int64_t> update_matching(Stored& in, const Write& write, Written& out);
  Result<void> add_keys(Stored& in, IndexInfo& index, std::int64_t rid, const std::vector<std::string>& keys);
  Result<void> check_unique(const Stored& in, const IndexInfo& index, std::int64_t rid,
                            const std::vector<std::string>& keys, const Document& document);
  Result<void> add_indexes(const std::string& name, const std::vector<Index>& indexes);
  std::unexpected<Error> fault();
  std::unexpected<Error> duplicate(const Stored& in, const IndexInfo& index, const Document& document) const;

  EngineLimits limits_;
  Sqlite db_;
  std::unordered_map<std::string, Stored> catalog_;
  std::int64_t catalog_version_ = -1;
  bool catalog_dirty_ = false;
  const std::atomic<bool>* given_up_ = nullptr;
};

}  // namespace mg::documents
