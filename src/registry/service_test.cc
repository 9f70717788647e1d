#include "mg/registry/service.h"

#include <gtest/gtest.h>

namespace mg::registry {
namespace {

TEST(UuidOf, TakesTheServicesNameOffOnce) {
  EXPECT_EQ(uuid_of("game-1574ff96", "game"), "1574ff96");
  EXPECT_EQ(uuid_of("db-0adb-db-1", "db"), "0adb-db-1");
  EXPECT_EQ(uuid_of("a/b-1", "a/b"), "1");
  EXPECT_EQ(uuid_of("game", "game"), "game");
  EXPECT_EQ(uuid_of("other-1", "game"), "other-1");
}

}  // namespace
}  // namespace mg::registry
