#include "mg/utils/tool/ids.h"

#include <unistd.h>

#include <algorithm>

namespace mg::tool {
namespace {

constexpr std::uint32_t kMaxWorker = 1023;
constexpr std::uint32_t kMaxCount = 4095;
constexpr std::int64_t kMaxMs = (std::int64_t{1} << 41) - 1;

void put(Uuid& id, std::size_t at, std::uint64_t value, std::size_t octets) {
  for (std::size_t i = 0; i < octets; ++i) id.octets[at + i] = static_cast<std::uint8_t>(value >> 8 * (octets - 1 - i));
}

std::int64_t milliseconds(Clock::WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

}  // namespace

UuidMaker::UuidMaker(const Clock& clock, Random& random) : clock_(clock), random_(random) {}

Uuid UuidMaker::v1() {
  const std::lock_guard lock(mutex_);
  if (const int process = ::getpid(); process != process_) {
    process_ = process;
    node_ = (random_.next() & 0xFFFF'FFFF'FFFF) | 0x0100'0000'0000;  // The multicast bit: no hardware has it.
    sequence_ = static_cast<std::uint16_t>(random_.next() & 0x3FFF);
  }
  constexpr std::uint64_t kTicksTo1970 = 0x01B2'1DD2'1381'4000;  // Of 100 ns since 1582-10-15.
  const auto since = std::max<std::int64_t>(clock_.wall().time_since_epoch().count(), 0);
  std::uint64_t ticks = kTicksTo1970 + static_cast<std::uint64_t>(since) / 100;
  if (ticks + 100'000'000 < last_v1_)
    sequence_ = static_cast<std::uint16_t>((sequence_ + 1) & 0x3FFF);  // Ten seconds back.
  else
    ticks = std::max(ticks, last_v1_ + 1);
  last_v1_ = ticks;
  Uuid id;
  put(id, 0, ticks & 0xFFFF'FFFF, 4);
  put(id, 4, ticks >> 32 & 0xFFFF, 2);
  put(id, 6, (ticks >> 48 & 0x0FFF) | 0x1000, 2);
  put(id, 8, sequence_ | 0x8000U, 2);
  put(id, 10, node_, 6);
  return id;
}

Uuid UuidMaker::v7() {
  const std::lock_guard lock(mutex_);
  const auto now =
      static_cast<std::uint64_t>(std::max<std::int64_t>(milliseconds(clock_.wall()), 0)) & 0xFFFF'FFFF'FFFF;
  if (now > last_v7_ms_) {
    last_v7_ms_ = now;
    v7_count_ = static_cast<std::uint32_t>(random_.next() & 0x7FF);  // Room to count up in this millisecond.
  } else if (++v7_count_ > 0xFFF) {
    ++last_v7_ms_;
    v7_count_ = 0;
  }
  Uuid id;
  put(id, 0, last_v7_ms_, 6);
  put(id, 6, 0x7000 | v7_count_, 2);
  put(id, 8, (random_.next() & 0x3FFF'FFFF'FFFF'FFFF) | 0x8000'0000'0000'0000, 8);
  return id;
}

Snowflake::Snowflake(const SnowflakeOptions& options, const Clock& clock) : options_(options), clock_(clock) {}

Result<std::int64_t> Snowflake::next() {
  if (options_.worker > kMaxWorker)
    return fail(code::kInvalid, "worker {} is more than {}", options_.worker, kMaxWorker);
  const std::lock_guard lock(mutex_);
  const std::int64_t now = milliseconds(clock_.wall()) - milliseconds(options_.epoch);
  if (now < 0) return fail(code::kInvalid, "the clock is before the epoch of the ids");
  if (now > last_ms_) {
    last_ms_ = now;
    count_ = 0;
  } else {
    if (last_ms_ - now > options_.max_back.count()) {
      return fail(code::kUnavailable, "the clock is {} ms behind the last id", last_ms_ - now);
    }
    if (++count_ > kMaxCount) {
      ++last_ms_;
      count_ = 0;
    }
  }
  if (last_ms_ > kMaxMs) return fail(code::kInvalid, "the epoch of the ids is more than 69 years ago");
  return last_ms_ << 22 | std::int64_t{options_.worker} << 12 | count_;
}

Snowflake::Parts Snowflake::parts(std::int64_t id) const {
  return {options_.epoch + std::chrono::milliseconds(id >> 22 & kMaxMs),
          static_cast<std::uint32_t>(id >> 12) & kMaxWorker, static_cast<std::uint32_t>(id) & kMaxCount};
}

}  // namespace mg::tool
