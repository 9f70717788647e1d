// mg/utils/multi/run.h -- many tasks at once: bounded, by a deadline, results by index.
//
//   std::vector<multi::Job<Row>> jobs;
//   for (auto id : ids) jobs.push_back([id] { return load(id); });          // Task<Result<Row>> load(Id)
//   auto rows = co_await multi::run(loop, std::move(jobs), {.parallel = 8, .first_error = true});   // rows[i]
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/blocking_pool.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::multi {

// What makes a task when its turn comes. A lambda that captures must not be a coroutine itself: let it call one.
template <class T>
using Job = std::move_only_function<Task<Result<T>>()>;

struct RunOptions {
  std::size_t parallel = 64;              // Tasks at a time; 0: all of them.
  Deadline deadline = Deadline::never();  // Of the whole.
  bool first_error = false;               // The first error ends the rest; otherwise all run to their end.
};

namespace detail {

// The part of a run that does not know the type of the results. Threads: loop.
class Group : private Flushable {
 public:
  Group(Loop& loop, std::size_t jobs, const RunOptions& options);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group();

  Task<void> run();

 protected:
  // Runs job `index` and stores its result; true: it succeeded.
  virtual Task<bool> run_job(std::size_t index) = 0;
  // Stores an error for every job without a result.
  virtual void give_up(const Error& error) = 0;

 private:
  Task<void> run_one(std::size_t index);
  void start_more();
  void flush() override;

  Loop& loop_;
  const RunOptions options_;
  const std::size_t jobs_;
  std::size_t next_ = 0;  // The first job not started.
  std::size_t running_ = 0;
  bool starting_ = false;
  bool waiting_ = false;
  bool failed_ = false;  // In the mode of the first error.
  std::vector<std::optional<Task<void>>> runners_;
  std::vector<std::size_t> ended_jobs_;  // Whose runners may be destroyed at the end of the turn.
  Completion<bool> ended_;
};

template <class T>
class TypedGroup final : public Group {
 public:
  TypedGroup(Loop& loop, std::vector<Job<T>> jobs, const RunOptions& options)
      : Group(loop, jobs.size(), options), jobs_(std::move(jobs)), results_(jobs_.size()) {}

  std::vector<Result<T>> take() {
    std::vector<Result<T>> out;
    out.reserve(results_.size());
    for (auto& result : results_) out.push_back(*std::move(result));
    return out;
  }

 private:
  Task<bool> run_job(std::size_t index) override {
    auto& out = results_[index];
    try {
      out.emplace(co_await jobs_[index]());
    } catch (const std::exception& thrown) {
      out.emplace(fail(code::kServer, "task {} threw: {}", index, thrown.what()));
    } catch (...) {
      out.emplace(fail(code::kServer, "task {} threw what is no std::exception", index));
    }
    jobs_[index] = nullptr;
    co_return out->has_value();
  }
  void give_up(const Error& error) override {
    for (auto& result : results_) {
      if (!result) result.emplace(std::unexpected(error));
    }
  }

  std::vector<Job<T>> jobs_;
  std::vector<std::optional<Result<T>>> results_;
};

template <class Function>
using BlockingResult = typename mg::detail::BlockingValue<std::invoke_result_t<Function&>>::Type;

template <class Function>
Task<BlockingResult<Function>> run_on(BlockingPool& pool, Loop& loop, Deadline deadline, Function function) {
  co_return co_await pool.run(loop, deadline, std::move(function));
}

}  // namespace detail

// Runs every job on `loop`; result i is that of job i. Tasks that do not wait cost no turn of the loop.
// Errors, of single results: kServer       the task threw
//                            kTimeout      not done at the deadline
//                            kUnavailable  ended because another one failed (first_error)
// Cancellation: what is not done when the run ends, or is destroyed, is destroyed where it waits. Tasks must therefore
//               stay on the loop (awaiting a pool is fine).
// Threads: loop. Cost: two coroutine frames for each job.
template <class T>
Task<std::vector<Result<T>>> run(Loop& loop, std::vector<Job<T>> jobs, RunOptions options = {}) {
  detail::TypedGroup<T> group(loop, std::move(jobs), options);
  co_await group.run();
  co_return group.take();
}

// The same for functions that block, on a pool: Result<T>, whether they return T or Result<T>. A function that runs
// when the time is up goes on, and its result is dropped; so it must not refer to what may be gone.
template <class Function>
auto run_blocking(Loop& loop, BlockingPool& pool, std::vector<Function> functions, RunOptions options = {}) {
  using Value = typename detail::BlockingResult<Function>::value_type;
  std::vector<Job<Value>> jobs;
  jobs.reserve(functions.size());
  for (auto& function : functions) {
    jobs.push_back([&loop, &pool, deadline = options.deadline, moved = std::move(function)]() mutable {
      return detail::run_on(pool, loop, deadline, std::move(moved));
    });
  }
  return run<Value>(loop, std::move(jobs), options);
}

// The values, or the first error by index.
template <class T>
Result<std::vector<T>> all_values(std::vector<Result<T>> results) {
  std::vector<T> out;
  out.reserve(results.size());
  for (auto& result : results) {
    if (!result) return std::unexpected(std::move(result).error());
    out.push_back(*std::move(result));
  }
  return out;
}

}  // namespace mg::multi
