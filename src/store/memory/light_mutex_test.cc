#include "store/memory/light_mutex.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace mg::memory {
namespace {

TEST(MemoryLightMutex, OneThreadAtATime) {
  LightMutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        std::lock_guard guard(mutex);
        ++count;
        if (i % 1'000 == 0) std::this_thread::yield();  // Others come while it is held.
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 8 * 20'000);
}

}  // namespace
}  // namespace mg::memory
