#include "mg/utils/auth/password.h"

#include <gmock/gmock.h>

namespace mg::auth {
namespace {

// As cheap as the library allows: what is tested is not how long it takes.
constexpr PasswordCost kCheap{.passes = 1, .memory_bytes = 8192};

TEST(Password, IsKeptAsAnArgon2idHashWithItsCost) {
  const auto hash = hash_password("correct horse", kCheap);
  ASSERT_TRUE(hash) << hash.error().detail;
  EXPECT_THAT(*hash, testing::StartsWith("$argon2id$v=19$m=8,t=1,p=1$"));
  EXPECT_NE(*hash, *hash_password("correct horse", kCheap)) << "salted";
  EXPECT_TRUE(check_password(*hash, "correct horse"));
  for (const char* wrong : {"", "correct hors", "correct horse ", "Correct horse"}) {
    EXPECT_FALSE(check_password(*hash, wrong)) << wrong;
  }
}

TEST(Password, MayHaveAnyOctets) {
  const std::string odd("p\0ss\xff", 5);
  const auto hash = hash_password(odd, kCheap);
  ASSERT_TRUE(hash);
  EXPECT_TRUE(check_password(*hash, odd));
  EXPECT_FALSE(check_password(*hash, "p"));
}

TEST(Password, NeedsANewHashWhenTheCostWentUpOrItIsNone) {
  const auto hash = hash_password("x", kCheap);
  ASSERT_TRUE(hash);
  EXPECT_FALSE(needs_rehash(*hash, kCheap));
  EXPECT_TRUE(needs_rehash(*hash, {.passes = 2, .memory_bytes = 8192}));
  EXPECT_TRUE(needs_rehash(*hash, {.passes = 1, .memory_bytes = 16384}));
  EXPECT_TRUE(needs_rehash("", kCheap));
  EXPECT_TRUE(needs_rehash("$2y$10$abcdefghijklmnopqrstuv", kCheap));
}

TEST(Password, EmptyOrEndlessOnesAndCostsOutOfRangeAreRefused) {
  EXPECT_EQ(hash_password("", kCheap).error().code, code::kInvalid);
  EXPECT_EQ(hash_password(std::string(1025, 'x'), kCheap).error().code, code::kInvalid);
  EXPECT_EQ(hash_password("x", {.passes = 0, .memory_bytes = 8192}).error().code, code::kInvalid);
  EXPECT_EQ(hash_password("x", {.passes = 1, .memory_bytes = 100}).error().code, code::kInvalid);
}

TEST(Password, WhatIsNoHashMatchesNothing) {
  for (const std::string& bad : {std::string(), std::string("x"), std::string(10000, '$'),
                                 std::string("$argon2id$v=19$"), std::string("$argon2id$v=19$m=8,t=1,p=1$\0", 28)}) {
    EXPECT_FALSE(check_password(bad, "x")) << bad.substr(0, 50);
  }
}

}  // namespace
}  // namespace mg::auth
