#include "store/embedded/threads.h"

#include <pthread.h>

#include <algorithm>
#include <map>
#include <string>

namespace mg::documents {
namespace {

using Steady = std::chrono::steady_clock;

// Whether a failed commit leaves it open what is on disk.
bool outcome_open(int sqlite_code) {
  return (sqlite_code & 0xFF) == SQLITE_IOERR;
}

}  // namespace

void hand_over(std::vector<JobPtr> jobs) {
  std::map<Loop*, std::vector<JobPtr>> by_loop;
  for (JobPtr& each : jobs) by_loop[&each->loop].push_back(std::move(each));
  for (auto& [loop, list] : by_loop) {
    loop->post_always([done = std::move(list)] {
      for (const JobPtr& each : done) each->finish();
    });
  }
}

Threads::Threads(EmbeddedOptions options, std::unique_ptr<Engine> writer, std::vector<std::unique_ptr<Engine>> readers)
    : options_(std::move(options)), writer_(std::move(writer)), readers_(std::move(readers)) {
  next_sweep_ = Steady::now() + options_.expire_every;
  sqlite3_wal_hook(
      writer_->db().handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Threads*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  const auto start = [this](const char* name, auto work) {
    threads_.emplace_back(work);
    pthread_setname_np(threads_.back().native_handle(), name);
  };
  start("mg-store-w", [this] { write_loop(); });
  for (const auto& reader : readers_) {
    start("mg-store-r", [this, engine = reader.get()] { read_loop(*engine); });
  }
}

Result<void> Threads::put(std::deque<Entry>& queue, std::condition_variable& wake, Entry entry) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return mg::fail(code::kUnavailable, "{}: the store is closed", options_.path);
    if (queue.size() >= options_.max_queued)
      return mg::fail(code::kTooMany, "{}: {} calls wait already", options_.path, queue.size());
    queue.push_back(std::move(entry));
  }
  wake.notify_one();
  return {};
}
Result<void> Threads::put_read(JobPtr job) {
  return put(reads_, wake_readers_, {.job = std::move(job)});
}
Result<void> Threads::put_write(JobPtr job) {
  return put(writes_, wake_writer_, {.job = std::move(job)});
}
Result<void> Threads::put_begin(std::uint64_t transaction, JobPtr job) {
  job->transaction = transaction;
  return put(writes_, wake_writer_, {.job = std::move(job), .kind = Entry::Kind::kBegin});
}
Result<void> Threads::put_end(std::uint64_t transaction, End how, JobPtr job) {
  job->transaction = transaction;
  return put(writes_, wake_writer_, {.job = std::move(job), .kind = Entry::Kind::kEnd, .how = how});
}

void Threads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_writer_.notify_all();
  wake_readers_.notify_all();
  for (std::thread& each : threads_) each.join();
  threads_.clear();
  for (auto& each : readers_) each->close();
  writer_->close();  // The last connection: what path-wal holds goes into the file.
}

Embedded::Stats Threads::stats() const {
  return {.groups = groups_, .writes = group_writes_, .reads = read_calls_};
}

// ---- reading ------------------------------------------------------------------------------------------------------

void Threads::read_loop(Engine& engine) {
  for (;;) {
    std::vector<JobPtr> jobs;
    {
      std::unique_lock lock(mutex_);
      wake_readers_.wait(lock, [&] { return stopping_ || !reads_.empty(); });
      if (reads_.empty()) return;
      // Few enough that the other readers have work, too.
      const std::size_t share = std::clamp<std::size_t>(reads_.size() / readers_.size(), 1, 256);
      while (!reads_.empty() && jobs.size() < share) {
        jobs.push_back(std::move(reads_.front().job));
        reads_.pop_front();
      }
    }
    // One view of the data for all of them, taken after they were asked: each sees what was acknowledged before.
    const auto begun = engine.begin(false);
    std::vector<JobPtr> done;
    for (JobPtr& job : jobs) {
      auto queued = Job::State::kQueued;
      if (!job->state.compare_exchange_strong(queued, Job::State::kTaken)) continue;
      if (begun && !engine.faulty()) {
        job->run(engine);
      } else {
        job->fail(begun ? engine.db().fault() : begun.error());
      }
      done.push_back(std::move(job));
    }
    engine.rollback();
    read_calls_.fetch_add(done.size(), std::memory_order_relaxed);
    hand_over(std::move(done));
  }
}

// ---- writing ------------------------------------------------------------------------------------------------------

void Threads::write_loop() {
  for (;;) {
    std::vector<JobPtr> group;
    Entry special;
    bool stop = false;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] {
        if (stopping_) return true;
        if (transaction_ == 0) return !writes_.empty();
        return std::ranges::any_of(writes_, [&](const Entry& e) { return e.job->transaction == transaction_; });
      };
      auto until = transaction_ != 0 ? transaction_end_ : Steady::time_point::max();
      if (transaction_ == 0 && options_.expire_every.count() > 0) until = std::min(until, next_sweep_);
      if (until == Steady::time_point::max()) {
        wake_writer_.wait(lock, ready);
      } else {
        wake_writer_.wait_until(lock, until, ready);
      }
      if (transaction_ != 0) {
        const auto at =
            std::ranges::find_if(writes_, [&](const Entry& e) { return e.job->transaction == transaction_; });
        if (at != writes_.end()) {
          special = std::move(*at);
          writes_.erase(at);
        }
        stop = stopping_;
      } else {
        // Up to the first that begins a transaction; one that ends or works in a transaction that is over goes alone.
        while (!writes_.empty() && group.size() < options_.max_group) {
          Entry& next = writes_.front();
          if (next.job->transaction != 0) {
            if (!group.empty()) break;
            special = std::move(next);
            writes_.pop_front();
            break;
          }
          group.push_back(std::move(next.job));
          writes_.pop_front();
        }
        stop = stopping_ && group.empty() && !special.job;
      }
    }
    if (special.job) {
      if (transaction_ == 0 && special.kind == Entry::Kind::kBegin) {
        begin_transaction(special.job);
      } else {
        in_transaction(std::move(special));
      }
    } else if (transaction_ != 0) {
      if (stop || Steady::now() >= transaction_end_) abort_transaction();
    } else if (!group.empty()) {
      write_group(std::move(group));
    } else if (stop) {
      return;
    }
    if (transaction_ == 0 && options_.expire_every.count() > 0 && Steady::now() >= next_sweep_) sweep();
  }
}

void Threads::write_group(std::vector<JobPtr> jobs) {
  std::erase_if(jobs, [](const JobPtr& job) {
    auto queued = Job::State::kQueued;
    return !job->state.compare_exchange_strong(queued, Job::State::kTaken);
  });
  if (jobs.empty()) return;
  bool alone = false;
  if (!try_group(jobs, alone) && alone) {
    // One of them met damaged data: the others shall not suffer for it.
    for (const JobPtr& each : jobs) try_group({each}, alone);
  }
  group_writes_.fetch_add(jobs.size(), std::memory_order_relaxed);
  hand_over(std::move(jobs));
  checkpoint();
}

// Runs jobs and commits them together, or fails them all. `alone`: one met damaged data, so that each should be tried
// by itself.
bool Threads::try_group(const std::vector<JobPtr>& jobs, bool& alone) {
  alone = false;
  const auto fail_all = [&](const Error& error) {
    writer_->rollback();
    for (const JobPtr& job : jobs) job->fail(error);
    return false;
  };
  if (broken_.code != 0) return fail_all(broken_);
  if (auto begun = writer_->begin(true); !begun) return fail_all(begun.error());
  for (const JobPtr& job : jobs) {
    job->run(*writer_);
    const bool damaged = job->error() != nullptr && job->error()->code == code::kServer;
    if (writer_->faulty() || damaged) {
      const Error error = writer_->faulty() ? writer_->db().fault() : *job->error();
      alone = jobs.size() > 1 && error.code == code::kServer;
      return fail_all(make_error(error.code, error.detail + ": nothing was written"));
    }
  }
  if (auto done = writer_->commit(); !done) {
    if (!outcome_open(writer_->db().fault_kind()))
      return fail_all(make_error(done.error().code, done.error().detail + ": nothing was written"));
    // What the system holds and what the disk holds may differ now. Trying again could call lost what is there, or
    // there what is lost; so this store stops writing, and whoever opens the file again sees what is on disk.
    broken_ = make_error(code::kUnavailable, fmt::format("{}: stopped writing after: {}; open it again", options_.path,
                                                         done.error().detail));
    return fail_all(make_error(kOutcomeUnknown, done.error().detail + ": whether it was written cannot be known"));
  }
  groups_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Threads::begin_transaction(const JobPtr& job) {
  auto queued = Job::State::kQueued;
  if (!job->state.compare_exchange_strong(queued, Job::State::kTaken)) return;
  auto begun = broken_.code != 0 ? Result<void>(std::unexpected(broken_)) : writer_->begin(true);
  if (begun) {
    job->run(*writer_);
    transaction_ = job->transaction;
    transaction_end_ = Steady::now() + options_.transaction_time;
  } else {
    writer_->rollback();
    job->fail(begun.error());
  }
  hand_over({job});
}

void Threads::abort_transaction() {
  writer_->rollback();
  transaction_ = 0;
}

void Threads::in_transaction(Entry entry) {
  auto queued = Job::State::kQueued;
  if (!entry.job->state.compare_exchange_strong(queued, Job::State::kTaken)) return;
  if (entry.job->transaction != transaction_) {  // It was aborted meanwhile.
    if (entry.kind == Entry::Kind::kEnd && entry.how == End::kAbort) {
      entry.job->run(*writer_);
    } else {
      entry.job->fail(make_error(kConflict, "the transaction was aborted: it took too long, or a call in it failed"));
    }
    return hand_over({std::move(entry.job)});
  }
  if (entry.kind == Entry::Kind::kEnd) {
    if (entry.how == End::kAbort) {
      abort_transaction();
      entry.job->run(*writer_);
      return hand_over({std::move(entry.job)});
    }
    entry.job->run(*writer_);
    if (auto done = writer_->commit(); !done) {
      const bool open = outcome_open(writer_->db().fault_kind());
      if (open)
        broken_ = make_error(code::kUnavailable, fmt::format("{}: stopped writing after: {}; open it again",
                                                             options_.path, done.error().detail));
      entry.job->fail(make_error(open ? kOutcomeUnknown : done.error().code, done.error().detail));
      writer_->rollback();
    } else {
      groups_.fetch_add(1, std::memory_order_relaxed);
    }
    transaction_ = 0;
    hand_over({std::move(entry.job)});
    return checkpoint();
  }
  entry.job->run(*writer_);
  group_writes_.fetch_add(1, std::memory_order_relaxed);
  if (writer_->faulty() || (entry.job->error() != nullptr && entry.job->writes)) abort_transaction();
  hand_over({std::move(entry.job)});
}

void Threads::sweep() {
  next_sweep_ = Steady::now() + options_.expire_every;
  if (broken_.code != 0) return;
  const Clock& clock = options_.clock != nullptr ? *options_.clock : system_clock();
  if (!writer_->begin(true)) return writer_->rollback();
  const auto removed = writer_->expire(std::chrono::floor<std::chrono::milliseconds>(clock.wall()));
  if (!removed || !writer_->commit()) return writer_->rollback();  // Tried again at the next.
  if (*removed > 0) next_sweep_ = Steady::now();                   // There may be more; other writes go between.
}

void Threads::checkpoint() {
  if (broken_.code != 0 || wal_pages_ < static_cast<int>(options_.checkpoint_pages)) return;
  const int result =
      sqlite3_wal_checkpoint_v2(writer_->db().handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  wal_pages_ = 0;  // It tells again at the next commit.
  if (outcome_open(result)) {
    broken_ = make_error(
        code::kUnavailable,
        fmt::format("{}: stopped writing: it could not be brought to disk ({}); open it again", options_.path, result));
  }
}

}  // namespace mg::documents
