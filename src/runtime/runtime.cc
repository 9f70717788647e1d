#include "mg/runtime/runtime.h"

#include <sched.h>

#include <algorithm>
#include <system_error>

#include "mg/base/check.h"
#include "runtime/thread_name.h"

namespace mg {
namespace {

std::uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

Runtime::Runtime(RuntimeOptions options) : options_(std::move(options)) {
  const std::uint32_t count = std::min<std::uint32_t>(options_.loops ? options_.loops : usable_cores(), 1024);
  loops_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    loops_.push_back(
        std::make_unique<Loop>(LoopOptions{.clock = options_.clock, .index = i, .max_posted = options_.max_posted}));
  }
}

Runtime::~Runtime() {
  stop();
  join();
}

Result<> Runtime::start() {
  return start_from(0);
}

Result<> Runtime::start_from(std::size_t first) {
  check(threads_.empty(), "Runtime: started already");
  for (std::size_t i = first; i < loops_.size(); ++i) {
    try {
      threads_.emplace_back([this, i] {
        name_this_thread(options_.name, static_cast<std::uint32_t>(i));
        loops_[i]->run();
      });
    } catch (const std::system_error& e) {
      stop();
      join();
      return fail(code::kUnavailable, "runtime: no thread for loop {} of {}: {}", i, loops_.size(), e.what());
    }
  }
  return {};
}

Result<> Runtime::run() {
  if (auto started = start_from(1); !started) return started;
  loops_[0]->run();
  join();
  return {};
}

void Runtime::stop() noexcept {
  for (auto& loop : loops_) loop->stop();
}

void Runtime::join() noexcept {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Runtime::for_each_loop(const std::function<void(Loop&)>& function) {
  for (auto& loop : loops_) loop->post_always([function, &loop = *loop] { function(loop); });
}

}  // namespace mg
