// mg/store/redis/strings.h -- commands on strings. In quotes: the words of the Redis documentation.
//
//   co_await redis.set("k", "v", {.expiry = 30s, .when = SetWhen::kMissing});
//   Result<std::optional<std::string>> got = co_await redis.get("k");
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

enum class SetWhen : std::uint8_t { kAlways, kMissing, kExists };

// Units: 0 leaves it out. A time of whole seconds is sent as EX, any other as PX.
struct SetOptions {
  std::chrono::milliseconds expiry{0};
  SetWhen when = SetWhen::kAlways;
  bool keep_ttl = false;  // "Retain the time to live associated with the key."
};

class Strings : public virtual Port {
 public:
  // "Get the value of key." Nothing: there is no such key.
  Task<Result<std::optional<std::string>>> get(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("GET", key));
  }
  // "Set key to hold the string value. If key already holds a value, it is overwritten, regardless of its type."
  // False: `when` did not hold.
  template <class V>
  Task<Result<bool>> set(std::string_view key, const V& value, SetOptions options = {}, Within within = {}) {
    Command command("SET", key, value);
    add_set_options(command, options);
    return ask<bool>(within, command);
  }
  // "Set key to hold string value if key does not exist."
  template <class V>
  Task<Result<bool>> setnx(std::string_view key, const V& value, Within within = {}) {
    return ask<bool>(within, Command("SETNX", key, value));
  }
  // "Atomically sets key to value and returns the old value stored at key."
  template <class V>
  Task<Result<std::optional<std::string>>> getset(std::string_view key, const V& value, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("GETSET", key, value));
  }
  // "Get the value of key and delete the key."
  Task<Result<std::optional<std::string>>> getdel(std::string_view key, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("GETDEL", key));
  }
  // "Get the value of key and optionally set its expiration." 0: it has no end any more.
  Task<Result<std::optional<std::string>>> getex(std::string_view key, std::chrono::milliseconds expiry,
                                                 Within within = {}) {
    Command command("GETEX", key);
    if (expiry.count() > 0) {
      command.add("PX").add(expiry.count());
    } else {
      command.add("PERSIST");
    }
    return ask<std::optional<std::string>>(within, command);
  }
  // "Returns the values of all specified keys. For every key that does not hold a string value or does not exist, the
  // special value nil is returned."
  Task<Result<MaybeTexts>> mget(const Texts& keys, Within within = {}) {
    return ask<MaybeTexts>(within, std::move(Command("MGET").add_all(keys)));
  }
  // "Sets the given keys to their respective values." All at once: through a proxy only keys of one server.
  template <class M>
  Task<Result<void>> mset(const M& values, Within within = {}) {
    return ask<Ok>(within, std::move(Command("MSET").add_all(values)));
  }
  // "Sets the given keys to their respective values. MSETNX will not perform any operation at all even if just a single
  // key already exists."
  template <class M>
  Task<Result<bool>> msetnx(const M& values, Within within = {}) {
    return ask<bool>(within, std::move(Command("MSETNX").add_all(values)));
  }
  // "Increments the number stored at key by one. If the key does not exist, it is set to 0 before performing the
  // operation." Errors: kInvalid  no integer, or it would overflow
  Task<Result<std::int64_t>> incr(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("INCR", key));
  }
  Task<Result<std::int64_t>> incrby(std::string_view key, std::int64_t by, Within within = {}) {
    return ask<std::int64_t>(within, Command("INCRBY", key, by));
  }
  Task<Result<std::int64_t>> decr(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("DECR", key));
  }
  Task<Result<std::int64_t>> decrby(std::string_view key, std::int64_t by, Within within = {}) {
    return ask<std::int64_t>(within, Command("DECRBY", key, by));
  }
  // "Increment the string representing a floating point number stored at key by the specified increment."
  Task<Result<double>> incrbyfloat(std::string_view key, double by, Within within = {}) {
    return ask<double>(within, Command("INCRBYFLOAT", key, by));
  }
  // "If key already exists and is a string, this command appends the value at the end of the string." Its length.
  Task<Result<std::int64_t>> append(std::string_view key, std::string_view value, Within within = {}) {
    return ask<std::int64_t>(within, Command("APPEND", key, value));
  }
  // "Returns the length of the string value stored at key."
  Task<Result<std::int64_t>> strlen(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("STRLEN", key));
  }
  // "Returns the substring of the string value stored at key, determined by the offsets start and end (both are
  // inclusive)." Negative ones count from the end.
  Task<Result<std::string>> getrange(std::string_view key, std::int64_t start, std::int64_t end, Within within = {}) {
    return ask<std::string>(within, Command("GETRANGE", key, start, end));
  }
  // "Overwrites part of the string stored at key, starting at the specified offset." Its length.
  Task<Result<std::int64_t>> setrange(std::string_view key, std::int64_t offset, std::string_view value,
                                      Within within = {}) {
    return ask<std::int64_t>(within, Command("SETRANGE", key, offset, value));
  }
  // "The LCS command implements the longest common subsequence algorithm", of two strings.
  Task<Result<std::string>> lcs(std::string_view a, std::string_view b, Within within = {}) {
    return ask<std::string>(within, Command("LCS", a, b));
  }

 private:
  static void add_set_options(Command& command, const SetOptions& options);
};

}  // namespace mg::redis
