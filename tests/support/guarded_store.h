// tests/support/guarded_store.h -- values in Redis that refuse writes with a fencing number below one they have seen,
// and beside them values that refuse nothing.
//
//   bool done = co_await guarded_write(client, round, i, lock.fence(), "mine");
//   co_await plain_write(client, round, i, "mine");
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "mg/store/redis/redis.h"

namespace mg::testing {

inline std::string guarded_key(int round) {
  return fmt::format("paused-{}", round);
}

// Whether it was taken. Numbers are compared as texts of the same length: Lua's are not exact enough.
inline Task<bool> guarded_write(redis::Redis& redis, int round, int i, std::uint64_t fence, std::string value) {
  static const redis::Script script(R"(
if (redis.call('HGET', KEYS[1], 'fence') or '') > ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'value', ARGV[2])
return 1)");
  auto got = co_await redis.run(script, {fmt::format("guarded:{}:{}", round, i)}, {fmt::format("{:020}", fence), value},
                                std::chrono::seconds(30));
  co_return got && got->integer == 1;
}

inline Task<bool> plain_write(redis::Redis& redis, int round, int i, std::string value) {
  auto got = co_await redis.set(fmt::format("plain:{}:{}", round, i), value, {}, std::chrono::seconds(30));
  co_return got && *got;
}

}  // namespace mg::testing
