#include "mg/utils/schedule/schedule.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "base/escape.h"
#include "mg/base/log.h"
#include "mg/base/units.h"
#include "mg/runtime/timer.h"

namespace mg::schedule {
namespace {

namespace chrono = std::chrono;
using WallTime = Clock::WallTime;

constexpr WallTime kNever = WallTime::max();

}  // namespace

struct Scheduler::Job : std::enable_shared_from_this<Scheduler::Job> {
  Scheduler* owner = nullptr;  // Null: cancelled, or the scheduler is gone.
  Loop* loop = nullptr;
  TickLock* lock = nullptr;
  std::shared_ptr<InFlight> in_flight;
  std::string name;
  std::string rule;
  Function function;
  JobOptions options;
  std::optional<Cron> cron;
  tool::Zone zone;
  chrono::nanoseconds interval{0};
  WallTime next = kNever;
  bool running = false;
  std::uint64_t pending = 0;  // Runs to make when the one at hand has ended.
  std::uint64_t runs = 0;
  std::uint64_t missed = 0;
  std::uint64_t failures = 0;
  Timer timer{[](void* self) { Scheduler::on_time(*static_cast<Job*>(self)); }, this};

  WallTime after(WallTime time) const {
    if (cron) {
      const auto found = cron->next(chrono::floor<chrono::seconds>(time), zone);
      return found && *found < chrono::floor<chrono::seconds>(kNever) ? WallTime(*found) : kNever;
    }
    return interval.count() > 0 && time < kNever - interval ? time + interval : kNever;
  }

  // Moves `next` beyond `now`. Returns: how many times passed, and the last of them.
  std::pair<std::uint64_t, WallTime> take_due(WallTime now) {
    std::uint64_t count = 1;
    WallTime last = next;
    if (interval.count() > 0) {
      const auto more = (now - next) / interval;
      count += static_cast<std::uint64_t>(more);
      last += more * interval;
      next = after(last);
      return {count, last};
    }
    constexpr std::uint64_t kMost = 1000;  // After a long sleep no more are counted.
    for (next = after(last); next <= now; next = after(next)) {
      last = next;
      if (++count >= kMost) {
        next = after(now);
        break;
      }
    }
    return {count, last};
  }
};

Scheduler::Scheduler(Loop& loop, SchedulerOptions options) : loop_(loop), options_(std::move(options)) {}

Scheduler::~Scheduler() {
  for (auto& [name, job] : jobs_) {
    job->owner = nullptr;
    job->pending = 0;
    job->timer.cancel();
  }
}

void Scheduler::arm(Job& job) {
  if (job.next == kNever) return;
  // A minute at most, so that a wall clock that is set is noticed.
  const auto wait =
      std::clamp<chrono::nanoseconds>(job.next - job.loop->clock().wall(), chrono::nanoseconds(0), chrono::minutes(1));
  job.timer.arm(*job.loop, job.loop->now() + wait);
}

void Scheduler::on_time(Job& job) {
  const auto keep = job.shared_from_this();
  const WallTime now = job.loop->clock().wall();
  if (now < job.next) return arm(job);
  const auto [due, last] = job.take_due(now);
  arm(job);
  const bool in_time = now - last < job.options.tolerance;
  std::uint64_t times = 0;
  switch (job.options.missed) {
    case Missed::kSkip:
      times = in_time && !job.running ? 1 : 0;
      break;
    case Missed::kOnce:
      times = 1;
      break;
    case Missed::kAll:
      times = std::min<std::uint64_t>(due + job.pending, job.options.max_catch_up) -
              std::min<std::uint64_t>(job.pending, job.options.max_catch_up);
      break;
  }
  if (job.running) {
    const std::uint64_t before = job.pending;
    job.pending = job.options.missed == Missed::kOnce ? std::max(before, times) : before + times;
    times = job.pending - before;
    job.missed += due - std::min(due, times);
    return;
  }
  job.missed += due - std::min(due, times);
  if (times != 0) mg::spawn(run(keep, times, last));
}

Task<void> Scheduler::run(std::shared_ptr<Job> job, std::uint64_t times, WallTime tick) {
  const auto token = job->in_flight->enter();
  if (!token) co_return;
  job->running = true;
  while (times-- > 0) {
    bool ours = true;
    try {
      if (job->options.cluster) {
        const auto ms = chrono::floor<chrono::milliseconds>(tick).time_since_epoch().count();
        const auto claimed = co_await job->lock->claim(fmt::format("schedule/{}/{}", job->name, ms), chrono::hours(1));
        ours = claimed && *claimed;
        if (!claimed) {
          ++job->failures;
          log::error("job {}: no lock for its time: {}", job->name, claimed.error().detail);
        }
      }
      if (ours) {
        ++job->runs;
        co_await job->function();
      }
    } catch (const std::exception& thrown) {
      ++job->failures;
      log::error("job {} threw: {}", job->name, thrown.what());
    } catch (...) {
      ++job->failures;
      log::error("job {} threw what is no std::exception", job->name);
    }
    if (job->in_flight->closed()) job->pending = 0;
    times += std::exchange(job->pending, 0);
  }
  job->running = false;
  if (job->owner != nullptr && job->next == kNever && !job->timer.armed()) job->owner->jobs_.erase(job->name);
}

Result<void> Scheduler::add(std::shared_ptr<Job> job) {
  if (job->name.empty()) return fail(code::kInvalid, "a job without a name");
  if (job->options.cluster && options_.lock == nullptr) {
    return fail(code::kInvalid, "job {} is for one node of a cluster, but there is no lock", quote(job->name));
  }
  if (jobs_.contains(job->name)) return fail(code::kExists, "there is a job {} already", quote(job->name));
  if (jobs_.size() >= options_.max_jobs) return fail(code::kTooMany, "{} jobs already", jobs_.size());
  if (in_flight_->closed()) return fail(code::kUnavailable, "the scheduler is stopped");
  job->owner = this;
  job->loop = &loop_;
  job->lock = options_.lock;
  job->in_flight = in_flight_;
  arm(*job);
  jobs_.emplace(job->name, std::move(job));
  return {};
}

Result<void> Scheduler::cron(std::string name, std::string_view expression, Function function, JobOptions options) {
  auto parsed = Cron::parse(expression);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  auto job = std::make_shared<Job>();
  job->name = std::move(name);
  job->rule = expression;
  job->function = std::move(function);
  job->options = options;
  job->cron = *std::move(parsed);
  job->zone = options_.zone;
  job->next = job->after(loop_.clock().wall());
  return add(std::move(job));
}

Result<void> Scheduler::every(std::string name, chrono::nanoseconds interval, Function function, JobOptions options) {
  if (interval < chrono::milliseconds(1)) {
    return fail(code::kInvalid, "job {}: every {} is too often", quote(name), format_duration(interval));
  }
  auto job = std::make_shared<Job>();
  job->name = std::move(name);
  job->rule = "every " + format_duration(interval);
  job->function = std::move(function);
  job->options = options;
  job->interval = interval;
  WallTime begin = loop_.clock().wall();
  if (options.cluster) begin -= begin.time_since_epoch() % interval;
  job->next = job->after(begin);
  return add(std::move(job));
}

Result<void> Scheduler::once(std::string name, WallTime when, Function function, JobOptions options) {
  auto job = std::make_shared<Job>();
  job->name = std::move(name);
  job->rule = "once";
  job->function = std::move(function);
  job->options = options;
  job->next = when;
  // A time that has passed is now, not missed.
  if (!options.cluster) job->next = std::max(when, loop_.clock().wall());
  return add(std::move(job));
}

bool Scheduler::cancel(std::string_view name) {
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return false;
  found->second->owner = nullptr;
  found->second->pending = 0;
  found->second->timer.cancel();
  jobs_.erase(found);
  return true;
}

std::vector<JobInfo> Scheduler::list() const {
  std::vector<JobInfo> out;
  for (const auto& [name, job] : jobs_) {
    out.push_back({name, job->rule, job->next, job->running, job->runs, job->missed, job->failures});
  }
  return out;
}

Task<bool> Scheduler::stop(Deadline deadline) {
  in_flight_->close();
  for (auto& [name, job] : jobs_) {
    job->timer.cancel();
    job->pending = 0;
  }
  return in_flight_->drained(loop_, deadline);
}

}  // namespace mg::schedule
