// mg/store/redis/hashes.h -- commands on hashes, and structs in them. In quotes: the words of the Redis documentation.
//
//   co_await redis.hset("role:7", "level", 3);
//   co_await redis.hset_struct("role:7", role);           // fields as mg_fields names them
//   Result<std::optional<Role>> role = co_await redis.hget_struct<Role>("role:7");
#pragma once

#include "mg/store/redis/args.h"
#include "mg/store/redis/port.h"

namespace mg::redis {

class Hashes : public virtual Port {
 public:
  // "Returns the value associated with field in the hash stored at key."
  Task<Result<std::optional<std::string>>> hget(std::string_view key, std::string_view field, Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("HGET", key, field));
  }
  // "Sets the specified fields to their respective values in the hash stored at key." How many fields are new.
  template <class V>
  Task<Result<std::int64_t>> hset(std::string_view key, std::string_view field, const V& value, Within within = {}) {
    return ask<std::int64_t>(within, Command("HSET", key, field, value));
  }
  // Of a map. Nothing to set is no command: 0.
  template <class M>
  Task<Result<std::int64_t>> hset_all(std::string_view key, const M& values, Within within = {}) {
    if (std::ranges::empty(values)) return Result<std::int64_t>(0);
    return ask<std::int64_t>(within, std::move(Command("HSET", key).add_all(values)));
  }
  // The fields of a struct that has mg_fields, by their names for Redis (mg/store/redis/args.h).
  template <Described T>
  Task<Result<std::int64_t>> hset_struct(std::string_view key, const T& value, Within within = {}) {
    Command command("HSET", key);
    add_flat(command, value);
    if (command.size() == 2) return Result<std::int64_t>(0);
    return ask<std::int64_t>(within, command);
  }
  // The struct; nothing when there is no such key. Fields that the hash has not keep the struct's defaults.
  // Errors: also kInvalid  naming the field
  template <Described T>
  Task<Result<std::optional<T>>> hget_struct(std::string_view key, Within within = {}) {
    return read_struct<T>(hgetall(key, within));
  }
  // As HSET, by its older name and reply.
  template <class M>
  Task<Result<void>> hmset(std::string_view key, const M& values, Within within = {}) {
    if (std::ranges::empty(values)) return Result<void>();
    return ask<Ok>(within, std::move(Command("HMSET", key).add_all(values)));
  }
  // "Sets field in the hash stored at key to value, only if field does not yet exist."
  template <class V>
  Task<Result<bool>> hsetnx(std::string_view key, std::string_view field, const V& value, Within within = {}) {
    return ask<bool>(within, Command("HSETNX", key, field, value));
  }
  // "Returns the values associated with the specified fields in the hash stored at key."
  Task<Result<MaybeTexts>> hmget(std::string_view key, const Texts& fields, Within within = {}) {
    return ask<MaybeTexts>(within, std::move(Command("HMGET", key).add_all(fields)));
  }
  // "Returns all fields and values of the hash stored at key." Empty when there is no such key.
  Task<Result<TextMap>> hgetall(std::string_view key, Within within = {}) {
    return ask<TextMap>(within, Command("HGETALL", key));
  }
  // "Removes the specified fields from the hash stored at key." How many were there.
  Task<Result<std::int64_t>> hdel(std::string_view key, const Texts& fields, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("HDEL", key).add_all(fields)));
  }
  // "Returns if field is an existing field in the hash stored at key."
  Task<Result<bool>> hexists(std::string_view key, std::string_view field, Within within = {}) {
    return ask<bool>(within, Command("HEXISTS", key, field));
  }
  // "Increments the number stored at field in the hash stored at key by increment."
  Task<Result<std::int64_t>> hincrby(std::string_view key, std::string_view field, std::int64_t by,
                                     Within within = {}) {
    return ask<std::int64_t>(within, Command("HINCRBY", key, field, by));
  }
  Task<Result<double>> hincrbyfloat(std::string_view key, std::string_view field, double by, Within within = {}) {
    return ask<double>(within, Command("HINCRBYFLOAT", key, field, by));
  }
  // "Returns all field names in the hash stored at key."
  Task<Result<Texts>> hkeys(std::string_view key, Within within = {}) {
    return ask<Texts>(within, Command("HKEYS", key));
  }
  // "Returns all values in the hash stored at key."
  Task<Result<Texts>> hvals(std::string_view key, Within within = {}) {
    return ask<Texts>(within, Command("HVALS", key));
  }
  // "Returns the number of fields contained in the hash stored at key."
  Task<Result<std::int64_t>> hlen(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("HLEN", key));
  }
  // "Returns the string length of the value associated with field in the hash stored at key."
  Task<Result<std::int64_t>> hstrlen(std::string_view key, std::string_view field, Within within = {}) {
    return ask<std::int64_t>(within, Command("HSTRLEN", key, field));
  }
  // "Return a random field from the hash value stored at key": up to `count` different ones, or -count that may be the
  // same.
  Task<Result<Texts>> hrandfield(std::string_view key, std::int64_t count, Within within = {}) {
    return ask<Texts>(within, Command("HRANDFIELD", key, count));
  }
  // Up to `count` different ones with their values. Requires: count >= 0
  Task<Result<TextMap>> hrandfield_with_values(std::string_view key, std::int64_t count, Within within = {}) {
    return ask<TextMap>(within, Command("HRANDFIELD", key, count, "WITHVALUES"));
  }
  // Fields and values in turns, from cursor 0 until the cursor is 0 again; `match` is a pattern as of KEYS.
  Task<Result<ScanPage>> hscan(std::string_view key, std::uint64_t cursor, std::string_view match = "*",
                               std::int64_t count = 10, Within within = {}) {
    return ask<ScanPage>(within, Command("HSCAN", key, cursor, "MATCH", match, "COUNT", count));
  }

 private:
  template <class T>
  static Task<Result<std::optional<T>>> read_struct(Task<Result<TextMap>> task) {
    Result<TextMap> got = co_await std::move(task);
    if (!got) co_return std::unexpected(std::move(got).error());
    if (got->empty()) co_return std::optional<T>();
    Result<T> value = from_hash<T>(*got);
    if (!value) co_return std::unexpected(std::move(value).error());
    co_return std::optional<T>(*std::move(value));
  }
};

}  // namespace mg::redis
