// mg/utils/tool/ids.h -- ids: UUIDs by time, and 63-bit numbers of many processes ("snowflake").
//
//   UuidMaker uuids(clock, random); Uuid id = uuids.v7();      // Sorts by time; v4 is Uuid::v4(random)
//   Snowflake ids({.worker = 7}, clock);
//   Result<std::int64_t> id = ids.next();                      // Grows, is used once on all workers
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/base/random.h"
#include "mg/base/uuid.h"

namespace mg::tool {

// Makes UUIDs that hold a time. Threads: shared. Lifetime: clock and random outlive it. Source: RFC 9562.
class UuidMaker {
 public:
  UuidMaker(const Clock& clock, Random& random);

  // 60 bits of time since 1582, a random clock sequence and node, new ones in a process that was forked: tells when,
  // not where.
  Uuid v1();
  // Milliseconds since 1970, then a counter and random bits: each one greater than the one before of this maker,
  // whatever the clock does.
  Uuid v7();

 private:
  std::mutex mutex_;  // docs/threads.md: "uuids"
  const Clock& clock_;
  Random& random_;
  int process_ = 0;             // That node_ and sequence_ are of.
  std::uint64_t node_ = 0;      // 48 bits, marked as random.
  std::uint16_t sequence_ = 0;  // 14 bits.
  std::uint64_t last_v1_ = 0;
  std::uint64_t last_v7_ms_ = 0;
  std::uint32_t v7_count_ = 0;
};

struct SnowflakeOptions {
  std::uint32_t worker = 0;  // 0..1023; different in every process.
  Clock::WallTime epoch{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};
  std::chrono::milliseconds max_back{std::chrono::seconds(10)};  // A clock that goes back by less is waited for, below.
};

// Shape: 0, 41 bits of milliseconds since the epoch (69 years), 10 of the worker, 12 of a count.
// When the clock goes back, or more than 4096 ids are made in a millisecond, the milliseconds of the ids go on from
// those of the last one: ahead of the clock, up to max_back. Threads: shared.
class Snowflake {
 public:
  Snowflake(const SnowflakeOptions& options, const Clock& clock);

  // Errors: kInvalid      the worker or the epoch is out of range
  //         kUnavailable  the clock is more than max_back behind the last id
  Result<std::int64_t> next();

  struct Parts {
    Clock::WallTime time;
    std::uint32_t worker;
    std::uint32_t count;
  };
  Parts parts(std::int64_t id) const;

 private:
  std::mutex mutex_;  // docs/threads.md: "snowflake"
  const SnowflakeOptions options_;
  const Clock& clock_;
  std::int64_t last_ms_ = -1;
  std::uint32_t count_ = 0;
};

}  // namespace mg::tool
