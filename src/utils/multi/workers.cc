#include "mg/utils/multi/workers.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include "mg/base/log.h"

namespace mg::multi {
namespace {

thread_local const Workers* this_worker = nullptr;

std::size_t threads_or_cores(std::size_t wanted) {
  return wanted != 0 ? wanted : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
}

}  // namespace

Workers::Workers(WorkersOptions options) : options_(std::move(options)) {
  const std::size_t count = threads_or_cores(options_.threads);
  threads_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
}

Result<void> Workers::take(Function& function, bool wait) {
  std::unique_lock lock(mutex_);
  if (wait && this_worker != this) room_.wait(lock, [&] { return stopping_ || queue_.size() < options_.max_queued; });
  if (stopping_) return fail(code::kUnavailable, "the workers are stopped");
  if (queue_.size() >= options_.max_queued) return fail(code::kTooMany, "{} functions wait already", queue_.size());
  queue_.push_back(std::move(function));
  lock.unlock();
  work_.notify_one();
  return {};
}

Result<void> Workers::submit(Function function) {
  return take(function, false);
}
Result<void> Workers::submit_wait(Function function) {
  return take(function, true);
}

void Workers::work() {
  this_worker = this;
  const auto report = [&](std::string_view what) {
    if (options_.on_throw) {
      options_.on_throw(what);
    } else {
      log::error("a worker's function threw: {}", what);
    }
  };
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;  // stop() has emptied it.
    Function function = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    room_.notify_one();
    try {
      function();
    } catch (const std::exception& thrown) {
      report(thrown.what());
    } catch (...) {
      report("what is no std::exception");
    }
    function = nullptr;  // What it owns ends here, outside the lock.
    lock.lock();
    if (--busy_ == 0 && queue_.empty()) idle_.notify_all();
  }
}

void Workers::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return busy_ == 0 && queue_.empty(); });
}

void Workers::stop() {
  std::deque<Function> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped_ += queue_.size();
    left.swap(queue_);
    if (busy_ == 0) idle_.notify_all();
  }
  work_.notify_all();
  room_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::size_t Workers::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::uint64_t Workers::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

Result<void> for_each_index(std::size_t count, const std::function<Result<void>(std::size_t)>& function,
                            const ForEachOptions& options) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  std::size_t worst = count;  // Index of `error`.
  std::optional<Error> error;
  const auto work = [&] {
    for (;;) {
      const std::size_t index = next++;
      if (index >= count || (options.first_error && failed)) return;
      Result<void> done;
      try {
        done = function(index);
      } catch (const std::exception& thrown) {
        done = fail(code::kServer, "call {} threw: {}", index, thrown.what());
      } catch (...) {
        done = fail(code::kServer, "call {} threw what is no std::exception", index);
      }
      if (done) continue;
      failed = true;
      const std::lock_guard lock(mutex);
      if (index < worst) {
        worst = index;
        error = std::move(done).error();
      }
    }
  };
  std::vector<std::thread> threads;
  const std::size_t wanted = std::min(threads_or_cores(options.threads), count);
  try {
    for (std::size_t i = 1; i < wanted; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {  // Fewer then: this thread does what is left.
  }
  work();
  for (std::thread& thread : threads) thread.join();
  if (error) return std::unexpected(*std::move(error));
  return {};
}

}  // namespace mg::multi
