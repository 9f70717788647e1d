// What the groups of commands do not have in their headers.
#include <openssl/sha.h>

#include <charconv>
#include <limits>

#include "mg/store/redis/redis.h"
#include "mg/utils/errors/convert.h"

namespace mg::redis {
namespace {

bool equal_names(std::string_view name, std::string_view upper) {
  return name.size() == upper.size() && std::ranges::equal(name, upper, [](char a, char b) {
           return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
         });
}
bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view other) { return equal_names(name, other); });
}

bool waits(const Command& command) {
  const std::string_view name = command.name();
  if (one_of(name, {"BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT"})) {
    return true;
  }
  if (!one_of(name, {"XREAD", "XREADGROUP"})) return false;
  for (const std::string_view argument : command.arguments()) {
    if (equal_names(argument, "BLOCK")) return true;
    if (equal_names(argument, "STREAMS")) break;
  }
  return false;
}

// Commands after which a connection is another than its other users think.
std::string_view instead_of(const Command& command) {
  const std::string_view name = command.name();
  if (one_of(name, {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"})) {
    return "use subscribe()";
  }
  if (one_of(name, {"MULTI", "EXEC", "DISCARD"})) return "use transaction()";
  if (one_of(name, {"WATCH", "UNWATCH"})) return "use session()";
  if (one_of(name, {"SELECT", "AUTH"})) return "set it in the options";
  if (one_of(name, {"HELLO", "RESET", "QUIT", "MONITOR", "SYNC", "PSYNC", "ASKING", "READONLY", "READWRITE"})) {
    return "the connection is shared";
  }
  if (equal_names(name, "CLIENT")) {
    const auto arguments = command.arguments();
    if (arguments.size() > 1 && one_of(arguments[1], {"REPLY", "TRACKING", "CACHING", "NO-EVICT", "PAUSE"})) {
      return "the connection is shared";
    }
  }
  return {};
}

Task<Result<std::vector<Reply>>> transaction_reply(Task<Result<Reply>> task) {
  Result<Reply> got = co_await std::move(task);
  if (!got) co_return std::unexpected(std::move(got).error());
  if (!got->is_array()) co_return fail(code::kServer, "the reply to EXEC is {}", describe(*got));
  co_return std::move(got->items);
}

Command multi(const std::vector<Command>& commands) {
  Command whole("MULTI");
  for (const auto& command : commands) whole.then(command);
  whole.then(Command("EXEC"));
  return whole;
}

Result<void> check_parts(const std::vector<Command>& commands) {
  for (const auto& command : commands) {
    if (command.size() == 0) return fail(code::kInvalid, "a command without a name");
    if (const auto other = instead_of(command); !other.empty()) {
      return fail(code::kInvalid, "{} in a transaction", command.name());
    }
  }
  return {};
}

std::string hex(std::span<const unsigned char> octets) {
  std::string out;
  for (const unsigned char octet : octets) out += fmt::format("{:02x}", octet);
  return out;
}

}  // namespace

Error Port::server_error(const Reply& reply) {
  return errors::from_redis(reply.text);
}

Error Port::wrong_type(std::string_view name, const Reply& reply) {
  return make_error(code::kServer,
                    fmt::format("redis: the reply to {} is {}, which it never is", name, describe(reply)));
}

Task<Result<Reply>> Port::command(Command command, Within within) {
  if (command.size() == 0) return Result<Reply>(fail(code::kInvalid, "a command without a name"));
  if (const auto other = instead_of(command); !other.empty()) {
    return Result<Reply>(fail(code::kInvalid, "{} is not sent as it is: {}", command.name(), other));
  }
  if (waits(command)) return ask_waiting<Reply>(within, Clock::Duration{0}, std::move(command));
  return ask<Reply>(within, command);
}

Task<Result<std::vector<Reply>>> Port::transaction(const std::vector<Command>& commands, Within within) {
  if (auto good = check_parts(commands); !good) return Result<std::vector<Reply>>(std::unexpected(good.error()));
  if (commands.empty()) return Result<std::vector<Reply>>(std::vector<Reply>());
  auto task = transaction_reply(ask<Reply>(within, multi(commands)));
  task.start();
  return task;
}

Task<Result<void>> Session::watch(const Texts& keys, Within within) {
  return ask<Ok>(within, std::move(Command("WATCH").add_all(keys)));
}

Task<Result<void>> Session::unwatch(Within within) {
  return ask<Ok>(within, Command("UNWATCH"));
}

Task<Result<std::optional<std::vector<Reply>>>> Session::exec(const std::vector<Command>& commands, Within within) {
  using Out = Result<std::optional<std::vector<Reply>>>;
  if (auto good = check_parts(commands); !good) return Out(std::unexpected(good.error()));
  return mapped(ask<Reply>(within, multi(commands)), [](Result<Reply> got) -> Out {
    if (!got) return std::unexpected(std::move(got).error());
    if (got->is_null()) return std::nullopt;
    if (!got->is_array()) return fail(code::kServer, "the reply to EXEC is {}", describe(*got));
    return std::move(got->items);
  });
}

void Strings::add_set_options(Command& command, const SetOptions& options) {
  if (options.expiry.count() > 0) {
    if (options.expiry.count() % 1000 == 0) {
      command.add("EX").add(options.expiry.count() / 1000);
    } else {
      command.add("PX").add(options.expiry.count());
    }
  }
  if (options.keep_ttl) command.add("KEEPTTL");
  if (options.when == SetWhen::kMissing) command.add("NX");
  if (options.when == SetWhen::kExists) command.add("XX");
}

Command Keys::sort_command(std::string_view key, const SortOptions& options) {
  Command command("SORT", key);
  if (!options.by.empty()) command.add("BY").add(options.by);
  if (options.offset != 0 || options.count >= 0) command.add("LIMIT").add(options.offset).add(options.count);
  for (const auto& pattern : options.get) command.add("GET").add(pattern);
  if (options.descending) command.add("DESC");
  if (options.alpha) command.add("ALPHA");
  return command;
}

ScoreBound ScoreBound::lowest() {
  return -std::numeric_limits<double>::infinity();
}
ScoreBound ScoreBound::highest() {
  return std::numeric_limits<double>::infinity();
}
std::string ScoreBound::text() const {
  return fmt::format("{}{}", exclusive ? "(" : "", score);
}

namespace {

Command zadd_command(std::string_view key, const std::vector<Scored>& members, ZAddWhen when, bool changed) {
  static constexpr std::string_view kWhen[] = {"", "NX", "XX", "GT", "LT"};
  Command command("ZADD", key);
  if (when != ZAddWhen::kAlways) command.add(kWhen[static_cast<std::size_t>(when)]);
  if (changed) command.add("CH");
  for (const auto& [member, score] : members) command.add(score).add(member);
  return command;
}

// numkeys key ... [WEIGHTS ...] [AGGREGATE ...]
Command& add_sets(Command& command, const Texts& keys, const Combine& how) {
  static constexpr std::string_view kNames[] = {"SUM", "MIN", "MAX"};
  command.add(keys.size()).add_all(keys);
  if (!how.weights.empty()) command.add("WEIGHTS").add_all(how.weights);
  if (how.aggregate != Aggregate::kSum) {
    command.add("AGGREGATE").add(kNames[static_cast<std::size_t>(how.aggregate)]);
  }
  return command;
}

double seconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

}  // namespace

Task<Result<std::int64_t>> SortedSets::zadd(std::string_view key, const std::vector<Scored>& members, ZAddWhen when,
                                            Within within) {
  return ask<std::int64_t>(within, zadd_command(key, members, when, false));
}
Task<Result<std::int64_t>> SortedSets::zadd_changed(std::string_view key, const std::vector<Scored>& members,
                                                    ZAddWhen when, Within within) {
  return ask<std::int64_t>(within, zadd_command(key, members, when, true));
}

Task<Result<SortedSets::PoppedOne>> SortedSets::bzpopmin(const Texts& keys, std::chrono::milliseconds wait,
                                                         Within within) {
  return ask_waiting<PoppedOne>(within, wait, std::move(Command("BZPOPMIN").add_all(keys).add(seconds(wait))));
}
Task<Result<SortedSets::PoppedOne>> SortedSets::bzpopmax(const Texts& keys, std::chrono::milliseconds wait,
                                                         Within within) {
  return ask_waiting<PoppedOne>(within, wait, std::move(Command("BZPOPMAX").add_all(keys).add(seconds(wait))));
}
Task<Result<SortedSets::PoppedSome>> SortedSets::bzmpop(const Texts& keys, bool highest, std::int64_t count,
                                                        std::chrono::milliseconds wait, Within within) {
  Command command("BZMPOP", seconds(wait), keys.size());
  command.add_all(keys).add(highest ? "MAX" : "MIN").add("COUNT").add(count);
  return ask_waiting<PoppedSome>(within, wait, std::move(command));
}

Task<Result<std::vector<Scored>>> SortedSets::zunion(const Texts& keys, const Combine& how, Within within) {
  Command command("ZUNION");
  return ask<std::vector<Scored>>(within, add_sets(command, keys, how).add("WITHSCORES"));
}
Task<Result<std::vector<Scored>>> SortedSets::zinter(const Texts& keys, const Combine& how, Within within) {
  Command command("ZINTER");
  return ask<std::vector<Scored>>(within, add_sets(command, keys, how).add("WITHSCORES"));
}
Task<Result<std::vector<Scored>>> SortedSets::zdiff(const Texts& keys, Within within) {
  Command command("ZDIFF");
  return ask<std::vector<Scored>>(within, add_sets(command, keys, {}).add("WITHSCORES"));
}
Task<Result<std::int64_t>> SortedSets::zunionstore(std::string_view to, const Texts& keys, const Combine& how,
                                                   Within within) {
  Command command("ZUNIONSTORE", to);
  return ask<std::int64_t>(within, add_sets(command, keys, how));
}
Task<Result<std::int64_t>> SortedSets::zinterstore(std::string_view to, const Texts& keys, const Combine& how,
                                                   Within within) {
  Command command("ZINTERSTORE", to);
  return ask<std::int64_t>(within, add_sets(command, keys, how));
}
Task<Result<std::int64_t>> SortedSets::zdiffstore(std::string_view to, const Texts& keys, Within within) {
  Command command("ZDIFFSTORE", to);
  return ask<std::int64_t>(within, add_sets(command, keys, {}));
}
Task<Result<std::int64_t>> SortedSets::zintercard(const Texts& keys, std::int64_t limit, Within within) {
  Command command("ZINTERCARD");
  return ask<std::int64_t>(within, add_sets(command, keys, {}).add("LIMIT").add(limit));
}

namespace {

Command& add_query(Command& command, const GeoQuery& query) {
  if (query.from_member.empty()) {
    command.add("FROMLONLAT").add(query.from.longitude).add(query.from.latitude);
  } else {
    command.add("FROMMEMBER").add(query.from_member);
  }
  if (query.radius > 0) {
    command.add("BYRADIUS").add(query.radius);
  } else {
    command.add("BYBOX").add(query.width).add(query.height);
  }
  command.add("m").add(query.farthest_first ? "DESC" : "ASC");
  if (query.count > 0) command.add("COUNT").add(query.count);
  return command;
}

}  // namespace

bool convert(Reply&& reply, GeoHit& out) {
  return reply.is_array() && reply.items.size() == 3 && convert(std::move(reply.items[0]), out.member) &&
         convert(std::move(reply.items[1]), out.metres) && convert(std::move(reply.items[2]), out.place);
}

Task<Result<std::vector<GeoHit>>> Geo::geosearch(std::string_view key, const GeoQuery& query, Within within) {
  Command command("GEOSEARCH", key);
  return ask<std::vector<GeoHit>>(within, add_query(command, query).add("WITHCOORD").add("WITHDIST"));
}
Task<Result<std::int64_t>> Geo::geosearchstore(std::string_view to, std::string_view key, const GeoQuery& query,
                                               bool distances, Within within) {
  Command command("GEOSEARCHSTORE", to, key);
  add_query(command, query);
  if (distances) command.add("STOREDIST");
  return ask<std::int64_t>(within, command);
}

Task<Result<std::vector<std::int64_t>>> Redis::pubsub_numsub(const Texts& channels, Within within) {
  using Counts = std::vector<std::int64_t>;
  return mapped(ask<std::vector<Reply>>(within, std::move(Command("PUBSUB", "NUMSUB").add_all(channels))),
                [](Result<std::vector<Reply>> got) -> Result<Counts> {
                  if (!got) return std::unexpected(std::move(got).error());
                  Counts out;
                  for (std::size_t i = 1; i < got->size(); i += 2) out.push_back((*got)[i].integer);
                  return out;
                });
}

Script::Script(std::string text) : text_(std::move(text)) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text_.data()), text_.size(), digest);
  sha_ = hex(digest);
}

namespace {
Task<Result<Reply>> or_eval(Scripts& redis, Task<Result<Reply>> first, std::string text, Texts keys, Texts arguments,
                            Deadline deadline) {
  Result<Reply> got = co_await std::move(first);
  if (got || got.error().code != code::kNotFound) co_return got;
  co_return co_await redis.eval(text, keys, arguments, deadline);
}
}  // namespace

Task<Result<Reply>> Scripts::run(const Script& script, const Texts& keys, const Texts& arguments, Within within) {
  const Deadline deadline = within.from(loop().now(), timeout());
  auto task =
      or_eval(*this, evalsha(script.sha(), keys, arguments, deadline), script.text(), keys, arguments, deadline);
  task.start();
  return task;
}

bool convert(Reply&& reply, GeoPlace& out) {
  return reply.is_array() && reply.items.size() == 2 && convert(std::move(reply.items[0]), out.longitude) &&
         convert(std::move(reply.items[1]), out.latitude);
}

bool convert(Reply&& reply, StreamEntry& out) {
  out.fields.clear();
  if (!reply.is_array() || reply.items.size() != 2 || !convert(std::move(reply.items[0]), out.id)) return false;
  Reply& fields = reply.items[1];
  if (fields.is_null()) return true;  // Deleted meanwhile.
  if (!fields.is_array() || fields.items.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < fields.items.size(); i += 2) {
    auto& [name, value] = out.fields.emplace_back();
    if (!convert(std::move(fields.items[i]), name) || !convert(std::move(fields.items[i + 1]), value)) return false;
  }
  return true;
}

bool convert(Reply&& reply, StreamPending& out) {
  if (!reply.is_array() || reply.items.size() != 4 || !convert(std::move(reply.items[0]), out.count)) return false;
  std::optional<std::string> lowest, highest;
  std::optional<std::vector<std::pair<std::string, std::int64_t>>> consumers;
  if (!convert(std::move(reply.items[1]), lowest) || !convert(std::move(reply.items[2]), highest) ||
      !convert(std::move(reply.items[3]), consumers)) {
    return false;
  }
  out.lowest = std::move(lowest).value_or("");
  out.highest = std::move(highest).value_or("");
  if (consumers) out.consumers = *std::move(consumers);
  return true;
}

bool convert(Reply&& reply, StreamPendingEntry& out) {
  return reply.is_array() && reply.items.size() == 4 && convert(std::move(reply.items[0]), out.id) &&
         convert(std::move(reply.items[1]), out.consumer) && convert(std::move(reply.items[2]), out.idle_ms) &&
         convert(std::move(reply.items[3]), out.deliveries);
}

// Before 7.0 without the deleted ones.
bool convert(Reply&& reply, StreamClaimed& out) {
  return reply.is_array() && reply.items.size() >= 2 && convert(std::move(reply.items[0]), out.next) &&
         convert(std::move(reply.items[1]), out.entries) &&
         (reply.items.size() == 2 || convert(std::move(reply.items[2]), out.deleted));
}

bool convert(Reply&& reply, StreamGroup& out) {
  if (!reply.is_array() || reply.items.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < reply.items.size(); i += 2) {
    const std::string& name = reply.items[i].text;
    Reply& value = reply.items[i + 1];
    const bool good = name == "name"                ? convert(std::move(value), out.name)
                      : name == "last-delivered-id" ? convert(std::move(value), out.last_id)
                      : name == "consumers"         ? convert(std::move(value), out.consumers)
                      : name == "pending"           ? convert(std::move(value), out.pending)
                                                    : true;
    if (!good) return false;
  }
  return true;
}

Task<Result<std::string>> Streams::xadd(std::string_view key,
                                        const std::vector<std::pair<std::string, std::string>>& fields,
                                        XAddOptions options, Within within) {
  Command command("XADD", key);
  if (options.only_existing) command.add("NOMKSTREAM");
  if (options.max_length > 0) command.add("MAXLEN").add("~").add(options.max_length);
  return mapped(ask<std::optional<std::string>>(within, command.add(options.id).add_all(fields)),
                [](Result<std::optional<std::string>> got) -> Result<std::string> {
                  if (!got) return std::unexpected(std::move(got).error());
                  return std::move(*got).value_or("");
                });
}

Task<Result<StreamEntries>> Streams::xrange(std::string_view key, std::string_view from, std::string_view to,
                                            std::int64_t count, Within within) {
  Command command("XRANGE", key, from, to);
  if (count > 0) command.add("COUNT").add(count);
  return ask<StreamEntries>(within, command);
}

Task<Result<StreamEntries>> Streams::xrevrange(std::string_view key, std::string_view from, std::string_view to,
                                               std::int64_t count, Within within) {
  Command command("XREVRANGE", key, from, to);
  if (count > 0) command.add("COUNT").add(count);
  return ask<StreamEntries>(within, command);
}

Task<Result<StreamNews>> Streams::read(Command command, const From& from, const XReadOptions& options, Within within) {
  if (options.count > 0) command.add("COUNT").add(options.count);
  const bool wait = options.wait.count() >= 0;
  if (wait) command.add("BLOCK").add(options.wait.count());
  command.add("STREAMS");
  for (const auto& [key, id] : from) command.add(key);
  for (const auto& [key, id] : from) command.add(id);
  const auto or_empty = [](Result<std::optional<StreamNews>> got) -> Result<StreamNews> {
    if (!got) return std::unexpected(std::move(got).error());
    return std::move(*got).value_or(StreamNews());
  };
  if (wait) return mapped(ask_waiting<std::optional<StreamNews>>(within, options.wait, std::move(command)), or_empty);
  return mapped(ask<std::optional<StreamNews>>(within, command), or_empty);
}

Task<Result<StreamNews>> Streams::xread(const From& from, XReadOptions options, Within within) {
  return read(Command("XREAD"), from, options, within);
}

Task<Result<StreamNews>> Streams::xreadgroup(std::string_view group, std::string_view consumer, const From& from,
                                             XReadOptions options, Within within) {
  return read(Command("XREADGROUP", "GROUP", group, consumer), from, options, within);
}

}  // namespace mg::redis
