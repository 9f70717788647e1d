// mg/store/redis/bitmaps.h -- strings as bits, and counting what is distinct (HyperLogLog). In quotes: the words of the
// Redis documentation.
//
//   co_await redis.setbit("seen:2024-05-01", role_id, true);
//   Result<std::int64_t> players = co_await redis.bitcount("seen:2024-05-01");
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

enum class BitOperation : std::uint8_t { kAnd, kOr, kXor, kNot };

class Bitmaps : public virtual Port {
 public:
  // "Sets or clears the bit at offset in the string value stored at key." What it was.
  Task<Result<bool>> setbit(std::string_view key, std::uint32_t offset, bool value, Within within = {}) {
    return ask<bool>(within, Command("SETBIT", key, offset, value));
  }
  // "Returns the bit value at offset in the string value stored at key."
  Task<Result<bool>> getbit(std::string_view key, std::uint32_t offset, Within within = {}) {
    return ask<bool>(within, Command("GETBIT", key, offset));
  }
  // "Count the number of set bits (population counting) in a string."
  Task<Result<std::int64_t>> bitcount(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("BITCOUNT", key));
  }
  // Of its octets from start to end, both in it, negative ones from the end.
  Task<Result<std::int64_t>> bitcount(std::string_view key, std::int64_t start, std::int64_t end, Within within = {}) {
    return ask<std::int64_t>(within, Command("BITCOUNT", key, start, end));
  }
  // "Return the position of the first bit set to 1 or 0 in a string." -1: none.
  Task<Result<std::int64_t>> bitpos(std::string_view key, bool bit, Within within = {}) {
    return ask<std::int64_t>(within, Command("BITPOS", key, bit));
  }
  // "Perform a bitwise operation between multiple keys (containing string values) and store the result in the
  // destination key." Its length in octets.
  Task<Result<std::int64_t>> bitop(BitOperation operation, std::string_view to, const Texts& keys, Within within = {}) {
    static constexpr std::string_view kNames[] = {"AND", "OR", "XOR", "NOT"};
    Command command("BITOP", kNames[static_cast<std::size_t>(operation)], to);
    return ask<std::int64_t>(within, command.add_all(keys));
  }
};

class HyperLogLogs : public virtual Port {
 public:
  // "Adds all the element arguments to the HyperLogLog data structure stored at the variable name specified as first
  // argument." Whether the estimate changed.
  Task<Result<bool>> pfadd(std::string_view key, const Texts& elements, Within within = {}) {
    return ask<bool>(within, std::move(Command("PFADD", key).add_all(elements)));
  }
  // "Returns the approximated cardinality" of one, or of the union of several; the error is about 0.81 %.
  Task<Result<std::int64_t>> pfcount(const Texts& keys, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("PFCOUNT").add_all(keys)));
  }
  // "Merge multiple HyperLogLog values into a unique value."
  Task<Result<void>> pfmerge(std::string_view to, const Texts& keys, Within within = {}) {
    return ask<Ok>(within, std::move(Command("PFMERGE", to).add_all(keys)));
  }
};

}  // namespace mg::redis
