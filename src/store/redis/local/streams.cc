// Streams of the twin, and groups of their readers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "store/redis/local/engine.h"

namespace mg::redis::local {

std::string StreamId::text() const {
  return fmt::format("{}-{}", ms, seq);
}

namespace {

constexpr StreamId kLast{UINT64_MAX, UINT64_MAX};

StreamId parse_id(std::string_view text, std::uint64_t seq) {
  StreamId out{0, seq};
  const auto dash = text.find('-');
  const auto read = [](std::string_view part, std::uint64_t* value) {
    const auto done = std::from_chars(part.data(), part.data() + part.size(), *value);
    return !part.empty() && done.ec == std::errc() && done.ptr == part.data() + part.size();
  };
  const bool good = read(text.substr(0, dash), &out.ms) && (dash == text.npos || read(text.substr(dash + 1), &out.seq));
  if (!good) refuse("ERR Invalid stream ID specified as stream command argument");
  return out;
}
StreamId low_id(std::string_view text) {
  return text == "-" ? StreamId{} : text == "+" ? kLast : parse_id(text, 0);
}
StreamId high_id(std::string_view text) {
  return text == "-" ? StreamId{} : text == "+" ? kLast : parse_id(text, UINT64_MAX);
}

Reply shown(const StreamId& id, const StreamFields* fields) {
  return Reply::array({Reply::bulk(id.text()), fields ? texts(*fields) : Reply::null()});
}

std::int64_t trim(Stream& stream, std::int64_t most) {
  std::int64_t gone = 0;
  for (; static_cast<std::int64_t>(stream.entries.size()) > most; ++gone) stream.entries.erase(stream.entries.begin());
  return gone;
}

// MAXLEN [=|~] n at `at`, which moves behind it.
std::int64_t max_length(Args args, std::size_t* at) {
  ++*at;
  if (*at < args.size() && (args[*at] == "~" || args[*at] == "=")) ++*at;
  if (*at >= args.size()) refuse("ERR syntax error");
  const std::int64_t most = integer(args[(*at)++]);
  if (most < 0) refuse("ERR The MAXLEN argument must be >= 0.");
  return most;
}

Reply xadd(Engine& engine, Args args) {
  std::size_t at = 2;
  std::int64_t most = -1;
  bool only_existing = false;
  for (; at < args.size();) {
    if (is(args[at], "NOMKSTREAM")) {
      only_existing = true;
      ++at;
    } else if (is(args[at], "MAXLEN")) {
      most = max_length(args, &at);
    } else {
      break;
    }
  }
  if (at >= args.size() || (args.size() - at) % 2 != 1 || args.size() - at < 3) {
    refuse("ERR wrong number of arguments for 'xadd' command");
  }
  const auto* const there = engine.find<Stream>(args[1]);
  const StreamId last = there ? there->last : StreamId{};
  if (!there && only_existing) {
    if (args[at] != "*") parse_id(args[at], 0);
    return Reply::null();
  }
  StreamId id;
  if (args[at] == "*") {
    id = {static_cast<std::uint64_t>(engine.now_ms()), 0};
    if (id <= last) id = {last.ms, last.seq + 1};
  } else {
    id = parse_id(args[at], 0);
    if (id == StreamId{}) refuse("ERR The ID specified in XADD must be greater than 0-0");
    if (id <= last) refuse("ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
  auto& stream = engine.make<Stream>(args[1]);
  auto& fields = stream.entries[id];
  for (const auto text : args.subspan(at + 1)) fields.emplace_back(text);
  stream.last = id;
  if (most >= 0) trim(stream, most);
  engine.touch(args[1]);
  return Reply::bulk(id.text());
}

Reply xrange(Engine& engine, Args args, bool reverse) {
  std::int64_t count = INT64_MAX;
  if (args.size() == 6 && is(args[4], "COUNT")) {
    count = integer(args[5]);
  } else if (args.size() != 4) {
    refuse("ERR syntax error");
  }
  const StreamId from = low_id(args[reverse ? 3 : 2]), to = high_id(args[reverse ? 2 : 3]);
  const auto* const stream = engine.find<Stream>(args[1]);
  Reply out = Reply::array({});
  if (stream && count <= 0) return Reply::null();  // As the server has it.
  if (!stream || from > to) return out;
  const auto begin = stream->entries.lower_bound(from);
  const auto end = stream->entries.upper_bound(to);
  const auto add = [&](const auto& item) { out.items.push_back(shown(item.first, &item.second)); };
  if (reverse) {
    for (auto at = end; at != begin && count-- > 0;) add(*--at);
  } else {
    for (auto at = begin; at != end && count-- > 0; ++at) add(*at);
  }
  return out;
}

struct Reading {
  std::int64_t count = INT64_MAX;
  bool no_ack = false;
  Args keys, ids;
};

Reading parse_reading(Args args, std::size_t at) {
  Reading out;
  for (; at < args.size(); ++at) {
    if (is(args[at], "COUNT") && at + 1 < args.size()) {
      out.count = integer(args[++at]);
      if (out.count <= 0) out.count = INT64_MAX;
    } else if (is(args[at], "BLOCK") && at + 1 < args.size()) {
      ++at;  // Who waits asks again.
    } else if (is(args[at], "NOACK")) {
      out.no_ack = true;
    } else if (is(args[at], "STREAMS")) {
      const Args rest = args.subspan(at + 1);
      if (rest.empty() || rest.size() % 2 != 0)
        refuse("ERR Unbalanced list of streams: for each stream key an ID is needed");
      out.keys = rest.first(rest.size() / 2);
      out.ids = rest.last(rest.size() / 2);
      return out;
    } else {
      break;
    }
  }
  refuse("ERR syntax error");
}

Reply news_or_null(Reply news) {
  return news.items.empty() ? Reply::null() : news;
}

Reply xread(Engine& engine, Args args) {
  const Reading reading = parse_reading(args, 1);
  Reply out = Reply::array({});
  for (std::size_t i = 0; i < reading.keys.size(); ++i) {
    if (reading.ids[i] == "$") continue;  // Nothing is newer than now.
    const StreamId after = parse_id(reading.ids[i], 0);
    const auto* const stream = engine.find<Stream>(reading.keys[i]);
    if (!stream) continue;
    Reply entries = Reply::array({});
    std::int64_t left = reading.count;
    for (auto at = stream->entries.upper_bound(after); at != stream->entries.end() && left-- > 0; ++at) {
      entries.items.push_back(shown(at->first, &at->second));
    }
    if (entries.items.empty()) continue;
    out.items.push_back(Reply::array({Reply::bulk(std::string(reading.keys[i])), std::move(entries)}));
  }
  return news_or_null(std::move(out));
}

Group& group_of(Engine& engine, std::string_view key, std::string_view name) {
  auto* const stream = engine.find<Stream>(key);
  const auto at = stream ? stream->groups.find(name) : std::map<std::string, Group, std::less<>>::iterator{};
  if (!stream || at == stream->groups.end()) {
    refuse(fmt::format("NOGROUP No such key '{}' or consumer group '{}'", key, name));
  }
  return at->second;
}

Reply xreadgroup(Engine& engine, Args args) {
  if (!is(args[1], "GROUP")) refuse("ERR syntax error");
  const std::string consumer(args[3]);
  const Reading reading = parse_reading(args, 4);
  Reply out = Reply::array({});
  for (std::size_t i = 0; i < reading.keys.size(); ++i) {
    const auto key = reading.keys[i];
    Group& group = group_of(engine, key, args[2]);
    Stream& stream = *engine.find<Stream>(key);
    Reply entries = Reply::array({});
    std::int64_t left = reading.count;
    const bool fresh = reading.ids[i] == ">";
    if (!fresh || stream.entries.upper_bound(group.last) != stream.entries.end()) group.consumers.insert(consumer);
    if (fresh) {
      for (auto at = stream.entries.upper_bound(group.last); at != stream.entries.end() && left-- > 0; ++at) {
        entries.items.push_back(shown(at->first, &at->second));
        group.last = at->first;
        if (!reading.no_ack) group.pending[at->first] = {consumer, engine.now_ms(), 1};
      }
    } else {
      for (auto at = group.pending.upper_bound(parse_id(reading.ids[i], 0)); at != group.pending.end() && left > 0;
           ++at) {
        if (at->second.consumer != consumer) continue;
        const auto entry = stream.entries.find(at->first);
        if (entry != stream.entries.end()) {
          at->second.delivered_ms = engine.now_ms();
          ++at->second.times;
        }
        entries.items.push_back(shown(at->first, entry == stream.entries.end() ? nullptr : &entry->second));
        --left;
      }
    }
    if (fresh && entries.items.empty()) continue;
    out.items.push_back(Reply::array({Reply::bulk(std::string(key)), std::move(entries)}));
  }
  return news_or_null(std::move(out));
}

Reply xgroup(Engine& engine, Args args) {
  if (is(args[1], "CREATE") && args.size() >= 5) {
    const bool make = args.size() > 5 && is(args[5], "MKSTREAM");
    if (!make && !engine.entry(args[2])) refuse("ERR The XGROUP subcommand requires the key to exist.");
    auto& stream = engine.make<Stream>(args[2]);
    const StreamId after = args[4] == "$" ? stream.last : parse_id(args[4], 0);
    if (!stream.groups.try_emplace(std::string(args[3]), Group{after, {}, {}}).second) {
      refuse("BUSYGROUP Consumer Group name already exists");
    }
    engine.touch(args[2]);
    return ok();
  }
  if (is(args[1], "DESTROY") && args.size() == 4) {
    auto* const stream = engine.find<Stream>(args[2]);
    if (!stream) refuse("ERR The XGROUP subcommand requires the key to exist.");
    return Reply::number(static_cast<std::int64_t>(stream->groups.erase(std::string(args[3]))));
  }
  if (args.size() > 2 && !engine.entry(args[2])) refuse("ERR The XGROUP subcommand requires the key to exist.");
  if (is(args[1], "SETID") && args.size() == 5) {
    Group& group = group_of(engine, args[2], args[3]);
    group.last = args[4] == "$" ? engine.find<Stream>(args[2])->last : parse_id(args[4], 0);
    engine.touch(args[2]);
    return ok();
  }
  if (is(args[1], "CREATECONSUMER") && args.size() == 5) {
    return Reply::number(group_of(engine, args[2], args[3]).consumers.emplace(args[4]).second ? 1 : 0);
  }
  if (is(args[1], "DELCONSUMER") && args.size() == 5) {
    Group& group = group_of(engine, args[2], args[3]);
    group.consumers.erase(std::string(args[4]));
    return Reply::number(static_cast<std::int64_t>(
        std::erase_if(group.pending, [&](const auto& item) { return item.second.consumer == args[4]; })));
  }
  refuse(fmt::format("ERR unknown subcommand '{}'. Try XGROUP HELP.", args[1]));
}

Reply xpending(Engine& engine, Args args) {
  const Group& group = group_of(engine, args[1], args[2]);
  if (args.size() == 3) {
    if (group.pending.empty()) return Reply::array({Reply::number(0), Reply::null(), Reply::null(), Reply::null()});
    std::map<std::string, std::int64_t> counts;
    for (const auto& [id, item] : group.pending) ++counts[item.consumer];
    Reply consumers = Reply::array({});
    for (const auto& [name, count] : counts) consumers.items.push_back(texts({name, std::to_string(count)}));
    return Reply::array({Reply::number(static_cast<std::int64_t>(group.pending.size())),
                         Reply::bulk(group.pending.begin()->first.text()),
                         Reply::bulk(group.pending.rbegin()->first.text()), std::move(consumers)});
  }
  std::size_t at = 3;
  std::int64_t idle = 0;
  if (is(args[at], "IDLE") && args.size() > 5) {
    idle = integer(args[4]);
    at = 5;
  }
  if (args.size() < at + 3 || args.size() > at + 4) refuse("ERR syntax error");
  const StreamId from = low_id(args[at]), to = high_id(args[at + 1]);
  const std::int64_t count = integer(args[at + 2]);
  Reply out = Reply::array({});
  for (const auto& [id, item] : group.pending) {
    if (static_cast<std::int64_t>(out.items.size()) >= count) break;
    const std::int64_t waited = engine.now_ms() - item.delivered_ms;
    if (id < from || to < id || waited < idle || (args.size() == at + 4 && item.consumer != args[at + 3])) continue;
    out.items.push_back(Reply::array(
        {Reply::bulk(id.text()), Reply::bulk(item.consumer), Reply::number(waited), Reply::number(item.times)}));
  }
  return out;
}

Reply xautoclaim(Engine& engine, Args args) {
  Group& group = group_of(engine, args[1], args[2]);
  const Stream& stream = *engine.find<Stream>(args[1]);
  const std::int64_t idle = integer(args[4]);
  std::int64_t left = 100;
  if (args.size() == 8 && is(args[6], "COUNT")) {
    left = integer(args[7]);
    if (left < 1) refuse("ERR COUNT must be > 0");
  } else if (args.size() != 6) {
    refuse("ERR syntax error");
  }
  const std::string consumer(args[3]);
  Reply entries = Reply::array({}), deleted = Reply::array({});
  auto at = group.pending.lower_bound(low_id(args[5]));
  while (at != group.pending.end() && left > 0) {
    if (engine.now_ms() - at->second.delivered_ms < idle) {
      ++at;
      continue;
    }
    --left;
    const auto entry = stream.entries.find(at->first);
    if (entry == stream.entries.end()) {
      deleted.items.push_back(Reply::bulk(at->first.text()));
      at = group.pending.erase(at);
      continue;
    }
    group.consumers.insert(consumer);
    at->second = {consumer, engine.now_ms(), at->second.times + 1};
    entries.items.push_back(shown(at->first, &entry->second));
    ++at;
  }
  const std::string next = at == group.pending.end() ? "0-0" : at->first.text();
  return Reply::array({Reply::bulk(next), std::move(entries), std::move(deleted)});
}

Reply xinfo(Engine& engine, Args args) {
  auto* const stream = engine.find<Stream>(args[2]);
  if (!stream) refuse("ERR no such key");
  if (!is(args[1], "GROUPS") || args.size() != 3) {
    refuse(fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'", args[1]));
  }
  Reply out = Reply::array({});
  for (const auto& [name, group] : stream->groups) {
    out.items.push_back(
        Reply::array({Reply::bulk("name"), Reply::bulk(name), Reply::bulk("consumers"),
                      Reply::number(static_cast<std::int64_t>(group.consumers.size())), Reply::bulk("pending"),
                      Reply::number(static_cast<std::int64_t>(group.pending.size())), Reply::bulk("last-delivered-id"),
                      Reply::bulk(group.last.text())}));
  }
  return out;
}

Reply xclaim(Engine& engine, Args args) {
  Group& group = group_of(engine, args[1], args[2]);
  const Stream& stream = *engine.find<Stream>(args[1]);
  const std::int64_t idle = integer(args[4]);
  Reply out = Reply::array({});
  for (const auto text : args.subspan(5)) {
    const StreamId id = parse_id(text, 0);
    const auto at = group.pending.find(id);
    if (at == group.pending.end() || engine.now_ms() - at->second.delivered_ms < idle) continue;
    const auto entry = stream.entries.find(id);
    if (entry == stream.entries.end()) {
      group.pending.erase(at);
      continue;
    }
    group.consumers.emplace(args[3]);
    at->second = {std::string(args[3]), engine.now_ms(), at->second.times + 1};
    out.items.push_back(shown(id, &entry->second));
  }
  return out;
}

}  // namespace

void add_streams(Table& table) {
  table["XADD"] = {xadd, 5, -1};
  table["XLEN"] = {[](Engine& e, Args a) {
                     const auto* const stream = e.find<Stream>(a[1]);
                     return Reply::number(stream ? static_cast<std::int64_t>(stream->entries.size()) : 0);
                   },
                   2, 2};
  table["XRANGE"] = {[](Engine& e, Args a) { return xrange(e, a, false); }, 4, 6};
  table["XREVRANGE"] = {[](Engine& e, Args a) { return xrange(e, a, true); }, 4, 6};
  table["XDEL"] = {[](Engine& e, Args a) {
                     auto* const stream = e.find<Stream>(a[1]);
                     std::int64_t gone = 0;
                     if (!stream) return Reply::number(0);
                     for (const auto id : a.subspan(2))
                       gone += static_cast<std::int64_t>(stream->entries.erase(parse_id(id, 0)));
                     e.touch(a[1]);
                     return Reply::number(gone);
                   },
                   3, -1};
  table["XTRIM"] = {[](Engine& e, Args a) {
                      if (!is(a[2], "MAXLEN")) refuse("ERR syntax error");
                      std::size_t at = 2;
                      const std::int64_t most = max_length(a, &at);
                      auto* const stream = e.find<Stream>(a[1]);
                      if (!stream) return Reply::number(0);
                      const std::int64_t gone = trim(*stream, most);
                      e.touch(a[1]);
                      return Reply::number(gone);
                    },
                    4, 5};
  table["XREAD"] = {xread, 4, -1};
  table["XGROUP"] = {xgroup, 2, -1};
  table["XREADGROUP"] = {xreadgroup, 7, -1};
  table["XACK"] = {[](Engine& e, Args a) {
                     auto* const stream = e.find<Stream>(a[1]);
                     const auto at = stream ? stream->groups.find(a[2]) : decltype(stream->groups.find(a[2])){};
                     std::int64_t gone = 0;
                     if (!stream || at == stream->groups.end()) return Reply::number(0);
                     for (const auto id : a.subspan(3)) {
                       gone += static_cast<std::int64_t>(at->second.pending.erase(parse_id(id, 0)));
                     }
                     return Reply::number(gone);
                   },
                   4, -1};
  table["XPENDING"] = {xpending, 3, -1};
  table["XAUTOCLAIM"] = {xautoclaim, 6, -1};
  table["XINFO"] = {xinfo, 3, -1};
  table["XCLAIM"] = {xclaim, 6, -1};
}

}  // namespace mg::redis::local
