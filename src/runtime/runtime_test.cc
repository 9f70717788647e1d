#include "mg/runtime/runtime.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "mg/runtime/task.h"

namespace mg {
namespace {

TEST(Runtime, HasALoopForEachCoreByDefault) {
  Runtime runtime;
  EXPECT_GE(runtime.size(), 1u);
  EXPECT_LE(runtime.size(), std::max(1u, std::thread::hardware_concurrency()));
}

TEST(Runtime, RunsEachLoopOnAThreadOfItsOwn) {
  Runtime runtime({.loops = 3, .name = "a-very-long-name-of-a-loop"});
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::set<std::string> names;
  std::atomic<int> seen{0};
  runtime.for_each_loop([&](Loop& loop) {
    EXPECT_EQ(&runtime.loop(loop.index()), &loop);
    char name[16];
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
      names.insert(name);
    }
    if (++seen == 3) runtime.stop();
  });
  ASSERT_TRUE(runtime.start());
  runtime.join();
  EXPECT_EQ(threads.size(), 3u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
  EXPECT_EQ(names, (std::set<std::string>{"a-very-long-n-0", "a-very-long-n-1", "a-very-long-n-2"}));
}

TEST(Runtime, RunUsesTheCallersThreadForLoopZero) {
  Runtime runtime({.loops = 2});
  std::thread::id first;
  runtime.loop(0).post([&] {
    first = std::this_thread::get_id();
    runtime.loop(1).post([&] { runtime.stop(); });
  });
  ASSERT_TRUE(runtime.run());
  EXPECT_EQ(first, std::this_thread::get_id());
}

TEST(Runtime, StopBeforeStartEndsAtOnce) {
  Runtime runtime({.loops = 2});
  runtime.stop();
  ASSERT_TRUE(runtime.start());
  runtime.join();
}

TEST(Runtime, MayRunAgainAfterJoin) {
  Runtime runtime({.loops = 2});
  for (int i = 0; i < 3; ++i) {
    std::atomic<int> seen{0};
    runtime.for_each_loop([&](Loop&) {
      if (++seen == 2) runtime.stop();
    });
    ASSERT_TRUE(runtime.start());
    runtime.join();
    EXPECT_EQ(seen.load(), 2);
  }
}

TEST(Runtime, ItsDestructorStopsLoopsUnderLoad) {
  std::atomic<std::uint64_t> turns{0};
  {
    Runtime runtime({.loops = 2});
    const auto spin = [](Loop& loop, std::atomic<std::uint64_t>& count) -> Task<void> {
      // Ends with the loop: its frame stays suspended, so it owns nothing.
      for (int i = 0; i < 1000; ++i) {
        ++count;
        co_await loop.yield();
      }
    };
    runtime.for_each_loop([&](Loop& loop) { spawn(spin(loop, turns)); });
    ASSERT_TRUE(runtime.start());
    while (turns.load() < 2000) std::this_thread::yield();
  }
  EXPECT_GE(turns.load(), 2000u);
}

}  // namespace
}  // namespace mg
