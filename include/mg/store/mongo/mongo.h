// mg/store/mongo/mongo.h -- documents in MongoDB (libmongoc beneath, on threads of its own).
//
//   MongoOptions options{.database = "game"};
//   options.add_to(flags);                                    // --mongo, --mongo_min_pool, --mongo_max_pool
//   auto store = co_await Mongo::connect(options);            // kUnavailable: no primary within 3 s
//
// Writes are acknowledged by a majority and journaled; reads and writes that lost their connection are tried once more
// by the driver, and have one effect; sessions are causal, so that each call sees what was acknowledged before it
// began.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mg/base/error.h"
#include "mg/store/documents/documents.h"

namespace mg {
class Flags;
}

namespace mg::documents {

// Source: wire.md 8 and 9.
struct MongoOptions {
  std::string url = {};         // "[mongodb://]host:port,…/?replicaSet=name&…"; empty: the three local ones of set rs1.
  std::string database = {};    // Name of the database.
  std::uint32_t min_pool = 20;  // Threads, each with a connection, 1..1000.
  std::uint32_t max_pool = 100;             // Connections at most: those and one for each open transaction.
  std::uint32_t max_queued = 10'000;        // Calls that wait for a thread; more are refused with kUnavailable.
  std::chrono::milliseconds timeout{3000};  // Of a call that gives no earlier deadline, and of connecting.
  std::size_t max_results = 100'000;        // Documents that one call may return,
  std::size_t max_result_bytes = 64 << 20;  // and their size.

  void add_to(Flags& flags);
  // The address as the driver gets it: defaults filled in. Errors: kInvalid  no address; no replicaSet; mongodb+srv
  Result<std::string> uri() const;
};

// Threads: shared; calls are awaited on any loop. Lifetime: the loops of its calls live until close() has returned.
class Mongo final : public Documents {
 public:
  // Errors: kInvalid  options · kUnavailable  no primary in time · kUnauthorized  user or password
  static Task<Result<std::unique_ptr<Mongo>>> connect(MongoOptions options);
  ~Mongo() override;

  Task<Result<std::vector<Document>>> find(Call call, Filter filter, FindOptions options) override;
  Task<Result<Written>> write(Call call, std::vector<Write> writes, WriteOptions options) override;
  Task<Result<std::optional<Document>>> modify(Call call, Modify change) override;
  Task<Result<std::int64_t>> count(Call call, Filter filter) override;
  Task<Result<Array>> distinct(Call call, Path path, Filter filter) override;
  Task<Result<std::vector<Document>>> aggregate(Call call, std::vector<Document> pipeline) override;
  Task<Result<void>> create_indexes(Call call, std::vector<Index> indexes) override;
  Task<Result<void>> drop_index(Call call, std::string name) override;
  Task<Result<std::vector<Index>>> indexes(Call call) override;
  Task<Result<std::vector<std::string>>> collections(Deadline deadline) override;
  Task<Result<void>> drop(Call call) override;
  Task<Result<std::unique_ptr<Transaction>>> begin(Deadline deadline) override;
  std::string_view kind() const override { return "mongo"; }

  // One round trip to the primary.
  Task<Result<void>> ping(Deadline deadline);

  struct Stats {
    std::size_t threads = 0, running = 0, queued = 0, transactions = 0;                               // Now.
    std::uint64_t calls = 0, failed = 0, duplicates = 0, timeouts = 0, unknown = 0, unavailable = 0;  // So far.
  };
  Stats stats() const;

  // Waits for the calls that run. May be called twice.
  void close();

  class Impl;

 private:
  explicit Mongo(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace mg::documents
