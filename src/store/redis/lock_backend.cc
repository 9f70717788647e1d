#include "mg/store/redis/lock_backend.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "mg/base/random.h"

namespace mg::redis {
namespace {

constexpr std::string_view kChannel = "UNLOCK:";
constexpr std::size_t kMostAsked = 10'000;  // Beyond that, who waits may have to ask again at its interval.
// Redis tells subscribers in the order they came: without a pause by chance the first would always be the first.
constexpr std::uint64_t kLongestPauseUs = 1000;

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

Task<Result<std::optional<std::uint64_t>>> take_by_script(Redis& redis, std::string name, std::string value,
                                                          lock::Ms ttl, std::uint64_t after, Deadline deadline) {
  auto got =
      co_await redis.run(take_script(), {name}, {value, std::to_string(ttl.count()), std::to_string(after)}, deadline);
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

}  // namespace

// Who waits for which lock, and the subscription that wakes them. Kept by its own beginning, too.
struct LockBackend::Messages {
  struct Waiter;
  using Waiters = std::multimap<std::string, Waiter*, std::less<>>;
  // A place among them, until it is woken or dies.
  struct Waiter {
    Waiter(Messages& m, std::string name) : all(m), at(m.waiters.emplace(std::move(name), this)) {}
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter() { leave(); }
    void leave() {
      if (std::exchange(in, false)) all.waiters.erase(at);
    }
    Messages& all;
    Waiters::iterator at;
    bool in = true;
    std::uint64_t since = all.messages;  // Messages that came before it.
    Completion<bool> woken;
  };
  Waiters waiters;
  // Locks that were asked for and not got yet: whether they were given up meanwhile, which the next wait must not miss.
  std::unordered_map<std::string, bool> asked;
  std::uint64_t messages = 0;
  std::unique_ptr<Subscription> subscription;
  bool beginning = false;
  bool alive = true;

  void ask(const std::string& name) {
    if (asked.size() >= kMostAsked) asked.clear();
    asked[name] = false;
  }
  void on_message(const ChannelMessage& message) {
    const std::string name(message.channel.substr(kChannel.size()));
    if (const auto at = asked.find(name); at != asked.end()) at->second = true;
    const std::uint64_t now = ++messages;
    // Waking one may remove others, and add some, which wait for the next message.
    while (alive) {
      const auto [from, to] = waiters.equal_range(name);
      const auto found = std::find_if(from, to, [now](const auto& item) { return item.second->since < now; });
      if (found == to) return;
      Waiter* const waiter = found->second;
      waiter->leave();
      waiter->woken.set(true);
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

// ---- without scripts ------------------------------------------------------------------------------------------------

Task<Result<std::optional<std::vector<Reply>>>> LockBackend::if_held(std::string name, std::string value,
                                                                     std::vector<Command> commands, Deadline deadline) {
  using Out = std::optional<std::vector<Reply>>;
  auto session = co_await redis_.session(deadline);
  if (!session) co_return std::unexpected(std::move(session).error());
  for (;;) {
    if (auto watched = co_await (*session)->watch({name}, deadline); !watched) {
      co_return std::unexpected(std::move(watched).error());
    }
    auto holder = co_await (*session)->get(name, deadline);
    if (!holder) co_return std::unexpected(std::move(holder).error());
    if (*holder != value) {
      auto over = co_await (*session)->unwatch(deadline);
      if (!over) co_return std::unexpected(std::move(over).error());
      co_return Out();
    }
    auto done = co_await (*session)->exec(commands, deadline);
    if (!done || *done) co_return done;  // Else somebody changed it between: again.
  }
}

Task<Result<std::optional<std::uint64_t>>> LockBackend::take_plainly(std::string name, std::string value, lock::Ms ttl,
                                                                     std::uint64_t after, Deadline deadline) {
  auto taken = co_await redis_.set(name, value, {.expiry = ttl, .when = SetWhen::kMissing}, deadline);
  if (!taken) co_return std::unexpected(std::move(taken).error());
  if (!*taken) co_return std::nullopt;
  auto session = co_await redis_.session(deadline);
  if (!session) co_return std::unexpected(std::move(session).error());
  const std::string key = "FENCE:" + name;
  for (;;) {
    if (auto watched = co_await (*session)->watch({key}, deadline); !watched) {
      co_return std::unexpected(std::move(watched).error());
    }
    auto last = co_await (*session)->get(key, deadline);
    if (!last) co_return std::unexpected(std::move(last).error());
    std::uint64_t seen = 0;
    const std::string text = last->value_or("0");
    std::from_chars(text.data(), text.data() + text.size(), seen);
    const auto now = std::chrono::floor<std::chrono::microseconds>(redis_.loop().clock().wall().time_since_epoch());
    const std::uint64_t fence = std::max(static_cast<std::uint64_t>(now.count()), std::max(seen, after) + 1);
    std::vector<Command> note;
    note.emplace_back("SET", key, fence, "EX", 604800);
    auto done = co_await (*session)->exec(note, deadline);
    if (!done) co_return std::unexpected(std::move(done).error());
    if (*done) co_return fence;
  }
}

// ---- the port -------------------------------------------------------------------------------------------------------

Task<Result<std::optional<std::uint64_t>>> LockBackend::take(std::string name, std::string value, lock::Ms ttl,
                                                             std::uint64_t after, Deadline deadline) {
  const auto messages = messages_;
  messages->ask(name);
  auto fence = co_await (options_.scripts ? take_by_script(redis_, name, std::move(value), ttl, after, deadline)
                                          : take_plainly(name, std::move(value), ttl, after, deadline));
  if (fence && *fence) messages->asked.erase(name);
  co_return fence;
}

Task<Result<bool>> LockBackend::renew(std::string name, std::string value, lock::Ms ttl, Deadline deadline) {
  if (!options_.scripts) {
    std::vector<Command> commands;
    commands.emplace_back("PEXPIRE", name, ttl.count());
    auto done = co_await if_held(name, value, std::move(commands), deadline);
    if (!done) co_return std::unexpected(std::move(done).error());
    co_return done->has_value();
  }
  auto got = co_await redis_.run(renew_script(), {name}, {value, std::to_string(ttl.count())}, deadline);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_integer()) co_return std::unexpected(odd("the renewal", *got));
  co_return got->integer == 1;
}

Task<Result<bool>> LockBackend::give(std::string name, std::string value, Deadline deadline) {
  if (!options_.scripts) {
    std::vector<Command> commands;
    commands.emplace_back("DEL", name);
    commands.emplace_back("PUBLISH", std::string(kChannel) + name, "");
    auto done = co_await if_held(name, value, std::move(commands), deadline);
    if (!done) co_return std::unexpected(std::move(done).error());
    co_return done->has_value();
  }
  auto got = co_await redis_.run(give_script(), {name}, {value}, deadline);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_integer()) co_return std::unexpected(odd("the release", *got));
  co_return got->integer == 1;
}

Task<Result<std::optional<lock::Ms>>> LockBackend::left(std::string name, std::string value, Deadline deadline) {
  if (!options_.scripts) {
    std::vector<Command> commands;
    commands.emplace_back("PTTL", name);
    auto done = co_await if_held(name, value, std::move(commands), deadline);
    if (!done) co_return std::unexpected(std::move(done).error());
    if (!*done || done->value()[0].integer < 0) co_return std::nullopt;
    co_return lock::Ms(done->value()[0].integer);
  }
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
  const auto asked = messages->asked.extract(name);
  if (!asked || !asked.mapped()) {
    Messages::Waiter waiter(*messages, std::move(name));
    if (!co_await waiter.woken.wait(redis_.loop(), until)) co_return;
  }
  co_await redis_.loop().sleep_for(std::chrono::microseconds(SystemRandom().below(kLongestPauseUs)));
}

}  // namespace mg::redis
