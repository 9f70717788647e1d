#include "mg/meta/meta.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mg/meta/agent_meta.h"
#include "mg/meta/data_meta.h"

namespace mg {
namespace {

constexpr std::string_view kUuid = "1574ff96-5fc7-4cc7-a965-07440711c025";

std::map<std::string, std::string> to_map(const Meta& meta) {
  std::map<std::string, std::string> map;
  meta.for_each([&](std::string_view key, std::string_view value) { map.emplace(key, value); });
  return map;
}
using Map = std::map<std::string, std::string>;

TEST(Meta, IsEmptyAtFirst) {
  const Meta meta;
  EXPECT_TRUE(meta.empty());
  EXPECT_EQ(meta.size(), 0u);
  EXPECT_EQ(meta.get("A"), "");
  EXPECT_FALSE(meta.has("A"));
  EXPECT_EQ(meta.version(), 0u);
  EXPECT_EQ(meta.heap_bytes(), 0u);
  EXPECT_EQ(meta, Meta());
}

TEST(Meta, KeepsWellKnownAndOtherKeys) {
  Meta meta{{"Role-Id", "42"}, {"Lang", "zh"}, {"Node-Name", "gate"}, {"", "no key"}};
  EXPECT_EQ(meta.size(), 4u);
  EXPECT_EQ(meta.get("Role-Id"), "42");
  EXPECT_EQ(meta.get("role-id"), "") << "keys are case-sensitive";
  EXPECT_EQ(meta.get("Lang"), "zh");
  EXPECT_EQ(meta.get(""), "no key");
  EXPECT_TRUE(meta.set("Lang", ""));
  EXPECT_TRUE(meta.has("Lang")) << "an empty value is a value";
  EXPECT_TRUE(meta.erase("Lang"));
  EXPECT_FALSE(meta.erase("Lang"));
  EXPECT_FALSE(meta.has("Lang"));
  EXPECT_EQ(to_map(meta), (Map{{"", "no key"}, {"Node-Name", "gate"}, {"Role-Id", "42"}}));
}

TEST(Meta, LaterEntryOfTheSameKeyWins) {
  const Meta meta{{"A", "1"}, {"A", "2"}};
  EXPECT_EQ(meta.size(), 1u);
  EXPECT_EQ(meta.get("A"), "2");
}

TEST(Meta, NodeNameAndIdGivenAsEntriesWin) {
  const std::vector<Meta::Entry> entries{{"Node-Id", "other"}, {"X", "1"}};
  EXPECT_EQ(to_map(Meta("game", "id-1", entries)), (Map{{"Node-Id", "other"}, {"Node-Name", "game"}, {"X", "1"}}));
}

TEST(Meta, VersionCountsChangesOnly) {
  Meta meta;
  EXPECT_TRUE(meta.set("A", "1"));
  EXPECT_EQ(meta.version(), 1u);
  EXPECT_FALSE(meta.set("A", "1"));
  EXPECT_FALSE(meta.erase("B"));
  EXPECT_FALSE(meta.merge(Meta()));
  EXPECT_FALSE(meta.merge(Meta{{"A", "1"}}));
  EXPECT_EQ(meta.version(), 1u);
  EXPECT_TRUE(meta.merge(Meta{{"A", "2"}, {"B", "3"}}));
  EXPECT_EQ(meta.version(), 2u);
  const Meta copy = meta;
  EXPECT_EQ(copy.version(), 2u);
  EXPECT_TRUE(meta.erase("A"));
  meta.clear();
  meta.clear();
  EXPECT_EQ(meta.version(), 4u);
  EXPECT_EQ(copy.version(), 2u);
  EXPECT_TRUE(meta.empty());
}

TEST(Meta, CopiesShareTheirBlockUntilOneChanges) {
  Meta a{{"A", "1"}, {"Role-Id", "7"}};
  Meta b = a;
  EXPECT_EQ(a.get("A").data(), b.get("A").data());
  EXPECT_TRUE(b.set("A", "2"));
  EXPECT_EQ(a.get("A"), "1");
  EXPECT_EQ(b.get("A"), "2");
  EXPECT_NE(a, b);
  EXPECT_TRUE(b.set("A", "1"));
  EXPECT_EQ(a, b) << "equal again, whatever the versions";
  Meta moved = std::move(b);
  EXPECT_EQ(moved.get("Role-Id"), "7");
  const Meta& itself = moved;
  moved = itself;
  EXPECT_EQ(moved.get("Role-Id"), "7");
}

TEST(Meta, ChangesInPlaceWhenAlone) {
  Meta meta{{"Role-Id", "00000"}};
  const char* before = meta.get("Role-Id").data();
  EXPECT_TRUE(meta.set("Role-Id", "12345"));
  EXPECT_EQ(meta.get("Role-Id").data(), before);
}

TEST(Meta, TakesItsOwnViewsAsArguments) {
  Meta meta{{"A", "first value"}, {"B", "second value, longer"}, {"Key", "Name"}};
  EXPECT_TRUE(meta.set("A", meta.get("B")));
  EXPECT_TRUE(meta.set("B", meta.get("B").substr(3, 2)));
  EXPECT_TRUE(meta.set(meta.get("Key"), meta.get("A")));
  EXPECT_EQ(to_map(meta),
            (Map{{"A", "second value, longer"}, {"B", "on"}, {"Key", "Name"}, {"Name", "second value, longer"}}));
}

TEST(Meta, IdleGateConnectionFitsABlockOf250Bytes) {
  AgentMeta meta("gate", kUuid, "9ba1a214-ceb8-48b0-ade5-b4a7867f1bc9", "203.0.113.199", "1.20.3");
  meta.set_account_id(1234567890);
  meta.set_channel_uid("xy-123456");
  meta.set_server_id(12);
  meta.set_role_id(1234567890123);
  EXPECT_EQ(meta.size(), 9u);
  EXPECT_LE(meta.heap_bytes(), 216u);
  EXPECT_EQ(sizeof meta, sizeof(void*));
}

TEST(Meta, HoldsLongKeysAndValues) {
  for (const std::size_t length : {126u, 127u, 128u, 129u, 16383u, 16384u, 16385u, 70000u}) {
    const std::string key(length, 'k'), value(length, 'v');
    Meta meta{{"A", "1"}};
    meta.set(key, value);
    meta.set("Node-Id", value);
    meta.set("z", "2");
    EXPECT_EQ(to_map(meta), (Map{{"A", "1"}, {key, value}, {"Node-Id", value}, {"z", "2"}})) << length;
    EXPECT_TRUE(meta.erase(key));
    EXPECT_EQ(to_map(meta), (Map{{"A", "1"}, {"Node-Id", value}, {"z", "2"}})) << length;
  }
}

TEST(Meta, BehavesAsAMapUnderRandomChanges) {
  std::mt19937 random(7);
  const std::vector<std::string> keys{"Node-Id", "Role-Id", "Client-Id", "Remote",     "A",
                                      "B",       "a",       "",          "Longer-Key", "Z"};
  Meta meta, before;
  Map model, model_before;
  for (int step = 0; step < 20000; ++step) {
    const std::string& key = keys[random() % keys.size()];
    const std::string value(random() % 3 == 0 ? random() % 200 : random() % 4, static_cast<char>('a' + random() % 3));
    switch (random() % 8) {
      case 0:
        ASSERT_EQ(meta.erase(key), model.erase(key) == 1);
        break;
      case 1:
        before = meta;
        model_before = model;
        break;
      case 2:
        ASSERT_EQ(meta == before, model == model_before);
        meta.merge(before);
        for (const auto& [k, v] : model_before) model[k] = v;
        break;
      default: {
        const auto at = model.find(key);
        const bool differs = at == model.end() || at->second != value;
        const std::uint64_t version = meta.version();
        ASSERT_EQ(meta.set(key, value), differs);
        ASSERT_EQ(meta.version(), version + differs);
        model[key] = value;
      }
    }
    ASSERT_EQ(meta.size(), model.size());
    ASSERT_EQ(meta.get(key), model.contains(key) ? model[key] : "");
    Meta patched = before;
    Meta::diff(before, meta, [&](std::string_view k, std::optional<std::string_view> v) {
      const bool changed = v ? patched.set(k, *v) : patched.erase(k);
      ASSERT_TRUE(changed) << "only differences are reported: " << k;
    });
    ASSERT_EQ(patched, meta);
    ASSERT_EQ(to_map(meta), model);
  }
}

TEST(Meta, CopiesAreIndependentAcrossThreads) {
  const Meta shared{{"Role-Id", "1"}, {"A", "x"}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([mine = shared, t]() mutable {
      for (int i = 0; i < 5000; ++i) {
        Meta copy = mine;
        copy.set("A", i);
        if (i % 16 == 0) mine.set("T", t * i);
      }
      EXPECT_EQ(mine.get("Role-Id"), "1");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(to_map(shared), (Map{{"A", "x"}, {"Role-Id", "1"}}));
}

TEST(Meta, StoresValuesAsText) {
  Meta meta;
  meta.set("bytes", as_bytes("raw\xff"));
  meta.set("literal", "text");
  meta.set("string", std::string("text"));
  meta.set("int", std::numeric_limits<std::int64_t>::min());
  meta.set("uint", std::numeric_limits<std::uint64_t>::max());
  meta.set("bool", true);
  meta.set("half", 0.5);
  meta.set("list", std::vector<std::string>{"a", "\"<"});
  meta.set("map", std::map<std::string, std::vector<int>>{{"b", {}}, {"a", {1, 2}}});
  meta.set("none", std::optional<int>());
  meta.set("null", nullptr);
  meta.set("nan", std::vector<double>{std::numeric_limits<double>::quiet_NaN()});
  EXPECT_EQ(to_map(meta), (Map{{"bytes", "raw\xff"},
                               {"literal", "text"},
                               {"string", "text"},
                               {"int", "-9223372036854775808"},
                               {"uint", "18446744073709551615"},
                               {"bool", "true"},
                               {"half", "0.5"},
                               {"list", R"(["a","\"\u003c"])"},
                               {"map", R"({"a":[1,2],"b":[]})"},
                               {"none", "null"},
                               {"null", "null"},
                               {"nan", "[null]"}}));
}

TEST(Meta, FloatsThatAreNoNumbersReadBack) {
  Meta meta;
  for (const double value : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    meta.set("A", value);
    EXPECT_EQ(meta.get_float64("A"), value);
  }
  meta.set("A", std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(meta.get_float32("A")));
}

TEST(Meta, FloatsReadBackExactly) {
  std::mt19937_64 random(3);
  Meta meta;
  for (int i = 0; i < 20000; ++i) {
    const auto bits = random();
    const double value = std::bit_cast<double>(bits);
    const float small = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(value)) {
      meta.set("A", value);
      ASSERT_EQ(meta.get_float64("A"), value) << meta.get("A");
    }
    if (!std::isnan(small)) {
      meta.set("A", small);
      ASSERT_EQ(meta.get_float32("A"), small) << meta.get("A");
    }
  }
}

TEST(Meta, ReadsHexFloatsAsStrtodDoes) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 5000; ++i) {
    std::string text = i % 2 == 0 ? "0x" : "-0X";
    const char* digits = "0123456789abcdefABCDEF";
    for (std::size_t n = random() % 20; n > 0; --n) text += digits[random() % 22];
    text += '.';
    for (std::size_t n = random() % 20; n > 0; --n) text += digits[random() % 22];
    if (text.size() <= 4) continue;
    text += (random() % 2 == 0 ? "p" : "P-") + std::to_string(random() % 1200);
    ASSERT_EQ((Meta{{"A", text}}.get_float64("A")), std::strtod(text.c_str(), nullptr)) << text;
  }
}

TEST(Meta, NumbersOutOfRangeAreTheNearestLimit) {
  const auto with = [](std::string_view text) { return Meta{{"A", text}}; };
  EXPECT_EQ(with("2147483648").get_int32("A"), 2147483647);
  EXPECT_EQ(with("-2147483649").get_int32("A"), -2147483648);
  EXPECT_EQ(with("-9223372036854775809").get_int64("A"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(with("-9223372036854775808").get_int64("A"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(with("18446744073709551616").get_uint64("A"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(with("4294967296").get_uint32("A"), 4294967295u);
  EXPECT_EQ(with("0.0000001e-400").get_float64("A"), 0.0);
  EXPECT_EQ(with("1e-400").get_float64("A"), 0.0);
  EXPECT_EQ(with("100000000000e390").get_float64("A"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(with("1e99999999999999999999").get_float64("A"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(with("1e-99999999999999999999").get_float64("A"), 0.0);
  EXPECT_EQ(with("-0x1p5000").get_float64("A"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(with("0x0.0001p-5000").get_float64("A"), 0.0);
  EXPECT_EQ(with("0e999999").get_float64("A"), 0.0);
}

TEST(Meta, SlicesSayWhatIsWrong) {
  const Meta meta{{"list", "[1,2"}, {"mixed", R"([1,"a"])"}, {"texts", R"(["a\u4e2d\ud83d\ude00\ud800x","b\n"])"}};
  EXPECT_EQ(meta.get_slice<std::int32_t>("none").error().detail, "metadata \"none\" is not set");
  EXPECT_EQ(meta.get_slice<std::int32_t>("list").error().detail,
            "metadata \"list\": no JSON list: , or ] expected at octet 4");
  EXPECT_EQ(meta.get_slice<float>("mixed").error().detail,
            "metadata \"mixed\": element 1 of the JSON list, before octet 3, is not a number in range");
  EXPECT_EQ(*meta.get_slice<std::string>("texts"), (std::vector<std::string>{"a中😀\uFFFDx", "b\n"}));
  for (const char* bad :
       {"[",     "[]]",  "[1 2]", "[01]", "[1.]", "[.5]",  "[+1]",      "[1e]",        "[-]",           "[tru",
        "[[1]]", "[{}]", "{}",    "nul",  "[1]x", "[\"a]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\\u+123\"]", "[\"\n\"]"}) {
    EXPECT_FALSE((Meta{{"A", bad}}.get_slice<double>("A"))) << bad;
    EXPECT_FALSE((Meta{{"A", bad}}.get_slice<std::string>("A"))) << bad;
  }
}

TEST(AgentMeta, NewConnectionHasEveryKey) {
  const AgentMeta meta("gate", kUuid, "c-1", "10.0.0.1");
  EXPECT_EQ(to_map(meta), (Map{{"Node-Name", "gate"},
                               {"Node-Id", std::string(kUuid)},
                               {"Client-Id", "c-1"},
                               {"Client-Ip", "10.0.0.1"},
                               {"Client-Ver", ""},
                               {"Account-Id", ""},
                               {"Channel-Uid", ""},
                               {"Server-Id", ""},
                               {"Role-Id", ""}}));
  EXPECT_FALSE(meta.is_online());
}

TEST(AgentMeta, IsOnlineWithARoleOnly) {
  AgentMeta meta("gate", kUuid, "c-1");
  meta.set_role_id(5);
  EXPECT_TRUE(meta.is_online());
  meta.set_role_id(0);
  EXPECT_FALSE(meta.is_online()) << "0 is no role";
  meta.set("Role-Id", "abc");
  EXPECT_FALSE(meta.is_online()) << "role_id() would be 0";
}

TEST(DataMeta, IsValidWhenItNamesARecord) {
  EXPECT_TRUE(DataMeta("db", "n", 5).is_valid());
  EXPECT_TRUE(DataMeta("db", "n", "abc").is_valid());
  EXPECT_FALSE(DataMeta("db", "n", "").is_valid());
  EXPECT_FALSE(DataMeta("db", "n", 0).is_valid());
  EXPECT_FALSE(DataMeta("db", "n", nullptr).is_valid());
  EXPECT_FALSE(DataMeta().is_valid());
}

}  // namespace
}  // namespace mg
