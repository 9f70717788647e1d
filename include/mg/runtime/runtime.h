// mg/runtime/runtime.h -- the loops of a process and their threads.
//
//   Runtime runtime({.loops = 2});
//   runtime.for_each_loop([](Loop& loop) { serve(loop); });
//   auto ended = runtime.run();        // loop 0 on this thread; returns after runtime.stop() from anywhere
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"

namespace mg {

struct RuntimeOptions {
  std::uint32_t loops = 0;             // 0: one for each core this process may use. Up to 1024.
  const Clock* clock = nullptr;        // The system's when null. Must outlive the Runtime.
  std::uint32_t max_posted = 1 << 20;  // See LoopOptions.
  std::string name = "mg-loop";        // Of the threads, the first 15 octets with "-<number>".
};

// Owns N loops, each with a thread while it runs. Threads: stop(), loop(), size(), for_each_loop() are shared; the
// others belong to the thread that made it. Lifetime: loops live as long as the Runtime; its destructor stops and
// joins.
class Runtime {
 public:
  explicit Runtime(RuntimeOptions options = {});
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  // Starts a thread for each loop. Errors: kUnavailable  the system gives no more threads; none runs then
  Result<> start();
  // start(), but loop 0 runs on this thread, until stop(); then join(). Errors: as start().
  Result<> run();
  // Ends all loops after the turn at hand. Before start() it makes that end at once.
  void stop() noexcept;
  // Waits for the threads. Requires: stop() was or will be called by somebody.
  void join() noexcept;

  std::size_t size() const noexcept { return loops_.size(); }
  Loop& loop(std::size_t index) noexcept { return *loops_[index]; }

  // Posts a copy of `function` to each loop, to be run there with the loop. Before start() too.
  void for_each_loop(const std::function<void(Loop&)>& function);

 private:
  Result<> start_from(std::size_t first);

  RuntimeOptions options_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace mg
