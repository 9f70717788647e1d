// store/embedded/threads.h -- the threads of a store: one that writes in groups, some that read.
//
//   Threads threads(options, std::move(writer), std::move(readers));
//   threads.put_write(job); threads.put_read(job);
//   threads.stop();
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "mg/store/embedded/embedded.h"
#include "store/embedded/queue.h"

namespace mg::documents {

class Threads {
 public:
  Threads(EmbeddedOptions options, std::unique_ptr<Engine> writer, std::vector<std::unique_ptr<Engine>> readers);
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { stop(); }

  // Errors: kTooMany  max_queued wait · kUnavailable  stopped
  Result<void> put_read(JobPtr job);
  Result<void> put_write(JobPtr job);

  // A transaction: begins when `job` (whose function does nothing) is done, and has all writes to itself until end() or
  // its time is up.
  Result<void> put_begin(std::uint64_t transaction, JobPtr job);
  enum class End : std::uint8_t { kCommit, kAbort };
  Result<void> put_end(std::uint64_t transaction, End how, JobPtr job);
  std::uint64_t next_transaction() { return ++transactions_; }

  void stop();
  Embedded::Stats stats() const;

 private:
  struct Entry {
    JobPtr job;
    enum class Kind : std::uint8_t { kWrite, kBegin, kEnd } kind = Kind::kWrite;
    End how = End::kCommit;
  };
  Result<void> put(std::deque<Entry>& queue, std::condition_variable& wake, Entry entry);
  void write_loop();
  void read_loop(Engine& engine);
  void write_group(std::vector<JobPtr> jobs);
  bool try_group(const std::vector<JobPtr>& jobs, bool& alone);
  void begin_transaction(const JobPtr& job);
  void in_transaction(Entry entry);
  void abort_transaction();
  void sweep();
  void checkpoint();

  const EmbeddedOptions options_;
  std::unique_ptr<Engine> writer_;
  std::vector<std::unique_ptr<Engine>> readers_;

  mutable std::mutex mutex_;  // docs/threads.md: "embedded store"
  std::condition_variable wake_writer_, wake_readers_;
  std::deque<Entry> writes_, reads_;  // Guarded by mutex_.
  bool stopping_ = false;             // Guarded by mutex_.

  // Of the writing thread:
  std::uint64_t transaction_ = 0;  // That is open.
  std::chrono::steady_clock::time_point transaction_end_;
  std::chrono::steady_clock::time_point next_sweep_;
  Error broken_{
      .id = {}, .code = 0, .detail = {}, .status = {}};  // After a sync that failed nothing is written any more.
  int wal_pages_ = 0;

  std::atomic<std::uint64_t> transactions_{0}, groups_{0}, group_writes_{0}, read_calls_{0};
  std::vector<std::thread> threads_;
};

}  // namespace mg::documents
