// mg/store/embedded/embedded.h -- documents in one file, without a server (SQLite beneath).
//
//   auto store = Embedded::open({.path = "game.db"});        // kUnavailable: another process has it open
//   Collection<Role> roles(**store, "role");
//   (*store)->close();                                       // before the loops end
//
// An acknowledged write is on disk. Writes that come together share one sync (group commit), reads go on beside them.
// Beside `path` are path-wal and path-shm while it is open, and path-lock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/store/documents/documents.h"

namespace mg::documents {

struct EmbeddedOptions {
  std::string path = {};  // Of the file, which is made when missing; its folder must exist.
  bool sync = true;  // False: acknowledged is in the hands of the system; a crash of the machine may lose the last.
  std::chrono::milliseconds timeout{3000};           // Of a call that gives no earlier deadline, 1 ms .. 1 h.
  std::chrono::milliseconds transaction_time{5000};  // After which a transaction that is still open is aborted.
  std::chrono::milliseconds expire_every{60'000};    // How often documents of TTL indexes are looked for; 0: never.
  std::uint32_t readers = 2;                         // Threads that read, 1..64; one more writes.
  std::uint32_t max_queued = 100'000;                // Calls that wait; more are refused with kTooMany.
  std::uint32_t max_group = 1024;                    // Writes that share a sync.
  std::size_t max_results = 100'000;                 // Documents that one call may return,
  std::size_t max_result_bytes = 64 << 20;           // and their size; sorting is held to it, too.
  std::size_t checkpoint_pages = 4000;               // Of 4 KiB, after which path-wal is written back.
  const Clock* clock = nullptr;                      // For TTL indexes; the system's when null.
};

// Threads: shared; calls are awaited on any loop. Lifetime: the loops of its calls live until close() has returned.
class Embedded final : public Documents {
 public:
  // Errors: kUnavailable  in use by another process, which the text names; no permission; the disk is full
  //         kServer       the file is damaged, or no document store
  static Result<std::unique_ptr<Embedded>> open(EmbeddedOptions options);
  ~Embedded() override;

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
  // Transactions run one after the other, and other writes wait meanwhile: keep them short.
  Task<Result<std::unique_ptr<Transaction>>> begin(Deadline deadline) override;
  std::string_view kind() const override { return "embedded"; }

  // How a find would go about it, as SQLite tells: "SEARCH x USING PRIMARY KEY (key>? AND key<?)".
  Task<Result<std::string>> explain(Call call, Filter filter, FindOptions options);
  // Removes what TTL indexes say has expired, now. Returns: how many documents.
  Task<Result<std::int64_t>> expire(Deadline deadline);
  // Reads everything and compares sums and indexes. Errors: kServer  what is damaged
  Task<Result<void>> verify(Deadline deadline);

  struct Stats {
    std::uint64_t groups = 0, writes = 0, reads = 0;  // Syncs; calls that shared them; calls that only read.
  };
  Stats stats() const;

  // Finishes what waits, then ends the threads and closes the file. May be called twice. Not on a loop it serves with
  // calls that are still awaited, unless that loop goes on afterwards.
  void close();

  class Impl;  // The threads and the queue.

 private:
  explicit Embedded(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mg::documents
