// mg/store/documents/scalars.h -- the types of BSON that C++ has no type for.
//
//   ObjectId id = ObjectId::make();
//   Date now = std::chrono::floor<std::chrono::milliseconds>(clock.wall());
//   Binary picture{.octets = octets};
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mg::documents {

// Milliseconds since 1970, UTC: all that a document keeps of a time.
using Date = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// Twelve octets, unique in the world. Order: by second of creation.
struct ObjectId {
  std::array<std::byte, 12> octets{};

  // A new one: seconds, five random octets of the process, a counter. Threads: shared. Source: BSON, ObjectId.
  static ObjectId make();
  std::string hex() const;  // 24 lower-case digits.
  friend auto operator<=>(const ObjectId&, const ObjectId&) = default;
};

struct Binary {
  std::vector<std::byte> octets;
  std::uint8_t subtype = 0;
  friend bool operator==(const Binary&, const Binary&) = default;
};
struct Regex {
  std::string text;  // pattern NUL options; kept as it is, never run.
  friend bool operator==(const Regex&, const Regex&) = default;
};
struct Timestamp {  // Of replication; for times use Date.
  std::uint64_t bits = 0;
  friend bool operator==(const Timestamp&, const Timestamp&) = default;
};
struct Decimal {  // IEEE 754 decimal128 as it is stored; carried, not computed with.
  std::array<std::byte, 16> octets{};
  friend bool operator==(const Decimal&, const Decimal&) = default;
};
struct MinKey {
  friend bool operator==(MinKey, MinKey) = default;
};
struct MaxKey {
  friend bool operator==(MaxKey, MaxKey) = default;
};

}  // namespace mg::documents
