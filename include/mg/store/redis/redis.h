// mg/store/redis/redis.h -- Redis: a client of a server, or the twin in this process; code names only this.
//
//   Task<Result<void>> greet(redis::Redis& redis) {
//     auto got = co_await redis.get("greeting");
//     if (got && !*got) co_await redis.set("greeting", "hello", {.expiry = 30s});
//   }
//   redis::Client client(loop, {.url = "10.0.0.1:6379"});  // mg/store/redis/client.h
//   redis::Local local(loop);                               // mg/store/redis/local/local.h
#pragma once

#include <functional>
#include <memory>

#include "mg/store/redis/bitmaps.h"
#include "mg/store/redis/geo.h"
#include "mg/store/redis/hashes.h"
#include "mg/store/redis/keys.h"
#include "mg/store/redis/lists.h"
#include "mg/store/redis/scripts.h"
#include "mg/store/redis/sets.h"
#include "mg/store/redis/sorted_sets.h"
#include "mg/store/redis/streams.h"
#include "mg/store/redis/strings.h"

namespace mg::redis {

// All groups of commands.
class Commands : public Strings,
                 public Hashes,
                 public Lists,
                 public Sets,
                 public SortedSets,
                 public Keys,
                 public Scripts,
                 public Bitmaps,
                 public HyperLogLogs,
                 public Geo,
                 public Streams {};

// One connection for one user, for WATCH: what others send does not come between. Given back when it dies.
class Session : public Commands {
 public:
  // "Marks the given keys to be watched for conditional execution of a transaction."
  Task<Result<void>> watch(const Texts& keys, Within within = {});
  Task<Result<void>> unwatch(Within within = {});
  // As transaction(); nothing: a watched key was changed, so none ran.
  Task<Result<std::optional<std::vector<Reply>>>> exec(const std::vector<Command>& commands, Within within = {});
};

// A message of a channel. Lifetime: during the call.
struct ChannelMessage {
  std::string_view channel;
  std::string_view pattern;  // That it matched, of a subscription to patterns; else empty.
  std::string_view payload;
};
using ChannelHandler = std::function<void(const ChannelMessage&)>;

struct SubscribeOptions {
  Texts channels = {};
  Texts patterns = {};                // As of KEYS.
  std::function<void()> on_gap = {};  // Messages may have been lost: the connection was, and is there again.
};

// Ends the subscription when it dies; no call of the handler comes after that.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class Redis : public Commands {
 public:
  // Messages to the handler, on the loop, in order, from when the task is done. Delivered at most once.
  virtual Task<Result<std::unique_ptr<Subscription>>> subscribe(SubscribeOptions options, ChannelHandler handler,
                                                                Within within = {}) = 0;
  // "Posts a message to the given channel." How many got it, on this server.
  Task<Result<std::int64_t>> publish(std::string_view channel, std::string_view payload, Within within = {}) {
    return ask<std::int64_t>(within, Command("PUBLISH", channel, payload));
  }
  // "Lists the currently active channels", those with a subscriber, that match.
  Task<Result<Texts>> pubsub_channels(std::string_view match = "*", Within within = {}) {
    return ask<Texts>(within, Command("PUBSUB", "CHANNELS", match));
  }
  // "Returns the number of subscribers (exclusive of clients subscribed to patterns) for the specified channels", in
  // their order.
  Task<Result<std::vector<std::int64_t>>> pubsub_numsub(const Texts& channels, Within within = {});
  // "Returns the number of unique patterns that are subscribed to by clients".
  Task<Result<std::int64_t>> pubsub_numpat(Within within = {}) {
    return ask<std::int64_t>(within, Command("PUBSUB", "NUMPAT"));
  }
  virtual Task<Result<std::unique_ptr<Session>>> session(Within within = {}) = 0;
};

}  // namespace mg::redis
