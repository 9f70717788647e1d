// The twin beside a real server: thousands of commands by chance, and the same replies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "mg/base/random.h"
#include "mg/store/redis/local/local.h"
#include "store/redis/testing.h"
#include "tests/support/server.h"

namespace mg::redis {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;

// {s} {h} {l} {e} {z} {b} {x} {g} {y}: a key of a string, hash, list, set, sorted set, bitmap, stream, places, sorted
// set of one score; {f}: a field or member; {v}: a value; {n}: 0..8; {i}: -5..5; {d}: a score; {r} {q}: a bound by
// score, by member; {t}: a long time; {p}: a place. In front: ~ the reply has no order.
constexpr std::string_view kCommands = R"(
GET {s} | SET {s} {v} | SET {s} {v} NX | SET {s} {v} XX GET | SET {s} {v} EX {t} KEEPTTL | SET {s} {v} PX {t} |
SETNX {s} {v} | GETSET {s} {v} | GETDEL {s} | GETEX {s} | GETEX {s} EX {t} | GETEX {s} PERSIST | SETEX {s} {t} {v} |
SETEX {s} 0 {v} | PSETEX {s} {t} {v} | MGET {s} {s} {h} none | MSET {s} {v} {s} {v} | MSET {s} |
MSETNX {s} {v} {s} {v} | INCR {s} | DECR {s} | INCRBY {s} {i} | DECRBY {s} {n} | INCRBY {s} x | INCRBYFLOAT {s} {d} |
APPEND {s} {v} | STRLEN {s} | GETRANGE {s} {i} {i} | SETRANGE {s} {n} {v} | LCS {s} {s} | LCS {s} {s} LEN |
DEL {s} {s} | UNLINK {l} | EXISTS {s} {h} {s} | TOUCH {s} {z} | TYPE {s} | TYPE {z} | EXPIRE {s} {t} |
EXPIRE {s} {t} NX | EXPIRE {s} {t} XX | EXPIRE {s} {t} NX XX | EXPIRE {s} -1 | EXPIRE {s} 0 | PEXPIRE {h} {t} |
PERSIST {s} | RENAME {s} {s} | RENAMENX {s} {s} | COPY {s} {s} | COPY {z} {z} REPLACE | COPY {h} {s} | SORT {l} |
SORT {l} ALPHA | SORT {l} DESC LIMIT {i} {n} ALPHA | SORT {e} ALPHA | SORT {z} ALPHA DESC | ~SORT {l} BY nosort |
~SORT {e} BY w_* ALPHA GET # GET {h}->{f} | SORT {l} ALPHA STORE {l} | HSET {h} {f} {v} | HSET {h} {f} {v} {f} {v} |
HSET {h} {f} | HMSET {h} {f} {v} | HSETNX {h} {f} {v} | HGET {h} {f} | HMGET {h} {f} {f} | ~HGETALL {h} |
~HKEYS {h} | ~HVALS {h} | HDEL {h} {f} {f} | HEXISTS {h} {f} | HLEN {h} | HSTRLEN {h} {f} | HINCRBY {h} {f} {i} |
HINCRBYFLOAT {h} {f} {d} | ~HRANDFIELD {h} 99 | ~HRANDFIELD {h} 99 WITHVALUES | ~HSCAN {h} 0 COUNT 1000 |
LPUSH {l} {v} | RPUSH {l} {v} {v} | LPUSHX {l} {v} | RPUSHX {l} {v} | LPOP {l} | RPOP {l} | LPOP {l} {n} |
RPOP {l} {i} | LLEN {l} | LRANGE {l} {i} {i} | LINDEX {l} {i} | LSET {l} {i} {v} | LINSERT {l} BEFORE {v} {v} |
LINSERT {l} AFTER {v} {v} | LREM {l} {i} {v} | LTRIM {l} {i} {i} | LMOVE {l} {l} LEFT RIGHT |
LMOVE {l} {l} RIGHT LEFT | RPOPLPUSH {l} {l} | LPOS {l} {v} | LPOS {l} {v} RANK {i} |
LPOS {l} {v} COUNT {n} RANK {i} | LPOS {l} {v} MAXLEN {n} | LMPOP 2 {l} {l} LEFT | LMPOP 1 {l} RIGHT COUNT {n} |
LMPOP {i} {l} LEFT | SADD {e} {f} {f} | SREM {e} {f} | ~SMEMBERS {e} | SISMEMBER {e} {f} | SMISMEMBER {e} {f} {f} |
SCARD {e} | ~SRANDMEMBER {e} 99 | ~SPOP {e} 99 | SMOVE {e} {e} {f} | ~SINTER {e} {e} | ~SUNION {e} {e} {e} |
~SDIFF {e} {e} | SINTERSTORE {e} {e} {e} | SUNIONSTORE {e} {e} {e} | SDIFFSTORE {e} {e} {e} | SINTERCARD 2 {e} {e} |
SINTERCARD 2 {e} {e} LIMIT {i} | ~SSCAN {e} 0 MATCH [a-c]* COUNT 99 | ZADD {z} {d} {f} | ZADD {z} {d} {f} {d} {f} |
ZADD {z} NX {d} {f} | ZADD {z} XX CH {d} {f} | ZADD {z} GT {d} {f} | ZADD {z} LT CH {d} {f} | ZADD {z} INCR {d} {f} |
ZADD {z} NX XX {d} {f} | ZADD {z} x {f} | ZINCRBY {z} {d} {f} | ZREM {z} {f} {f} | ZSCORE {z} {f} |
ZMSCORE {z} {f} {f} | ZCARD {z} | ZCOUNT {z} {r} {r} | ZRANK {z} {f} | ZREVRANK {z} {f} | ZRANGE {z} {i} {i} |
ZRANGE {z} {i} {i} REV WITHSCORES | ZRANGE {z} {r} {r} BYSCORE |
ZRANGE {z} {r} {r} BYSCORE REV LIMIT {i} {n} WITHSCORES | ZRANGE {y} {q} {q} BYLEX | ZRANGE {z} {i} {i} LIMIT 0 1 |
ZREVRANGE {z} {i} {i} WITHSCORES | ZRANGEBYSCORE {z} {r} {r} WITHSCORES LIMIT {i} {i} |
ZREVRANGEBYSCORE {z} {r} {r} | ZRANGEBYLEX {y} {q} {q} | ZREVRANGEBYLEX {y} {q} {q} LIMIT {n} {i} |
ZADD {y} 0 {f} 0 {f} | ZLEXCOUNT {y} {q} {q} | ZREMRANGEBYLEX {y} {q} {q} | ZREMRANGEBYRANK {z} {i} {i} |
ZREMRANGEBYSCORE {z} {r} {r} | ZPOPMIN {z} | ZPOPMAX {z} {n} | ZMPOP 2 {z} {z} MIN | ZMPOP 1 {z} MAX COUNT {n} |
ZRANGESTORE {z} {z} {i} {i} | ZRANGESTORE {z} {z} {r} {r} BYSCORE | ZUNION 2 {z} {z} WITHSCORES |
ZUNION 2 {z} {e} WEIGHTS 2 {d} | ZINTER 2 {z} {z} AGGREGATE MIN WITHSCORES | ZINTER 2 {z} {z} WEIGHTS {d} |
ZDIFF 2 {z} {z} WITHSCORES | ZUNIONSTORE {z} 2 {z} {z} AGGREGATE MAX | ZINTERSTORE {z} 2 {z} {e} |
ZDIFFSTORE {z} 2 {z} {z} | ZINTERCARD 2 {z} {z} LIMIT {i} | ~ZRANDMEMBER {z} 99 WITHSCORES | ZUNION {i} {z} |
~ZSCAN {z} 0 COUNT 999 | SETBIT {b} {n} 1 | SETBIT {b} {n} 0 | SETBIT {b} {t} 1 | SETBIT {b} {i} {i} |
GETBIT {b} {n} | BITCOUNT {b} | BITCOUNT {b} {i} {i} | BITCOUNT {b} {i} {i} BIT | BITCOUNT {b} {i} | BITPOS {b} 1 |
BITPOS {b} 0 | BITPOS {b} 1 {i} | BITPOS {b} 0 {i} {i} | BITPOS {b} 0 {i} | BITPOS {b} 1 {i} {i} BIT |
BITPOS {b} {i} | BITOP AND {b} {b} {b} | BITOP OR {b} {b} {b} | BITOP XOR {b} {b} {s} | BITOP NOT {b} {b} |
BITOP NOT {b} {b} {b} | BITFIELD {b} SET u8 {n} {t} GET i5 {n} | BITFIELD {b} INCRBY i5 #{n} {i} GET u4 0 |
BITFIELD {b} OVERFLOW SAT INCRBY u3 {n} {i} OVERFLOW FAIL INCRBY i3 {n} {i} | BITFIELD {b} GET u64 0 |
BITFIELD {b} SET i64 {n} {i} GET u63 1 | BITFIELD {b} OVERFLOW FAIL SET u4 {n} {i} | BITFIELD {b} GET u8 {i} |
PFADD hll {v} {v} | PFCOUNT none | GEOADD {g} {p} {f} | GEOADD {g} {p} {f} {p} {f} | GEOADD {g} 181 0 {f} |
GEODIST {g} {f} {f} km | GEOHASH {g} {f} {f} | GEOSEARCH {g} FROMLONLAT {p} BYRADIUS 3000 km ASC |
GEOSEARCH {g} FROMMEMBER {f} BYBOX 900 700 km DESC |
GEOSEARCH {g} FROMLONLAT {p} BYRADIUS 9000 km ASC COUNT 2 WITHDIST |
GEOSEARCHSTORE {g} {g} FROMLONLAT {p} BYRADIUS 5000 km | GEOSEARCH {g} BYRADIUS 5 km | ZSCORE {g} {f} |
XADD {x} {n}-{n} {f} {v} | XADD {x} NOMKSTREAM {t}-{n} {f} {v} | XADD {x} MAXLEN 3 {t}-{n} {f} {v} |
XADD {x} {t}-1 {f} | XLEN {x} | XRANGE {x} - + | XRANGE {x} {n} + COUNT {n} | XREVRANGE {x} + - COUNT {i} |
XDEL {x} {n}-{n} | XTRIM {x} MAXLEN {n} | XREAD COUNT 2 STREAMS {x} {x} 0 {n} | XGROUP CREATE {x} g {n} |
XGROUP CREATE {x} g $ MKSTREAM | XGROUP CREATE {x} h 0 | XGROUP DESTROY {x} h | XGROUP SETID {x} g {n} |
XGROUP CREATECONSUMER {x} g {f} | XGROUP DELCONSUMER {x} g {f} | XREADGROUP GROUP g {f} COUNT 2 STREAMS {x} > |
XREADGROUP GROUP g {f} STREAMS {x} 0 | XREADGROUP GROUP h {f} NOACK STREAMS {x} > | XACK {x} g {n}-{n} {t}-{n} |
XPENDING {x} g | XCLAIM {x} g {f} 0 {n}-{n} {t}-{n} | XAUTOCLAIM {x} g {f} 0 {n} COUNT 2 | EXISTS {x} | DEL {x} |
GET | NOSUCHCOMMAND {v} | ECHO {v} | PING | ~KEYS * | DBSIZE | DEL {z} | DEL {h} {l} | DEL {e} {b} {g})";

class Commands {
 public:
  explicit Commands(std::uint64_t seed) : random_(seed) {
    for (std::size_t at = 0; at < kCommands.size();) {
      const std::size_t end = std::min(kCommands.find('|', at), kCommands.size());
      std::string_view shape = kCommands.substr(at, end - at);
      shape.remove_prefix(std::min(shape.find_first_not_of(" \n"), shape.size()));
      shape = shape.substr(0, shape.find_last_not_of(" \n") + 1);
      shapes_.push_back(shape);
      at = end + 1;
    }
  }
  std::vector<std::string> next(bool* unordered) {
    std::string_view shape = shapes_[below(shapes_.size())];
    *unordered = shape.starts_with('~');
    if (*unordered) shape.remove_prefix(1);
    std::vector<std::string> words(1);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == ' ') {
        words.emplace_back();
      } else if (shape[i] == '{') {
        fill(words, shape[i + 1]);
        i += 2;
      } else {
        words.back() += shape[i];
      }
    }
    return words;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.below(n)); }
  void fill(std::vector<std::string>& words, char what) {
    std::string& to = words.back();
    switch (what) {
      case 'f':
        to += std::string(1, "abcdef"[below(6)]);
        break;
      case 'v': {
        static constexpr std::string_view kValues[] = {"1", "2", "-7", "12", "3.5", "abc", "", "hello world", "a", "b"};
        to += kValues[below(std::size(kValues))];
        break;
      }
      case 'n':
        to += std::to_string(below(9));
        break;
      case 'i':
        to += std::to_string(static_cast<int>(below(11)) - 5);
        break;
      case 'd': {
        static constexpr std::string_view kScores[] = {"0", "1", "2", "-3", "2.5", "100", "-0.5", "inf", "-inf"};
        to += kScores[below(std::size(kScores))];
        break;
      }
      case 'r': {
        static constexpr std::string_view kBounds[] = {"-inf", "+inf", "1", "(1", "(2.5", "2", "-3", "(-3", "x"};
        to += kBounds[below(std::size(kBounds))];
        break;
      }
      case 'q': {
        static constexpr std::string_view kBounds[] = {"-", "+", "[a", "(b", "[d", "(f", "x"};
        to += kBounds[below(std::size(kBounds))];
        break;
      }
      case 't':
        to += std::to_string(100'000 + below(1000));
        break;
      case 'p':
        to += std::to_string(static_cast<int>(below(80)) - 40);
        words.push_back(std::to_string(static_cast<int>(below(80)) - 40));
        break;
      default: {
        // Now and then a key of another type.
        const bool other = what != 'y' && what != 'g' && below(30) == 0;  // Those hold only what fits.
        const char type = other ? "shlezbx"[below(7)] : what;
        to += std::string(1, type) + std::to_string(below(3));
      }
    }
  }
  SeededRandom random_;
  std::vector<std::string_view> shapes_;
};

std::string shown(const Reply& reply, bool unordered) {
  switch (reply.kind) {
    case Reply::Kind::kNull:
      return "(nil)";
    case Reply::Kind::kStatus:
      return "+" + reply.text;
    case Reply::Kind::kBulk:
      return "\"" + reply.text + "\"";
    case Reply::Kind::kInteger:
      return std::to_string(reply.integer);
    case Reply::Kind::kError:
      return "!" + reply.text;
    case Reply::Kind::kArray:
      break;
  }
  std::vector<std::string> items;
  for (const auto& item : reply.items) items.push_back(shown(item, unordered));
  if (unordered) std::ranges::sort(items);
  return fmt::format("[{}]", fmt::join(items, " "));
}
// Of errors, the code: their words are not all the same.
std::string shown(const Result<Reply>& got, bool unordered) {
  return got ? shown(*got, unordered) : fmt::format("!{}", got.error().code);
}

// One run, from an empty database on; false: they differed, so what follows would, too.
bool run(Loop& loop, Client& client, std::uint64_t seed) {
  if (!await_on(loop, client.flushdb(18s))) return false;
  LocalData data;
  Local twin(loop, data);
  Commands commands(seed);
  struct Sent {
    std::vector<std::string> words;
    bool unordered;
    Task<Result<Reply>> there, here;
  };
  for (int round = 0; round < 20; ++round) {
    std::vector<Sent> sent;
    for (int i = 0; i < 50; ++i) {
      bool unordered = false;
      auto words = commands.next(&unordered);
      Command command, same;
      command.add_all(words);
      same.add_all(words);
      auto there = client.command(std::move(command));
      auto here = twin.command(std::move(same));
      sent.push_back({std::move(words), unordered, std::move(there), std::move(here)});
    }
    for (auto& item : sent) {
      const std::string there = shown(await_on(loop, std::move(item.there)), item.unordered);
      const std::string here = shown(await_on(loop, std::move(item.here)), item.unordered);
      if (there == here) continue;
      ADD_FAILURE() << fmt::format("seed {}: {}\n  server: {}\n  twin:   {}", seed, fmt::join(item.words, " "), there,
                                   here);
      return false;
    }
  }
  return true;
}

TEST(TwinBesideServer, AnswersTheSame) {
  mg::testing::Server server = mg::testing::Server::redis();
  Loop loop;
  Client client(loop, {.url = server.address(), .name = {}, .timeout = 18s});
  const CloseAtEnd end(client);
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 40 && wrong < 20; ++seed) wrong += run(loop, client, seed) ? 0 : 1;
}

}  // namespace
}  // namespace mg::redis
