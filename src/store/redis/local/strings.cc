// Strings and keys of the twin.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "store/redis/local/engine.h"

namespace mg::redis::local {
namespace {

constexpr std::size_t kLongest = 512 * 1024 * 1024;

Reply value_of(Engine& engine, std::string_view key) {
  const auto* const text = engine.find<std::string>(key);
  return text ? Reply::bulk(*text) : Reply::null();
}

Reply set(Engine& engine, Args args) {
  std::int64_t until = 0;
  bool keep = false, missing = false, exists = false, old = false;
  for (std::size_t i = 3; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (is(args[i], "NX")) {
      missing = true;
    } else if (is(args[i], "XX")) {
      exists = true;
    } else if (is(args[i], "KEEPTTL")) {
      keep = true;
    } else if (is(args[i], "GET")) {
      old = true;
    } else if (more && (is(args[i], "EX") || is(args[i], "PX"))) {
      const std::int64_t unit = is(args[i], "EX") ? 1000 : 1;
      const std::int64_t time = integer(args[++i]);
      if (time <= 0 || time > INT64_MAX / 1000 - engine.now_ms()) refuse("ERR invalid expire time in 'set' command");
      until = engine.now_ms() + time * unit;
    } else if (more && (is(args[i], "EXAT") || is(args[i], "PXAT"))) {
      const std::int64_t unit = is(args[i], "EXAT") ? 1000 : 1;
      until = integer(args[++i]) * unit;
    } else {
      refuse("ERR syntax error");
    }
  }
  if ((missing && exists) || (keep && until != 0)) refuse("ERR syntax error");
  Reply before = old ? value_of(engine, args[1]) : Reply::null();
  const Entry* const there = engine.entry(args[1]);
  if ((missing && there) || (exists && !there)) return before;
  if (keep && there) until = there->until_ms;
  engine.put(args[1], std::string(args[2]), until);
  return old ? before : ok();
}

Reply add(Engine& engine, std::string_view key, std::int64_t by) {
  const auto* const text = engine.find<std::string>(key);
  std::int64_t value = text ? integer(*text) : 0;
  if (__builtin_add_overflow(value, by, &value)) refuse("ERR increment or decrement would overflow");
  const Entry* const there = engine.entry(key);
  engine.put(key, std::to_string(value), there ? there->until_ms : 0);
  return Reply::number(value);
}

Reply incrbyfloat(Engine& engine, Args args) {
  const auto* const text = engine.find<std::string>(args[1]);
  const double value = (text ? real(*text) : 0) + real(args[2]);
  if (!std::isfinite(value)) refuse("ERR increment would produce NaN or Infinity");
  const Entry* const there = engine.entry(args[1]);
  engine.put(args[1], real_text(value), there ? there->until_ms : 0);
  return Reply::bulk(real_text(value));
}

Reply setex(Engine& engine, Args args, std::int64_t unit) {
  const std::int64_t time = integer(args[2]);
  if (time <= 0 || time > INT64_MAX / 1000 - engine.now_ms()) {
    refuse(fmt::format("ERR invalid expire time in '{}' command", unit == 1 ? "psetex" : "setex"));
  }
  engine.put(args[1], std::string(args[3]), engine.now_ms() + time * unit);
  return ok();
}

Reply getex(Engine& engine, Args args) {
  std::optional<std::int64_t> until;
  if (args.size() == 3 && is(args[2], "PERSIST")) {
    until = 0;
  } else if (args.size() == 4) {
    const bool seconds = is(args[2], "EX") || is(args[2], "EXAT"), from_now = is(args[2], "EX") || is(args[2], "PX");
    if (!seconds && !from_now && !is(args[2], "PXAT")) refuse("ERR syntax error");
    const std::int64_t unit = seconds ? 1000 : 1, time = integer(args[3]);
    if (time <= 0 || time > INT64_MAX / 1000 - engine.now_ms()) refuse("ERR invalid expire time in 'getex' command");
    until = time * unit + (from_now ? engine.now_ms() : 0);
  } else if (args.size() != 2) {
    refuse("ERR syntax error");
  }
  Reply value = value_of(engine, args[1]);
  Entry* const there = engine.entry(args[1]);
  if (!there || !until) return value;
  if (*until != 0 && *until <= engine.now_ms()) {
    engine.remove(args[1]);
  } else if (there->until_ms != *until) {
    there->until_ms = *until;
    engine.touch(args[1]);
  }
  return value;
}

// The longest text whose characters stand in both, in order.
Reply lcs(Engine& engine, Args args) {
  const auto text = [&](std::string_view key) -> std::string {
    const Entry* const there = engine.entry(key);
    if (!there) return {};
    if (const auto* const found = std::get_if<std::string>(&there->data)) return *found;
    refuse("ERR The specified keys must contain string values");
  };
  const std::string a = text(args[1]), b = text(args[2]);
  const bool length = args.size() == 4 && is(args[3], "LEN");
  if (args.size() > 3 && !length) refuse("ERR syntax error");
  const std::size_t width = b.size() + 1;
  if ((a.size() + 1) > std::size_t{64} * 1024 * 1024 / width) refuse("ERR String too long for LCS");
  std::vector<std::uint32_t> best((a.size() + 1) * width);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      best[i * width + j] = a[i - 1] == b[j - 1] ? best[(i - 1) * width + j - 1] + 1
                                                 : std::max(best[(i - 1) * width + j], best[i * width + j - 1]);
    }
  }
  if (length) return Reply::number(best.back());
  std::string out;
  for (std::size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      out += a[i - 1];
      --i;
      --j;
    } else if (best[(i - 1) * width + j] > best[i * width + j - 1]) {
      --i;
    } else {
      --j;
    }
  }
  std::ranges::reverse(out);
  return Reply::bulk(std::move(out));
}

Reply mset(Engine& engine, Args args) {
  if (args.size() % 2 == 0) refuse("ERR wrong number of arguments for 'mset' command");
  for (std::size_t i = 1; i < args.size(); i += 2) engine.put(args[i], std::string(args[i + 1]));
  return ok();
}

Reply append(Engine& engine, Args args) {
  auto& text = engine.make<std::string>(args[1]);
  if (text.size() + args[2].size() > kLongest) refuse("ERR string exceeds maximum allowed size (512MB)");
  text += args[2];
  engine.touch(args[1]);
  return Reply::number(static_cast<std::int64_t>(text.size()));
}

Reply setrange(Engine& engine, Args args) {
  const std::int64_t offset = integer(args[2]);
  if (offset < 0) refuse("ERR offset is out of range");
  if (static_cast<std::size_t>(offset) > kLongest - std::min(kLongest, args[3].size())) {
    refuse("ERR string exceeds maximum allowed size (512MB)");
  }
  const auto* const there = engine.find<std::string>(args[1]);
  if (args[3].empty()) return Reply::number(there ? static_cast<std::int64_t>(there->size()) : 0);
  auto& text = engine.make<std::string>(args[1]);
  const std::size_t at = static_cast<std::size_t>(offset);
  if (text.size() < at + args[3].size()) text.resize(at + args[3].size());
  text.replace(at, args[3].size(), args[3]);
  engine.touch(args[1]);
  return Reply::number(static_cast<std::int64_t>(text.size()));
}

// ---- keys -----------------------------------------------------------------------------------------------------------

Reply count(Engine& engine, Args keys, bool remove) {
  std::int64_t found = 0;
  for (const auto key : keys) found += (remove ? engine.remove(key) : engine.entry(key) != nullptr) ? 1 : 0;
  return Reply::number(found);
}

Reply expire_at(Engine& engine, Args args, std::int64_t ms) {
  const std::string_view key = args[1];
  bool missing = false, exists = false, greater = false, less = false;
  for (const auto option : args.subspan(3)) {
    if (is(option, "NX")) {
      missing = true;
    } else if (is(option, "XX")) {
      exists = true;
    } else if (is(option, "GT")) {
      greater = true;
    } else if (is(option, "LT")) {
      less = true;
    } else {
      refuse(fmt::format("ERR Unsupported option {}", option));
    }
  }
  if (missing && (exists || greater || less)) {
    refuse("ERR NX and XX, GT or LT options at the same time are not compatible");
  }
  if (greater && less) refuse("ERR GT and LT options at the same time are not compatible");
  Entry* const there = engine.entry(key);
  if (!there) return Reply::number(0);
  // Without an end is later than every end.
  const bool ends = there->until_ms != 0;
  if ((missing && ends) || (exists && !ends) || (greater && (!ends || ms <= there->until_ms)) ||
      (less && ends && ms >= there->until_ms)) {
    return Reply::number(0);
  }
  if (ms <= engine.now_ms()) {
    engine.remove(key);
  } else {
    there->until_ms = ms;
    engine.touch(key);
  }
  return Reply::number(1);
}

std::int64_t milliseconds(std::string_view text, std::int64_t unit, std::int64_t from) {
  std::int64_t out = 0;
  if (__builtin_mul_overflow(integer(text), unit, &out) || __builtin_add_overflow(out, from, &out)) {
    refuse("ERR invalid expire time in 'expire' command");
  }
  return out;
}

Reply left(Engine& engine, std::string_view key, std::int64_t unit) {
  const Entry* const there = engine.entry(key);
  if (!there) return Reply::number(-2);
  if (there->until_ms == 0) return Reply::number(-1);
  return Reply::number((there->until_ms - engine.now_ms() + unit / 2) / unit);
}

Reply end_of(Engine& engine, std::string_view key, std::int64_t unit) {
  const Entry* const there = engine.entry(key);
  if (!there) return Reply::number(-2);
  return Reply::number(there->until_ms == 0 ? -1 : (there->until_ms + unit / 2) / unit);
}

Reply copy(Engine& engine, Args args) {
  bool replace = false;
  for (const auto option : args.subspan(3)) {
    if (!is(option, "REPLACE")) refuse("ERR syntax error");
    replace = true;
  }
  if (args[1] == args[2]) refuse("ERR source and destination objects are the same");
  const Entry* const from = engine.entry(args[1]);
  if (!from || (!replace && engine.entry(args[2]))) return Reply::number(0);
  Data data = from->data;
  engine.put(args[2], std::move(data), from->until_ms);
  return Reply::number(1);
}

// What a pattern of SORT leads to for an element: the value of a key, or with -> a field of a hash.
std::optional<std::string> look_up(Engine& engine, std::string_view pattern, const std::string& element) {
  if (pattern == "#") return element;
  const auto star = pattern.find('*');
  if (star == pattern.npos) return std::nullopt;
  std::string_view field;
  if (const auto arrow = pattern.find("->", star); arrow != pattern.npos && arrow + 2 < pattern.size()) {
    field = pattern.substr(arrow + 2);
    pattern = pattern.substr(0, arrow);
  }
  const std::string key = fmt::format("{}{}{}", pattern.substr(0, star), element, pattern.substr(star + 1));
  const Entry* const there = engine.entry(key);
  if (!there) return std::nullopt;
  if (field.empty()) {
    const auto* const text = std::get_if<std::string>(&there->data);
    return text ? std::optional(*text) : std::nullopt;
  }
  const auto* const hash = std::get_if<Hash>(&there->data);
  if (!hash) return std::nullopt;
  const auto at = hash->find(field);
  return at == hash->end() ? std::nullopt : std::optional(at->second);
}

std::vector<std::string> elements(Engine& engine, std::string_view key) {
  const Entry* const there = engine.entry(key);
  if (!there) return {};
  if (const auto* const list = std::get_if<List>(&there->data)) return {list->begin(), list->end()};
  if (const auto* const set = std::get_if<Set>(&there->data)) return {set->begin(), set->end()};
  if (const auto* const sorted = std::get_if<SortedSet>(&there->data)) {
    std::vector<std::string> out;
    for (const auto& [score, member] : sorted->order) out.push_back(member);
    return out;
  }
  refuse("WRONGTYPE Operation against a key holding the wrong kind of value");
}

Reply sort(Engine& engine, Args args) {
  bool descending = false, alpha = false;
  std::int64_t offset = 0, count = -1;
  std::string_view by, store;
  std::vector<std::string_view> get;
  for (std::size_t i = 2; i < args.size(); ++i) {
    const std::size_t more = args.size() - i - 1;
    if (is(args[i], "ASC") || is(args[i], "DESC")) {
      descending = is(args[i], "DESC");
    } else if (is(args[i], "ALPHA")) {
      alpha = true;
    } else if (is(args[i], "LIMIT") && more >= 2) {
      offset = integer(args[i + 1]);
      count = integer(args[i + 2]);
      i += 2;
    } else if (is(args[i], "BY") && more >= 1) {
      by = args[++i];
    } else if (is(args[i], "GET") && more >= 1) {
      get.push_back(args[++i]);
    } else if (is(args[i], "STORE") && more >= 1) {
      store = args[++i];
    } else {
      refuse("ERR syntax error");
    }
  }
  struct Item {
    std::string element;
    std::string text;
    double number = 0;
  };
  std::vector<Item> items;
  const bool as_it_is = !by.empty() && by.find('*') == by.npos;
  for (auto& element : elements(engine, args[1])) {
    Item item{element, {}, 0};
    const auto weight = by.empty() ? std::optional(element) : look_up(engine, by, element);
    item.text = weight.value_or("");
    if (!alpha && !as_it_is && weight && !weight->empty()) {
      try {
        item.number = real(*weight);
      } catch (CommandError&) {
        refuse("ERR One or more scores can't be converted into double");
      }
    }
    items.push_back(std::move(item));
  }
  if (!as_it_is) {
    std::ranges::sort(items, [&](const Item& a, const Item& b) {
      const Item& low = descending ? b : a;
      const Item& high = descending ? a : b;
      if (!alpha && low.number != high.number) return low.number < high.number;
      if (alpha && low.text != high.text) return low.text < high.text;
      return low.element < high.element;
    });
  }
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t from = std::clamp<std::int64_t>(offset, 0, size);
  const std::int64_t to = count < 0 ? size : from + std::min(count, size - from);
  Reply out = Reply::array({});
  for (std::int64_t i = from; i < to; ++i) {
    const std::string& element = items[static_cast<std::size_t>(i)].element;
    if (get.empty()) out.items.push_back(Reply::bulk(element));
    for (const auto pattern : get) {
      auto value = look_up(engine, pattern, element);
      out.items.push_back(value ? Reply::bulk(*std::move(value)) : Reply::null());
    }
  }
  if (store.empty()) return out;
  List list;
  for (auto& item : out.items) list.push_back(std::move(item.text));
  engine.remove(store);
  const Reply stored = Reply::number(static_cast<std::int64_t>(list.size()));
  if (!list.empty()) engine.put(store, std::move(list));
  return stored;
}

Reply rename(Engine& engine, Args args, bool only_new) {
  Entry* const there = engine.entry(args[1]);
  if (!there) refuse("ERR no such key");
  if (only_new && engine.entry(args[2])) return Reply::number(0);
  Entry moved = std::move(*there);
  engine.remove(args[1]);
  engine.put(args[2], std::move(moved.data), moved.until_ms);
  return only_new ? Reply::number(1) : ok();
}

Reply keys(Engine& engine, std::string_view pattern) {
  engine.sweep();
  std::vector<std::string> found;
  for (const auto& [key, item] : engine.entries()) {
    if (matches(pattern, key)) found.push_back(key);
  }
  return texts(std::move(found));
}

// All at once: the cursor is 0 again.
Reply scan(Engine& engine, Args args) {
  if (integer(args[1]) != 0) return Reply::array({Reply::bulk("0"), Reply::array({})});
  std::string_view pattern = "*";
  for (std::size_t i = 2; i + 1 < args.size(); i += 2) {
    if (is(args[i], "MATCH")) pattern = args[i + 1];
  }
  return Reply::array({Reply::bulk("0"), keys(engine, pattern)});
}

Reply type(Engine& engine, Args args) {
  static constexpr const char* kNames[] = {"string", "hash", "list", "set", "zset", "stream"};
  const Entry* const there = engine.entry(args[1]);
  return Reply::status(there ? kNames[there->data.index()] : "none");
}

}  // namespace

void add_strings(Table& table) {
  table["GET"] = {[](Engine& e, Args a) { return value_of(e, a[1]); }, 2, 2};
  table["SET"] = {set, 3, -1};
  table["SETNX"] = {[](Engine& e, Args a) {
                      if (e.entry(a[1])) return Reply::number(0);
                      e.put(a[1], std::string(a[2]));
                      return Reply::number(1);
                    },
                    3, 3};
  table["GETSET"] = {[](Engine& e, Args a) {
                       Reply old = value_of(e, a[1]);
                       e.put(a[1], std::string(a[2]));
                       return old;
                     },
                     3, 3};
  table["GETDEL"] = {[](Engine& e, Args a) {
                       Reply old = value_of(e, a[1]);
                       e.remove(a[1]);
                       return old;
                     },
                     2, 2};
  table["MGET"] = {[](Engine& e, Args a) {
                     Reply out = Reply::array({});
                     for (const auto key : a.subspan(1)) {
                       const Entry* const there = e.entry(key);
                       const auto* const text = there ? std::get_if<std::string>(&there->data) : nullptr;
                       out.items.push_back(text ? Reply::bulk(*text) : Reply::null());
                     }
                     return out;
                   },
                   2, -1};
  table["GETEX"] = {getex, 2, -1};
  table["SETEX"] = {[](Engine& e, Args a) { return setex(e, a, 1000); }, 4, 4};
  table["PSETEX"] = {[](Engine& e, Args a) { return setex(e, a, 1); }, 4, 4};
  table["LCS"] = {lcs, 3, -1};
  table["MSET"] = {mset, 3, -1};
  table["MSETNX"] = {[](Engine& e, Args a) {
                       if (a.size() % 2 == 0) refuse("ERR wrong number of arguments for 'msetnx' command");
                       for (std::size_t i = 1; i < a.size(); i += 2) {
                         if (e.entry(a[i])) return Reply::number(0);
                       }
                       mset(e, a);
                       return Reply::number(1);
                     },
                     3, -1};
  table["INCR"] = {[](Engine& e, Args a) { return add(e, a[1], 1); }, 2, 2};
  table["DECR"] = {[](Engine& e, Args a) { return add(e, a[1], -1); }, 2, 2};
  table["INCRBY"] = {[](Engine& e, Args a) { return add(e, a[1], integer(a[2])); }, 3, 3};
  table["DECRBY"] = {[](Engine& e, Args a) {
                       const std::int64_t by = integer(a[2]);
                       if (by == INT64_MIN) refuse("ERR decrement would overflow");
                       return add(e, a[1], -by);
                     },
                     3, 3};
  table["INCRBYFLOAT"] = {incrbyfloat, 3, 3};
  table["APPEND"] = {append, 3, 3};
  table["STRLEN"] = {[](Engine& e, Args a) {
                       const auto* const text = e.find<std::string>(a[1]);
                       return Reply::number(text ? static_cast<std::int64_t>(text->size()) : 0);
                     },
                     2, 2};
  table["GETRANGE"] = {[](Engine& e, Args a) {
                         const auto* const text = e.find<std::string>(a[1]);
                         const std::int64_t start = integer(a[2]), stop = integer(a[3]);
                         if (start < 0 && stop < 0 && start > stop) return Reply::bulk("");
                         const auto [from, to] = text_range(start, stop, text ? text->size() : 0);
                         return Reply::bulk(text ? text->substr(from, to - from) : "");
                       },
                       4, 4};
  table["SETRANGE"] = {setrange, 4, 4};
}

void add_keys(Table& table) {
  table["DEL"] = table["UNLINK"] = {[](Engine& e, Args a) { return count(e, a.subspan(1), true); }, 2, -1};
  table["EXISTS"] = table["TOUCH"] = {[](Engine& e, Args a) { return count(e, a.subspan(1), false); }, 2, -1};
  table["EXPIRE"] = {[](Engine& e, Args a) { return expire_at(e, a, milliseconds(a[2], 1000, e.now_ms())); }, 3, -1};
  table["PEXPIRE"] = {[](Engine& e, Args a) { return expire_at(e, a, milliseconds(a[2], 1, e.now_ms())); }, 3, -1};
  table["EXPIREAT"] = {[](Engine& e, Args a) { return expire_at(e, a, milliseconds(a[2], 1000, 0)); }, 3, -1};
  table["PEXPIREAT"] = {[](Engine& e, Args a) { return expire_at(e, a, milliseconds(a[2], 1, 0)); }, 3, -1};
  table["PERSIST"] = {[](Engine& e, Args a) {
                        Entry* const there = e.entry(a[1]);
                        if (!there || there->until_ms == 0) return Reply::number(0);
                        there->until_ms = 0;
                        e.touch(a[1]);
                        return Reply::number(1);
                      },
                      2, 2};
  table["TTL"] = {[](Engine& e, Args a) { return left(e, a[1], 1000); }, 2, 2};
  table["PTTL"] = {[](Engine& e, Args a) { return left(e, a[1], 1); }, 2, 2};
  table["EXPIRETIME"] = {[](Engine& e, Args a) { return end_of(e, a[1], 1000); }, 2, 2};
  table["PEXPIRETIME"] = {[](Engine& e, Args a) { return end_of(e, a[1], 1); }, 2, 2};
  table["COPY"] = {copy, 3, -1};
  table["SORT"] = {sort, 2, -1};
  table["TYPE"] = {type, 2, 2};
  table["RENAME"] = {[](Engine& e, Args a) { return rename(e, a, false); }, 3, 3};
  table["RENAMENX"] = {[](Engine& e, Args a) { return rename(e, a, true); }, 3, 3};
  table["SCAN"] = {scan, 2, -1};
  table["KEYS"] = {[](Engine& e, Args a) { return keys(e, a[1]); }, 2, 2};
  table["RANDOMKEY"] = {[](Engine& e, Args) {
                          e.sweep();
                          if (e.entries().empty()) return Reply::null();
                          const auto steps = static_cast<std::ptrdiff_t>(e.random().below(e.entries().size()));
                          return Reply::bulk(std::next(e.entries().begin(), steps)->first);
                        },
                        1, 1};
  table["DBSIZE"] = {[](Engine& e, Args) {
                       e.sweep();
                       return Reply::number(static_cast<std::int64_t>(e.entries().size()));
                     },
                     1, 1};
  table["FLUSHDB"] = table["FLUSHALL"] = {[](Engine& e, Args) {
                                            e.entries().clear();
                                            return ok();
                                          },
                                          1, 2};
  table["PING"] = {
      [](Engine&, Args a) { return a.size() > 1 ? Reply::bulk(std::string(a[1])) : Reply::status("PONG"); }, 1, 2};
  table["ECHO"] = {[](Engine&, Args a) { return Reply::bulk(std::string(a[1])); }, 2, 2};
  table["TIME"] = {[](Engine& e, Args) {
                     const std::int64_t ms = e.now_ms();
                     return texts({std::to_string(ms / 1000), std::to_string(ms % 1000 * 1000)});
                   },
                   1, 1};
}

}  // namespace mg::redis::local
