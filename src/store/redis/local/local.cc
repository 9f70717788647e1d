#include "mg/store/redis/local/local.h"

#include <algorithm>
#include <charconv>
#include <list>
#include <mutex>
#include <set>
#include <utility>

#include "store/redis/local/engine.h"

namespace mg::redis {
namespace {

using local::Engine;
using Arguments = std::vector<std::string_view>;

// The commands of a text as Command::encoded() makes it.
std::vector<Arguments> split(std::string_view text) {
  std::vector<Arguments> out;
  const auto number = [&text] {
    std::size_t value = 0;
    const char* const end = std::from_chars(text.data() + 1, text.data() + text.size(), value).ptr;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 2);
    return value;
  };
  while (text.starts_with('*')) {
    auto& arguments = out.emplace_back();
    for (std::size_t left = number(); left > 0 && text.starts_with('$'); --left) {
      const std::size_t size = number();
      arguments.push_back(text.substr(0, size));
      text.remove_prefix(size + 2);
    }
  }
  return out;
}

// Somebody who waits for a change of any key. Set on its own loop.
struct Waiter {
  Loop& loop;
  Completion<bool> changed;
};

struct Subscriber {
  Loop& loop;
  SubscribeOptions options;
  ChannelHandler handler;
  bool alive = true;  // Touched on its loop only.
};

}  // namespace

class LocalData::Impl {
 public:
  explicit Impl(const Clock& clock) : engine(clock) {}

  // What a session watches: keys and the versions that they had.
  using Watched = std::vector<std::pair<std::string, std::uint64_t>>;

  Reply run(const Command& command, Watched* watched) {
    const std::string text = command.encoded();
    const auto all = split(text);
    std::vector<std::shared_ptr<Waiter>> woken;
    Reply out;
    {
      std::lock_guard guard(mutex);
      out = all.size() > 1 ? transaction(all, watched) : one(all[0], watched);
      if (engine.take_changed()) woken.swap(waiters);
      if (++commands % 4096 == 0) engine.sweep();
    }
    for (auto& waiter : woken) {
      Loop& loop = waiter->loop;
      loop.post_always([waiter = std::move(waiter)] { waiter->changed.set(true); });
    }
    return out;
  }

  std::mutex mutex;  // docs/threads.md: "local redis"
  std::vector<std::shared_ptr<Waiter>> waiters;
  std::list<std::shared_ptr<Subscriber>> subscribers;

 private:
  Reply one(const Arguments& arguments, Watched* watched) {
    if (local::is(arguments[0], "PUBLISH") && arguments.size() == 3) return publish(arguments[1], arguments[2]);
    if (local::is(arguments[0], "PUBSUB") && arguments.size() >= 2) return pubsub(arguments);
    if (watched && local::is(arguments[0], "WATCH")) {
      for (std::size_t i = 1; i < arguments.size(); ++i) {
        watched->emplace_back(arguments[i], engine.version(arguments[i]));
      }
      return local::ok();
    }
    if (watched && local::is(arguments[0], "UNWATCH")) {
      watched->clear();
      return local::ok();
    }
    return engine.run(arguments);
  }

  // MULTI, commands, EXEC.
  Reply transaction(const std::vector<Arguments>& all, Watched* watched) {
    const Watched before = watched ? std::exchange(*watched, {}) : Watched();
    for (std::size_t i = 1; i + 1 < all.size(); ++i) {
      if (local::is(all[i][0], "PUBLISH") || local::is(all[i][0], "PUBSUB")) continue;
      if (auto refused = Engine::check(all[i])) return *std::move(refused);
    }
    for (const auto& [key, version] : before) {
      if (engine.version(key) != version) return Reply::null();
    }
    Reply out = Reply::array({});
    for (std::size_t i = 1; i + 1 < all.size(); ++i) out.items.push_back(one(all[i], nullptr));
    return out;
  }

  Reply pubsub(const Arguments& arguments) {
    if (local::is(arguments[1], "CHANNELS") && arguments.size() <= 3) {
      std::set<std::string> names;
      for (const auto& subscriber : subscribers) {
        for (const auto& name : subscriber->options.channels) {
          if (arguments.size() < 3 || local::matches(arguments[2], name)) names.insert(name);
        }
      }
      return local::texts({names.begin(), names.end()});
    }
    if (local::is(arguments[1], "NUMSUB")) {
      Reply out = Reply::array({});
      for (std::size_t i = 2; i < arguments.size(); ++i) {
        const auto count = std::ranges::count_if(subscribers, [&](const auto& subscriber) {
          return std::ranges::find(subscriber->options.channels, arguments[i]) != subscriber->options.channels.end();
        });
        out.items.push_back(Reply::bulk(std::string(arguments[i])));
        out.items.push_back(Reply::number(count));
      }
      return out;
    }
    if (local::is(arguments[1], "NUMPAT") && arguments.size() == 2) {
      std::set<std::string> patterns;
      for (const auto& subscriber : subscribers) {
        patterns.insert(subscriber->options.patterns.begin(), subscriber->options.patterns.end());
      }
      return Reply::number(static_cast<std::int64_t>(patterns.size()));
    }
    return Reply::error(fmt::format("ERR unknown subcommand '{}'. Try PUBSUB HELP.", arguments[1]));
  }

  Reply publish(std::string_view channel, std::string_view payload) {
    std::int64_t got = 0;
    for (const auto& subscriber : subscribers) {
      const auto send = [&](std::string pattern) {
        ++got;
        subscriber->loop.post_always(
            [subscriber, name = std::string(channel), pattern = std::move(pattern), text = std::string(payload)] {
              if (subscriber->alive) subscriber->handler({name, pattern, text});
            });
      };
      if (std::ranges::find(subscriber->options.channels, channel) != subscriber->options.channels.end()) send({});
      for (const auto& pattern : subscriber->options.patterns) {
        if (local::matches(pattern, channel)) send(pattern);
      }
    }
    return Reply::number(got);
  }

  Engine engine;
  std::uint64_t commands = 0;
};

LocalData::LocalData(const Clock* clock) : impl_(std::make_unique<Impl>(clock ? *clock : system_clock())) {}
LocalData::~LocalData() = default;

namespace {

Result<void> answer(LocalData::Impl& data, const Command& command, Call& call, LocalData::Impl::Watched* watched) {
  if (command.too_large()) {
    return fail(code::kInvalid, "an argument of {} has more than {} octets", command.name(), Command::kMaxArgument);
  }
  call.done.set(data.run(command, watched));
  return {};
}

bool empty(const Reply& reply) {
  return reply.is_null() || (reply.is_array() && reply.items.empty());
}

// The command that does the same without waiting; and how long it waits, 0: for ever.
struct Asked {
  Command command;
  std::chrono::milliseconds wait{0};
};

Result<Clock::Duration> seconds(std::string_view text) {
  double value = 0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), value);
  if (done.ec != std::errc() || done.ptr != text.data() + text.size() || !(value >= 0) || value > 1e9) {
    return fail(code::kInvalid, "redis: ERR timeout is not a float or out of range");
  }
  return std::chrono::duration_cast<Clock::Duration>(std::chrono::duration<double>(value));
}

// As commands that wait at a server: run, and when there is nothing, again after each change.
Task<Result<Reply>> wait_for(LocalData::Impl& data, Loop& loop, Command command, Deadline deadline) {
  const std::string text = command.encoded();
  const Arguments arguments = split(text)[0];
  const std::string_view name = arguments[0];
  std::vector<Command> tries;
  std::vector<std::string> keys;  // Of BLPOP and BRPOP: with which the value is answered.
  Clock::Duration wait{0};
  const bool left = local::is(name, "BLPOP"), right = local::is(name, "BRPOP");
  if ((left || right) && arguments.size() >= 3) {
    auto time = seconds(arguments.back());
    if (!time) co_return std::unexpected(std::move(time).error());
    wait = *time;
    for (std::size_t i = 1; i + 1 < arguments.size(); ++i) {
      tries.emplace_back(left ? "LPOP" : "RPOP", arguments[i]);
      keys.emplace_back(arguments[i]);
    }
  } else if ((local::is(name, "BZPOPMIN") || local::is(name, "BZPOPMAX")) && arguments.size() >= 3) {
    auto time = seconds(arguments.back());
    if (!time) co_return std::unexpected(std::move(time).error());
    wait = *time;
    for (std::size_t i = 1; i + 1 < arguments.size(); ++i) {
      tries.emplace_back(local::is(name, "BZPOPMIN") ? "ZPOPMIN" : "ZPOPMAX", arguments[i]);
      keys.emplace_back(arguments[i]);
    }
  } else if ((local::is(name, "BLMPOP") || local::is(name, "BZMPOP")) && arguments.size() >= 5) {
    auto time = seconds(arguments[1]);
    if (!time) co_return std::unexpected(std::move(time).error());
    wait = *time;
    Command same(name.substr(1));
    for (std::size_t i = 2; i < arguments.size(); ++i) same.add(arguments[i]);
    tries.push_back(std::move(same));
  } else if (local::is(name, "BRPOPLPUSH") && arguments.size() == 4) {
    auto time = seconds(arguments[3]);
    if (!time) co_return std::unexpected(std::move(time).error());
    wait = *time;
    tries.emplace_back("RPOPLPUSH", arguments[1], arguments[2]);
  } else if (local::is(name, "BLMOVE") && arguments.size() == 6) {
    auto time = seconds(arguments[5]);
    if (!time) co_return std::unexpected(std::move(time).error());
    wait = *time;
    tries.emplace_back("LMOVE", arguments[1], arguments[2], arguments[3], arguments[4]);
  } else if (local::is(name, "XREAD") || local::is(name, "XREADGROUP")) {
    // "$" is what was last when the waiting began.
    Command fixed;
    std::size_t streams = arguments.size();
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (local::is(arguments[i], "STREAMS")) streams = std::min(streams, i);
      if (local::is(arguments[i], "BLOCK") && i + 1 < arguments.size() && i < streams) {
        std::int64_t ms = 0;
        std::from_chars(arguments[i + 1].data(), arguments[i + 1].data() + arguments[i + 1].size(), ms);
        wait = std::chrono::milliseconds(std::max<std::int64_t>(0, ms));
      }
      if (i > streams && arguments[i] == "$") {
        const std::size_t half = (arguments.size() - streams - 1) / 2;
        const Reply last = data.run(Command("XREVRANGE", arguments[i - half], "+", "-", "COUNT", 1), nullptr);
        fixed.add(last.is_array() && !last.items.empty() ? last.items[0].items[0].text : "0-0");
      } else {
        fixed.add(arguments[i]);
      }
    }
    tries.push_back(std::move(fixed));
  } else {
    co_return fail(code::kInvalid, "redis: ERR unknown command '{}'", name);
  }
  const Deadline end = wait.count() > 0 ? Deadline::after(loop.now(), wait) : Deadline::never();
  for (;;) {
    const auto waiter = std::make_shared<Waiter>(loop);
    {
      std::lock_guard guard(data.mutex);
      data.waiters.push_back(waiter);
    }
    for (std::size_t i = 0; i < tries.size(); ++i) {
      Reply reply = data.run(tries[i], nullptr);
      if (empty(reply)) continue;
      if (!keys.empty() && reply.is_bulk()) {
        reply = Reply::array({Reply::bulk(keys[i]), std::move(reply)});
      } else if (!keys.empty() && reply.is_array()) {
        reply.items.insert(reply.items.begin(), Reply::bulk(keys[i]));
      }
      co_return reply;
    }
    if (end.expired(loop.now())) co_return Reply::null();
    const auto changed = co_await waiter->changed.wait(loop, std::min(end, deadline));
    if (changed) continue;
    {
      std::lock_guard guard(data.mutex);
      std::erase(data.waiters, waiter);
    }
    if (!end.expired(loop.now())) co_return fail(code::kTimeout, "redis: no reply to {} in time", name);
  }
}

class LocalSession final : public Session {
 public:
  LocalSession(Loop& loop, LocalData::Impl& data) : loop_(loop), data_(data) {}
  Loop& loop() const override { return loop_; }
  Clock::Duration timeout() const override { return std::chrono::seconds(1); }

 private:
  Result<void> submit(const Command& command, Call& call) override { return answer(data_, command, call, &watched_); }
  Task<Result<Reply>> submit_waiting(Command command, Deadline deadline) override {
    return wait_for(data_, loop_, std::move(command), deadline);
  }
  void distrust(std::uint64_t /*link*/, std::string_view /*why*/) override {}
  Error too_late(const Call& /*call*/, std::string_view name) const override {
    return make_error(code::kTimeout, fmt::format("redis: no reply to {} in time", name));
  }

  Loop& loop_;
  LocalData::Impl& data_;
  LocalData::Impl::Watched watched_;
};

class LocalSubscription final : public Subscription {
 public:
  LocalSubscription(LocalData::Impl& data, std::shared_ptr<Subscriber> subscriber)
      : data_(data), subscriber_(std::move(subscriber)) {}
  LocalSubscription(const LocalSubscription&) = delete;
  LocalSubscription& operator=(const LocalSubscription&) = delete;
  ~LocalSubscription() override {
    subscriber_->alive = false;
    std::lock_guard guard(data_.mutex);
    data_.subscribers.remove(subscriber_);
  }

 private:
  LocalData::Impl& data_;
  std::shared_ptr<Subscriber> subscriber_;
};

}  // namespace

Local::Local(Loop& loop, LocalData& data) : loop_(loop), data_(*data.impl_) {}
Local::~Local() = default;

Result<void> Local::submit(const Command& command, Call& call) {
  return answer(data_, command, call, nullptr);
}

Task<Result<Reply>> Local::submit_waiting(Command command, Deadline deadline) {
  return wait_for(data_, loop_, std::move(command), deadline);
}

Error Local::too_late(const Call& /*call*/, std::string_view name) const {
  return make_error(code::kTimeout, fmt::format("redis: no reply to {} in time", name));
}

Task<Result<std::unique_ptr<Session>>> Local::session(Within /*within*/) {
  return Result<std::unique_ptr<Session>>(std::make_unique<LocalSession>(loop_, data_));
}

Task<Result<std::unique_ptr<Subscription>>> Local::subscribe(SubscribeOptions options, ChannelHandler handler,
                                                             Within /*within*/) {
  using Out = Result<std::unique_ptr<Subscription>>;
  if (options.channels.empty() && options.patterns.empty()) {
    return Out(fail(code::kInvalid, "a subscription to no channel and no pattern"));
  }
  auto subscriber = std::make_shared<Subscriber>(loop_, std::move(options), std::move(handler));
  {
    std::lock_guard guard(data_.mutex);
    data_.subscribers.push_back(subscriber);
  }
  return Out(std::make_unique<LocalSubscription>(data_, std::move(subscriber)));
}

}  // namespace mg::redis
