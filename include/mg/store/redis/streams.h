// mg/store/redis/streams.h -- logs of entries that readers and groups of readers follow. In quotes: the words of the
// Redis documentation.
//
//   Result<std::string> id = co_await redis.xadd("events", {{"kind", "login"}}, {.max_length = 10'000});
//   auto news = co_await redis.xreadgroup("workers", "me", {{"events", ">"}}, {.wait = 5s});
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

struct StreamEntry {
  std::string id;  // 1700000000000-0
  std::vector<std::pair<std::string, std::string>> fields;
  friend bool operator==(const StreamEntry&, const StreamEntry&) = default;
};
bool convert(Reply&& reply, StreamEntry& out);
using StreamEntries = std::vector<StreamEntry>;
// By stream, in the order asked for; streams without news are left out.
using StreamNews = std::vector<std::pair<std::string, StreamEntries>>;

struct XAddOptions {
  std::string id = "*";         // "*": by the server's clock.
  std::int64_t max_length = 0;  // About so many are kept; 0: all.
};
struct XReadOptions {
  std::int64_t count = 0;              // Of each stream; 0: all.
  std::chrono::milliseconds wait{-1};  // Until there is news, over a connection of its own: 0 for ever; -1: not.
};

class Streams : public virtual Port {
 public:
  using From = std::vector<std::pair<std::string, std::string>>;  // Streams, and the id after which to begin.

  // "Appends the specified stream entry to the stream at the specified key." Its id.
  Task<Result<std::string>> xadd(std::string_view key, const std::vector<std::pair<std::string, std::string>>& fields,
                                 XAddOptions options = {}, Within within = {});
  // "Returns the number of entries inside a stream."
  Task<Result<std::int64_t>> xlen(std::string_view key, Within within = {}) {
    return ask<std::int64_t>(within, Command("XLEN", key));
  }
  // "The command returns the stream entries matching a given range of IDs": "-" and "+" are the ends. count 0: all.
  Task<Result<StreamEntries>> xrange(std::string_view key, std::string_view from = "-", std::string_view to = "+",
                                     std::int64_t count = 0, Within within = {});
  Task<Result<StreamEntries>> xrevrange(std::string_view key, std::string_view from = "+", std::string_view to = "-",
                                        std::int64_t count = 0, Within within = {});
  // "Removes the specified entries from a stream."
  Task<Result<std::int64_t>> xdel(std::string_view key, const Texts& ids, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("XDEL", key).add_all(ids)));
  }
  // "XTRIM trims the stream by evicting older entries if needed", to exactly so many.
  Task<Result<std::int64_t>> xtrim(std::string_view key, std::int64_t max_length, Within within = {}) {
    return ask<std::int64_t>(within, Command("XTRIM", key, "MAXLEN", max_length));
  }
  // "Read data from one or multiple streams, only returning entries with an ID greater than the last received ID
  // reported by the caller." "$": only what comes from now on.
  Task<Result<StreamNews>> xread(const From& from, XReadOptions options = {}, Within within = {});

  // "Create a new consumer group" that begins after `id`; makes the stream too. Errors: also kExists
  Task<Result<void>> xgroup_create(std::string_view key, std::string_view group, std::string_view id = "$",
                                   Within within = {}) {
    return ask<Ok>(within, Command("XGROUP", "CREATE", key, group, id, "MKSTREAM"));
  }
  Task<Result<bool>> xgroup_destroy(std::string_view key, std::string_view group, Within within = {}) {
    return ask<bool>(within, Command("XGROUP", "DESTROY", key, group));
  }
  // As a member of a group: ">" is what no member got yet, an id what this one got and has not acknowledged.
  Task<Result<StreamNews>> xreadgroup(std::string_view group, std::string_view consumer, const From& from,
                                      XReadOptions options = {}, Within within = {});
  // "Removes one or multiple messages from the Pending Entries List (PEL) of a stream consumer group."
  Task<Result<std::int64_t>> xack(std::string_view key, std::string_view group, const Texts& ids, Within within = {}) {
    return ask<std::int64_t>(within, std::move(Command("XACK", key, group).add_all(ids)));
  }
  // "Changes the ownership of a pending message" that was delivered at least `idle` ago.
  Task<Result<StreamEntries>> xclaim(std::string_view key, std::string_view group, std::string_view consumer,
                                     std::chrono::milliseconds idle, const Texts& ids, Within within = {}) {
    return ask<StreamEntries>(within, std::move(Command("XCLAIM", key, group, consumer, idle.count()).add_all(ids)));
  }

 private:
  Task<Result<StreamNews>> read(Command command, const From& from, const XReadOptions& options, Within within);
};

}  // namespace mg::redis
