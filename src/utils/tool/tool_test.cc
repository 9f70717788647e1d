#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "mg/utils/tool/chance.h"
#include "mg/utils/tool/counter.h"
#include "mg/utils/tool/date.h"
#include "mg/utils/tool/digest.h"
#include "mg/utils/tool/exec.h"
#include "mg/utils/tool/files.h"
#include "mg/utils/tool/ids.h"
#include "mg/utils/tool/real_ip.h"
#include "mg/utils/tool/slices.h"
#include "mg/utils/tool/strings.h"
#include "mg/utils/tool/ttl_cache.h"
#include "mg/utils/tool/validate.h"

namespace mg::tool {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- texts, lists, digests -----------------------------------------------------------------------------------------

TEST(Validate, TakesLinearTimeOnAnyText) {
  const std::string text = std::string(100'000, 'a') + "!";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(is_email(text));
  EXPECT_FALSE(is_email(std::string(50'000, 'a') + "@" + std::string(50'000, '.')));
  EXPECT_FALSE(is_id_card(text));
  EXPECT_FALSE(is_mobile(text));
  EXPECT_FALSE(is_chinese_dash(text));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s) << "milliseconds, without sanitizers and other work";
}

TEST(Validate, ReadsIdCards) {
  const auto card = read_id_card("11010519491231002X");
  ASSERT_TRUE(card);
  EXPECT_EQ(card->region, 110105);
  EXPECT_EQ(card->year * 10000 + card->month * 100 + card->day, 19491231);
  EXPECT_TRUE(card->female);
  EXPECT_TRUE(is_id_card("440301200102290012"));
  EXPECT_FALSE(read_id_card("440301200102290012")) << "29 February 2001 never was";
}

TEST(Strings, MasksCharacters) {
  EXPECT_EQ(mask("13800138000", 3, 4), "138****8000");
  EXPECT_EQ(mask("欧阳修", 1, 0, "＊"), "欧＊＊");
  EXPECT_EQ(mask("ab", 1, 1), "**");
  EXPECT_EQ(mask("", 1, 1), "");
  EXPECT_EQ(mask("abc", SIZE_MAX, SIZE_MAX), "***");
}

TEST(Strings, Splits) {
  EXPECT_THAT(split(",a,,b,", ","), ElementsAre("a", "b"));
  EXPECT_THAT(split("abc", ""), ElementsAre("abc"));
  EXPECT_EQ(cache_name("role", 7, "bag", 1.5), "role:7:bag:1.5");
}

TEST(Slices, EdgesAreErrorsOrEmpty) {
  EXPECT_EQ(chunk(std::vector<int>{1}, 0).error().code, code::kInvalid);
  EXPECT_EQ(range(0, INT64_MAX).error().code, code::kInvalid);
  EXPECT_THAT(*range(INT64_MAX - 1, INT64_MAX), ElementsAre(INT64_MAX - 1, INT64_MAX));
  EXPECT_THAT(*range(INT64_MIN, INT64_MAX, INT64_MAX), ElementsAre(INT64_MIN, -1, INT64_MAX - 1));
  EXPECT_EQ(sum(std::vector<std::int64_t>{INT64_MAX, 1}), INT64_MIN);
  EXPECT_EQ(sum(std::vector<std::int8_t>{127, 1}), -128);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(unique(std::vector<double>{nan, nan, 1, 1}).size(), 3u);
  EXPECT_THAT(filter(std::vector<int>{1, 2, 3}, [](int n) { return n > 1; }), ElementsAre(2, 3));
  EXPECT_EQ(reduce(std::vector<int>{1, 2, 3}, std::string("n"),
                   [](std::string all, int n) { return all + std::to_string(n); }),
            "n123");
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha512("").substr(0, 16), "cf83e1357eefb8bd");
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc32("6789", crc32("12345")), 0xCBF43926u);
  EXPECT_EQ(to_hex(hmac(Digest::kSha256, "key", "The quick brown fox jumps over the lazy dog")),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
  EXPECT_EQ(hmac(Digest::kMd5, "", "").size(), 16u);
  EXPECT_EQ(base64url_encode("\xff\xfe"), "__4");
  EXPECT_FALSE(base64url_decode("__5"));
  EXPECT_FALSE(from_hex("0g"));
}

// ---- chance, ids ---------------------------------------------------------------------------------------------------

TEST(Chance, FavoursNothing) {
  SeededRandom random(7);
  std::array<int, 3> counts{};
  const double weights[] = {1, 0, 3};
  for (int i = 0; i < 40'000; ++i) ++counts[*weighted_pick(random, weights)];
  EXPECT_NEAR(counts[0], 10'000, 500);
  EXPECT_EQ(counts[1], 0);
  int hits = 0;
  for (int i = 0; i < 40'000; ++i) hits += hit(random, 0.25);
  EXPECT_NEAR(hits, 10'000, 500);
  EXPECT_FALSE(hit(random, 0));
  EXPECT_FALSE(hit(random, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(hit(random, 1));
  std::array<int, 62> letters{};
  const std::string_view all = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (const char c : random_text(random, 62'000)) ++letters[all.find(c)];
  for (const int count : letters) EXPECT_NEAR(count, 1000, 200);
  std::map<std::vector<int>, int> orders;
  for (int i = 0; i < 6000; ++i) {
    std::vector<int> list{1, 2, 3};
    shuffle(random, list);
    ++orders[list];
  }
  EXPECT_EQ(orders.size(), 6u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 1000, 200);
}

TEST(Chance, EdgesAreErrorsOrEmpty) {
  SeededRandom random(1);
  EXPECT_EQ(weighted_pick(random, {}).error().code, code::kInvalid);
  const double bad[] = {1, -1};
  EXPECT_EQ(weighted_pick(random, bad).error().code, code::kInvalid);
  EXPECT_EQ(random_between(random, 5, 5).error().code, code::kInvalid);
  EXPECT_TRUE(random_between(random, INT64_MIN, INT64_MAX));
  EXPECT_EQ(random_distinct(random, INT64_MIN, INT64_MAX, 100)->size(), 100u);
  EXPECT_EQ(pick(random, std::vector<int>()), nullptr);
  EXPECT_THAT(sample(random, std::vector<int>{1, 2}, 5), testing::UnorderedElementsAre(1, 2));
}

TEST(Ids, UuidsOfSevenSortByMaking) {
  ManualClock clock;
  SeededRandom random(1);
  UuidMaker uuids(clock, random);
  Uuid last = uuids.v7();
  for (int i = 0; i < 20'000; ++i) {
    if (i % 1000 == 0) clock.advance(1ms);
    if (i == 10'000) clock.set_wall(clock.wall() - 1h);
    const Uuid next = uuids.v7();
    ASSERT_LT(last, next) << i;
    last = next;
  }
  EXPECT_EQ(last.text()[14], '7');
  std::set<Uuid> ones;
  for (int i = 0; i < 10'000; ++i) ones.insert(uuids.v1());
  EXPECT_EQ(ones.size(), 10'000u);
  EXPECT_EQ(ones.begin()->text()[14], '1');
}

TEST(Ids, SnowflakesGrowWhenTheClockGoesBack) {
  ManualClock clock;
  clock.advance(24h);
  Snowflake ids({.worker = 7}, clock);
  std::int64_t last = *ids.next();
  EXPECT_EQ(ids.parts(last).worker, 7u);
  EXPECT_EQ(ids.parts(last).time, clock.wall());
  for (int i = 0; i < 20'000; ++i) {
    const auto next = ids.next();
    ASSERT_TRUE(next) << next.error().detail;
    ASSERT_GT(*next, last);
    last = *next;
  }
  clock.set_wall(clock.wall() - 5s);
  EXPECT_GT(*ids.next(), last);
  clock.set_wall(clock.wall() - 1min);
  EXPECT_EQ(ids.next().error().code, code::kUnavailable);
  EXPECT_EQ(Snowflake({.worker = 1024}, clock).next().error().code, code::kInvalid);
}

TEST(Ids, TenMillionInARowAllGrow) {
  Snowflake ids({.max_back = 1h}, system_clock());
  std::int64_t last = 0;
  std::size_t wrong = 0;
  for (int i = 0; i < 10'000'000; ++i) {
    const std::int64_t id = ids.next().value_or(0);
    wrong += id <= last;
    last = id;
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(Ids, AForkedProcessMakesOthers) {
  ManualClock clock;  // Both processes have the same time.
  SystemRandom random;
  UuidMaker uuids(clock, random);
  (void)uuids.v1();
  (void)uuids.v7();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const Uuid ids[] = {uuids.v1(), uuids.v7(), Uuid::v4(random)};
    _exit(write(ends[1], ids, sizeof ids) == sizeof ids ? 0 : 1);
  }
  ASSERT_GT(child, 0);
  Uuid theirs[3];
  EXPECT_EQ(read(ends[0], theirs, sizeof theirs), static_cast<ssize_t>(sizeof theirs));
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  close(ends[0]);
  close(ends[1]);
  EXPECT_NE(theirs[0], uuids.v1());
  EXPECT_NE(theirs[1], uuids.v7());
  EXPECT_NE(theirs[2], Uuid::v4(random));
}

TEST(Ids, NoneTwiceFromManyThreads) {
  Snowflake ids({.max_back = 1h}, system_clock());
  std::vector<std::vector<std::int64_t>> made(4);
  {
    std::vector<std::jthread> threads;
    for (auto& own : made) {
      threads.emplace_back([&] {
        for (int i = 0; i < 25'000; ++i) own.push_back(*ids.next());
      });
    }
  }
  std::set<std::int64_t> all;
  for (const auto& own : made) all.insert(own.begin(), own.end());
  EXPECT_EQ(all.size(), 100'000u);
}

// ---- time ----------------------------------------------------------------------------------------------------------

TEST(Date, FarAwayYears) {
  EXPECT_EQ(format_date("Y-m-d", from_civil(1, 1, 1, 0, 0, 0, Zone::utc())), "0001-01-01");
  EXPECT_EQ(format_date("Y-m-d l", from_civil(9999, 12, 31, 0, 0, 0, Zone::utc())), "9999-12-31 Friday");
  EXPECT_EQ(format_date("Y-m-d H:i:s", Moment::unix(-1)), "1969-12-31 23:59:59");
  for (const std::int64_t seconds : {INT64_MIN, INT64_MAX})
    (void)format_date("r", Moment::unix(seconds, *Zone::find("Asia/Shanghai")));
  EXPECT_EQ(format_date("Y-m-d", from_civil(2023, 14, 31, 0, 0, 0, Zone::utc())), "2024-03-02");
  EXPECT_EQ(format_date("Y-m-d", from_civil(2024, -1, 1, 25, 0, 0, Zone::utc())), "2023-11-02");
}

TEST(Date, LettersAndBackslashes) {
  const Moment moment = from_civil(2024, 5, 6, 7, 8, 9, Zone::utc());
  EXPECT_EQ(format_date("\\Y\\\\Y G:i Da Ma \\", moment), "Y\\2024 7:08 Monam Mayam ");
  EXPECT_EQ(parse_date("Y 2024", "\\Y Y")->time, from_civil(2024, 1, 1, 0, 0, 0, Zone::utc()).time);
  EXPECT_THAT(parse_date("2024-05-x", "Y-m-d").error().detail, HasSubstr("octet 8"));
}

TEST(Zone, FindsOnlyNames) {
  EXPECT_EQ(Zone::find("Mars/Base").error().code, code::kNotFound);
  EXPECT_EQ(Zone::find("../../etc/passwd").error().code, code::kInvalid);
  EXPECT_EQ(Zone::find("/etc/localtime").error().code, code::kInvalid);
  EXPECT_TRUE(Zone::find("Local"));
  EXPECT_FALSE(Zone::parse("x", "TZif2"));
  EXPECT_FALSE(Zone::parse("x", ""));
}

TEST(Zone, KnowsSkippedAndDoubledTimes) {
  const Zone zone = *Zone::find("America/New_York");
  const auto local = [](int month, int day, int hour, int minute) {
    const auto utc = from_civil(2050, month, day, hour, minute, 0, Zone::utc()).time;  // By the rule, not the table.
    return LocalSeconds(utc.time_since_epoch());
  };
  EXPECT_EQ(zone.fold(local(3, 13, 2, 30)), Zone::Fold::kSkipped);
  EXPECT_EQ(zone.fold(local(11, 6, 1, 30)), Zone::Fold::kTwice);
  EXPECT_EQ(zone.fold(local(11, 6, 2, 0)), Zone::Fold::kOnce);
}

// ---- files, programs -----------------------------------------------------------------------------------------------

class FilesTest : public ::testing::Test {
 protected:
  FilesTest() : folder(::mkdtemp(name_)) {}
  ~FilesTest() override { std::filesystem::remove_all(folder); }
  char name_[32] = "/tmp/mg-tool-XXXXXX";
  const std::filesystem::path folder;
};

TEST_F(FilesTest, WritesWholeFiles) {
  const auto path = folder / "state";
  ASSERT_TRUE(write_file(path, "one"));
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  ASSERT_TRUE(write_file(path, "two"));
  EXPECT_EQ(*read_file(path), "two");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "nothing stays beside";
  EXPECT_EQ(read_file(path, 2).error().code, code::kTooMany);
  EXPECT_EQ(read_file(folder / "none").error().code, code::kNotFound);
  EXPECT_FALSE(write_file(folder / "no" / "file", "x"));
}

TEST_F(FilesTest, MakesFolders) {
  EXPECT_FALSE(path_exists(folder / "a"));
  ASSERT_TRUE(ensure_folder(folder / "a/b/c"));
  ASSERT_TRUE(ensure_folder(folder / "a/b/c"));
  ASSERT_TRUE(write_file(folder / "file", ""));
  EXPECT_TRUE(path_exists(folder / "file/below")) << "it cannot be told";
  EXPECT_FALSE(ensure_folder(folder / "file"));
  EXPECT_FALSE(ensure_folder(folder / "file/below"));
}

TEST(Exec, GivesBothOutputsAndTheStatus) {
  const auto got = exec({"sh", "-c", "cat; printf err >&2; exit 3"}, {.input = std::string(200'000, 'x')});
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->out.size(), 200'000u);
  EXPECT_EQ(got->error, "err");
  EXPECT_EQ(got->status, 3);
  EXPECT_EQ(exec({"sh", "-c", "kill -9 $$"})->status, 137);
  EXPECT_TRUE(exec({"true"}, {.input = std::string(1'000'000, 'x')}))
      << "who does not read its input ends all the same";
  EXPECT_EQ(*exec_output({"pwd"}, {.folder = "/"}), "/\n");
}

TEST(Exec, IsBounded) {
  EXPECT_EQ(exec({"sh", "-c", "sleep 100 & sleep 100"}, {.timeout = 50ms}).error().code, code::kTimeout);
  EXPECT_EQ(exec({"sh", "-c", "exec >&- 2>&-; sleep 100"}, {.timeout = 50ms}).error().code, code::kTimeout);
  EXPECT_EQ(exec({"yes"}, {.max_output_bytes = 1000}).error().code, code::kTooMany);
  EXPECT_EQ(exec({}).error().code, code::kInvalid);
  EXPECT_EQ(exec({std::string("a\0b", 3)}).error().code, code::kInvalid);
  EXPECT_EQ(exec({"no-such-program-xyz"}).error().code, code::kNotFound);
}

// ---- caches, counters, addresses -----------------------------------------------------------------------------------

TEST(TtlCache, ForgetsInTimeAndStaysBounded) {
  ManualClock clock;
  std::vector<int> gone;
  TtlCache<int, std::string> cache({.max_size = 3, .ttl = 10s}, clock,
                                   [&](const int& key, std::string&) { gone.push_back(key); });
  for (int i = 0; i < 5; ++i) cache.put(i, std::to_string(i));
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_THAT(gone, ElementsAre(0, 1));
  EXPECT_EQ(*cache.get(2), "2");
  cache.put(9, "nine");
  EXPECT_EQ(cache.get(3), nullptr) << "the least recently used has gone";
  clock.set_wall(clock.wall() + 24h);
  EXPECT_NE(cache.get(2), nullptr) << "the time of day does not matter";
  clock.advance(10s);
  EXPECT_EQ(cache.get(2), nullptr);
  EXPECT_EQ(cache.sweep(), 2u);
  EXPECT_EQ(cache.size(), 0u);
  cache.put(1, "x", 0s);
  clock.advance(1000h);
  EXPECT_NE(cache.get(1), nullptr);
  EXPECT_TRUE(cache.erase(1));
  EXPECT_FALSE(cache.erase(1));
}

TEST(TtlCache, SweepsAroundWhatLives) {
  ManualClock clock;
  std::vector<int> told;
  TtlCache<int, int>* self = nullptr;
  TtlCache<int, int> cache({.max_size = 10, .ttl = 1s}, clock, [&](const int& key, int&) {
    told.push_back(key);
    self->erase(1);  // One that lives, and was looked at.
    self->put(3, 0);
  });
  self = &cache;
  for (int i = 0; i < 6; ++i) cache.put(i, i, i % 2 == 0 ? 1s : 1h);
  clock.advance(2s);
  EXPECT_EQ(cache.sweep(), 3u);
  EXPECT_THAT(told, ElementsAre(0, 2, 4));
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.get(1), nullptr);
  EXPECT_NE(cache.get(3), nullptr);
  EXPECT_NE(cache.get(5), nullptr);
  EXPECT_EQ(cache.sweep(0), 0u);
}

TEST(TtlCache, CallbacksMayChangeIt) {
  ManualClock clock;
  using Cache = TtlCache<int, int>;
  Cache* self = nullptr;
  Cache cache({.max_size = 10, .ttl = 1s}, clock, [&](const int& key, int&) {
    self->erase(key + 1);
    if (key < 5) self->put(key + 100, 0);
  });
  self = &cache;
  for (int i = 0; i < 10; ++i) cache.put(i, i);
  clock.advance(2s);
  cache.sweep();
  EXPECT_LE(cache.size(), 10u);
  for (int i = 0; i < 1'000'000; ++i) cache.put(i, i);
  EXPECT_LE(cache.size(), 10u);
}

TEST(RateCounter, TellsTheLastSeconds) {
  ManualClock clock;
  RateCounter counter(clock);
  for (int i = 0; i < 20; ++i) {
    counter.add(5);
    clock.advance(1s);
  }
  EXPECT_EQ(counter.total(), 100u);
  EXPECT_DOUBLE_EQ(counter.rate(), 5);
  clock.advance(5s);
  EXPECT_DOUBLE_EQ(counter.rate(), 2.5);
  clock.advance(1h);
  EXPECT_DOUBLE_EQ(counter.rate(), 0);
}

TEST(RealIp, BelievesOnlyListedProxies) {
  const auto proxies = ProxyList::parse({"10.0.0.0/8", "2001:db8::/32"});
  ASSERT_TRUE(proxies) << proxies.error().detail;
  EXPECT_EQ(proxies->client_ip("8.8.8.8:1", "1.1.1.1", "2.2.2.2"), "8.8.8.8");
  EXPECT_EQ(proxies->client_ip("10.1.1.1:1", "1.1.1.1", "2.2.2.2"), "1.1.1.1");
  EXPECT_EQ(proxies->client_ip("10.1.1.1:1", "6.6.6.6, 1.1.1.1,10.2.2.2", ""), "1.1.1.1")
      << "6.6.6.6 is the client's word";
  EXPECT_EQ(proxies->client_ip("[2001:db8::1]:1", "", "2.2.2.2"), "2.2.2.2");
  EXPECT_EQ(proxies->client_ip("10.1.1.1:1", "nonsense", ""), "10.1.1.1");
  EXPECT_EQ(proxies->client_ip("10.1.1.1:1", "[::5]:99", ""), "::5");
  EXPECT_TRUE(proxies->contains("::ffff:10.3.3.3"));
  for (const char* bad : {"10.0.0.0/33", "10.0.0", "x", "", "10.0.0.0/", "10.0.0.0/-1"}) {
    EXPECT_FALSE(ProxyList::parse({bad})) << bad;
  }
}

}  // namespace
}  // namespace mg::tool
