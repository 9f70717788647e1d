#include "mg/store/embedded/embedded.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "mg/base/check.h"
#include "store/embedded/threads.h"

namespace mg::documents {
namespace {

// path-lock, held as long as the store is open. What is in it is for people.
class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  static Result<FileLock> take(const std::string& path) {
    FileLock lock;
    const std::string name = path + "-lock";
    lock.fd_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock.fd_ < 0) return fail(code::kUnavailable, "{}: cannot make {}: {}", path, name, std::strerror(errno));
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      char holder[32]{};
      if (::pread(lock.fd_, holder, sizeof holder - 1, 0) <= 0) std::strcpy(holder, "unknown");
      return fail(code::kUnavailable, "{}: in use by process {}: one process at a time may open a store", path, holder);
    }
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, pid.data(), pid.size(), 0) < 0) {
      // A full disk: the lock holds all the same.
    }
    return lock;
  }

 private:
  int fd_ = -1;
};

// The folder's entry for a new file must be on disk, too.
Result<void> sync_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(code::kUnavailable, "{}: {}", folder, std::strerror(errno));
  const int result = ::fsync(fd);
  const int fault = errno;
  ::close(fd);
  if (result != 0 && fault != EINVAL) return fail(code::kUnavailable, "{}: {}", folder, std::strerror(fault));
  return {};
}

}  // namespace

class Embedded::Impl {
 public:
  Impl(EmbeddedOptions o, FileLock lock, std::unique_ptr<Engine> writer, std::vector<std::unique_ptr<Engine>> readers)
      : options(o), lock_(std::move(lock)), threads(std::move(o), std::move(writer), std::move(readers)) {}

  Deadline within(Loop& loop, Deadline deadline) const {
    return std::min(deadline, Deadline::after(loop.now(), options.timeout));
  }

  const EmbeddedOptions options;

 private:
  FileLock lock_;  // Given up after the threads have ended.

 public:
  Threads threads;
};

namespace {

Loop& here() {
  Loop* const loop = Loop::current();
  mg::check(loop != nullptr, "calls of a document store are awaited on a loop");
  return *loop;
}

class EmbeddedTransaction final : public Transaction {
 public:
  EmbeddedTransaction(Embedded::Impl& in, Loop& loop, std::uint64_t id) : in_(in), loop_(loop), id_(id) {}
  ~EmbeddedTransaction() override {
    if (ended_) return;
    auto job = std::make_shared<JobOf<void>>(loop_, [](Engine&) { return Result<void>(); });
    (void)in_.threads.put_end(id_, Threads::End::kAbort, std::move(job));  // A store that is closed has aborted it.
  }
  std::uint64_t id() const { return id_; }
  Task<Result<void>> commit(Deadline deadline) override { return end(Threads::End::kCommit, deadline); }
  Task<Result<void>> abort(Deadline deadline) override { return end(Threads::End::kAbort, deadline); }

 private:
  Task<Result<void>> end(Threads::End how, Deadline deadline) {
    if (ended_) co_return *ended_;
    ended_ = mg::fail(kOutcomeUnknown, "the transaction is being ended");
    auto job = std::make_shared<JobOf<void>>(loop_, [](Engine&) { return Result<void>(); });
    job->writes = how == Threads::End::kCommit;
    ended_ = co_await wait_for<void>(
        job, [this, how](JobPtr put) { return in_.threads.put_end(id_, how, std::move(put)); },
        in_.within(loop_, deadline));
    co_return *ended_;
  }
  Embedded::Impl& in_;
  Loop& loop_;
  const std::uint64_t id_;
  std::optional<Result<void>> ended_;  // What came of it.
};

template <class T>
Task<Result<T>> submit(Embedded::Impl& in, Call call, bool writes, std::function<Result<T>(Engine&)> function) {
  Loop& loop = here();
  auto job = std::make_shared<JobOf<T>>(loop, std::move(function));
  job->writes = writes;
  bool to_writer = writes;
  if (call.transaction != nullptr) {
    auto* const transaction = dynamic_cast<EmbeddedTransaction*>(call.transaction);
    if (transaction == nullptr) co_return mg::fail(code::kInvalid, "a transaction of another store");
    job->transaction = transaction->id();
    to_writer = true;
  }
  co_return co_await wait_for<T>(
      std::move(job),
      [&in, to_writer](JobPtr put) {
        return to_writer ? in.threads.put_write(std::move(put)) : in.threads.put_read(std::move(put));
      },
      in.within(loop, call.deadline));
}

template <class T>
Task<Result<T>> refuse(Result<void> fault) {
  return Result<T>(std::unexpected(std::move(fault).error()));
}

}  // namespace

Embedded::Embedded(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Embedded::~Embedded() = default;

Result<std::unique_ptr<Embedded>> Embedded::open(EmbeddedOptions options) {
  if (options.path.empty() || options.path.contains('\0'))
    return fail(code::kInvalid, "a document store needs the path of its file");
  if (options.readers < 1 || options.readers > 64 || options.timeout.count() < 1 || options.max_group < 1) {
    return fail(code::kInvalid, "{}: readers 1..64, timeout and max_group at least 1", options.path);
  }
  auto lock = FileLock::take(options.path);
  if (!lock) return std::unexpected(std::move(lock).error());
  struct stat before{};
  const bool made = ::stat(options.path.c_str(), &before) != 0;
  const EngineLimits limits{.max_results = options.max_results, .max_result_bytes = options.max_result_bytes};
  std::vector<std::unique_ptr<Engine>> engines;
  for (std::uint32_t i = 0; i <= options.readers; ++i) {
    engines.push_back(std::make_unique<Engine>(limits));
    if (auto opened = engines.back()->open(options.path, i == 0, options.sync); !opened)
      return std::unexpected(std::move(opened).error());
  }
  if (made) {
    if (auto synced = sync_folder(options.path); !synced) return std::unexpected(std::move(synced).error());
  }
  auto writer = std::move(engines.front());
  engines.erase(engines.begin());
  return std::unique_ptr<Embedded>(new Embedded(
      std::make_unique<Impl>(std::move(options), *std::move(lock), std::move(writer), std::move(engines))));
}

Task<Result<std::vector<Document>>> Embedded::find(Call call, Filter filter, FindOptions options) {
  using R = std::vector<Document>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  if (auto fine = filter.check(); !fine) return refuse<R>(fine);
  if (auto fine = check(options); !fine) return refuse<R>(fine);
  return submit<R>(*impl_, call, false,
                   [name = call.collection, filter = std::move(filter), options = std::move(options)](Engine& engine) {
                     return engine.find(name, filter, options);
                   });
}

Task<Result<Written>> Embedded::write(Call call, std::vector<Write> writes, WriteOptions options) {
  if (auto fine = check(call); !fine) return refuse<Written>(fine);
  for (const Write& each : writes) {
    if (auto fine = check(each); !fine) return refuse<Written>(fine);
  }
  if (writes.empty()) return Result<Written>(Written());
  const bool transaction = call.transaction != nullptr;
  return submit<Written>(*impl_, call, true,
                         [name = call.collection, writes = std::move(writes), options, transaction](Engine& engine) {
                           auto written = engine.write(name, writes, options);
                           // In a transaction a fault is the call's, and ends the transaction, as it does on servers.
                           if (transaction && written && !written->faults.empty()) {
                             return Result<Written>(std::unexpected(written->faults[0].error));
                           }
                           return written;
                         });
}

Task<Result<std::optional<Document>>> Embedded::modify(Call call, Modify change) {
  using R = std::optional<Document>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  if (auto fine = check(change); !fine) return refuse<R>(fine);
  return submit<R>(*impl_, call, true, [name = call.collection, change = std::move(change)](Engine& engine) {
    return engine.modify(name, change);
  });
}

Task<Result<std::int64_t>> Embedded::count(Call call, Filter filter) {
  if (auto fine = check(call); !fine) return refuse<std::int64_t>(fine);
  if (auto fine = filter.check(); !fine) return refuse<std::int64_t>(fine);
  return submit<std::int64_t>(
      *impl_, call, false,
      [name = call.collection, filter = std::move(filter)](Engine& engine) { return engine.count(name, filter); });
}

Task<Result<Array>> Embedded::distinct(Call call, Path path, Filter filter) {
  if (auto fine = check(call); !fine) return refuse<Array>(fine);
  if (auto fine = path.check(); !fine) return refuse<Array>(fine);
  if (auto fine = filter.check(); !fine) return refuse<Array>(fine);
  return submit<Array>(*impl_, call, false,
                       [name = call.collection, path = path.text(), filter = std::move(filter)](Engine& engine) {
                         return engine.distinct(name, path, filter);
                       });
}

Task<Result<std::vector<Document>>> Embedded::aggregate(Call, std::vector<Document>) {
  return Result<std::vector<Document>>(
      fail(code::kInvalid, "{}: the embedded store has no aggregate; MongoDB has", impl_->options.path));
}

Task<Result<void>> Embedded::create_indexes(Call call, std::vector<Index> indexes) {
  if (auto fine = check(call); !fine) return fine;
  for (const Index& each : indexes) {
    if (auto fine = check(each); !fine) return fine;
  }
  if (call.transaction != nullptr)
    return Result<void>(fail(code::kInvalid, "indexes are not made within a transaction"));
  return submit<void>(*impl_, call, true, [name = call.collection, indexes = std::move(indexes)](Engine& engine) {
    return engine.create_indexes(name, indexes);
  });
}
Task<Result<void>> Embedded::drop_index(Call call, std::string index) {
  if (auto fine = check(call); !fine) return fine;
  if (call.transaction != nullptr)
    return Result<void>(fail(code::kInvalid, "indexes are not dropped within a transaction"));
  return submit<void>(*impl_, call, true, [name = call.collection, index = std::move(index)](Engine& engine) {
    return engine.drop_index(name, index);
  });
}
Task<Result<std::vector<Index>>> Embedded::indexes(Call call) {
  using R = std::vector<Index>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  return submit<R>(*impl_, call, false, [name = call.collection](Engine& engine) { return engine.indexes(name); });
}
Task<Result<std::vector<std::string>>> Embedded::collections(Deadline deadline) {
  return submit<std::vector<std::string>>(*impl_, {.collection = {}, .deadline = deadline}, false,
                                          [](Engine& engine) { return engine.collections(); });
}
Task<Result<void>> Embedded::drop(Call call) {
  if (auto fine = check(call); !fine) return fine;
  if (call.transaction != nullptr)
    return Result<void>(fail(code::kInvalid, "collections are not dropped within a transaction"));
  return submit<void>(*impl_, call, true, [name = call.collection](Engine& engine) { return engine.drop(name); });
}

Task<Result<std::unique_ptr<Transaction>>> Embedded::begin(Deadline deadline) {
  Loop& loop = here();
  const std::uint64_t id = impl_->threads.next_transaction();
  auto transaction = std::make_unique<EmbeddedTransaction>(*impl_, loop, id);
  auto job = std::make_shared<JobOf<void>>(loop, [](Engine&) { return Result<void>(); });
  auto begun = co_await wait_for<void>(
      job, [this, id](JobPtr put) { return impl_->threads.put_begin(id, std::move(put)); },
      impl_->within(loop, deadline));
  if (!begun) co_return std::unexpected(std::move(begun).error());
  co_return std::unique_ptr<Transaction>(std::move(transaction));
}

Task<Result<std::string>> Embedded::explain(Call call, Filter filter, FindOptions options) {
  if (auto fine = check(call); !fine) return refuse<std::string>(fine);
  if (auto fine = filter.check(); !fine) return refuse<std::string>(fine);
  return submit<std::string>(*impl_, call, false,
                             [name = call.collection, filter = std::move(filter), options = std::move(options)](
                                 Engine& engine) { return engine.explain(name, filter, options); });
}

Task<Result<std::int64_t>> Embedded::expire(Deadline deadline) {
  const Clock& clock = impl_->options.clock != nullptr ? *impl_->options.clock : system_clock();
  const Date now = std::chrono::floor<std::chrono::milliseconds>(clock.wall());
  std::int64_t all = 0;
  for (;;) {
    auto some = co_await submit<std::int64_t>(*impl_, {.collection = {}, .deadline = deadline}, true,
                                              [now](Engine& engine) { return engine.expire(now); });
    if (!some) co_return some;
    if (*some == 0) co_return all;
    all += *some;
  }
}

Task<Result<void>> Embedded::verify(Deadline deadline) {
  return submit<void>(*impl_, {.collection = {}, .deadline = deadline}, false,
                      [](Engine& engine) { return engine.verify(); });
}

Embedded::Stats Embedded::stats() const {
  return impl_->threads.stats();
}
void Embedded::close() {
  impl_->threads.stop();
}

}  // namespace mg::documents
