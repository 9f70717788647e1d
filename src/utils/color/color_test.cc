#include "mg/utils/color/color.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace mg::color {
namespace {

TEST(Color, IsOffOutsideATerminal) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  ::unsetenv("FORCE_COLOR");
  EXPECT_FALSE(wanted(fds[1]));
  ::setenv("FORCE_COLOR", "1", 1);
  EXPECT_TRUE(wanted(fds[1]));
  ::setenv("FORCE_COLOR", "0", 1);
  EXPECT_FALSE(wanted(fds[1]));
  ::unsetenv("FORCE_COLOR");
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST(Color, PaintsOrLeavesPlain) {
  EXPECT_EQ(Painter(false)(kError, "{} of {}", 1, 2), "1 of 2");
  EXPECT_EQ(Painter(true)(kError, "{} of {}", 1, 2), "\x1b[31m1 of 2\x1b[0m");
}

}  // namespace
}  // namespace mg::color
