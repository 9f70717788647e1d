// mg/store/redis/sorted_sets.h -- commands on sorted sets. In quotes: the words of the Redis documentation.
//
//   co_await redis.zadd("board", {{"ann", 120}, {"bob", 99}});
//   Result<std::vector<Scored>> best = co_await redis.zrevrange_with_scores("board", 0, 9);
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

// XX, NX, GT, LT of ZADD.
enum class ZAddWhen : std::uint8_t { kAlways, kMissing, kExists, kGreater, kLess };

// A bound of scores: 5, ScoreBound::above(5), ScoreBound::lowest().
struct ScoreBound {
  double score = 0;
  bool exclusive = false;
  ScoreBound(double value, bool without = false) : score(value), exclusive(without) {}  // NOLINT
  static ScoreBound above(double value) { return {value, true}; }
  static ScoreBound below(double value) { return {value, true}; }
  static ScoreBound lowest();
  static ScoreBound highest();
  std::string text() const;
};

struct Limit {
  std::int64_t offset = 0;
  std::int64_t count = -1;  // -1: all.
};

// How sets are put together: scores times `weights`, one for each key (empty: 1 each), then by `aggregate`.
enum class Aggregate : std::uint8_t { kSum, kMin, kMax };
struct Combine {
  std::vector<double> weights = {};
  Aggregate aggregate = Aggregate::kSum;
};

class SortedSets : public virtual Port {
 public:
  using PoppedOne = std::optional<std::pair<std::string, Scored>>;                // Key, and member with its score.
  using PoppedSome = std::optional<std::pair<std::string, std::vector<Scored>>>;  // Key and members.

  // "Adds all the specified members with the specified scores to the sorted set stored at key." How many are new.
  Task<Result<std::int64_t>> zadd(std::string_view key, const std::vector<Scored>& members,
                                  ZAddWhen when = ZAddWhen::kAlways, Within within = {});
  // As ZADD. How many are new or have another score now.
  Task<Result<std::int64_t>> zadd_changed(std::string_view key, const std::vector<Scored>& members,
                                          ZAddWhen when = ZAddWhen::kAlways, Within within = {});
  // "Increments the score of member in the sorted set stored at key by increment." The new score.
  Task<Result<double>> zincrby(std::string_view key, double by, std::string_view member, Within within = {}) {
    return ask<double>(within, Command("ZINCRBY", key, by, member));
  }
  // "Removes the specified members from the sorted set stored at key."
  Task<Result<std::int64_t>> zrem(std::string_view key, const Texts& members, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("ZREM", key).add_all(members)));
  }
  // "Returns the score of member in the sorted set at key."
  Task<Result<std::optional<double>>> zscore(std::string_view key, std::string_view member, Within within = {}) {
    return ask<std::optional<double>>(within, Command("ZSCORE", key, member));
  }
  Task<Result<std::vector<std::optional<double>>>> zmscore(std::string_view key, const Texts& members,
                                                           Within within = {}) {
    return ask<std::vector<std::optional<double>>>(within, std::move(Command("ZMSCORE", key).add_all(members)));
  }
  // "Returns the sorted set cardinality (number of elements) of the sorted set stored at key."
  Task<Result<std::int64_t>> zcard(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("ZCARD", key));
  }
  // "Returns the number of elements in the sorted set at key with a score between min and max."
  Task<Result<std::int64_t>> zcount(std::string_view key, ScoreBound min, ScoreBound max, Within within = {}) {
    return ask<std::int64_t>(within, Command("ZCOUNT", key, min.text(), max.text()));
  }
  // "Returns the rank of member in the sorted set stored at key, with the scores ordered from low to high. The rank (or
  // index) is 0-based."
  Task<Result<std::optional<std::int64_t>>> zrank(std::string_view key, std::string_view member, Within within = {}) {
    return ask<std::optional<std::int64_t>>(within, Command("ZRANK", key, member));
  }
  // The same, ordered from high to low.
  Task<Result<std::optional<std::int64_t>>> zrevrank(std::string_view key, std::string_view member,
                                                     Within within = {}) {
    return ask<std::optional<std::int64_t>>(within, Command("ZREVRANK", key, member));
  }
  // "Returns the specified range of elements in the sorted set stored at key", by rank, both ends in it.
  Task<Result<Texts>> zrange(std::string_view key, std::int64_t start, std::int64_t stop, Within within = {}) {
    return ask<Texts>(within, Command("ZRANGE", key, start, stop));
  }
  Task<Result<Texts>> zrevrange(std::string_view key, std::int64_t start, std::int64_t stop, Within within = {}) {
    return ask<Texts>(within, Command("ZREVRANGE", key, start, stop));
  }
  Task<Result<std::vector<Scored>>> zrange_with_scores(std::string_view key, std::int64_t start, std::int64_t stop,
                                                       Within within = {}) {
    return ask<std::vector<Scored>>(within, Command("ZRANGE", key, start, stop, "WITHSCORES"));
  }
  Task<Result<std::vector<Scored>>> zrevrange_with_scores(std::string_view key, std::int64_t start, std::int64_t stop,
                                                          Within within = {}) {
    return ask<std::vector<Scored>>(within, Command("ZREVRANGE", key, start, stop, "WITHSCORES"));
  }
  // "Returns all the elements in the sorted set at key with a score between min and max."
  Task<Result<std::vector<Scored>>> zrangebyscore(std::string_view key, ScoreBound min, ScoreBound max,
                                                  Limit limit = {}, Within within = {}) {
    return ask<std::vector<Scored>>(within, Command("ZRANGEBYSCORE", key, min.text(), max.text(), "WITHSCORES", "LIMIT",
                                                    limit.offset, limit.count));
  }
  // The same from high to low.
  Task<Result<std::vector<Scored>>> zrevrangebyscore(std::string_view key, ScoreBound max, ScoreBound min,
                                                     Limit limit = {}, Within within = {}) {
    return ask<std::vector<Scored>>(within, Command("ZREVRANGEBYSCORE", key, max.text(), min.text(), "WITHSCORES",
                                                    "LIMIT", limit.offset, limit.count));
  }
  // "Removes all elements in the sorted set stored at key with rank between start and stop."
  Task<Result<std::int64_t>> zremrangebyrank(std::string_view key, std::int64_t start, std::int64_t stop,
                                             Within within = {}) {
    return ask<std::int64_t>(within, Command("ZREMRANGEBYRANK", key, start, stop));
  }
  // "Removes all elements in the sorted set stored at key with a score between min and max (inclusive)."
  Task<Result<std::int64_t>> zremrangebyscore(std::string_view key, ScoreBound min, ScoreBound max,
                                              Within within = {}) {
    return ask<std::int64_t>(within, Command("ZREMRANGEBYSCORE", key, min.text(), max.text()));
  }
  // "Removes and returns up to count members with the lowest scores in the sorted set stored at key."
  Task<Result<std::vector<Scored>>> zpopmin(std::string_view key, std::int64_t count = 1, Within within = {}) {
    return ask<std::vector<Scored>>(within, Command("ZPOPMIN", key, count));
  }
  Task<Result<std::vector<Scored>>> zpopmax(std::string_view key, std::int64_t count = 1, Within within = {}) {
    return ask<std::vector<Scored>>(within, Command("ZPOPMAX", key, count));
  }
  // "Pops one or more elements, that are member-score pairs, from the first non-empty sorted set in the provided list
  // of key names."
  Task<Result<PoppedSome>> zmpop(const Texts& keys, bool highest, std::int64_t count = 1, Within within = {}) {
    Command command("ZMPOP", keys.size());
    return ask<PoppedSome>(within, command.add_all(keys).add(highest ? "MAX" : "MIN").add("COUNT").add(count));
  }
  // "It blocks the connection when there are no members to pop from any of the given sorted sets." Over a connection
  // of its own; nothing after `wait`; 0: no end. What is popped when nobody waits any more is lost.
  Task<Result<PoppedOne>> bzpopmin(const Texts& keys, std::chrono::milliseconds wait, Within within = {});
  Task<Result<PoppedOne>> bzpopmax(const Texts& keys, std::chrono::milliseconds wait, Within within = {});
  Task<Result<PoppedSome>> bzmpop(const Texts& keys, bool highest, std::int64_t count, std::chrono::milliseconds wait,
                                  Within within = {});
  // "When all the elements in a sorted set are inserted with the same score, in order to force lexicographical
  // ordering, this command returns all the elements with a value between min and max": "[a" with a, "(a" without it,
  // "-", "+".
  Task<Result<Texts>> zrangebylex(std::string_view key, std::string_view min, std::string_view max, Limit limit = {},
                                  Within within = {}) {
    return ask<Texts>(within, Command("ZRANGEBYLEX", key, min, max, "LIMIT", limit.offset, limit.count));
  }
  Task<Result<Texts>> zrevrangebylex(std::string_view key, std::string_view max, std::string_view min, Limit limit = {},
                                     Within within = {}) {
    return ask<Texts>(within, Command("ZREVRANGEBYLEX", key, max, min, "LIMIT", limit.offset, limit.count));
  }
  Task<Result<std::int64_t>> zlexcount(std::string_view key, std::string_view min, std::string_view max,
                                       Within within = {}) {
    return ask<std::int64_t>(within, Command("ZLEXCOUNT", key, min, max));
  }
  Task<Result<std::int64_t>> zremrangebylex(std::string_view key, std::string_view min, std::string_view max,
                                            Within within = {}) {
    return ask<std::int64_t>(within, Command("ZREMRANGEBYLEX", key, min, max));
  }
  // "This command is like ZRANGE, but stores the result in the destination key." Its size.
  Task<Result<std::int64_t>> zrangestore(std::string_view to, std::string_view from, std::int64_t start,
                                         std::int64_t stop, Within within = {}) {
    return ask<std::int64_t>(within, Command("ZRANGESTORE", to, from, start, stop));
  }
  // "Return a random element from the sorted set value stored at key", or up to `count` different ones; -count that may
  // be the same.
  Task<Result<std::optional<std::string>>> zrandmember(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("ZRANDMEMBER", key));
  }
  Task<Result<Texts>> zrandmember(std::string_view key, std::int64_t count, Within within = {}) {
    return ask<Texts>(within, Command("ZRANDMEMBER", key, count));
  }
  // The union, the intersection, the difference of sorted sets and sets, whose scores are 1; by score.
  Task<Result<std::vector<Scored>>> zunion(const Texts& keys, const Combine& how = {}, Within within = {});
  Task<Result<std::vector<Scored>>> zinter(const Texts& keys, const Combine& how = {}, Within within = {});
  Task<Result<std::vector<Scored>>> zdiff(const Texts& keys, Within within = {});
  // The same, "and stores the result in destination". Its size.
  Task<Result<std::int64_t>> zunionstore(std::string_view to, const Texts& keys, const Combine& how = {},
                                         Within within = {});
  Task<Result<std::int64_t>> zinterstore(std::string_view to, const Texts& keys, const Combine& how = {},
                                         Within within = {});
  Task<Result<std::int64_t>> zdiffstore(std::string_view to, const Texts& keys, Within within = {});
  // How many are in all of them, `limit` at most; 0: all.
  Task<Result<std::int64_t>> zintercard(const Texts& keys, std::int64_t limit = 0, Within within = {});
  Task<Result<ScanPage>> zscan(std::string_view key, std::uint64_t cursor, std::string_view match = "*",
                               std::int64_t count = 10, Within within = {}) {
    return ask<ScanPage>(within, Command("ZSCAN", key, cursor, "MATCH", match, "COUNT", count));
  }
};

}  // namespace mg::redis
