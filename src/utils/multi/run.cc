#include "mg/utils/multi/run.h"

#include <algorithm>

namespace mg::multi::detail {

Group::Group(Loop& loop, std::size_t jobs, const RunOptions& options)
    : loop_(loop), options_(options), jobs_(jobs), runners_(jobs) {}

Group::~Group() = default;

Task<void> Group::run() {
  start_more();
  if (running_ != 0 && !failed_) {
    waiting_ = true;
    const bool in_time = (co_await ended_.wait(loop_, options_.deadline)).has_value();
    for (auto& runner : runners_) runner.reset();
    if (!in_time) {
      give_up(make_error(code::kTimeout, "not done at the deadline of its run"));
      co_return;
    }
  }
  if (failed_) give_up(make_error(code::kUnavailable, "ended because another task failed"));
}

Task<void> Group::run_one(std::size_t index) {
  const bool good = co_await run_job(index);
  --running_;
  if (!good && options_.first_error) failed_ = true;
  start_more();
  if (!waiting_) co_return;
  // Told at the end of the loop's turn, when no job is on the stack: they may be destroyed then.
  ended_jobs_.push_back(index);
  loop_.flush_later(*this);
}

void Group::start_more() {
  if (starting_) return;  // Who is starting sees the place that has become free.
  starting_ = true;
  const std::size_t most = options_.parallel == 0 ? jobs_ : options_.parallel;
  while (!failed_ && next_ < jobs_ && running_ < most) {
    const std::size_t index = next_++;
    ++running_;
    runners_[index].emplace(run_one(index));
    runners_[index]->start();
    if (runners_[index]->ready()) runners_[index].reset();
  }
  starting_ = false;
}

void Group::flush() {
  for (const std::size_t index : ended_jobs_) runners_[index].reset();
  ended_jobs_.clear();
  if (running_ == 0 || failed_) ended_.set(true);
}

}  // namespace mg::multi::detail
