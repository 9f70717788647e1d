// mg/store/redis/sets.h -- commands on sets. In quotes: the words of the Redis documentation.
//
//   co_await redis.sadd("friends:7", {"8", "9"});
//   Result<bool> known = co_await redis.sismember("friends:7", "8");
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

class Sets : public virtual Port {
 public:
  // "Add the specified members to the set stored at key." How many are new.
  Task<Result<std::int64_t>> sadd(std::string_view key, const Texts& members, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("SADD", key).add_all(members)));
  }
  // "Remove the specified members from the set stored at key." How many were there.
  Task<Result<std::int64_t>> srem(std::string_view key, const Texts& members, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("SREM", key).add_all(members)));
  }
  // "Returns all the members of the set value stored at key." In no order.
  Task<Result<Texts>> smembers(std::string_view key, Within within = {}) {
    return ask<Texts>(within, Command("SMEMBERS", key));
  }
  // "Returns if member is a member of the set stored at key."
  Task<Result<bool>> sismember(std::string_view key, std::string_view member, Within within = {}) {
    return ask<bool>(within, Command("SISMEMBER", key, member));
  }
  Task<Result<std::vector<bool>>> smismember(std::string_view key, const Texts& members, Within within = {}) {
    return mapped(ask<std::vector<std::int64_t>>(within, std::move(Command("SMISMEMBER", key).add_all(members))),
                  [](Result<std::vector<std::int64_t>> got) -> Result<std::vector<bool>> {
                    if (!got) return std::unexpected(std::move(got).error());
                    return std::vector<bool>(got->begin(), got->end());
                  });
  }
  // "Returns the set cardinality (number of elements) of the set stored at key."
  Task<Result<std::int64_t>> scard(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("SCARD", key));
  }
  // "Removes and returns one random member from the set value store at key."
  Task<Result<std::optional<std::string>>> spop(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("SPOP", key));
  }
  Task<Result<Texts>> spop(std::string_view key, std::int64_t count, Within within = {}) {
    return ask<Texts>(within, Command("SPOP", key, count));
  }
  // "Return a random element from the set value stored at key."
  Task<Result<std::optional<std::string>>> srandmember(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("SRANDMEMBER", key));
  }
  // "If count is negative, the command is allowed to return the same element multiple times."
  Task<Result<Texts>> srandmember(std::string_view key, std::int64_t count, Within within = {}) {
    return ask<Texts>(within, Command("SRANDMEMBER", key, count));
  }
  // "Move member from the set at source to the set at destination."
  Task<Result<bool>> smove(std::string_view from, std::string_view to, std::string_view member, Within within = {}) {
    return ask<bool>(within, Command("SMOVE", from, to, member));
  }
  // "Returns the members of the set resulting from the intersection of all the given sets."
  Task<Result<Texts>> sinter(const Texts& keys, Within within = {}) {
    return ask<Texts>(within, std::move(Command("SINTER").add_all(keys)));
  }
  // "Returns the members of the set resulting from the union of all the given sets."
  Task<Result<Texts>> sunion(const Texts& keys, Within within = {}) {
    return ask<Texts>(within, std::move(Command("SUNION").add_all(keys)));
  }
  // "Returns the members of the set resulting from the difference between the first set and all the successive sets."
  Task<Result<Texts>> sdiff(const Texts& keys, Within within = {}) {
    return ask<Texts>(within, std::move(Command("SDIFF").add_all(keys)));
  }
  // "Instead of returning the result set, it returns just the cardinality of the result", `limit` at most; 0: all.
  Task<Result<std::int64_t>> sintercard(const Texts& keys, std::int64_t limit = 0, Within within = {}) {
    Command command("SINTERCARD", keys.size());
    return ask<std::int64_t>(within, command.add_all(keys).add("LIMIT").add(limit));
  }
  // The same as those sets, "but instead of returning the resulting set, it is stored in destination." Its size.
  Task<Result<std::int64_t>> sinterstore(std::string_view to, const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("SINTERSTORE", to).add_all(keys)));
  }
  Task<Result<std::int64_t>> sunionstore(std::string_view to, const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("SUNIONSTORE", to).add_all(keys)));
  }
  Task<Result<std::int64_t>> sdiffstore(std::string_view to, const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("SDIFFSTORE", to).add_all(keys)));
  }
  Task<Result<ScanPage>> sscan(std::string_view key, std::uint64_t cursor, std::string_view match = "*",
                               std::int64_t count = 10, Within within = {}) {
    return ask<ScanPage>(within, Command("SSCAN", key, cursor, "MATCH", match, "COUNT", count));
  }
};

}  // namespace mg::redis
