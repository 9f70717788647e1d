// Hashes, lists and sets of the twin.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "store/redis/local/engine.h"

namespace mg::redis::local {
namespace {

Reply size_of(const auto* data) {
  return Reply::number(data ? static_cast<std::int64_t>(data->size()) : 0);
}

// ---- hashes ---------------------------------------------------------------------------------------------------------

Reply hset(Engine& engine, Args args, bool older) {
  if (args.size() % 2 != 0) refuse(fmt::format("ERR wrong number of arguments for '{}' command", args[0]));
  auto& hash = engine.make<Hash>(args[1]);
  std::int64_t added = 0;
  for (std::size_t i = 2; i < args.size(); i += 2) {
    added += hash.insert_or_assign(std::string(args[i]), std::string(args[i + 1])).second ? 1 : 0;
  }
  engine.touch(args[1]);
  return older ? ok() : Reply::number(added);
}

Reply field(const Hash* hash, std::string_view name) {
  if (!hash) return Reply::null();
  const auto at = hash->find(name);
  return at == hash->end() ? Reply::null() : Reply::bulk(at->second);
}

Reply list_hash(Engine& engine, std::string_view key, bool names, bool values, std::string_view pattern = "*") {
  Reply out = Reply::array({});
  if (const auto* const hash = engine.find<Hash>(key)) {
    for (const auto& [name, value] : *hash) {
      if (!matches(pattern, name)) continue;
      if (names) out.items.push_back(Reply::bulk(name));
      if (values) out.items.push_back(Reply::bulk(value));
    }
  }
  return out;
}

std::string_view pattern_of(Args args) {
  for (std::size_t i = 3; i + 1 < args.size(); i += 2) {
    if (is(args[i], "MATCH")) return args[i + 1];
  }
  return "*";
}

Reply hincrby(Engine& engine, Args args) {
  const Reply old = field(engine.find<Hash>(args[1]), args[2]);
  std::int64_t value = 0;
  if (!old.is_null()) {
    try {
      value = integer(old.text);
    } catch (CommandError&) {
      refuse("ERR hash value is not an integer");
    }
  }
  if (__builtin_add_overflow(value, integer(args[3]), &value)) refuse("ERR increment or decrement would overflow");
  engine.make<Hash>(args[1])[std::string(args[2])] = std::to_string(value);
  engine.touch(args[1]);
  return Reply::number(value);
}

Reply hincrbyfloat(Engine& engine, Args args) {
  const Reply old = field(engine.find<Hash>(args[1]), args[2]);
  const double value = (old.is_null() ? 0 : real(old.text)) + real(args[3]);
  if (!std::isfinite(value)) refuse("ERR increment would produce NaN or Infinity");
  engine.make<Hash>(args[1])[std::string(args[2])] = real_text(value);
  engine.touch(args[1]);
  return Reply::bulk(real_text(value));
}

Reply hrandfield(Engine& engine, Args args) {
  const bool values = args.size() == 4 && is(args[3], "WITHVALUES");
  if (args.size() == 4 && !values) refuse("ERR syntax error");
  const auto* const hash = engine.find<Hash>(args[1]);
  const auto one = [&] {
    return std::next(hash->begin(), static_cast<std::ptrdiff_t>(engine.random().below(hash->size())));
  };
  if (args.size() == 2) return hash ? Reply::bulk(one()->first) : Reply::null();
  const std::int64_t count = integer(args[2]);
  Reply out = Reply::array({});
  if (!hash) return out;
  const auto add = [&](const auto& item) {
    out.items.push_back(Reply::bulk(item.first));
    if (values) out.items.push_back(Reply::bulk(item.second));
  };
  if (count < 0) {
    for (std::int64_t left = std::max<std::int64_t>(count, -1'000'000); left < 0; ++left) add(*one());
    return out;
  }
  std::vector<const Hash::value_type*> all;
  for (const auto& item : *hash) all.push_back(&item);
  for (std::size_t i = 0; i < all.size() && static_cast<std::int64_t>(i) < count; ++i) {
    std::swap(all[i], all[i + engine.random().below(all.size() - i)]);
    add(*all[i]);
  }
  return out;
}

// ---- lists ----------------------------------------------------------------------------------------------------------

Reply push(Engine& engine, Args args, bool left, bool only_there) {
  if (only_there && !engine.find<List>(args[1])) return Reply::number(0);
  auto& list = engine.make<List>(args[1]);
  for (const auto value : args.subspan(2)) {
    if (left) {
      list.emplace_front(value);
    } else {
      list.emplace_back(value);
    }
  }
  engine.touch(args[1]);
  return size_of(&list);
}

Reply pop_one(Engine& engine, std::string_view key, bool left) {
  auto* const list = engine.find<List>(key);
  if (!list) return Reply::null();
  Reply out = Reply::bulk(left ? list->front() : list->back());
  if (left) {
    list->pop_front();
  } else {
    list->pop_back();
  }
  engine.touch(key);
  return out;
}

Reply pop(Engine& engine, Args args, bool left) {
  if (args.size() == 2) return pop_one(engine, args[1], left);
  const std::int64_t count = integer(args[2]);
  if (count < 0) refuse("ERR value is out of range, must be positive");
  if (!engine.find<List>(args[1])) return Reply::null();
  Reply out = Reply::array({});
  while (static_cast<std::int64_t>(out.items.size()) < count && engine.find<List>(args[1])) {
    out.items.push_back(pop_one(engine, args[1], left));
  }
  return out;
}

bool end_of(std::string_view text) {
  if (is(text, "LEFT")) return true;
  if (!is(text, "RIGHT")) refuse("ERR syntax error");
  return false;
}

Reply move(Engine& engine, std::string_view from, std::string_view to, bool take_left, bool put_left) {
  if (!engine.find<List>(from)) return Reply::null();
  (void)engine.find<List>(to);  // Refuses another type before anything is taken.
  Reply got = pop_one(engine, from, take_left);
  if (got.is_null()) return got;
  auto& list = engine.make<List>(to);
  if (put_left) {
    list.push_front(got.text);
  } else {
    list.push_back(got.text);
  }
  engine.touch(to);
  return got;
}

// The first key of args[at + 1 ...] (args[at] of them) with a list: up to COUNT of its elements.
Reply lmpop(Engine& engine, Args args) {
  const std::int64_t keys = integer(args[1]);
  if (keys < 1) refuse("ERR numkeys should be greater than 0");
  if (keys > static_cast<std::int64_t>(args.size()) - 3) refuse("ERR syntax error");
  const std::size_t at = 2 + static_cast<std::size_t>(keys);
  const bool left = end_of(args[at]);
  std::int64_t count = 1;
  if (args.size() == at + 3 && is(args[at + 1], "COUNT")) {
    count = integer(args[at + 2]);
    if (count < 1) refuse("ERR count should be greater than 0");
  } else if (args.size() != at + 1) {
    refuse("ERR syntax error");
  }
  for (const auto key : args.subspan(2, static_cast<std::size_t>(keys))) {
    if (!engine.find<List>(key)) continue;
    Reply values = Reply::array({});
    while (static_cast<std::int64_t>(values.items.size()) < count && engine.find<List>(key)) {
      values.items.push_back(pop_one(engine, key, left));
    }
    return Reply::array({Reply::bulk(std::string(key)), std::move(values)});
  }
  return Reply::null();
}

Reply lpos(Engine& engine, Args args) {
  std::int64_t rank = 1, count = -1, most = 0;
  for (std::size_t i = 3; i < args.size(); i += 2) {
    if (i + 1 >= args.size()) refuse("ERR syntax error");
    const std::int64_t value = integer(args[i + 1]);
    if (is(args[i], "RANK")) {
      rank = value;
      if (rank == 0 || rank == INT64_MIN) refuse("ERR RANK can't be zero");
    } else if (is(args[i], "COUNT")) {
      count = value;
      if (count < 0) refuse("ERR COUNT can't be negative");
    } else if (is(args[i], "MAXLEN")) {
      most = value;
      if (most < 0) refuse("ERR MAXLEN can't be negative");
    } else {
      refuse("ERR syntax error");
    }
  }
  const auto* const list = engine.find<List>(args[1]);
  Reply out = Reply::array({});
  const auto size = list ? static_cast<std::int64_t>(list->size()) : 0;
  std::int64_t skip = std::abs(rank) - 1;
  for (std::int64_t i = 0; i < size && (most == 0 || i < most); ++i) {
    const std::int64_t at = rank > 0 ? i : size - 1 - i;
    if ((*list)[static_cast<std::size_t>(at)] != args[2] || skip-- > 0) continue;
    if (count < 0) return Reply::number(at);
    out.items.push_back(Reply::number(at));
    if (count > 0 && static_cast<std::int64_t>(out.items.size()) == count) break;
  }
  return count < 0 ? Reply::null() : out;
}

std::string* element(List* list, std::int64_t index) {
  if (!list) return nullptr;
  if (index < 0) index += static_cast<std::int64_t>(list->size());
  if (index < 0 || index >= static_cast<std::int64_t>(list->size())) return nullptr;
  return &(*list)[static_cast<std::size_t>(index)];
}

Reply insert(Engine& engine, Args args) {
  const bool before = is(args[2], "BEFORE");
  if (!before && !is(args[2], "AFTER")) refuse("ERR syntax error");
  auto* const list = engine.find<List>(args[1]);
  if (!list) return Reply::number(0);
  const auto at = std::ranges::find(*list, args[3]);
  if (at == list->end()) return Reply::number(-1);
  list->insert(before ? at : at + 1, std::string(args[4]));
  engine.touch(args[1]);
  return size_of(list);
}

Reply lrem(Engine& engine, Args args) {
  std::int64_t count = integer(args[2]);
  auto* const list = engine.find<List>(args[1]);
  if (!list) return Reply::number(0);
  const bool backwards = count < 0;
  if (backwards) std::ranges::reverse(*list);
  std::int64_t left = count == 0 ? INT64_MAX : count == INT64_MIN ? INT64_MAX : std::abs(count), removed = 0;
  for (auto at = list->begin(); at != list->end() && left > 0;) {
    if (*at == args[3]) {
      at = list->erase(at);
      ++removed;
      --left;
    } else {
      ++at;
    }
  }
  if (backwards) std::ranges::reverse(*list);
  engine.touch(args[1]);
  return Reply::number(removed);
}

// ---- sets -----------------------------------------------------------------------------------------------------------

enum class Operation : std::uint8_t { kUnion, kIntersection, kDifference };

Set combine(Engine& engine, Args keys, Operation operation) {
  Set out;
  bool first = true;
  for (const auto key : keys) {
    const auto* const found = engine.find<Set>(key);
    const Set empty;
    const Set& other = found ? *found : empty;
    if (first || operation == Operation::kUnion) {
      out.insert(other.begin(), other.end());
    } else {
      std::erase_if(out, [&](const std::string& member) {
        return other.contains(member) == (operation == Operation::kDifference);
      });
    }
    first = false;
  }
  return out;
}

Reply members(const Set& set) {
  return texts({set.begin(), set.end()});
}

template <Operation operation>
Reply combined(Engine& engine, Args args) {
  return members(combine(engine, args.subspan(1), operation));
}
template <Operation operation>
Reply stored(Engine& engine, Args args) {
  Set made = combine(engine, args.subspan(2), operation);
  const auto size = static_cast<std::int64_t>(made.size());
  engine.remove(args[1]);
  if (size > 0) engine.put(args[1], std::move(made));
  return Reply::number(size);
}

Reply sintercard(Engine& engine, Args args) {
  const std::int64_t keys = integer(args[1]);
  if (keys < 1) refuse("ERR numkeys should be greater than 0");
  if (keys > static_cast<std::int64_t>(args.size()) - 2) {
    refuse("ERR Number of keys can't be greater than number of args");
  }
  const std::size_t at = 2 + static_cast<std::size_t>(keys);
  std::int64_t limit = 0;
  if (args.size() == at + 2 && is(args[at], "LIMIT")) {
    limit = integer(args[at + 1]);
    if (limit < 0) refuse("ERR LIMIT can't be negative");
  } else if (args.size() != at) {
    refuse("ERR syntax error");
  }
  const Set made = combine(engine, args.subspan(2, static_cast<std::size_t>(keys)), Operation::kIntersection);
  const auto size = static_cast<std::int64_t>(made.size());
  return Reply::number(limit > 0 ? std::min(limit, size) : size);
}

const std::string& random_member(Engine& engine, const Set& set) {
  return *std::next(set.begin(), static_cast<std::ptrdiff_t>(engine.random().below(set.size())));
}

Reply srandmember(Engine& engine, Args args) {
  const auto* const set = engine.find<Set>(args[1]);
  if (args.size() == 2) return set ? Reply::bulk(random_member(engine, *set)) : Reply::null();
  std::int64_t count = integer(args[2]);
  Reply out = Reply::array({});
  if (!set) return out;
  if (count < 0) {
    for (count = std::max<std::int64_t>(count, -1'000'000); count < 0; ++count) {
      out.items.push_back(Reply::bulk(random_member(engine, *set)));
    }
    return out;
  }
  std::vector<std::string> all(set->begin(), set->end());
  for (std::size_t i = 0; i < all.size() && static_cast<std::int64_t>(i) < count; ++i) {
    std::swap(all[i], all[i + engine.random().below(all.size() - i)]);
    out.items.push_back(Reply::bulk(all[i]));
  }
  return out;
}

Reply spop(Engine& engine, Args args) {
  auto* const set = engine.find<Set>(args[1]);
  if (args.size() > 2 && integer(args[2]) < 0) refuse("ERR value is out of range, must be positive");
  Reply out = srandmember(engine, args);
  if (!set) return out;
  if (out.is_bulk()) set->erase(out.text);
  for (const auto& item : out.items) set->erase(item.text);
  engine.touch(args[1]);
  return out;
}

Reply smove(Engine& engine, Args args) {
  const Entry* const there = engine.entry(args[1]);
  if (!there) return Reply::number(0);
  auto* const from = engine.find<Set>(args[1]);
  (void)engine.find<Set>(args[2]);  // Refuses another type before anything is moved.
  if (from->erase(std::string(args[3])) == 0) return Reply::number(0);
  engine.touch(args[1]);
  engine.make<Set>(args[2]).emplace(args[3]);
  engine.touch(args[2]);
  return Reply::number(1);
}

}  // namespace

void add_hashes(Table& table) {
  table["HSET"] = {[](Engine& e, Args a) { return hset(e, a, false); }, 4, -1};
  table["HMSET"] = {[](Engine& e, Args a) { return hset(e, a, true); }, 4, -1};
  table["HSETNX"] = {[](Engine& e, Args a) {
                       if (!field(e.find<Hash>(a[1]), a[2]).is_null()) return Reply::number(0);
                       return hset(e, a, false);
                     },
                     4, 4};
  table["HGET"] = {[](Engine& e, Args a) { return field(e.find<Hash>(a[1]), a[2]); }, 3, 3};
  table["HMGET"] = {[](Engine& e, Args a) {
                      const auto* const hash = e.find<Hash>(a[1]);
                      Reply out = Reply::array({});
                      for (const auto name : a.subspan(2)) out.items.push_back(field(hash, name));
                      return out;
                    },
                    3, -1};
  table["HGETALL"] = {[](Engine& e, Args a) { return list_hash(e, a[1], true, true); }, 2, 2};
  table["HKEYS"] = {[](Engine& e, Args a) { return list_hash(e, a[1], true, false); }, 2, 2};
  table["HVALS"] = {[](Engine& e, Args a) { return list_hash(e, a[1], false, true); }, 2, 2};
  table["HSCAN"] = {
      [](Engine& e, Args a) { return Reply::array({Reply::bulk("0"), list_hash(e, a[1], true, true, pattern_of(a))}); },
      3, -1};
  table["HDEL"] = {[](Engine& e, Args a) {
                     auto* const hash = e.find<Hash>(a[1]);
                     std::int64_t gone = 0;
                     if (!hash) return Reply::number(0);
                     for (const auto name : a.subspan(2))
                       gone += static_cast<std::int64_t>(hash->erase(std::string(name)));
                     e.touch(a[1]);
                     return Reply::number(gone);
                   },
                   3, -1};
  table["HEXISTS"] = {
      [](Engine& e, Args a) { return Reply::number(field(e.find<Hash>(a[1]), a[2]).is_null() ? 0 : 1); }, 3, 3};
  table["HLEN"] = {[](Engine& e, Args a) { return size_of(e.find<Hash>(a[1])); }, 2, 2};
  table["HSTRLEN"] = {[](Engine& e, Args a) {
                        return Reply::number(static_cast<std::int64_t>(field(e.find<Hash>(a[1]), a[2]).text.size()));
                      },
                      3, 3};
  table["HRANDFIELD"] = {hrandfield, 2, 4};
  table["HINCRBY"] = {hincrby, 4, 4};
  table["HINCRBYFLOAT"] = {hincrbyfloat, 4, 4};
}

void add_lists(Table& table) {
  table["LPUSH"] = {[](Engine& e, Args a) { return push(e, a, true, false); }, 3, -1};
  table["RPUSH"] = {[](Engine& e, Args a) { return push(e, a, false, false); }, 3, -1};
  table["LPUSHX"] = {[](Engine& e, Args a) { return push(e, a, true, true); }, 3, -1};
  table["RPUSHX"] = {[](Engine& e, Args a) { return push(e, a, false, true); }, 3, -1};
  table["LPOP"] = {[](Engine& e, Args a) { return pop(e, a, true); }, 2, 3};
  table["RPOP"] = {[](Engine& e, Args a) { return pop(e, a, false); }, 2, 3};
  table["LLEN"] = {[](Engine& e, Args a) { return size_of(e.find<List>(a[1])); }, 2, 2};
  table["LRANGE"] = {[](Engine& e, Args a) {
                       const auto* const list = e.find<List>(a[1]);
                       Reply out = Reply::array({});
                       auto [at, end] = range(integer(a[2]), integer(a[3]), list ? list->size() : 0);
                       for (; at < end; ++at) out.items.push_back(Reply::bulk((*list)[at]));
                       return out;
                     },
                     4, 4};
  table["LINDEX"] = {[](Engine& e, Args a) {
                       const auto* const found = element(e.find<List>(a[1]), integer(a[2]));
                       return found ? Reply::bulk(*found) : Reply::null();
                     },
                     3, 3};
  table["LSET"] = {[](Engine& e, Args a) {
                     auto* const list = e.find<List>(a[1]);
                     if (!list) refuse("ERR no such key");
                     auto* const found = element(list, integer(a[2]));
                     if (!found) refuse("ERR index out of range");
                     *found = a[3];
                     e.touch(a[1]);
                     return ok();
                   },
                   4, 4};
  table["LPOS"] = {lpos, 3, -1};
  table["LMPOP"] = {lmpop, 4, -1};
  table["LINSERT"] = {insert, 5, 5};
  table["LREM"] = {lrem, 4, 4};
  table["LTRIM"] = {[](Engine& e, Args a) {
                      auto* const list = e.find<List>(a[1]);
                      if (!list) return ok();
                      const auto [from, to] = range(integer(a[2]), integer(a[3]), list->size());
                      const auto begin = list->begin();
                      *list = List(begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(to));
                      e.touch(a[1]);
                      return ok();
                    },
                    4, 4};
  table["LMOVE"] = {[](Engine& e, Args a) { return move(e, a[1], a[2], end_of(a[3]), end_of(a[4])); }, 5, 5};
  table["RPOPLPUSH"] = {[](Engine& e, Args a) { return move(e, a[1], a[2], false, true); }, 3, 3};
}

void add_sets(Table& table) {
  table["SADD"] = {[](Engine& e, Args a) {
                     auto& set = e.make<Set>(a[1]);
                     std::int64_t added = 0;
                     for (const auto member : a.subspan(2)) added += set.emplace(member).second ? 1 : 0;
                     e.touch(a[1]);
                     return Reply::number(added);
                   },
                   3, -1};
  table["SREM"] = {[](Engine& e, Args a) {
                     auto* const set = e.find<Set>(a[1]);
                     std::int64_t gone = 0;
                     if (!set) return Reply::number(0);
                     for (const auto member : a.subspan(2))
                       gone += static_cast<std::int64_t>(set->erase(std::string(member)));
                     e.touch(a[1]);
                     return Reply::number(gone);
                   },
                   3, -1};
  table["SMEMBERS"] = {[](Engine& e, Args a) {
                         const auto* const set = e.find<Set>(a[1]);
                         return set ? members(*set) : Reply::array({});
                       },
                       2, 2};
  table["SISMEMBER"] = {[](Engine& e, Args a) {
                          const auto* const set = e.find<Set>(a[1]);
                          return Reply::number(set && set->contains(a[2]) ? 1 : 0);
                        },
                        3, 3};
  table["SMISMEMBER"] = {[](Engine& e, Args a) {
                           const auto* const set = e.find<Set>(a[1]);
                           Reply out = Reply::array({});
                           for (const auto member : a.subspan(2)) {
                             out.items.push_back(Reply::number(set && set->contains(member) ? 1 : 0));
                           }
                           return out;
                         },
                         3, -1};
  table["SCARD"] = {[](Engine& e, Args a) { return size_of(e.find<Set>(a[1])); }, 2, 2};
  table["SPOP"] = {spop, 2, 3};
  table["SRANDMEMBER"] = {srandmember, 2, 3};
  table["SMOVE"] = {smove, 4, 4};
  table["SINTER"] = {combined<Operation::kIntersection>, 2, -1};
  table["SUNION"] = {combined<Operation::kUnion>, 2, -1};
  table["SINTERCARD"] = {sintercard, 3, -1};
  table["SDIFF"] = {combined<Operation::kDifference>, 2, -1};
  table["SINTERSTORE"] = {stored<Operation::kIntersection>, 3, -1};
  table["SUNIONSTORE"] = {stored<Operation::kUnion>, 3, -1};
  table["SDIFFSTORE"] = {stored<Operation::kDifference>, 3, -1};
  table["SSCAN"] = {[](Engine& e, Args a) {
                      const auto* const set = e.find<Set>(a[1]);
                      Reply out = Reply::array({});
                      if (set) {
                        for (const auto& member : *set) {
                          if (matches(pattern_of(a), member)) out.items.push_back(Reply::bulk(member));
                        }
                      }
                      return Reply::array({Reply::bulk("0"), std::move(out)});
                    },
                    3, -1};
}

}  // namespace mg::redis::local
