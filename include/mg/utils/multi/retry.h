// mg/utils/multi/retry.h -- tries again, later and later.
//
//   auto reply = co_await multi::retry<Reply>(loop, random, {.attempts = 5}, [&] { return call(request); });
//   // Each attempt is a Task<Result<Reply>>; between them 100 ms, 200 ms, 400 ms …, less up to half of it by chance.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/base/random.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::multi {

// What a moment later may be otherwise: kTimeout, kTooMany, kUnavailable.
bool is_passing(const Error& error);

struct RetryOptions {
  std::uint32_t attempts = 3;  // In all; 0 counts as 1.
  std::chrono::nanoseconds first_wait{std::chrono::milliseconds(100)};
  std::chrono::nanoseconds max_wait{std::chrono::seconds(10)};
  double factor = 2;                             // Of one wait to the next, >= 1.
  double jitter = 0.5;                           // 0..1: the part of a wait that is chance.
  Deadline deadline = Deadline::never();         // No attempt begins after it, nor a wait that would go beyond.
  std::function<bool(const Error&)> worth_it{};  // Empty: is_passing.
};

// The wait after failure number `failures` (1, 2, …). Shape: between (1 - jitter) and 1 times
// first_wait * factor^(failures-1), at most max_wait. Never negative, whatever the options.
std::chrono::nanoseconds retry_wait(const RetryOptions& options, std::uint32_t failures, Random& random);

// The first success, or the error of the last attempt.
// Cancellation: destroying the Task, between attempts or in one. Threads: loop. Lifetime: `random` outlives it.
template <class T>
Task<Result<T>> retry(Loop& loop, Random& random, RetryOptions options, std::function<Task<Result<T>>()> attempt) {
  for (std::uint32_t failures = 1;; ++failures) {
    Result<T> got = co_await attempt();
    if (got || failures >= options.attempts) co_return got;
    if (options.worth_it ? !options.worth_it(got.error()) : !is_passing(got.error())) co_return got;
    const Deadline next = Deadline::after(loop.now(), retry_wait(options, failures, random));
    if (next >= options.deadline) co_return got;
    co_await loop.sleep_until(next.time());
  }
}

}  // namespace mg::multi
