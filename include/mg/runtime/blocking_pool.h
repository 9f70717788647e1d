// mg/runtime/blocking_pool.h -- threads for calls that block (files, drivers, image drawing), behind an awaitable.
//
//   BlockingPool pool({.threads = 4});
//   auto row = co_await pool.run(loop, deadline, [id] { return load_row(id); });   // Result<Row>
//   pool.stop();                                     // before the loops end
#pragma once

#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"

namespace mg {

class BlockingPool;

struct BlockingPoolOptions {
  std::uint32_t threads = 4;        // 1..1024.
  std::uint32_t max_queued = 1024;  // Calls that wait for a thread; 0: a call needs a free thread at once.
  std::string name = "mg-pool";     // Of the threads, the first 15 octets.
};

namespace detail {

// One call: queued, run on a thread, its result handed over on the caller's loop.
class BlockingJob {
 public:
  explicit BlockingJob(Loop& loop) noexcept : loop_(loop) {}
  BlockingJob(const BlockingJob&) = delete;
  BlockingJob& operator=(const BlockingJob&) = delete;
  virtual ~BlockingJob() = default;

 protected:
  // Runs the function and keeps what it returned. Threads: the pool's.
  virtual void execute() noexcept = 0;
  std::optional<Error> error_;  // Instead of a value.

 private:
  friend class mg::BlockingPool;
  friend class BlockingWait;
  enum class State : std::uint8_t { kQueued, kRunning, kAbandoned };
  Loop& loop_;
  class BlockingWait* wait_ = nullptr;  // Who waits. Touched on the loop only.
  std::atomic<State> state_{State::kQueued};
};

// The waiting half, in the awaiting coroutine's frame.
class BlockingWait {
 public:
  BlockingWait(BlockingPool& pool, std::shared_ptr<BlockingJob> job, Deadline deadline) noexcept
      : pool_(pool), job_(std::move(job)), deadline_(deadline) {}
  BlockingWait(const BlockingWait&) = delete;
  BlockingWait& operator=(const BlockingWait&) = delete;
  ~BlockingWait() { abandon(); }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> awaiter);

 protected:
  std::optional<Error> failure_;  // Of the wait: refused or too late.

 private:
  friend class mg::BlockingPool;
  bool abandon() noexcept;  // True when the function had not begun and never will.
  void on_deadline();

  BlockingPool& pool_;
  std::shared_ptr<BlockingJob> job_;
  Deadline deadline_;
  std::coroutine_handle<> awaiter_;
  Timer timer_{[](void* self) { static_cast<BlockingWait*>(self)->on_deadline(); }, this};
};

template <class T>
struct BlockingValue {
  using Type = Result<T>;
};
template <class T>
struct BlockingValue<Result<T>> {
  using Type = Result<T>;
};

}  // namespace detail

// Threads: run() on the loop it names; stop() on a thread that is not the pool's.
// Lifetime: outlives the waits. The loops must live until stop() has returned.
class BlockingPool {
 public:
  explicit BlockingPool(BlockingPoolOptions options = {});
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;
  ~BlockingPool() { stop(); }

  // Awaits `function()` run on a thread of the pool: Result<T>, whether it returns T or Result<T>.
  // `function` and what it owns may outlive the wait (see kTimeout), so it must not refer to the waiting frame.
  // Errors: kUnavailable  max_queued calls wait already, or the pool is stopped: it was not run
  //         kTimeout      not done at `deadline`: it goes on if it had begun, its result is dropped
  //         kServer       it threw; detail is what()
  // Cancellation: destroying the waiting coroutine, as if the deadline had passed.
  // Cost: two heap blocks and two thread hops.
  template <class Function>
  auto run(Loop& loop, Deadline deadline, Function function) {
    using Job = JobOf<Function>;
    struct [[nodiscard]] Run : detail::BlockingWait {
      std::shared_ptr<Job> job;
      Run(BlockingPool& pool, std::shared_ptr<Job> j, Deadline d) : BlockingWait(pool, j, d), job(std::move(j)) {}
      typename Job::Value await_resume() {
        if (failure_) return std::unexpected(std::move(*failure_));
        return job->take();
      }
    };
    return Run(*this, std::make_shared<Job>(loop, std::move(function)), deadline);
  }

  // Calls that wait are refused with kUnavailable, those that run are waited for, the threads end. May be called twice.
  void stop();

  std::size_t queued() const;   // Calls that wait for a thread.
  std::size_t running() const;  // Calls on a thread.

 private:
  friend class detail::BlockingWait;
  using JobPtr = std::shared_ptr<detail::BlockingJob>;

  template <class Function>
  class JobOf final : public detail::BlockingJob {
   public:
    using Returned = std::invoke_result_t<Function&>;
    using Value = typename detail::BlockingValue<Returned>::Type;
    JobOf(Loop& loop, Function&& function) : BlockingJob(loop), function_(std::move(function)) {}
    Value take() {
      if (error_) return std::unexpected(std::move(*error_));
      return std::move(*value_);
    }

   private:
    void execute() noexcept override {
      try {
        if constexpr (std::is_void_v<Returned>) {
          (*function_)();
          value_.emplace();
        } else {
          value_.emplace((*function_)());
        }
      } catch (const std::exception& e) {
        error_ = make_error(code::kServer, e.what());
      } catch (...) {
        error_ = make_error(code::kServer, "an exception that is no std::exception");
      }
      function_.reset();  // What it owns ends here, on the thread it was used on.
    }
    std::optional<Function> function_;
    std::optional<Value> value_;
  };

  std::optional<Error> enqueue(JobPtr job);
  void work(std::uint32_t number);
  static void finish(JobPtr job);

  BlockingPoolOptions options_;
  mutable std::mutex mutex_;  // docs/threads.md: "blocking pool"
  std::condition_variable wake_;
  std::deque<JobPtr> queue_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mg
