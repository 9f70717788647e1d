// mg/store/redis/local/local.h -- Redis within this process: the same commands on data types of our own, no server.
//
//   redis::LocalData data;                  // one for the process
//   redis::Local redis(loop, data);         // one for each loop
//   co_await redis.set("k", "v", {.expiry = 30s});
#pragma once

#include <memory>

#include "mg/store/redis/redis.h"

namespace mg::redis {

// The data, and who waits for changes and messages of it. Threads: shared. Lifetime: outlives its Locals.
class LocalData {
 public:
  // `clock`: the system's when null.
  explicit LocalData(const Clock* clock = nullptr);
  LocalData(const LocalData&) = delete;
  LocalData& operator=(const LocalData&) = delete;
  ~LocalData();

  class Impl;

 private:
  friend class Local;
  std::unique_ptr<Impl> impl_;
};

// What a client of a server does, but scripts; KEYS and the like see all at once, SCAN answers with one page.
// Threads: loop. Cost: a look-up in an ordered map under one lock for all loops; expired keys go when they are touched,
// and all at once now and then.
class Local final : public Redis {
 public:
  Local(Loop& loop, LocalData& data);
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() override;

  Loop& loop() const override { return loop_; }
  Clock::Duration timeout() const override { return std::chrono::seconds(1); }
  Task<Result<std::unique_ptr<Subscription>>> subscribe(SubscribeOptions options, ChannelHandler handler,
                                                        Within within = {}) override;
  Task<Result<std::unique_ptr<Session>>> session(Within within = {}) override;

 private:
  Result<void> submit(const Command& command, Call& call) override;
  Task<Result<Reply>> submit_waiting(Command command, Deadline deadline) override;
  void distrust(std::uint64_t /*link*/, std::string_view /*why*/) override {}
  Error too_late(const Call& call, std::string_view name) const override;

  Loop& loop_;
  LocalData::Impl& data_;
};

}  // namespace mg::redis
