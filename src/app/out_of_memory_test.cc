#include "app/out_of_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

#include "mg/app/process.h"
#include "tests/support/server.h"

namespace mg {
namespace {

using ::testing::EndsWith;

// Built without sanitizers: they have a `new` of their own.
TEST(OutOfMemory, EndsTheProcessWithAReason) {
  const testing::Output got = testing::run_program({MG_MEMORY_EATER});
  EXPECT_EQ(got.status, exit_code::kOutOfMemory);
  EXPECT_EQ(got.text, "start\nmemory_eater: out of memory: ending\n");
}

TEST(OutOfMemoryDeathTest, AProcessThatRunsIsPrepared) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    Process process({.name = "poor"});
    const char* const arguments[] = {"poor", "--loops=1"};
    (void)process.run(2, arguments);  // Without an app it ends at once.
    if (std::get_new_handler()) std::get_new_handler()();
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(exit_code::kOutOfMemory), "out of memory: ending");
}

}  // namespace
}  // namespace mg
