// mg/store/redis/bitmaps.h -- strings as bits, and counting what is distinct (HyperLogLog). In quotes: the words of the
// Redis documentation.
//
//   co_await redis.setbit("seen:2024-05-01", role_id, true);
//   Result<std::int64_t> players = co_await redis.bitcount("seen:2024-05-01");
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

enum class BitOperation : std::uint8_t { kAnd, kOr, kXor, kNot };

// Numbers within a string, for BITFIELD: BitField().set("u8", 0, 200).increment("i5", 100, 1).get("u4", "#2").
// Shape: types u1..u63, i1..i64; offsets in bits, or "#n": n times the type's width.
class BitField {
 public:
  enum class Overflow : std::uint8_t { kWrap, kSaturate, kFail };
  BitField& get(std::string_view type, std::string_view offset) { return add({"GET", type, offset}); }
  BitField& set(std::string_view type, std::string_view offset, std::int64_t value) {
    return add({"SET", type, offset, std::to_string(value)});
  }
  BitField& increment(std::string_view type, std::string_view offset, std::int64_t by) {
    return add({"INCRBY", type, offset, std::to_string(by)});
  }
  // Of the increments and sets behind it.
  BitField& overflow(Overflow how) {
    static constexpr std::string_view kNames[] = {"WRAP", "SAT", "FAIL"};
    return add({"OVERFLOW", kNames[static_cast<std::size_t>(how)]});
  }
  const Texts& arguments() const { return arguments_; }

 private:
  BitField& add(std::initializer_list<std::string_view> words) {
    arguments_.insert(arguments_.end(), words.begin(), words.end());
    return *this;
  }
  Texts arguments_;
};

class Bitmaps : public virtual Port {
 public:
  // "Treats a Redis string as an array of bits, and is capable of addressing specific integer fields of varying bit
  // widths." One value for each get, set (the old one) and increment; nothing: it would overflow.
  Task<Result<std::vector<std::optional<std::int64_t>>>> bitfield(std::string_view key, const BitField& operations,
                                                                  Within within = {}) {
    return ask<std::vector<std::optional<std::int64_t>>>(
        within, std::move(Command("BITFIELD", key).add_all(operations.arguments())));
  }
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
  // Within its octets from start to end, both in it.
  Task<Result<std::int64_t>> bitpos(std::string_view key, bool bit, std::int64_t start, std::int64_t end,
                                    Within within = {}) {
    return ask<std::int64_t>(within, Command("BITPOS", key, bit, start, end));
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
