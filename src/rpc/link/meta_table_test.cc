#include "rpc/link/meta_table.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "mg/base/random.h"
#include "rpc/link/raw_peer.h"

namespace mg::rpc::link {
namespace {

TEST(FlatIndex, FindsWhatWasSetAndForgetsWhatWasErased) {
  FlatIndex index;
  std::map<std::uint64_t, std::uint32_t> expected;
  SeededRandom random(5);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t key = random.below(500) * 64;
    if (random.below(2) == 0) {
      expected[key] = static_cast<std::uint32_t>(i);
      index.set(key, static_cast<std::uint32_t>(i));
    } else if (const auto at = expected.find(key); at != expected.end()) {
      index.erase(key, at->second);
      expected.erase(at);
    } else {
      index.erase(key, 1);
    }
  }
  for (std::uint64_t key = 0; key < 500 * 64; key += 64) {
    const auto at = expected.find(key);
    EXPECT_EQ(index.find(key), at == expected.end() ? FlatIndex::kNone : at->second);
  }
}

// Both sides, joined.
struct Pair {
  explicit Pair(std::uint32_t metas = 1024, std::uint32_t octets = 1 << 20) : table(metas, octets) {
    numbers.reset(metas, octets);
  }
  // What the node has for it.
  const Meta* name(const Meta& meta) {
    const MetaNumbers::Named named = numbers.name(meta);
    sent = named.frame;
    flags.clear();
    for (std::string_view left = sent; !left.empty();) {
      const Head head = read_head(reinterpret_cast<const std::byte*>(left.data()));
      EXPECT_EQ(head.type, Type::kMeta);
      EXPECT_EQ(table.apply(head.flags, as_bytes(left.substr(kHeadSize, head.size))), "");
      flags.push_back(head.flags);
      left.remove_prefix(kHeadSize + head.size);
    }
    number = named.number;
    return named.number == kNoMeta ? nullptr : &table[named.number];
  }
  MetaNumbers numbers;
  MetaTable table;
  std::string sent;
  std::vector<int> flags;
  std::uint32_t number = 0;
};

TEST(MetaNumbers, MetadataIsSentOnce) {
  Pair pair;
  const Meta meta{{"Client-Id", "c1"}, {"Other", "x"}};
  const Meta copy = meta;
  EXPECT_EQ(*pair.name(meta), meta);
  EXPECT_FALSE(pair.sent.empty());
  pair.name(copy);
  EXPECT_TRUE(pair.sent.empty());
  EXPECT_EQ(pair.number, 0);
  EXPECT_EQ(pair.name(Meta()), nullptr);
}

TEST(MetaNumbers, AChangeIsSentAsItsDifference) {
  Pair pair;
  Meta meta{{"Client-Id", "c1"}, {"Gone", "x"}, {"Long", std::string(1000, 'y')}};
  pair.name(meta);
  meta.set("Role-Id", 42);
  meta.erase("Gone");
  EXPECT_EQ(*pair.name(meta), meta);
  EXPECT_LT(pair.sent.size(), 100);
  EXPECT_EQ(pair.flags, std::vector<int>{0});
  EXPECT_EQ(pair.numbers.size(), 1);
}

TEST(MetaNumbers, WhatACopyStillHasKeepsItsNumber) {
  Pair pair;
  Meta meta{{"Client-Id", "c1"}};
  const Meta before = meta;
  pair.name(meta);
  meta.set("Role-Id", 42);
  EXPECT_EQ(*pair.name(meta), meta);
  EXPECT_EQ(pair.number, 1);
  EXPECT_EQ(*pair.name(before), before);
  EXPECT_TRUE(pair.sent.empty());
}

TEST(MetaNumbers, NumbersOfThoseWhoLeftAreUsedAgain) {
  Pair pair;
  for (int i = 0; i < 1000; ++i) {
    const Meta meta{{"Client-Id", std::to_string(i)}};
    EXPECT_EQ(*pair.name(meta), meta);
  }
  EXPECT_LE(pair.numbers.size(), 8);
}

TEST(MetaNumbers, StayWithinTheirLimits) {
  Pair pair(16, kMaxMetaSize);
  std::vector<Meta> all;
  SeededRandom random(9);
  for (int i = 0; i < 40; ++i) {
    all.push_back(Meta{{"Client-Id", std::to_string(i)}, {"Room", std::string(random.below(9000), 'r')}});
  }
  for (int i = 0; i < 5000; ++i) {
    Meta& meta = all[random.below(all.size())];
    if (random.below(3) == 0) meta.set("Room", std::string(random.below(9000), 'n'));
    ASSERT_EQ(*pair.name(meta), meta);
    ASSERT_LE(pair.numbers.size(), 16);
    ASSERT_LE(pair.numbers.octets(), kMaxMetaSize);
  }
}

TEST(MetaNumbers, TooLargeMetadataIsNotSent) {
  MetaNumbers numbers;
  numbers.reset(16, 1 << 20);
  const Meta large{{"Key", std::string(kMaxMetaSize, 'x')}};
  EXPECT_TRUE(numbers.name(large).too_large);
  Meta many;
  for (int i = 0; i < 1025; ++i) many.set(std::to_string(i), "");
  EXPECT_TRUE(numbers.name(many).too_large);
  EXPECT_EQ(numbers.size(), 0);
}

TEST(MetaNumbers, ANewLinkStartsFromNothing) {
  Pair pair;
  const Meta meta{{"Client-Id", "c1"}};
  pair.name(meta);
  pair.numbers.reset(16, 1 << 20);
  pair.table = MetaTable(16, 1 << 20);
  EXPECT_EQ(*pair.name(meta), meta);
  EXPECT_FALSE(pair.sent.empty());
}

TEST(MetaTable, RefusesWhatBreaksTheRules) {
  const auto apply = [](std::uint8_t flags, const std::string& body) {
    MetaTable table(2, kMaxMetaSize);
    EXPECT_EQ(table.apply(kFromEmpty, as_bytes(raw_u32({0}) + raw_entry("a", "b"))), "");
    return !table.apply(flags, as_bytes(body)).empty();
  };
  EXPECT_FALSE(apply(0, raw_u32({0}) + raw_entry("a", "c")));
  EXPECT_FALSE(apply(kFromEmpty, raw_u32({1})));
  EXPECT_TRUE(apply(2, raw_u32({0})));
  EXPECT_TRUE(apply(0, "abc"));
  EXPECT_TRUE(apply(0, raw_u32({1})));
  EXPECT_TRUE(apply(kFromEmpty, raw_u32({2})));
  EXPECT_TRUE(apply(kFromEmpty, raw_u32({0xFFFFFFFE})));
  const std::string entry = raw_entry("key", "value");
  for (std::size_t size = 1; size < entry.size(); ++size) {
    EXPECT_TRUE(apply(kFromEmpty, raw_u32({1}) + entry.substr(0, size))) << size;
  }
  std::string erase(6, '\0');
  put(reinterpret_cast<std::byte*>(erase.data()) + 2, kErased);
  EXPECT_FALSE(apply(0, raw_u32({0}) + erase));
  EXPECT_TRUE(apply(kFromEmpty, raw_u32({1}) + erase));
  EXPECT_TRUE(apply(kFromEmpty, raw_u32({1}) + raw_entry("k", std::string(kMaxMetaSize, 'x'))));
  std::string many = raw_u32({1});
  for (int i = 0; i < 2049; ++i) many += raw_entry("", "");
  EXPECT_TRUE(apply(kFromEmpty, many));
}

TEST(MetaTable, BoundsItsOctets) {
  MetaTable table(16, kMaxMetaSize);
  const std::string half(kMaxMetaSize / 2, 'x');
  EXPECT_EQ(table.apply(kFromEmpty, as_bytes(raw_u32({0}) + raw_entry("k", half))), "");
  EXPECT_NE(table.apply(kFromEmpty, as_bytes(raw_u32({1}) + raw_entry("k", half))), "");
}

}  // namespace
}  // namespace mg::rpc::link
