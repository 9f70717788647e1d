#include "mg/store/memory/lock_backend.h"

#include <atomic>
#include <thread>

#include "store/lock_contract_cases.h"

namespace mg::memory {
namespace {

using namespace std::chrono_literals;

class InProcess final : public lock::BackendUnderTest {
 public:
  Loop& loop() override { return loop_; }
  lock::Backend& one() override { return one_; }
  lock::Backend& other() override { return other_; }

 private:
  Loop loop_;
  LockTable table_;
  LockBackend one_{loop_, table_};
  LockBackend other_{loop_, table_};
};

}  // namespace
}  // namespace mg::memory

namespace mg::lock {
INSTANTIATE_TEST_SUITE_P(Memory, LockContract,
                         ::testing::Values(LockBackendKind{"Memory",
                                                           [] { return std::make_unique<memory::InProcess>(); }}),
                         [](const auto& info) { return info.param.name; });
}  // namespace mg::lock

namespace mg::memory {
namespace {

TEST(MemoryLocks, ExcludeAcrossLoops) {
  LockTable table;
  std::atomic<int> inside{0}, most{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      Loop loop;
      LockBackend backend(loop, table);
      lock::Locks locks(loop, backend);
      const auto work = [](Loop& l, lock::Locks& k, std::atomic<int>& in,
                           std::atomic<int>& peak) -> Task<Result<void>> {
        for (int i = 0; i < 100; ++i) {
          auto got = co_await k.obtain("x", {.ttl = 20s, .retry = 10s, .wait = 60s});
          EXPECT_TRUE(got);
          if (++in > 1) peak = 2;
          co_await l.yield();
          --in;
          EXPECT_TRUE(co_await got->release());
        }
        co_return Result<void>();
      };
      EXPECT_TRUE(mg::testing::await_on(loop, work(loop, locks, inside, most)));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 0);
}

}  // namespace
}  // namespace mg::memory
