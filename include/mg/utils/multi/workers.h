// mg/utils/multi/workers.h -- a few threads that work off a queue of functions, for programs without loops.
//
//   Workers workers({.threads = 4});
//   if (auto taken = workers.submit([=] { resize(picture); }); !taken) …      // kTooMany, kUnavailable
//   workers.wait_idle(); workers.stop();
//
// Behind a loop use BlockingPool (mg/runtime/blocking_pool.h), whose results can be awaited.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/error.h"

namespace mg::multi {

struct WorkersOptions {
  std::size_t threads = 0;          // 0: one for each core.
  std::size_t max_queued = 65'536;  // Functions that wait.
  // Told of what a function threw, on its thread. Empty: a line in the log.
  std::function<void(std::string_view what)> on_throw{};
};

// Threads: shared, but for stop() and the destructor, which a worker must not call.
class Workers {
 public:
  using Function = std::move_only_function<void()>;

  explicit Workers(WorkersOptions options = {});
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() { stop(); }

  // Functions may submit further ones.
  // Errors: kTooMany      max_queued wait: it was not taken
  //         kUnavailable  stopped
  Result<void> submit(Function function);
  // Waits for room instead of kTooMany; not on a worker, where waiting could be for ever: there as submit().
  Result<void> submit_wait(Function function);

  // Until nothing waits and nothing runs, if nobody submits meanwhile.
  void wait_idle();
  // Drops what waits, waits for what runs, ends the threads. May be called twice.
  void stop();

  std::size_t queued() const;
  std::uint64_t dropped() const;  // By stop().

 private:
  void work();
  Result<void> take(Function& function, bool wait);

  const WorkersOptions options_;
  mutable std::mutex mutex_;  // docs/threads.md: "workers"
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable idle_;
  std::deque<Function> queue_;
  std::size_t busy_ = 0;
  std::uint64_t dropped_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Calls function(0) … function(count - 1) on up to `threads` threads (0: one for each core) and the caller's, and
// returns when all have ended. Result: the error of the lowest index that failed or threw; the others ran all the same
// unless `first_error`.
struct ForEachOptions {
  std::size_t threads = 0;
  bool first_error = false;
};
Result<void> for_each_index(std::size_t count, const std::function<Result<void>(std::size_t)>& function,
                            const ForEachOptions& options = {});

}  // namespace mg::multi
