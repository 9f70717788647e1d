// mg/store/redis/keys.h -- commands on keys of any type. In quotes: the words of the Redis documentation.
//
//   co_await redis.del({"a", "b"});
//   Result<std::optional<std::chrono::milliseconds>> left = co_await redis.pttl("a");
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

// NX, XX, GT, LT of EXPIRE: without an end as yet, with one, only to a later end, only to a sooner one.
enum class ExpireWhen : std::uint8_t { kMissing, kExists, kGreater, kLess };

struct SortOptions {
  std::string by = {};  // A pattern of keys: weight_*, or role_*->level; empty: the elements themselves.
  std::int64_t offset = 0, count = -1;
  Texts get = {};  // Patterns of what is answered for each element; "#": the element.
  bool descending = false;
  bool alpha = false;  // As texts, not as numbers.
};

class Keys : public virtual Port {
 public:
  using Ms = std::chrono::milliseconds;

  // "Removes the specified keys. A key is ignored if it does not exist." How many were there.
  Task<Result<std::int64_t>> del(const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("DEL").add_all(keys)));
  }
  // As DEL, but the memory is freed later.
  Task<Result<std::int64_t>> unlink(const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("UNLINK").add_all(keys)));
  }
  // How many of them exist; one that is named twice counts twice.
  Task<Result<std::int64_t>> exists(const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("EXISTS").add_all(keys)));
  }
  Task<Result<std::int64_t>> touch(const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("TOUCH").add_all(keys)));
  }
  // "Set a timeout on key. After the timeout has expired, the key will automatically be deleted." False: no such key.
  // A time of 0 or less deletes it now.
  Task<Result<bool>> expire(std::string_view key, Ms time, Within within = {}) {
    if (time.count() % 1000 == 0) return ask<bool>(within, Command("EXPIRE", key, time.count() / 1000));
    return ask<bool>(within, Command("PEXPIRE", key, time.count()));
  }
  // The same when `when` holds. False: it does not, or there is no such key.
  Task<Result<bool>> expire_when(std::string_view key, Ms time, ExpireWhen when, Within within = {}) {
    static constexpr std::string_view kNames[] = {"NX", "XX", "GT", "LT"};
    return ask<bool>(within, Command("PEXPIRE", key, time.count(), kNames[static_cast<std::size_t>(when)]));
  }
  // At a time of day.
  Task<Result<bool>> expire_at(std::string_view key, Clock::WallTime when, Within within = {}) {
    const auto ms = std::chrono::floor<Ms>(when.time_since_epoch()).count();
    return ask<bool>(within, Command("PEXPIREAT", key, ms));
  }
  // "Remove the existing timeout on key." False: no such key, or it had none.
  Task<Result<bool>> persist(std::string_view key, Within within = {}) {
    return ask<bool>(within, Command("PERSIST", key));
  }
  // What is left of a key's time, in whole seconds: -1 without an end, -2 without the key, as the server has it.
  Task<Result<std::int64_t>> ttl(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("TTL", key));
  }
  // What is left of a key's time; Ms::max() without an end; nothing without the key.
  Task<Result<std::optional<Ms>>> pttl(std::string_view key, Within within = {}) {
    return mapped(ask<std::int64_t>(within, Command("PTTL", key)),
                  [](Result<std::int64_t> got) -> Result<std::optional<Ms>> {
                    if (!got) return std::unexpected(std::move(got).error());
                    if (*got == -2) return std::nullopt;
                    return *got == -1 ? Ms::max() : Ms(*got);
                  });
  }
  // "Returns the absolute Unix timestamp in milliseconds at which the given key will expire." -1 without an end, -2
  // without the key, as the server has it.
  Task<Result<std::int64_t>> pexpiretime(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("PEXPIRETIME", key));
  }
  // "This command copies the value stored at the source key to the destination key." False: nothing was copied.
  Task<Result<bool>> copy(std::string_view from, std::string_view to, bool replace = false, Within within = {}) {
    Command command("COPY", from, to);
    if (replace) command.add("REPLACE");
    return ask<bool>(within, command);
  }
  // "Returns the elements contained in the list, set or sorted set at key", sorted. Nothing: a pattern led nowhere.
  Task<Result<MaybeTexts>> sort(std::string_view key, const SortOptions& options = {}, Within within = {}) {
    return ask<MaybeTexts>(within, sort_command(key, options));
  }
  // The same into a list. Its length.
  Task<Result<std::int64_t>> sort_store(std::string_view key, std::string_view to, const SortOptions& options = {},
                                        Within within = {}) {
    return ask<std::int64_t>(within, std::move(sort_command(key, options).add("STORE").add(to)));
  }
  // "Returns the string representation of the type of the value stored at key": none, string, list, set, zset, hash,
  // stream.
  Task<Result<std::string>> type(std::string_view key, Within within = {}) {
    return ask<std::string>(within, Command("TYPE", key));
  }
  // "Renames key to newkey." Errors: kInvalid  no such key
  Task<Result<void>> rename(std::string_view key, std::string_view to, Within within = {}) {
    return ask<Ok>(within, Command("RENAME", key, to));
  }
  // "Renames key to newkey if newkey does not yet exist."
  Task<Result<bool>> renamenx(std::string_view key, std::string_view to, Within within = {}) {
    return ask<bool>(within, Command("RENAMENX", key, to));
  }
  // A part of all keys that match, from cursor 0 until it is 0 again. Not through a proxy.
  Task<Result<ScanPage>> scan(std::uint64_t cursor, std::string_view match = "*", std::int64_t count = 10,
                              Within within = {}) {
    return ask<ScanPage>(within, Command("SCAN", cursor, "MATCH", match, "COUNT", count));
  }
  // All of them at once. "Warning: consider KEYS as a command that should only be used in production environments with
  // extreme care." Not through a proxy.
  Task<Result<Texts>> keys(std::string_view match, Within within = {}) {
    return ask<Texts>(within, Command("KEYS", match));
  }
  Task<Result<std::optional<std::string>>> randomkey(Within within = {}) {
    return ask<std::optional<std::string>>(within, Command("RANDOMKEY"));
  }
  Task<Result<std::int64_t>> dbsize(Within within = {}) { return ask<std::int64_t>(within, Command("DBSIZE")); }
  Task<Result<void>> flushdb(Within within = {}) { return ask<Ok>(within, Command("FLUSHDB")); }
  Task<Result<void>> ping(Within within = {}) { return ask<Ok>(within, Command("PING")); }

 private:
  static Command sort_command(std::string_view key, const SortOptions& options);
};

}  // namespace mg::redis
