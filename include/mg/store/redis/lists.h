// mg/store/redis/lists.h -- commands on lists. In quotes: the words of the Redis documentation.
//
//   co_await redis.rpush("queue", {"a", "b"});
//   auto got = co_await redis.blpop({"queue"}, 5s);       // Result<optional<pair<key, value>>>
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

enum class ListEnd : std::uint8_t { kLeft, kRight };

class Lists : public virtual Port {
 public:
  using Popped = std::optional<std::pair<std::string, std::string>>;  // Key and value.
  using PoppedSome = std::optional<std::pair<std::string, Texts>>;    // Key and values.

  // "Insert all the specified values at the head of the list stored at key." Its length.
  Task<Result<std::int64_t>> lpush(std::string_view key, const Texts& values, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("LPUSH", key).add_all(values)));
  }
  // "Insert all the specified values at the tail of the list stored at key." Its length.
  Task<Result<std::int64_t>> rpush(std::string_view key, const Texts& values, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("RPUSH", key).add_all(values)));
  }
  // "Inserts specified values at the head of the list stored at key, only if key already exists and holds a list."
  Task<Result<std::int64_t>> lpushx(std::string_view key, const Texts& values, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("LPUSHX", key).add_all(values)));
  }
  Task<Result<std::int64_t>> rpushx(std::string_view key, const Texts& values, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("RPUSHX", key).add_all(values)));
  }
  // "Removes and returns the first elements of the list stored at key."
  Task<Result<std::optional<std::string>>> lpop(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("LPOP", key));
  }
  // "Removes and returns the last elements of the list stored at key."
  Task<Result<std::optional<std::string>>> rpop(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("RPOP", key));
  }
  // Up to `count` of them; empty when there is no such key.
  Task<Result<Texts>> lpop(std::string_view key, std::int64_t count, Within within = {}) {
    return or_empty(ask<std::optional<Texts>>(within, Command("LPOP", key, count)));
  }
  Task<Result<Texts>> rpop(std::string_view key, std::int64_t count, Within within = {}) {
    return or_empty(ask<std::optional<Texts>>(within, Command("RPOP", key, count)));
  }
  // "Pops one or more elements from the first non-empty list key from the list of provided key names."
  Task<Result<PoppedSome>> lmpop(const Texts& keys, ListEnd from, std::int64_t count = 1, Within within = {}) {
    Command command("LMPOP", keys.size());
    return ask<PoppedSome>(within, command.add_all(keys).add(end(from)).add("COUNT").add(count));
  }
  // "The command returns the index of matching elements inside a Redis list": of the rank-th one, from the end when
  // rank is negative.
  Task<Result<std::optional<std::int64_t>>> lpos(std::string_view key, std::string_view value, std::int64_t rank = 1,
                                                 Within within = {}) {
    return ask<std::optional<std::int64_t>>(within, Command("LPOS", key, value, "RANK", rank));
  }
  // Of up to `count` of them; 0: of all.
  Task<Result<std::vector<std::int64_t>>> lpos_all(std::string_view key, std::string_view value, std::int64_t count = 0,
                                                   Within within = {}) {
    return ask<std::vector<std::int64_t>>(within, Command("LPOS", key, value, "COUNT", count));
  }
  // "Returns the length of the list stored at key."
  Task<Result<std::int64_t>> llen(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("LLEN", key));
  }
  // "Returns the specified elements of the list stored at key." Offsets are zero-based, inclusive, negative from the
  // end.
  Task<Result<Texts>> lrange(std::string_view key, std::int64_t start, std::int64_t stop, Within within = {}) {
    return ask<Texts>(within, Command("LRANGE", key, start, stop));
  }
  // "Returns the element at index index in the list stored at key."
  Task<Result<std::optional<std::string>>> lindex(std::string_view key, std::int64_t index, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("LINDEX", key, index));
  }
  // "Sets the list element at index to element." Errors: kInvalid  no such key or index
  Task<Result<void>> lset(std::string_view key, std::int64_t index, std::string_view value, Within within = {}) {
    return ask<Ok>(within, Command("LSET", key, index, value));
  }
  // "Inserts element in the list stored at key either before or after the reference value pivot." Its length, -1
  // without the pivot, 0 without the key.
  Task<Result<std::int64_t>> linsert(std::string_view key, bool before, std::string_view pivot, std::string_view value,
                                     Within within = {}) {
    return ask<std::int64_t>(within, Command("LINSERT", key, before ? "BEFORE" : "AFTER", pivot, value));
  }
  // "Removes the first count occurrences of elements equal to element from the list stored at key." From the end when
  // it is negative, all when 0.
  Task<Result<std::int64_t>> lrem(std::string_view key, std::int64_t count, std::string_view value,
                                  Within within = {}) {
    return ask<std::int64_t>(within, Command("LREM", key, count, value));
  }
  // "Trim an existing list so that it will contain only the specified range of elements specified."
  Task<Result<void>> ltrim(std::string_view key, std::int64_t start, std::int64_t stop, Within within = {}) {
    return ask<Ok>(within, Command("LTRIM", key, start, stop));
  }
  // "Atomically returns and removes the first/last element of the list stored at source, and pushes the element at the
  // first/last element of the list stored at destination."
  Task<Result<std::optional<std::string>>> lmove(std::string_view from, std::string_view to, ListEnd take, ListEnd put,
                                                 Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("LMOVE", from, to, end(take), end(put)));
  }
  Task<Result<std::optional<std::string>>> rpoplpush(std::string_view from, std::string_view to, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("RPOPLPUSH", from, to));
  }

  // "It blocks the connection when there are no elements to pop from any of the given lists. An element is popped from
  // the head of the first list that is non-empty." Over a connection of its own. Nothing after `wait`; 0: no end.
  // What is popped when nobody waits any more (a deadline, a lost connection) is lost: use blmove for a queue.
  Task<Result<Popped>> blpop(const Texts& keys, std::chrono::milliseconds wait, Within within = {}) {
    return ask_waiting<Popped>(within, wait, std::move(Command("BLPOP").add_all(keys).add(seconds(wait))));
  }
  Task<Result<Popped>> brpop(const Texts& keys, std::chrono::milliseconds wait, Within within = {}) {
    return ask_waiting<Popped>(within, wait, std::move(Command("BRPOP").add_all(keys).add(seconds(wait))));
  }
  Task<Result<std::optional<std::string>>> blmove(std::string_view from, std::string_view to, ListEnd take, ListEnd put,
                                                  std::chrono::milliseconds wait, Within within = {}) {
    return ask_waiting<std::optional<std::string>>(within, wait,
                                                   Command("BLMOVE", from, to, end(take), end(put), seconds(wait)));
  }
  Task<Result<PoppedSome>> blmpop(const Texts& keys, ListEnd from, std::int64_t count, std::chrono::milliseconds wait,
                                  Within within = {}) {
    Command command("BLMPOP", seconds(wait), keys.size());
    command.add_all(keys).add(end(from)).add("COUNT").add(count);
    return ask_waiting<PoppedSome>(within, wait, std::move(command));
  }

 private:
  static Task<Result<Texts>> or_empty(Task<Result<std::optional<Texts>>> task) {
    return mapped(std::move(task), [](Result<std::optional<Texts>> got) -> Result<Texts> {
      if (!got) return std::unexpected(std::move(got).error());
      return std::move(*got).value_or(Texts());
    });
  }
  static std::string_view end(ListEnd which) { return which == ListEnd::kLeft ? "LEFT" : "RIGHT"; }
  static double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }
};

}  // namespace mg::redis
