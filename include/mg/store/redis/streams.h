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
  bool only_existing = false;   // No new stream: then the id is empty.
};
struct XReadOptions {
  std::int64_t count = 0;              // Of each stream; 0: all.
  std::chrono::milliseconds wait{-1};  // Until there is news, over a connection of its own: 0 for ever; -1: not.
};

// What members of a group have got and not acknowledged.
struct StreamPending {
  std::int64_t count = 0;
  std::string lowest, highest;                                  // Ids; empty when count is 0.
  std::vector<std::pair<std::string, std::int64_t>> consumers;  // How many each has.
};
bool convert(Reply&& reply, StreamPending& out);
struct StreamPendingEntry {
  std::string id, consumer;
  std::int64_t idle_ms = 0, deliveries = 0;
};
bool convert(Reply&& reply, StreamPendingEntry& out);
struct StreamClaimed {
  std::string next;       // For the next call; 0-0: all were seen.
  StreamEntries entries;  // Now the consumer's.
  Texts deleted;          // Ids that were pending, and are in the stream no longer.
};
bool convert(Reply&& reply, StreamClaimed& out);
struct StreamGroup {
  std::string name, last_id;
  std::int64_t consumers = 0, pending = 0;
};
bool convert(Reply&& reply, StreamGroup& out);

class Streams : public virtual Port {
 public:
  using From = std::vector<std::pair<std::string, std::string>>;  // Streams, and the id after which to begin.

  // "Appends the specified stream entry to the stream at the specified key." Its id; empty: see only_existing.
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
  // "Transfers ownership of pending stream entries that match the specified criteria", from `start` on.
  Task<Result<StreamClaimed>> xautoclaim(std::string_view key, std::string_view group, std::string_view consumer,
                                         std::chrono::milliseconds idle, std::string_view start = "0-0",
                                         std::int64_t count = 100, Within within = {}) {
    return ask<StreamClaimed>(within, Command("XAUTOCLAIM", key, group, consumer, idle.count(), start, "COUNT", count));
  }
  // "The interface to inspect the list of pending messages": its sum, and its entries.
  Task<Result<StreamPending>> xpending(std::string_view key, std::string_view group, Within within = {}) {
    return ask<StreamPending>(within, Command("XPENDING", key, group));
  }
  Task<Result<std::vector<StreamPendingEntry>>> xpending_entries(std::string_view key, std::string_view group,
                                                                 std::int64_t count, std::string_view from = "-",
                                                                 std::string_view to = "+", Within within = {}) {
    return ask<std::vector<StreamPendingEntry>>(within, Command("XPENDING", key, group, from, to, count));
  }
  // "Set the last delivered ID for a consumer group."
  Task<Result<void>> xgroup_setid(std::string_view key, std::string_view group, std::string_view id,
                                  Within within = {}) {
    return ask<Ok>(within, Command("XGROUP", "SETID", key, group, id));
  }
  // "Create a consumer named <consumername> in the consumer group". False: there is one.
  Task<Result<bool>> xgroup_createconsumer(std::string_view key, std::string_view group, std::string_view consumer,
                                           Within within = {}) {
    return ask<bool>(within, Command("XGROUP", "CREATECONSUMER", key, group, consumer));
  }
  // "Deletes a consumer from the consumer group." How many messages it had not acknowledged: nobody gets them now.
  Task<Result<std::int64_t>> xgroup_delconsumer(std::string_view key, std::string_view group, std::string_view consumer,
                                                Within within = {}) {
    return ask<std::int64_t>(within, Command("XGROUP", "DELCONSUMER", key, group, consumer));
  }
  // "This command returns the list of all consumer groups of the stream stored at <key>."
  Task<Result<std::vector<StreamGroup>>> xinfo_groups(std::string_view key, Within within = {}) {
    return ask<std::vector<StreamGroup>>(within, Command("XINFO", "GROUPS", key));
  }

 private:
  Task<Result<StreamNews>> read(Command command, const From& from, const XReadOptions& options, Within within);
};

}  // namespace mg::redis
