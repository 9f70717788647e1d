#include "mg/store/memory/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "store/memory/snapshot.h"
#include "tests/support/server.h"

namespace mg::memory {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Role {
  int id = 0;
  bool operator==(const Role&) const = default;
};

class MemoryTest : public ::testing::Test {
 protected:
  ManualClock clock_;
  Store store_{{.clock = &clock_}};
};

TEST_F(MemoryTest, GivesBackTheTypeThatWasPut) {
  ASSERT_TRUE(store_.set("role", Role{7}));
  ASSERT_TRUE(store_.set("n", 5));
  ASSERT_TRUE(store_.set("text", "x"));
  ASSERT_TRUE(store_.set("octets", Octets{std::byte{1}}));
  EXPECT_EQ(store_.get<Role>("role"), Role{7});
  EXPECT_EQ(store_.get<std::int8_t>("n"), 5);
  EXPECT_EQ(store_.get<std::string>("text"), "x");
  EXPECT_EQ(store_.get<Octets>("octets"), Octets{std::byte{1}});
}

TEST_F(MemoryTest, AnotherTypeIsRefused) {
  ASSERT_TRUE(store_.set("role", Role{7}));
  ASSERT_TRUE(store_.set("n", 300));
  ASSERT_TRUE(store_.set("text", "5"));
  EXPECT_EQ(store_.get<int>("role").error().code, code::kInvalid);
  EXPECT_EQ(store_.get<Role>("n").error().code, code::kInvalid);
  EXPECT_EQ(store_.get<bool>("n").error().code, code::kInvalid);
  EXPECT_EQ(store_.get<std::int8_t>("n").error().code, code::kInvalid);
  EXPECT_EQ(store_.get<int>("text").error().detail, "record \"text\": it holds another type: text");
  EXPECT_EQ(store_.get<int>("none").error().code, code::kNotFound);
  EXPECT_EQ(store_.get_int("text"), 5);
  EXPECT_EQ(store_.get_int("role"), 0);
}

TEST_F(MemoryTest, ExpiredRecordsFreeTheirMemory) {
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(store_.set(std::to_string(i), i, 1s));
  EXPECT_EQ(store_.size(), 1000);
  clock_.advance(1s);
  EXPECT_EQ(store_.sweep(), 0);
  clock_.advance(1ns);
  EXPECT_EQ(store_.sweep(), 1000);
  EXPECT_EQ(store_.size(), 0);
  EXPECT_EQ(store_.stats().expired, 1000);
}

TEST_F(MemoryTest, WritesRemoveWhatHasExpired) {
  Store one({.clock = &clock_, .shards = 1});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(one.set(std::to_string(i), i, 1s));
  clock_.advance(2s);
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(one.set("same", i));
  EXPECT_EQ(one.size(), 1);
}

TEST_F(MemoryTest, SettingAgainGivesANewLife) {
  ASSERT_TRUE(store_.set("a", 1, 1s));
  clock_.advance(900ms);
  ASSERT_TRUE(store_.set("a", 2, 1s));
  clock_.advance(900ms);
  EXPECT_EQ(store_.get_int("a"), 2);
  EXPECT_EQ(store_.sweep(), 0);
  ASSERT_TRUE(store_.set("a", 3));
  clock_.advance(24h);
  EXPECT_EQ(store_.get_int("a"), 3);
}

TEST_F(MemoryTest, UpdateIsOneStep) {
  Store shared;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(shared.update(
            "n", [](const Value* old) -> std::optional<Value> { return Value(old ? old->parse<int>() + 1 : 1); }));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(shared.get_int("n"), 4000);
}

TEST_F(MemoryTest, UpdateKeepsTheExpiryAndMayLeaveAllAsItIs) {
  ASSERT_TRUE(store_.set("a", 1, 1s));
  ASSERT_TRUE(store_.update("a", [](const Value*) { return Value(2); }));
  ASSERT_TRUE(store_.update("a", [](const Value*) { return std::nullopt; }));
  EXPECT_EQ(store_.get_int("a"), 2);
  clock_.advance(1s + 1ns);
  EXPECT_FALSE(store_.get("a"));
}

TEST_F(MemoryTest, FullStoreRefusesOrEvictsWhatIsNotRead) {
  Store refusing({.clock = &clock_, .max_records = 10, .eviction = Eviction::kRefuse});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(refusing.set(std::to_string(i), i));
  EXPECT_EQ(refusing.set("more", 1).error().code, code::kTooMany);
  EXPECT_TRUE(refusing.set("3", 33));
  EXPECT_EQ(refusing.stats().refused, 1);

  Store evicting({.clock = &clock_, .max_records = 10});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(evicting.set(std::to_string(i), i));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(evicting.get("3"));
    ASSERT_TRUE(evicting.set("new" + std::to_string(i), i));
    EXPECT_EQ(evicting.size(), 10);
  }
  EXPECT_TRUE(evicting.get("3"));
  EXPECT_EQ(evicting.stats().evicted, 100);
}

TEST_F(MemoryTest, BytesAreBounded) {
  Store store({.clock = &clock_, .max_bytes = 100'000});
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(store.set(std::to_string(i % 300), std::string(1000 + i, 'x')));
    ASSERT_LE(store.stats().bytes, 100'000);
  }
  EXPECT_EQ(store.set("huge", std::string(200'000, 'x')).error().code, code::kTooMany);
  store.clear();
  EXPECT_EQ(store.stats().bytes, 0);
}

TEST_F(MemoryTest, ListenersHearOfEveryChange) {
  std::vector<std::string> heard;
  const auto number = store_.listen([&](const Change& change) {
    heard.push_back(fmt::format("{} {}={}", static_cast<int>(change.kind), change.key, change.value->parse<int>()));
    (void)store_.get("other");  // It may use the store.
  });
  ASSERT_TRUE(store_.set("a", 1, 1s));
  ASSERT_TRUE(store_.set("b", 2));
  store_.remove("b");
  clock_.advance(2s);
  EXPECT_FALSE(store_.get("a"));
  store_.unlisten(number);
  ASSERT_TRUE(store_.set("c", 1));
  EXPECT_THAT(heard, ElementsAre("0 a=1", "0 b=2", "1 b=2", "2 a=1"));
}

TEST_F(MemoryTest, SnapshotsHoldRecordsAndWhatIsLeftOfTheirTime) {
  const mg::testing::TempDir dir;
  const std::string file = dir.path() + "/memory";
  ASSERT_TRUE(store_.set("n", -5));
  ASSERT_TRUE(store_.set("octets", Octets{std::byte{0}, std::byte{255}}));
  ASSERT_TRUE(store_.set("tree", dtype::Dict{{"list", dtype::List{1, "x", nullptr, 1.5, true}}, {"u", UINT64_MAX}}));
  ASSERT_TRUE(store_.set("short", 1, 1s));
  ASSERT_TRUE(store_.set("long", 1, 10s));
  ASSERT_TRUE(store_.set("own", Role{1}));
  EXPECT_EQ(store_.save(file), 5);

  clock_.advance(5s);
  Store other({.clock = &clock_});
  EXPECT_EQ(other.load(file), 4);
  for (const char* key : {"n", "octets", "tree"}) EXPECT_EQ(*other.get(key), *store_.get(key)) << key;
  EXPECT_FALSE(other.get("short"));
  clock_.advance(5s);
  EXPECT_TRUE(other.get("long"));
  clock_.advance(1ns);
  EXPECT_FALSE(other.get("long"));
}

TEST_F(MemoryTest, DamagedSnapshotsAreRefused) {
  const mg::testing::TempDir dir;
  const std::vector<Record> records{{"a", dtype::List{1, "x"}, 1s}, {"b", "text", 0s}};
  std::uint64_t written = 0;
  const std::string whole = write_snapshot(records, clock_.wall(), &written);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_snapshot(whole.substr(0, size), clock_.wall())) << size;
  }
  for (std::size_t i = 0; i < whole.size() * 8; ++i) {
    std::string flipped = whole;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << i % 8));
    EXPECT_FALSE(read_snapshot(flipped, clock_.wall())) << i;
  }
  EXPECT_TRUE(read_snapshot(whole, clock_.wall()));
  ASSERT_TRUE(store_.set("a", 1));
  const std::string file = dir.write("cut", whole.substr(0, whole.size() - 1));
  EXPECT_THAT(store_.load(file).error().detail, HasSubstr("cut short or damaged"));
  EXPECT_EQ(store_.get_int("a"), 1);
  EXPECT_EQ(store_.load(dir.path() + "/none").error().code, code::kNotFound);
  EXPECT_EQ(store_.save(dir.path() + "/none/file").error().code, code::kServer);
}

TEST_F(MemoryTest, ThreadsMayDoEverythingAtOnce) {
  Store store({.max_records = 1000});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = std::to_string(i * (t + 1) % 1500);
        switch ((i + t) % 5) {
          case 0:
            (void)store.set(key, i, 1us);
            break;
          case 1:
            store.remove(key);
            break;
          case 2:
            if (i % 100 == 2) (void)store.list();
            break;
          case 3:
            store.sweep();
            break;
          default:
            (void)store.set(key, key);
            (void)store.get<std::string>(key);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(store.size(), 1000);
}

}  // namespace
}  // namespace mg::memory
