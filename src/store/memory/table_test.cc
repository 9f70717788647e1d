#include "store/memory/table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mg::memory {
namespace {

std::unique_ptr<Entry> record(const std::string& key, int value) {
  return std::make_unique<Entry>(Entry{value, key, {}});
}

// Hashes that meet: what moves up when a record goes must be found still.
TEST(MemoryTable, HoldsWhatAMapHolds) {
  for (const std::uint32_t hashes : {1U, 3U, 16U, 1'000'000U}) {
    std::mt19937 random(hashes);
    Table table;
    std::map<std::string, int> all;
    for (int step = 0; step < 4'000; ++step) {
      const std::uint32_t number = random() % 300;
      const std::string key = std::string(number % 20, 'x') + std::to_string(number);
      const KeyView view{key, (number * 2'654'435'761U) % hashes};
      Slot* const slot = table.find(view);
      ASSERT_EQ(slot != nullptr, all.contains(key)) << key;
      if (!slot) {
        table.insert(view.hash, record(key, step));
        all[key] = step;
      } else if (random() % 2 == 0) {
        ASSERT_EQ(slot->entry->value.get<int>(), all[key]);
        table.erase(*slot);
        all.erase(key);
      }
      ASSERT_EQ(table.size(), all.size());
    }
    std::map<std::string, int> listed;
    table.for_each([&](const Slot& slot) { listed[slot.entry->key] = slot.entry->value.parse<int>(); });
    EXPECT_EQ(listed, all);
    table.clear();
    EXPECT_EQ(table.size(), 0U);
  }
}

TEST(MemoryTable, TextsAreTheSameOnlyOctetForOctet) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string text(size, 'a');
    EXPECT_TRUE(same(text, std::string(size, 'a'))) << size;
    EXPECT_FALSE(same(text, text + "a")) << size;
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = text;
      other[i] = 'b';
      EXPECT_FALSE(same(text, other)) << size << " octets, at " << i;
    }
  }
}

}  // namespace
}  // namespace mg::memory
