#include "mg/runtime/blocking_pool.h"

#include <algorithm>
#include <system_error>

#include "mg/base/check.h"
#include "runtime/thread_name.h"

namespace mg {
namespace detail {

bool BlockingWait::await_suspend(std::coroutine_handle<> awaiter) {
  Loop& loop = job_->loop_;
  check(loop.on_this_thread(), "BlockingPool::run: awaited on another thread than its loop's");
  if (deadline_.expired(loop.now())) {
    failure_ = make_error(code::kTimeout, "blocking call: not run, its deadline had passed");
    return false;
  }
  awaiter_ = awaiter;
  job_->wait_ = this;
  failure_ = pool_.enqueue(job_);
  if (failure_) {
    job_->wait_ = nullptr;
    return false;
  }
  if (!deadline_.is_never()) timer_.arm(loop, deadline_.time());
  return true;
}

bool BlockingWait::abandon() noexcept {
  if (job_->wait_ != this) return false;
  job_->wait_ = nullptr;
  auto expected = BlockingJob::State::kQueued;
  return job_->state_.compare_exchange_strong(expected, BlockingJob::State::kAbandoned);
}

void BlockingWait::on_deadline() {
  failure_ =
      make_error(code::kTimeout, abandon() ? "blocking call: no thread was free before the deadline, it is not run"
                                           : "blocking call: not done at the deadline, it goes on unheard");
  awaiter_.resume();
}

}  // namespace detail

BlockingPool::BlockingPool(BlockingPoolOptions options) : options_(std::move(options)) {
  const std::uint32_t count = std::clamp<std::uint32_t>(options_.threads, 1, 1024);
  threads_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    try {
      threads_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
      break;  // Fewer threads serve; none at all makes each call fail, see enqueue().
    }
  }
}

std::optional<Error> BlockingPool::enqueue(JobPtr job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return make_error(code::kUnavailable, "blocking pool: stopped");
    if (threads_.empty()) return make_error(code::kUnavailable, "blocking pool: no thread could be started");
    const std::size_t idle = threads_.size() - running_;
    if (queue_.size() >= options_.max_queued + idle) {
      return make_error(code::kUnavailable,
                        fmt::format("blocking pool: {} calls wait already (max_queued)", options_.max_queued));
    }
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return std::nullopt;
}

void BlockingPool::work(std::uint32_t number) {
  name_this_thread(options_.name, number);
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    JobPtr job = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.unlock();
    auto expected = detail::BlockingJob::State::kQueued;
    if (job->state_.compare_exchange_strong(expected, detail::BlockingJob::State::kRunning)) {
      job->execute();
      finish(std::move(job));
    }
    job.reset();
    lock.lock();
    --running_;
  }
}

void BlockingPool::finish(JobPtr job) {
  Loop& loop = job->loop_;
  loop.post_always([job = std::move(job)] {
    detail::BlockingWait* const wait = std::exchange(job->wait_, nullptr);
    if (!wait) return;  // Given up: the result is dropped with the job.
    wait->timer_.cancel();
    wait->awaiter_.resume();
  });
}

void BlockingPool::stop() {
  std::deque<JobPtr> refused;
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    refused.swap(queue_);
    threads.swap(threads_);
  }
  wake_.notify_all();
  for (JobPtr& job : refused) {
    auto expected = detail::BlockingJob::State::kQueued;
    if (!job->state_.compare_exchange_strong(expected, detail::BlockingJob::State::kRunning)) continue;
    job->error_ = make_error(code::kUnavailable, "blocking pool: stopped before the call was run");
    finish(std::move(job));
  }
  for (std::thread& thread : threads) thread.join();
}

std::size_t BlockingPool::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::size_t BlockingPool::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

}  // namespace mg
