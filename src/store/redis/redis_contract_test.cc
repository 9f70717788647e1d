// The cases of RedisContract; each backend's test file instantiates them.
#include "store/redis/redis_contract.h"
#include "mg/store/redis/meta_cache.h"

namespace mg::redis {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

TEST_P(RedisContract, Strings) {
  EXPECT_EQ(get(r().get("k")), std::nullopt);
  EXPECT_TRUE(get(r().set("k", "v")));
  EXPECT_EQ(get(r().get("k")), "v");
  EXPECT_FALSE(get(r().set("k", "w", {.when = SetWhen::kMissing})));
  EXPECT_FALSE(get(r().set("none", "w", {.when = SetWhen::kExists})));
  EXPECT_EQ(get(r().getset("k", 5)), "v");
  EXPECT_EQ(get(r().incr("k")), 6);
  EXPECT_EQ(get(r().incrby("k", -10)), -4);
  EXPECT_EQ(get(r().decr("n")), -1);
  EXPECT_EQ(get(r().decrby("n", 9)), -10);
  EXPECT_EQ(get(r().incrbyfloat("f", 10.5)), 10.5);
  EXPECT_EQ(get(r().incrbyfloat("f", 0.1)), 10.6);
  EXPECT_EQ(get(r().append("a", "Hello")), 5);
  EXPECT_EQ(get(r().append("a", " World")), 11);
  EXPECT_EQ(get(r().strlen("a")), 11);
  EXPECT_EQ(get(r().getrange("a", -5, -1)), "World");
  EXPECT_EQ(get(r().getrange("a", 3, 1)), "");
  EXPECT_EQ(get(r().setrange("a", 6, "Redis")), 11);
  EXPECT_EQ(get(r().get("a")), "Hello Redis");
  EXPECT_EQ(get(r().setrange("z", 3, "x")), 4);
  EXPECT_EQ(get(r().get("z")), std::string("\0\0\0x", 4));
  EXPECT_TRUE(get(r().setnx("nx", "1")));
  EXPECT_FALSE(get(r().setnx("nx", "1")));
  EXPECT_EQ(get(r().getdel("nx")), "1");
  get(r().mset(TextMap{{"m1", "1"}, {"m2", "2"}}));
  EXPECT_THAT(get(r().mget({"m1", "none", "m2"})), ElementsAre("1", std::nullopt, "2"));
  EXPECT_FALSE(get(r().msetnx(TextMap{{"m1", "9"}, {"m3", "3"}})));
  EXPECT_EQ(get(r().get("m3")), std::nullopt);
}

TEST_P(RedisContract, ValuesAreAnyOctets) {
  std::string all;
  for (int i = 0; i < 1024; ++i) all += static_cast<char>(i);
  all += "\r\n$3\r\n";
  EXPECT_TRUE(get(r().set(all, all)));
  EXPECT_EQ(get(r().get(all)), all);
  EXPECT_TRUE(get(r().set("", "")));
  EXPECT_EQ(get(r().get("")), "");
  const std::string large(3'000'000, 'x');
  EXPECT_TRUE(get(r().set("large", large)));
  EXPECT_EQ(get(r().get("large")), large);
}

TEST_P(RedisContract, Expiry) {
  EXPECT_TRUE(get(r().set("a", "1", {.expiry = 60ms})));
  EXPECT_TRUE(get(r().set("b", "1", {.expiry = 100s})));
  EXPECT_LE(get(r().pttl("a")).value_or(0ms), 60ms);
  EXPECT_GT(get(r().pttl("b")).value(), 50s);
  EXPECT_GT(get(r().ttl("b")), 50);
  EXPECT_TRUE(get(r().set("c", "1")));
  EXPECT_EQ(get(r().ttl("c")), -1);
  EXPECT_EQ(get(r().pttl("c")), Keys::Ms::max());
  EXPECT_EQ(get(r().ttl("none")), -2);
  EXPECT_EQ(get(r().pttl("none")), std::nullopt);
  EXPECT_TRUE(get(r().expire("c", 60ms)));
  EXPECT_FALSE(get(r().expire("none", 1s)));
  EXPECT_TRUE(get(r().persist("b")));
  EXPECT_FALSE(get(r().persist("b")));
  EXPECT_TRUE(get(r().hset("h", "f", "v")) == 1 && get(r().expire("h", 60ms)));
  EXPECT_TRUE(get(r().set("keep", "1", {.expiry = 100s})) && get(r().set("keep", "2", {.keep_ttl = true})));
  EXPECT_GT(get(r().ttl("keep")), 50);
  EXPECT_TRUE(get(r().set("keep", "3")));
  EXPECT_EQ(get(r().ttl("keep")), -1);
  under_->pass(70ms);
  EXPECT_EQ(get(r().get("a")), std::nullopt);
  EXPECT_EQ(get(r().exists({"a", "b", "c", "h", "b"})), 2);
  EXPECT_EQ(get(r().hget("h", "f")), std::nullopt);
  EXPECT_EQ(get(r().incr("a")), 1);
  EXPECT_EQ(get(r().ttl("a")), -1);
  EXPECT_TRUE(get(r().expire("b", -1s)));
  EXPECT_EQ(get(r().get("b")), std::nullopt);
}

TEST_P(RedisContract, Keys) {
  get(r().mset(TextMap{{"user:1", "a"}, {"user:2", "b"}, {"x[y", "c"}}));
  EXPECT_THAT(get(r().keys("user:*")), UnorderedElementsAre("user:1", "user:2"));
  EXPECT_THAT(get(r().keys("user:[^1]")), UnorderedElementsAre("user:2"));
  EXPECT_THAT(get(r().keys("user:[2-9]")), UnorderedElementsAre("user:2"));
  EXPECT_THAT(get(r().keys("user:[9-2]")), UnorderedElementsAre("user:2"));
  EXPECT_THAT(get(r().keys("?\\[y")), UnorderedElementsAre("x[y"));
  EXPECT_EQ(get(r().dbsize()), 3);
  Texts scanned;
  ScanPage page;
  do {
    page = get(r().scan(page.cursor, "user:*", 1));
    for (auto& key : page.items) scanned.push_back(key);
  } while (page.cursor != 0);
  std::ranges::sort(scanned);
  EXPECT_THAT(scanned, ElementsAre("user:1", "user:2"));
  EXPECT_EQ(get(r().type("user:1")), "string");
  EXPECT_EQ(get(r().type("none")), "none");
  get(r().rename("user:1", "moved"));
  EXPECT_EQ(get(r().get("moved")), "a");
  EXPECT_FALSE(get(r().renamenx("moved", "user:2")));
  EXPECT_EQ(error(r().rename("none", "x")).code, code::kInvalid);
  EXPECT_EQ(get(r().del({"moved", "none", "user:2"})), 2);
  EXPECT_EQ(get(r().unlink({"x[y"})), 1);
  EXPECT_EQ(get(r().randomkey()), std::nullopt);
  get(r().flushdb());
  get(r().ping());
}

struct Hero {
  std::int64_t id = 0;
  std::string name;
  double power = 0;
  bool online = false;
  std::optional<int> guild;
  std::vector<int> items;
  Clock::WallTime born{};
  bool operator==(const Hero&) const = default;
};
constexpr auto mg_fields(std::type_identity<Hero>) {
  return fields(field("id", &Hero::id), field("name", &Hero::name), field("power", &Hero::power),
                field("online", &Hero::online), field("guild", &Hero::guild), field("items", &Hero::items),
                field("born", &Hero::born).redis("born_at"));
}

TEST_P(RedisContract, Hashes) {
  EXPECT_EQ(get(r().hset("h", "a", 1)), 1);
  EXPECT_EQ(get(r().hset_all("h", TextMap{{"a", "2"}, {"b", "3"}})), 1);
  EXPECT_EQ(get(r().hset_all("h", TextMap{})), 0);
  get(r().hmset("h", TextMap{{"c", "4"}}));
  EXPECT_EQ(get(r().hget("h", "a")), "2");
  EXPECT_EQ(get(r().hget("h", "z")), std::nullopt);
  EXPECT_THAT(get(r().hmget("h", {"b", "z"})), ElementsAre("3", std::nullopt));
  EXPECT_EQ(get(r().hgetall("h")), (TextMap{{"a", "2"}, {"b", "3"}, {"c", "4"}}));
  EXPECT_TRUE(get(r().hgetall("none")).empty());
  EXPECT_EQ(get(r().hdel("h", {"c", "z"})), 1);
  EXPECT_TRUE(get(r().hexists("h", "a")));
  EXPECT_FALSE(get(r().hexists("h", "c")));
  EXPECT_EQ(get(r().hincrby("h", "a", 5)), 7);
  EXPECT_EQ(get(r().hincrbyfloat("h", "f", 1.5)), 1.5);
  EXPECT_FALSE(get(r().hsetnx("h", "a", "x")));
  EXPECT_EQ(get(r().hlen("h")), 3);
  EXPECT_EQ(get(r().hstrlen("h", "f")), 3);
  EXPECT_THAT(get(r().hkeys("h")), UnorderedElementsAre("a", "b", "f"));
  EXPECT_THAT(get(r().hvals("h")), UnorderedElementsAre("7", "3", "1.5"));
  EXPECT_EQ(get(r().hscan("h", 0)).items.size(), 6);
  EXPECT_EQ(get(r().hdel("h", {"a", "b", "f"})), 3);
  EXPECT_EQ(get(r().exists({"h"})), 0);

  const Hero hero{
      7, "A\r\nb", 1e21, true, 3, {1, 2}, Clock::WallTime(std::chrono::nanoseconds(1'500'000'000'000'000'001))};
  EXPECT_EQ(get(r().hset_struct("hero", hero)), 7);
  EXPECT_EQ(get(r().hget("hero", "power")), "1000000000000000000000");
  EXPECT_EQ(get(r().hget("hero", "born_at")), "2017-07-14T02:40:00.000000001Z");
  EXPECT_EQ(get(r().hget_struct<Hero>("hero")), hero);
  EXPECT_EQ(get(r().hget_struct<Hero>("none")), std::nullopt);
  get(r().hset("hero", "id", "x"));
  EXPECT_THAT(error(r().hget_struct<Hero>("hero")).detail, HasSubstr("field \"id\": \"x\" is not a whole number"));
}

TEST_P(RedisContract, Lists) {
  EXPECT_EQ(get(r().rpush("l", {"b", "c"})), 2);
  EXPECT_EQ(get(r().lpush("l", {"a", "z"})), 4);
  EXPECT_THAT(get(r().lrange("l", 0, -1)), ElementsAre("z", "a", "b", "c"));
  EXPECT_THAT(get(r().lrange("l", 1, 1)), ElementsAre("a"));
  EXPECT_EQ(get(r().lpop("l")), "z");
  EXPECT_EQ(get(r().rpop("l")), "c");
  EXPECT_EQ(get(r().llen("l")), 2);
  EXPECT_EQ(get(r().lindex("l", -1)), "b");
  EXPECT_EQ(get(r().lindex("l", 9)), std::nullopt);
  get(r().lset("l", 0, "A"));
  EXPECT_EQ(error(r().lset("l", 9, "x")).code, code::kInvalid);
  EXPECT_EQ(get(r().linsert("l", false, "A", "m")), 3);
  EXPECT_EQ(get(r().linsert("l", true, "none", "m")), -1);
  EXPECT_EQ(get(r().rpush("l", {"m", "m"})), 5);
  EXPECT_EQ(get(r().lrem("l", -2, "m")), 2);
  EXPECT_THAT(get(r().lrange("l", 0, -1)), ElementsAre("A", "m", "b"));
  get(r().ltrim("l", 1, -1));
  EXPECT_EQ(get(r().lmove("l", "t", ListEnd::kLeft, ListEnd::kRight)), "m");
  EXPECT_EQ(get(r().rpoplpush("l", "t")), "b");
  EXPECT_THAT(get(r().lrange("t", 0, -1)), ElementsAre("b", "m"));
  EXPECT_EQ(get(r().exists({"l"})), 0);
  EXPECT_EQ(get(r().rpushx("l", {"x"})), 0);
  EXPECT_EQ(get(r().lpushx("t", {"x"})), 3);
  EXPECT_EQ(get(r().lpop("none")), std::nullopt);
}

TEST_P(RedisContract, WaitingForLists) {
  EXPECT_EQ(get(r().blpop({"q"}, 20ms)), std::nullopt);
  auto waiting = r().blpop({"p", "q"}, 5s, 10s);
  EXPECT_EQ(get(under_->other().rpush("q", {"1"})), 1);
  EXPECT_EQ(get(std::move(waiting)), std::make_pair(std::string("q"), std::string("1")));
  EXPECT_EQ(get(r().rpush("q", {"2", "3"})), 2);
  EXPECT_EQ(get(r().brpop({"q"}, 1s)), std::make_pair(std::string("q"), std::string("3")));
  EXPECT_EQ(get(r().blmove("q", "done", ListEnd::kLeft, ListEnd::kRight, 1s)), "2");
  EXPECT_EQ(get(r().blmove("q", "done", ListEnd::kLeft, ListEnd::kRight, 20ms)), std::nullopt);
  EXPECT_EQ(get(r().llen("done")), 1);
}

TEST_P(RedisContract, Sets) {
  EXPECT_EQ(get(r().sadd("s", {"a", "b", "a"})), 2);
  EXPECT_EQ(get(r().sadd("t", {"b", "c"})), 2);
  EXPECT_THAT(get(r().smembers("s")), UnorderedElementsAre("a", "b"));
  EXPECT_TRUE(get(r().sismember("s", "a")));
  EXPECT_FALSE(get(r().sismember("s", "z")));
  EXPECT_EQ(get(r().smismember("s", {"a", "z"})), (std::vector<bool>{true, false}));
  EXPECT_EQ(get(r().scard("s")), 2);
  EXPECT_THAT(get(r().sinter({"s", "t"})), UnorderedElementsAre("b"));
  EXPECT_THAT(get(r().sunion({"s", "t", "none"})), UnorderedElementsAre("a", "b", "c"));
  EXPECT_THAT(get(r().sdiff({"s", "t"})), UnorderedElementsAre("a"));
  EXPECT_EQ(get(r().sunionstore("u", {"s", "t"})), 3);
  EXPECT_EQ(get(r().sinterstore("i", {"s", "none"})), 0);
  EXPECT_EQ(get(r().sdiffstore("d", {"u", "s"})), 1);
  EXPECT_TRUE(get(r().smove("s", "d", "a")));
  EXPECT_FALSE(get(r().smove("s", "d", "none")));
  EXPECT_EQ(get(r().srem("d", {"a", "x"})), 1);
  EXPECT_EQ(get(r().srandmember("d")), "c");
  EXPECT_EQ(get(r().srandmember("u", 2)).size(), 2);
  EXPECT_EQ(get(r().srandmember("u", -7)).size(), 7);
  EXPECT_EQ(get(r().spop("u", 2)).size(), 2);
  EXPECT_TRUE(get(r().spop("u")).has_value());
  EXPECT_EQ(get(r().spop("u")), std::nullopt);
  EXPECT_EQ(get(r().sscan("t", 0)).items.size(), 2);
}

TEST_P(RedisContract, SortedSets) {
  EXPECT_EQ(get(r().zadd("z", {{"a", 1}, {"b", 2.5}, {"c", 3}})), 3);
  EXPECT_EQ(get(r().zadd("z", {{"a", 9}, {"d", 4}}, ZAddWhen::kMissing)), 1);
  EXPECT_EQ(get(r().zscore("z", "a")), 1);
  EXPECT_EQ(get(r().zadd("z", {{"a", 0}}, ZAddWhen::kGreater)), 0);
  EXPECT_EQ(get(r().zscore("z", "a")), 1);
  EXPECT_EQ(get(r().zscore("z", "none")), std::nullopt);
  EXPECT_THAT(get(r().zmscore("z", {"b", "none"})), ElementsAre(2.5, std::nullopt));
  EXPECT_EQ(get(r().zincrby("z", 1.5, "a")), 2.5);
  EXPECT_THAT(get(r().zrange("z", 0, -1)), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(get(r().zrevrange("z", 0, 1)), ElementsAre("d", "c"));
  EXPECT_THAT(get(r().zrange_with_scores("z", 1, 2)), ElementsAre(Scored{"b", 2.5}, Scored{"c", 3}));
  EXPECT_THAT(get(r().zrevrange_with_scores("z", 0, 0)), ElementsAre(Scored{"d", 4}));
  EXPECT_EQ(get(r().zrank("z", "c")), 2);
  EXPECT_EQ(get(r().zrevrank("z", "c")), 1);
  EXPECT_EQ(get(r().zrank("z", "none")), std::nullopt);
  EXPECT_EQ(get(r().zcard("z")), 4);
  EXPECT_EQ(get(r().zcount("z", ScoreBound::above(2.5), ScoreBound::highest())), 2);
  EXPECT_THAT(get(r().zrangebyscore("z", ScoreBound::lowest(), 3, {.offset = 1, .count = 2})),
              ElementsAre(Scored{"b", 2.5}, Scored{"c", 3}));
  EXPECT_THAT(get(r().zrevrangebyscore("z", 3, ScoreBound::above(2.5))), ElementsAre(Scored{"c", 3}));
  EXPECT_EQ(get(r().zrem("z", {"d", "none"})), 1);
  EXPECT_EQ(get(r().zadd("y", {{"a", 10}, {"e", 1}})), 2);
  EXPECT_EQ(get(r().zunionstore("u", {"z", "y"})), 4);
  EXPECT_EQ(get(r().zscore("u", "a")), 12.5);
  EXPECT_EQ(get(r().zinterstore("i", {"z", "y"})), 1);
  EXPECT_THAT(get(r().zpopmin("u")), ElementsAre(Scored{"e", 1}));
  EXPECT_THAT(get(r().zpopmax("u", 2)), ElementsAre(Scored{"a", 12.5}, Scored{"c", 3}));
  EXPECT_EQ(get(r().zremrangebyrank("z", 0, 0)), 1);
  EXPECT_EQ(get(r().zremrangebyscore("z", 0, 2.5)), 1);
  EXPECT_EQ(get(r().zscan("z", 0)).items.size(), 2);
  EXPECT_EQ(get(r().zadd("inf", {{"x", -std::numeric_limits<double>::infinity()}})), 1);
  EXPECT_EQ(get(r().zscore("inf", "x")), -std::numeric_limits<double>::infinity());
}

TEST_P(RedisContract, BitsAndCounts) {
  EXPECT_FALSE(get(r().setbit("b", 7, true)));
  EXPECT_TRUE(get(r().setbit("b", 7, true)));
  EXPECT_EQ(get(r().get("b")), "\x01");
  EXPECT_TRUE(get(r().getbit("b", 7)));
  EXPECT_FALSE(get(r().getbit("b", 100)));
  EXPECT_TRUE(get(r().set("c", "\xff\x0f")));
  EXPECT_EQ(get(r().bitcount("c")), 12);
  EXPECT_EQ(get(r().bitcount("c", -1, -1)), 4);
  EXPECT_EQ(get(r().bitpos("c", false)), 8);
  EXPECT_EQ(get(r().bitpos("b", true)), 7);
  EXPECT_EQ(get(r().bitop(BitOperation::kAnd, "and", {"b", "c"})), 2);
  EXPECT_EQ(get(r().get("and")), std::string("\x01\0", 2));
  EXPECT_EQ(get(r().bitop(BitOperation::kNot, "not", {"c"})), 2);
  EXPECT_EQ(get(r().get("not")), std::string("\0\xf0", 2));
  EXPECT_TRUE(get(r().pfadd("p", {"a", "b", "c"})));
  EXPECT_FALSE(get(r().pfadd("p", {"a"})));
  EXPECT_EQ(get(r().pfcount({"p"})), 3);
  Texts many;
  for (int i = 0; i < 10'000; ++i) many.push_back(std::to_string(i));
  EXPECT_TRUE(get(r().pfadd("q", many)));
  get(r().pfmerge("m", {"p", "q"}));
  EXPECT_NEAR(static_cast<double>(get(r().pfcount({"m"}))), 10'003, 400);
}

TEST_P(RedisContract, Places) {
  EXPECT_EQ(get(r().geoadd("g", {{"Palermo", {13.361389, 38.115556}}, {"Catania", {15.087269, 37.502669}}})), 2);
  EXPECT_NEAR(get(r().geodist("g", "Palermo", "Catania")).value(), 166274.15, 0.1);
  EXPECT_EQ(get(r().geodist("g", "Palermo", "none")), std::nullopt);
  EXPECT_THAT(get(r().geohash("g", {"Palermo", "none"})), ElementsAre("sqc8b49rny0", std::nullopt));
  const auto places = get(r().geopos("g", {"Palermo", "none"}));
  ASSERT_EQ(places.size(), 2);
  EXPECT_NEAR(places[0].value().longitude, 13.361389, 1e-5);
  EXPECT_NEAR(places[0].value().latitude, 38.115556, 1e-5);
  EXPECT_FALSE(places[1]);
  const auto near = get(r().geosearch("g", {15, 37}, 200'000));
  ASSERT_EQ(near.size(), 2);
  EXPECT_EQ(near[0].first, "Catania");
  EXPECT_NEAR(near[0].second, 56441.3, 0.5);
  EXPECT_EQ(get(r().geosearch("g", {15, 37}, 100'000)).size(), 1);
  EXPECT_EQ(get(r().geosearch("g", {15, 37}, 200'000, 1)).size(), 1);
  EXPECT_EQ(error(r().geoadd("g", {{"bad", {181, 0}}})).code, code::kInvalid);
}

TEST_P(RedisContract, Streams) {
  const std::string one = get(r().xadd("x", {{"a", "1"}, {"b", ""}}));
  const std::string two = get(r().xadd("x", {{"c", "3"}}));
  EXPECT_EQ(get(r().xadd("y", {{"f", "v"}}, {.id = "5-1"})), "5-1");
  EXPECT_EQ(error(r().xadd("y", {{"f", "v"}}, {.id = "5-1"})).code, code::kInvalid);
  EXPECT_EQ(get(r().xlen("x")), 2);
  const auto all = get(r().xrange("x"));
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0], (StreamEntry{one, {{"a", "1"}, {"b", ""}}}));
  EXPECT_EQ(get(r().xrevrange("x", "+", "-", 1)).front().id, two);
  const auto news = get(r().xread({{"x", one}, {"y", "0"}}));
  ASSERT_EQ(news.size(), 2);
  EXPECT_EQ(news[0].second.front().id, two);
  EXPECT_TRUE(get(r().xread({{"x", "$"}})).empty());
  auto waiting = r().xread({{"x", "$"}}, {.wait = 5s}, 10s);
  EXPECT_TRUE(get(r().xread({{"none", "$"}}, {.wait = 30ms})).empty());
  const std::string three = get(under_->other().xadd("x", {{"d", "4"}}));
  EXPECT_EQ(get(std::move(waiting)).at(0).second.at(0).id, three);

  get(r().xgroup_create("x", "g", "0"));
  EXPECT_EQ(error(r().xgroup_create("x", "g", "0")).code, code::kExists);
  const auto mine = get(r().xreadgroup("g", "me", {{"x", ">"}}, {.count = 2}));
  ASSERT_EQ(mine.size(), 1);
  EXPECT_EQ(mine[0].second.size(), 2);
  EXPECT_EQ(get(r().xreadgroup("g", "you", {{"x", ">"}})).at(0).second.at(0).id, three);
  EXPECT_TRUE(get(r().xreadgroup("g", "you", {{"x", ">"}})).empty());
  EXPECT_EQ(get(r().xack("x", "g", {one, "1-1"})), 1);
  EXPECT_EQ(get(r().xreadgroup("g", "me", {{"x", "0"}})).at(0).second.size(), 1);
  EXPECT_EQ(get(r().xclaim("x", "g", "you", 0ms, {two})).at(0).id, two);
  EXPECT_TRUE(get(r().xreadgroup("g", "me", {{"x", "0"}})).at(0).second.empty());
  EXPECT_EQ(get(r().xdel("x", {one})), 1);
  EXPECT_EQ(get(r().xtrim("x", 1)), 1);
  EXPECT_TRUE(get(r().xgroup_destroy("x", "g")));
}

TEST_P(RedisContract, Transactions) {
  std::vector<Command> commands;
  commands.emplace_back("SET", "a", 1);
  commands.emplace_back("INCR", "a");
  commands.emplace_back("LPUSH", "a", "x");
  const auto replies = get(r().transaction(commands));
  ASSERT_EQ(replies.size(), 3);
  EXPECT_EQ(replies[1], Reply::number(2));
  EXPECT_THAT(replies[2].text, HasSubstr("WRONGTYPE"));
  commands.emplace_back("NOSUCHCOMMAND");
  EXPECT_EQ(error(r().transaction(commands)).code, code::kInvalid);
  EXPECT_EQ(get(r().get("a")), "2");

  auto session = get(r().session());
  get(session->watch({"a"}));
  EXPECT_EQ(get(session->get("a")), "2");
  std::vector<Command> set;
  set.emplace_back("SET", "a", "mine");
  EXPECT_TRUE(get(under_->other().set("a", "theirs")));
  EXPECT_EQ(get(session->exec(set)), std::nullopt);
  EXPECT_EQ(get(r().get("a")), "theirs");
  get(session->watch({"a"}));
  EXPECT_TRUE(get(session->exec(set)).has_value());
  EXPECT_EQ(get(r().get("a")), "mine");
}

TEST_P(RedisContract, PublishAndSubscribe) {
  std::vector<std::string> got;
  auto subscription = get(
      r().subscribe({.channels = {"news"}, .patterns = {"room:*"}, .on_gap = {}}, [&](const ChannelMessage& message) {
        got.push_back(fmt::format("{} {} {}", message.channel, message.pattern, message.payload));
      }));
  EXPECT_EQ(get(under_->other().publish("news", "1")), 1);
  EXPECT_EQ(get(under_->other().publish("room:7", "2")), 1);
  EXPECT_EQ(get(under_->other().publish("other", "3")), 0);
  ASSERT_TRUE(mg::testing::run_until(under_->loop(), [&] { return got.size() == 2; }));
  EXPECT_THAT(got, ElementsAre("news  1", "room:7 room:* 2"));
  subscription.reset();
  const auto count = [&] { return get(under_->other().publish("news", "4")); };
  for (int i = 0; i < 1000 && count() > 0; ++i) {
  }
  EXPECT_EQ(count(), 0);
}

TEST_P(RedisContract, WrongTypesAndCommandsAreErrors) {
  EXPECT_EQ(get(r().rpush("l", {"x"})), 1);
  EXPECT_THAT(error(r().get("l")).detail, HasSubstr("WRONGTYPE"));
  EXPECT_EQ(error(r().incr("l")).code, code::kInvalid);
  EXPECT_EQ(error(r().hget("l", "f")).code, code::kInvalid);
  EXPECT_TRUE(get(r().set("s", "text")));
  EXPECT_THAT(error(r().incr("s")).detail, HasSubstr("not an integer"));
  EXPECT_TRUE(get(r().set("s", "9223372036854775807")));
  EXPECT_THAT(error(r().incr("s")).detail, HasSubstr("overflow"));
  EXPECT_THAT(run({"NOSUCHCOMMAND"}), HasSubstr("unknown command"));
  EXPECT_THAT(run({"GET"}), HasSubstr("wrong number of arguments"));
  EXPECT_THAT(run({"SET", "a", "b", "BAD"}), HasSubstr("syntax error"));
  for (const char* name : {"SUBSCRIBE", "multi", "SELECT", "WATCH", "QUIT", "MONITOR"}) {
    EXPECT_THAT(run({name, "x"}), HasSubstr("is not sent as it is")) << name;
  }
  EXPECT_EQ(run({"ECHO", "hi"}), "\"hi\"");
  EXPECT_EQ(run({}), "!a command without a name");
}

TEST_P(RedisContract, MetadataIsKept) {
  const Meta role{{"Node-Name", "gate"}, {"Role-Id", "42"}, {"Client-Ver", ""}, {"x", "y"}};
  get(save_meta(r(), "meta:role:42", role));
  EXPECT_EQ(run({"HGET", "meta:role:42", "Client-Ver"}), "\"\"");
  EXPECT_EQ(get(load_meta(r(), "meta:role:42")), role);
  EXPECT_TRUE(get(load_meta(r(), "none")).empty());
  get(save_meta(r(), "meta:role:42", Meta{{"Role-Id", "43"}}));
  EXPECT_EQ(get(load_meta(r(), "meta:role:42")).get("x"), "y") << "what is not written stays";
  get(save_meta(r(), "nothing", Meta()));
  get(save_metas(r(), {{"a", Meta{{"k", "1"}}}, {"b", Meta{{"k", "2"}}}}));
  const auto all = get(load_metas(r(), {"b", "none", "a"}));
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[0].get("k"), "2");
  EXPECT_TRUE(all[1].empty());
  EXPECT_EQ(all[2].get("k"), "1");
  get(delete_metas(r(), {"a", "b"}));
  get(delete_metas(r(), {}));
  EXPECT_EQ(get(r().exists({"a", "b", "nothing"})), 0);
}

TEST_P(RedisContract, StringsAndKeysBeyondTheUsual) {
  get(r().set("a", "ohmytext"));
  get(r().set("b", "mynewtext"));
  EXPECT_EQ(get(r().lcs("a", "b")), "mytext");
  EXPECT_EQ(get(r().getex("a", 100s)), "ohmytext");
  EXPECT_GT(get(r().pexpiretime("a")), 0);
  EXPECT_FALSE(get(r().expire_when("a", 10s, ExpireWhen::kMissing)));
  EXPECT_FALSE(get(r().expire_when("a", 10s, ExpireWhen::kGreater)));
  EXPECT_TRUE(get(r().expire_when("a", 500s, ExpireWhen::kGreater)));
  EXPECT_EQ(get(r().getex("a", 0ms)), "ohmytext");
  EXPECT_EQ(get(r().pexpiretime("a")), -1);
  EXPECT_EQ(get(r().pexpiretime("none")), -2);
  EXPECT_TRUE(get(r().copy("a", "c")));
  EXPECT_FALSE(get(r().copy("a", "b")));
  EXPECT_TRUE(get(r().copy("a", "b", true)));
  EXPECT_EQ(get(r().get("b")), "ohmytext");

  get(r().rpush("l", {"3", "1", "2"}));
  EXPECT_THAT(get(r().sort("l")), ElementsAre("1", "2", "3"));
  EXPECT_THAT(get(r().sort("l", {.offset = 1, .count = 1, .descending = true})), ElementsAre("2"));
  get(r().mset(TextMap{{"w_1", "9"}, {"w_2", "5"}, {"w_3", "7"}}));
  get(r().hset("h_2", "name", "two"));
  EXPECT_THAT(get(r().sort("l", {.by = "w_*", .get = {"#", "h_*->name"}})),
              ElementsAre("2", "two", "3", std::nullopt, "1", std::nullopt));
  EXPECT_EQ(get(r().sort_store("l", "sorted", {.alpha = true})), 3);
  EXPECT_THAT(get(r().lrange("sorted", 0, -1)), ElementsAre("1", "2", "3"));
  EXPECT_EQ(error(r().sort("h_2")).code, code::kInvalid);
}

TEST_P(RedisContract, CollectionsBeyondTheUsual) {
  get(r().rpush("l", {"a", "b", "c", "b"}));
  EXPECT_EQ(get(r().lpos("l", "b")), 1);
  EXPECT_EQ(get(r().lpos("l", "b", -1)), 3);
  EXPECT_EQ(get(r().lpos("l", "x")), std::nullopt);
  EXPECT_THAT(get(r().lpos_all("l", "b")), ElementsAre(1, 3));
  EXPECT_THAT(get(r().lpop("l", 2)), ElementsAre("a", "b"));
  EXPECT_THAT(get(r().rpop("l", 9)), ElementsAre("b", "c"));
  EXPECT_THAT(get(r().lpop("l", 2)), ElementsAre());
  get(r().rpush("m", {"x", "y"}));
  EXPECT_EQ(get(r().lmpop({"l", "m"}, ListEnd::kRight, 5)), (std::pair<std::string, Texts>{"m", {"y", "x"}}));
  EXPECT_EQ(get(r().lmpop({"l", "m"}, ListEnd::kRight)), std::nullopt);
  EXPECT_EQ(get(r().blmpop({"l"}, ListEnd::kLeft, 1, 20ms)), std::nullopt);

  get(r().hset_all("h", TextMap{{"a", "1"}, {"b", "2"}}));
  EXPECT_THAT(get(r().hrandfield("h", 9)), UnorderedElementsAre("a", "b"));
  EXPECT_EQ(get(r().hrandfield("h", -5)).size(), 5);
  EXPECT_EQ(get(r().hrandfield_with_values("h", 9)), (TextMap{{"a", "1"}, {"b", "2"}}));
  get(r().sadd("s", {"a", "b", "c"}));
  get(r().sadd("t", {"b", "c", "d"}));
  EXPECT_EQ(get(r().sintercard({"s", "t"})), 2);
  EXPECT_EQ(get(r().sintercard({"s", "t"}, 1)), 1);
}

TEST_P(RedisContract, SortedSetsBeyondTheUsual) {
  using Members = std::vector<Scored>;
  get(r().zadd("z", {{"a", 1}, {"b", 2}, {"c", 3}}));
  get(r().zadd("y", {{"b", 10}, {"c", 20}, {"d", 30}}));
  EXPECT_EQ(get(r().zadd_changed("z", {{"a", 5}, {"b", 2}}, ZAddWhen::kGreater)), 1);
  EXPECT_EQ(get(r().zadd_changed("z", {{"a", 1}})), 1);
  EXPECT_EQ(get(r().zunion({"z", "y"})), (Members{{"a", 1}, {"b", 12}, {"c", 23}, {"d", 30}}));
  EXPECT_EQ(get(r().zinter({"z", "y"}, {.weights = {2, 1}, .aggregate = Aggregate::kMin})),
            (Members{{"b", 4}, {"c", 6}}));
  EXPECT_EQ(get(r().zdiff({"z", "y"})), (Members{{"a", 1}}));
  EXPECT_EQ(get(r().zintercard({"z", "y"})), 2);
  EXPECT_EQ(get(r().zunionstore("u", {"z", "y"}, {.aggregate = Aggregate::kMax})), 4);
  EXPECT_EQ(get(r().zscore("u", "b")), 10);
  EXPECT_EQ(get(r().zdiffstore("u", {"z", "y"})), 1);
  EXPECT_EQ(get(r().zrangestore("u", "z", 1, -1)), 2);
  EXPECT_THAT(get(r().zrandmember("u", 9)), UnorderedElementsAre("b", "c"));
  EXPECT_TRUE(get(r().zrandmember("u")));
  EXPECT_EQ(get(r().zrandmember("none")), std::nullopt);

  get(r().zadd("lex", {{"a", 0}, {"b", 0}, {"c", 0}, {"d", 0}}));
  EXPECT_THAT(get(r().zrangebylex("lex", "(a", "[c")), ElementsAre("b", "c"));
  EXPECT_THAT(get(r().zrevrangebylex("lex", "+", "-", {.offset = 1, .count = 2})), ElementsAre("c", "b"));
  EXPECT_EQ(get(r().zlexcount("lex", "-", "(c")), 2);
  EXPECT_EQ(get(r().zremrangebylex("lex", "-", "[a")), 1);
  EXPECT_EQ(error(r().zlexcount("lex", "a", "c")).code, code::kInvalid);

  EXPECT_EQ(get(r().zmpop({"none", "y"}, true, 2)), (std::pair<std::string, Members>{"y", {{"d", 30}, {"c", 20}}}));
  EXPECT_EQ(get(r().bzpopmin({"none", "y"}, 1s)), (std::pair<std::string, Scored>{"y", {"b", 10}}));
  EXPECT_EQ(get(r().bzpopmax({"none", "y"}, 20ms)), std::nullopt);
  EXPECT_EQ(get(r().bzmpop({"y"}, false, 3, 20ms)), std::nullopt);
  auto waiting = r().bzpopmax({"y"}, 15s);
  EXPECT_EQ(get(r().zadd("y", {{"late", 7}})), 1);
  EXPECT_EQ(get(std::move(waiting)), (std::pair<std::string, Scored>{"y", {"late", 7}}));
}

TEST_P(RedisContract, BitsAndPlacesBeyondTheUsual) {
  using Values = std::vector<std::optional<std::int64_t>>;
  EXPECT_EQ(get(r().bitfield("b", BitField().set("u8", "0", 200).increment("i5", "100", 1).get("u4", "0"))),
            (Values{0, 1, 12}));
  EXPECT_EQ(get(r().bitfield("b", BitField()
                                      .overflow(BitField::Overflow::kSaturate)
                                      .increment("u8", "0", 100)
                                      .overflow(BitField::Overflow::kFail)
                                      .increment("u8", "#0", 1))),
            (Values{255, std::nullopt}));
  EXPECT_EQ(get(r().bitpos("b", false, 0, 0)), -1);
  EXPECT_EQ(get(r().bitpos("b", false, 1, -1)), 8);

  get(r().geoadd("g", {{"Palermo", {13.361389, 38.115556}}, {"Catania", {15.087269, 37.502669}}}));
  const auto hits = get(r().geosearch("g", GeoQuery{.from = {15, 37}, .width = 400'000, .height = 400'000}));
  ASSERT_EQ(hits.size(), 2);
  EXPECT_EQ(hits[0].member, "Catania");
  EXPECT_NEAR(hits[0].metres, 56441.3, 0.1);
  EXPECT_NEAR(hits[1].place.longitude, 13.361389, 1e-5);
  const auto near = get(r().geosearch("g", GeoQuery{.from_member = "Palermo", .radius = 10, .count = 1}));
  ASSERT_EQ(near.size(), 1);
  EXPECT_EQ(near[0].member, "Palermo");
  EXPECT_EQ(get(r().geosearchstore("away", "g", GeoQuery{.from = {15, 37}, .radius = 100'000}, true)), 1);
  EXPECT_NEAR(get(r().zscore("away", "Catania")).value_or(0), 56441.3, 0.1);
  EXPECT_EQ(error(r().geosearch("g", GeoQuery{.from_member = "none", .radius = 10})).code, code::kInvalid);
}

TEST_P(RedisContract, GroupsOfReadersBeyondTheUsual) {
  EXPECT_EQ(get(r().xadd("x", {{"k", "v"}}, {.only_existing = true})), "");
  for (const char* id : {"1-1", "2-1", "3-1"}) EXPECT_EQ(get(r().xadd("x", {{"k", id}}, {.id = id})), id);
  get(r().xgroup_create("x", "g", "0"));
  EXPECT_TRUE(get(r().xgroup_createconsumer("x", "g", "idle")));
  EXPECT_FALSE(get(r().xgroup_createconsumer("x", "g", "idle")));
  EXPECT_EQ(get(r().xpending("x", "g")).count, 0);
  EXPECT_EQ(get(r().xreadgroup("g", "me", {{"x", ">"}}, {.count = 2})).size(), 1);
  const auto pending = get(r().xpending("x", "g"));
  EXPECT_EQ(pending.count, 2);
  EXPECT_EQ(pending.lowest, "1-1");
  EXPECT_EQ(pending.highest, "2-1");
  EXPECT_THAT(pending.consumers, ElementsAre(std::pair<std::string, std::int64_t>("me", 2)));
  const auto entries = get(r().xpending_entries("x", "g", 10));
  ASSERT_EQ(entries.size(), 2);
  EXPECT_EQ(entries[1].id, "2-1");
  EXPECT_EQ(entries[1].deliveries, 1);
  EXPECT_EQ(get(r().xdel("x", {"1-1"})), 1);
  const auto claimed = get(r().xautoclaim("x", "g", "other", 0ms));
  EXPECT_EQ(claimed.next, "0-0");
  ASSERT_EQ(claimed.entries.size(), 1);
  EXPECT_EQ(claimed.entries[0].id, "2-1");
  EXPECT_THAT(claimed.deleted, ElementsAre("1-1"));
  get(r().xgroup_setid("x", "g", "0"));
  const auto groups = get(r().xinfo_groups("x"));
  ASSERT_EQ(groups.size(), 1);
  EXPECT_EQ(groups[0].name, "g");
  EXPECT_EQ(groups[0].consumers, 3);
  EXPECT_EQ(groups[0].pending, 1);
  EXPECT_EQ(groups[0].last_id, "0-0");
  EXPECT_EQ(get(r().xgroup_delconsumer("x", "g", "other")), 1);
}

TEST_P(RedisContract, SubscribersAreCounted) {
  auto subscription = get(r().subscribe({.channels = {"news", "chat"}, .patterns = {"n*"}}, [](const auto&) {}));
  EXPECT_THAT(get(r().pubsub_channels()), UnorderedElementsAre("news", "chat"));
  EXPECT_THAT(get(r().pubsub_channels("c*")), ElementsAre("chat"));
  EXPECT_THAT(get(r().pubsub_numsub({"chat", "none"})), ElementsAre(1, 0));
  EXPECT_EQ(get(r().pubsub_numpat()), 1);
}

TEST_P(RedisContract, CallsInARowAreAnsweredInOrder) {
  std::vector<Task<Result<std::int64_t>>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(r().incr("n"));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(get(std::move(calls[static_cast<std::size_t>(i)])), i + 1);
}

TEST_P(RedisContract, DroppedCallsTakeNoReplies) {
  for (int i = 0; i < 100; ++i) {
    (void)r().set("a", i);  // Nobody waits for this one.
    auto kept = r().get("a");
    (void)r().incr("b");
    EXPECT_EQ(get(std::move(kept)), std::to_string(i));
  }
  EXPECT_EQ(get(r().get("b")), "100");
}

}  // namespace
}  // namespace mg::redis
