// store/embedded/queue.h -- calls that wait for a thread of the store, and how their callers wait for them.
//
//   co_return co_await wait_for(queue, loop, deadline, std::make_shared<CallOf<...>>(…));
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"
#include "mg/store/documents/errors.h"
#include "store/embedded/engine.h"

namespace mg::documents {

// One call. It is queued, taken by a thread, run (again, when the group it was in had to be rolled back), and its
// result is handed over on the caller's loop.
class Job {
 public:
  enum class State : std::uint8_t { kQueued, kTaken, kGivenUp };

  explicit Job(Loop& loop) : loop(loop) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  // Keeps the result. Threads: the store's.
  virtual void run(Engine& engine) = 0;
  // Instead of what run() kept, or of running it.
  virtual void fail(const Error& error) = 0;
  virtual const Error* error() const = 0;  // Of the result, null when there is none.
  // Threads: the caller's loop.
  virtual void finish() = 0;

  Loop& loop;
  std::uint64_t transaction = 0;  // It belongs to.
  bool writes = false;
  std::atomic<State> state{State::kQueued};
  std::atomic<bool> given_up{false};
};
using JobPtr = std::shared_ptr<Job>;

template <class T>
class JobOf final : public Job {
 public:
  using Function = std::function<Result<T>(Engine&)>;
  JobOf(Loop& on, Function function) : Job(on), function_(std::move(function)) {}

  void run(Engine& engine) override {
    engine.watch(writes ? nullptr : &given_up);  // A write that has begun is finished.
    result_ = function_(engine);
    engine.watch(nullptr);
  }
  void fail(const Error& error) override { result_ = std::unexpected(error); }
  const Error* error() const override { return result_ && !*result_ ? &result_->error() : nullptr; }
  void finish() override {
    if (waiter != nullptr) waiter->set(std::move(*result_));
  }

  Completion<Result<T>>* waiter = nullptr;  // In the caller's frame. Threads: loop.

 private:
  Function function_;
  std::optional<Result<T>> result_;
};

// Awaits a job that `put` has taken in. Errors: as the job · kTimeout  the deadline came before a thread took it, or it
// only reads · kOutcomeUnknown  the deadline came while it was being written
template <class T>
Task<Result<T>> wait_for(std::shared_ptr<JobOf<T>> job, std::function<Result<void>(JobPtr)> put, Deadline deadline) {
  if (deadline.expired(job->loop.now()))
    co_return mg::fail(code::kTimeout, "no time left for the call: nothing was done");
  Completion<Result<T>> done;
  job->waiter = &done;
  struct Forget {
    JobOf<T>& job;
    ~Forget() {
      job.waiter = nullptr;
      job.given_up = true;
      auto queued = Job::State::kQueued;
      job.state.compare_exchange_strong(queued, Job::State::kGivenUp);
    }
  } forget{*job};
  if (auto taken = put(job); !taken) co_return std::unexpected(std::move(taken).error());
  auto result = co_await done.wait(job->loop, deadline);
  if (result) co_return *std::move(result);
  auto queued = Job::State::kQueued;
  if (job->state.compare_exchange_strong(queued, Job::State::kGivenUp)) {
    co_return mg::fail(code::kTimeout, "the store did not get to it in time: nothing was done");
  }
  if (!job->writes) co_return mg::fail(code::kTimeout, "not read in time");
  co_return mg::fail(kOutcomeUnknown, "the deadline passed while it was being written: it may have happened");
}

// Hands finished jobs to their loops: one post for each loop.
void hand_over(std::vector<JobPtr> jobs);

}  // namespace mg::documents
