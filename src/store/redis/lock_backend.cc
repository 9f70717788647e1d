#include "mg/store/redis/lock_backend.h"

#include <charconv>
#include <utility>

namespace mg::redis {
namespace {

constexpr std::string_view kChannel = "UNLOCK:";

const Script& take_script() {
  static const Script script(R"(
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return '' end
local now = redis.call('TIME')
local fence = tonumber(now[1]) * 1000000 + tonumber(now[2])
local last = tonumber(redis.call('GET', 'FENCE:' .. KEYS[1]) or '0') or 0
local after = tonumber(ARGV[3])
if last > after then after = last end
if fence <= after then fence = after + 1 end
local text = string.format('%.0f', fence)
redis.call('SET', 'FENCE:' .. KEYS[1], text, 'EX', 604800)
return text)");
  return script;
}
const Script& renew_script() {
  static const Script script(R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0)");
  return script;
}
const Script& give_script() {
  static const Script script(R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', 'UNLOCK:' .. KEYS[1], '')
return 1)");
  return script;
}
const Script& left_script() {
  static const Script script(R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PTTL', KEYS[1]) end
return -3)");
  return script;
}

Error odd(std::string_view what, const Reply& reply) {
  return make_error(code::kServer, fmt::format("redis: the reply to {} of a lock is {}", what, describe(reply)));
}

}  // namespace

// Who waits for which lock, and the subscription that wakes them. Kept by its own beginning, too.
struct LockBackend::Messages {
  using Waiter = Completion<bool>;
  std::multimap<std::string, Waiter*, std::less<>> waiters;
  std::unique_ptr<Subscription> subscription;
  bool beginning = false;
  bool alive = true;

  void on_message(const ChannelMessage& message) {
    const std::string name(message.channel.substr(kChannel.size()));
    // Waking one may remove others.
    while (alive) {
      const auto found = waiters.find(name);
      if (found == waiters.end()) return;
      Waiter* const waiter = found->second;
      waiters.erase(found);
      waiter->set(true);
    }
  }
  static Task<void> begin(std::shared_ptr<Messages> self, Redis& redis) {
    std::weak_ptr<Messages> weak = self;
    auto made = co_await redis.subscribe({.channels = {}, .patterns = {std::string(kChannel) + "LOCK:*"}, .on_gap = {}},
                                         [weak](const ChannelMessage& message) {
                                           if (const auto me = weak.lock()) me->on_message(message);
                                         });
    self->beginning = false;
    if (made && self->alive) self->subscription = *std::move(made);
  }
};

LockBackend::LockBackend(Redis& redis, LockBackendOptions options)
    : redis_(redis), options_(options), messages_(std::make_shared<Messages>()) {}

LockBackend::~LockBackend() {
  messages_->alive = false;
  messages_->subscription.reset();
}

Task<Result<std::optional<std::uint64_t>>> LockBackend::take(std::string name, std::string value, lock::Ms ttl,
                                                             std::uint64_t after, Deadline deadline) {
  auto got =
      co_await redis_.run(take_script(), {name}, {value, std::to_string(ttl.count()), std::to_string(after)}, deadline);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_bulk()) co_return std::unexpected(odd("the taking", *got));
  if (got->text.empty()) co_return std::nullopt;
  std::uint64_t fence = 0;
  const char* const end = got->text.data() + got->text.size();
  if (const auto done = std::from_chars(got->text.data(), end, fence); done.ec != std::errc() || done.ptr != end) {
    co_return std::unexpected(odd("the taking", *got));
  }
  co_return fence;
}

Task<Result<bool>> LockBackend::renew(std::string name, std::string value, lock::Ms ttl, Deadline deadline) {
  auto got = co_await redis_.run(renew_script(), {name}, {value, std::to_string(ttl.count())}, deadline);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_integer()) co_return std::unexpected(odd("the renewal", *got));
  co_return got->integer == 1;
}

Task<Result<bool>> LockBackend::give(std::string name, std::string value, Deadline deadline) {
  auto got = co_await redis_.run(give_script(), {name}, {value}, deadline);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_integer()) co_return std::unexpected(odd("the release", *got));
  co_return got->integer == 1;
}

Task<Result<std::optional<lock::Ms>>> LockBackend::left(std::string name, std::string value, Deadline deadline) {
  auto got = co_await redis_.run(left_script(), {name}, {value}, deadline);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_integer()) co_return std::unexpected(odd("the time", *got));
  if (got->integer < 0) co_return std::nullopt;
  co_return lock::Ms(got->integer);
}

Task<void> LockBackend::wait(std::string name, Deadline until) {
  const auto messages = messages_;
  if (options_.messages && !messages->subscription && !std::exchange(messages->beginning, true)) {
    spawn(Messages::begin(messages, redis_));
  }
  Messages::Waiter waiter;
  const auto place = messages->waiters.emplace(std::move(name), &waiter);
  const auto woken = co_await waiter.wait(redis_.loop(), until);
  if (!woken) messages->waiters.erase(place);
}

}  // namespace mg::redis
