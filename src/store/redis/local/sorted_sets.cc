// Sorted sets of the twin, and the places on the earth that are kept in them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "store/redis/local/sorted_sets.h"

namespace mg::redis::local {

bool SortedSet::put(std::string_view member, double score) {
  const auto [at, added] = scores.try_emplace(std::string(member), score);
  if (!added) {
    order.erase({at->second, at->first});
    at->second = score;
  }
  order.emplace(score, at->first);
  return added;
}

bool SortedSet::remove(std::string_view member) {
  const auto at = scores.find(member);
  if (at == scores.end()) return false;
  order.erase({at->second, at->first});
  scores.erase(at);
  return true;
}

Order sorted(Engine& engine, std::string_view key, bool reverse) {
  const auto* const set = engine.find<SortedSet>(key);
  Order out;
  if (set) out.assign(set->order.begin(), set->order.end());
  if (reverse) std::ranges::reverse(out);
  return out;
}

Reply shown(Order::const_iterator begin, Order::const_iterator end, bool scores) {
  Reply out = Reply::array({});
  for (; begin != end; ++begin) {
    out.items.push_back(Reply::bulk(begin->second));
    if (scores) out.items.push_back(Reply::bulk(real_text(begin->first)));
  }
  return out;
}

Reply remove_all(Engine& engine, std::string_view key, const Order& which) {
  if (auto* const set = engine.find<SortedSet>(key)) {
    for (const auto& [score, member] : which) set->remove(member);
    engine.touch(key);
  }
  return Reply::number(static_cast<std::int64_t>(which.size()));
}

Reply put_sorted(Engine& engine, std::string_view key, const Order& which) {
  SortedSet made;
  for (const auto& [score, member] : which) made.put(member, score);
  const auto size = static_cast<std::int64_t>(made.scores.size());
  engine.remove(key);
  if (size > 0) engine.put(key, std::move(made));
  return Reply::number(size);
}

namespace {

Reply zadd(Engine& engine, Args args) {
  bool missing = false, exists = false, greater = false, less = false, changed = false, increment = false;
  std::size_t at = 2;
  for (; at < args.size(); ++at) {
    if (is(args[at], "NX")) {
      missing = true;
    } else if (is(args[at], "XX")) {
      exists = true;
    } else if (is(args[at], "GT")) {
      greater = true;
    } else if (is(args[at], "LT")) {
      less = true;
    } else if (is(args[at], "CH")) {
      changed = true;
    } else if (is(args[at], "INCR")) {
      increment = true;
    } else {
      break;
    }
  }
  const std::size_t left = args.size() - std::min(at, args.size());
  if (left == 0 || left % 2 != 0 || (increment && left != 2)) refuse("ERR syntax error");
  if ((missing && (exists || greater || less)) || (greater && less)) {
    refuse("ERR XX and NX options at the same time are not compatible");
  }
  std::vector<double> scores;
  for (std::size_t i = at; i < args.size(); i += 2) scores.push_back(real(args[i]));
  auto* set = engine.find<SortedSet>(args[1]);
  if (!set && exists) return increment ? Reply::null() : Reply::number(0);
  set = &engine.make<SortedSet>(args[1]);
  std::int64_t added = 0, moved = 0;
  Reply last = Reply::null();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto member = args[at + 2 * i + 1];
    const auto there = set->scores.find(member);
    const bool is_new = there == set->scores.end();
    double score = scores[i];
    if (increment && !is_new) score += there->second;
    if (std::isnan(score)) refuse("ERR resulting score is not a number (NaN)");
    if ((is_new && exists) || (!is_new && missing)) continue;
    if (!is_new && ((greater && score <= there->second) || (less && score >= there->second))) continue;
    if (!is_new && score != there->second) ++moved;
    if (set->put(member, score)) ++added;
    last = Reply::bulk(real_text(score));
  }
  engine.touch(args[1]);
  return increment ? last : Reply::number(changed ? added + moved : added);
}

Reply zincrby(Engine& engine, Args args) {
  const std::string_view whole[] = {"ZADD", args[1], "INCR", args[2], args[3]};
  return zadd(engine, whole);
}

struct Bound {
  double score;
  bool exclusive;
};
Bound bound(std::string_view text) {
  const bool exclusive = text.starts_with('(');
  if (exclusive) text.remove_prefix(1);
  try {
    return {real(text), exclusive};
  } catch (CommandError&) {
    refuse("ERR min or max is not a float");
  }
}
bool above(double score, Bound min) {
  return min.exclusive ? score > min.score : score >= min.score;
}
bool below(double score, Bound max) {
  return max.exclusive ? score < max.score : score <= max.score;
}

Order between(Engine& engine, std::string_view key, std::string_view low, std::string_view high, bool reverse) {
  const Bound min = bound(low), max = bound(high);
  Order all = sorted(engine, key, reverse);
  std::erase_if(all, [&](const auto& item) { return !above(item.first, min) || !below(item.first, max); });
  return all;
}

Reply by_score(Engine& engine, Args args, bool reverse) {
  bool scores = false;
  std::int64_t offset = 0, count = -1;
  for (std::size_t i = 4; i < args.size(); ++i) {
    if (is(args[i], "WITHSCORES")) {
      scores = true;
    } else if (is(args[i], "LIMIT") && i + 2 < args.size()) {
      offset = integer(args[i + 1]);
      count = integer(args[i + 2]);
      i += 2;
    } else {
      refuse("ERR syntax error");
    }
  }
  const Order all = between(engine, args[1], args[reverse ? 3 : 2], args[reverse ? 2 : 3], reverse);
  const auto size = static_cast<std::int64_t>(all.size());
  if (offset < 0 || offset >= size) return Reply::array({});
  const std::int64_t end = count < 0 ? size : std::min(size, offset + std::min(count, size));
  return shown(all.begin() + offset, all.begin() + end, scores);
}

Reply by_rank(Engine& engine, Args args, bool reverse) {
  bool scores = false;
  for (const auto option : args.subspan(4)) {
    if (is(option, "REV")) {
      reverse = true;
    } else if (is(option, "WITHSCORES")) {
      scores = true;
    } else {
      refuse("ERR syntax error");
    }
  }
  const Order all = sorted(engine, args[1], reverse);
  const auto [from, to] = range(integer(args[2]), integer(args[3]), all.size());
  return shown(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to), scores);
}

Reply rank(Engine& engine, Args args, bool reverse) {
  const Order all = sorted(engine, args[1], reverse);
  const auto at = std::ranges::find(all, args[2], &Order::value_type::second);
  return at == all.end() ? Reply::null() : Reply::number(at - all.begin());
}

Reply score_of(const SortedSet* set, std::string_view member) {
  if (!set) return Reply::null();
  const auto at = set->scores.find(member);
  return at == set->scores.end() ? Reply::null() : Reply::bulk(real_text(at->second));
}

Reply pop(Engine& engine, Args args, bool highest) {
  const std::int64_t count = args.size() > 2 ? integer(args[2]) : 1;
  if (count < 0) refuse("ERR value is out of range, must be positive");
  Order all = sorted(engine, args[1], highest);
  if (static_cast<std::int64_t>(all.size()) > count) all.resize(static_cast<std::size_t>(count));
  remove_all(engine, args[1], all);
  return shown(all.begin(), all.end(), true);
}

Reply zscan(Engine& engine, Args args) {
  std::string_view pattern = "*";
  for (std::size_t i = 3; i + 1 < args.size(); i += 2) {
    if (is(args[i], "MATCH")) pattern = args[i + 1];
  }
  Order all = sorted(engine, args[1], false);
  std::erase_if(all, [&](const auto& item) { return !matches(pattern, item.second); });
  return Reply::array({Reply::bulk("0"), shown(all.begin(), all.end(), true)});
}

// ---- places ---------------------------------------------------------------------------------------------------------

constexpr double kLongitude = 180;
constexpr double kLatitude = 85.05112878;  // What a square map of the world ends at.
constexpr double kEarth = 6372797.560856;  // Metres; the radius that Redis takes.

struct Place {
  double longitude, latitude;
};

// 26 bits of each, in turns, latitude lowest. Source: the geohash of G. Niemeyer, on the ranges given.
std::uint64_t hash_of(Place place, double latitude_range) {
  const auto part = [](double value, double limit) {
    return static_cast<std::uint64_t>((value + limit) / (2 * limit) * static_cast<double>(1 << 26));
  };
  const std::uint64_t x = part(place.longitude, kLongitude), y = part(place.latitude, latitude_range);
  std::uint64_t out = 0;
  for (int i = 25; i >= 0; --i) out = out << 2 | (x >> i & 1) << 1 | (y >> i & 1);
  return out;
}
Place place_of(double score) {
  // What was put by ZADD may be no place.
  const auto hash = score >= 0 && score < 0x1p52 ? static_cast<std::uint64_t>(score) : 0;
  std::uint64_t x = 0, y = 0;
  for (int i = 25; i >= 0; --i) {
    x = x << 1 | (hash >> (2 * i + 1) & 1);
    y = y << 1 | (hash >> (2 * i) & 1);
  }
  const auto middle = [](std::uint64_t part, double limit) {
    return (static_cast<double>(part) + 0.5) / static_cast<double>(1 << 26) * 2 * limit - limit;
  };
  return {middle(x, kLongitude), middle(y, kLatitude)};
}
double distance(Place a, Place b) {
  const auto rad = [](double degrees) { return degrees * std::numbers::pi / 180; };
  const double u = std::sin(rad(b.latitude - a.latitude) / 2), v = std::sin(rad(b.longitude - a.longitude) / 2);
  return 2 * kEarth * std::asin(std::sqrt(u * u + std::cos(rad(a.latitude)) * std::cos(rad(b.latitude)) * v * v));
}
Place read_place(std::string_view longitude, std::string_view latitude) {
  const Place place{real(longitude), real(latitude)};
  if (std::abs(place.longitude) > kLongitude || std::abs(place.latitude) > kLatitude) {
    refuse(fmt::format("ERR invalid longitude,latitude pair {:.6f},{:.6f}", place.longitude, place.latitude));
  }
  return place;
}
double unit(std::string_view name) {
  if (is(name, "M")) return 1;
  if (is(name, "KM")) return 1000;
  if (is(name, "FT")) return 0.3048;
  if (is(name, "MI")) return 1609.34;
  refuse("ERR unsupported unit provided. please use M, KM, FT, MI");
}

Reply geoadd(Engine& engine, Args args) {
  if ((args.size() - 2) % 3 != 0) refuse("ERR syntax error");
  std::vector<double> scores;
  for (std::size_t i = 2; i < args.size(); i += 3) {
    scores.push_back(static_cast<double>(hash_of(read_place(args[i], args[i + 1]), kLatitude)));
  }
  auto& set = engine.make<SortedSet>(args[1]);
  std::int64_t added = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) added += set.put(args[3 * i + 4], scores[i]) ? 1 : 0;
  engine.touch(args[1]);
  return Reply::number(added);
}

std::optional<Place> find_place(const SortedSet* set, std::string_view member) {
  if (!set) return std::nullopt;
  const auto at = set->scores.find(member);
  return at == set->scores.end() ? std::nullopt : std::optional(place_of(at->second));
}

Reply geopos(Engine& engine, Args args) {
  const auto* const set = engine.find<SortedSet>(args[1]);
  Reply out = Reply::array({});
  for (const auto member : args.subspan(2)) {
    const auto place = find_place(set, member);
    out.items.push_back(place ? texts({real_text(place->longitude), real_text(place->latitude)}) : Reply::null());
  }
  return out;
}

Reply geodist(Engine& engine, Args args) {
  const auto* const set = engine.find<SortedSet>(args[1]);
  const auto a = find_place(set, args[2]), b = find_place(set, args[3]);
  if (!a || !b) return Reply::null();
  return Reply::bulk(fmt::format("{:.4f}", distance(*a, *b) / (args.size() > 4 ? unit(args[4]) : 1)));
}

Reply geohash(Engine& engine, Args args) {
  static constexpr std::string_view kDigits = "0123456789bcdefghjkmnpqrstuvwxyz";
  const auto* const set = engine.find<SortedSet>(args[1]);
  Reply out = Reply::array({});
  for (const auto member : args.subspan(2)) {
    const auto place = find_place(set, member);
    if (!place) {
      out.items.push_back(Reply::null());
      continue;
    }
    // As others write them: latitude to 90 degrees, 52 bits in 11 digits, the last one always 0.
    const std::uint64_t hash = hash_of(*place, 90);
    std::string text;
    for (int i = 0; i < 10; ++i) text += kDigits[hash >> (52 - (i + 1) * 5) & 31];
    out.items.push_back(Reply::bulk(text + "0"));
  }
  return out;
}

struct Found {
  double away;  // Metres.
  std::string member;
  double score;
};
struct Search {
  std::vector<Found> found;
  double scale = 1;
  bool with_distance = false, with_place = false, with_hash = false, store_distance = false;
};

// The options from args[at] on.
Search search(Engine& engine, std::string_view key, Args args, std::size_t at, bool stores) {
  const auto* const set = engine.find<SortedSet>(key);
  Search out;
  std::optional<Place> from;
  double radius = -1, width = -1, height = -1;
  std::int64_t count = 0;
  bool ascending = false, descending = false, any = false;
  for (std::size_t i = at; i < args.size(); ++i) {
    const std::size_t more = args.size() - i - 1;
    if (is(args[i], "FROMLONLAT") && more >= 2 && !from) {
      from = read_place(args[i + 1], args[i + 2]);
      i += 2;
    } else if (is(args[i], "FROMMEMBER") && more >= 1 && !from) {
      from = find_place(set, args[++i]);
      if (!from && set) refuse("ERR could not decode requested zset member");
      if (!from) from = Place{0, 0};
    } else if (is(args[i], "BYRADIUS") && more >= 2 && radius < 0 && width < 0) {
      out.scale = unit(args[i + 2]);
      radius = real(args[i + 1]) * out.scale;
      if (radius < 0) refuse("ERR radius cannot be negative");
      i += 2;
    } else if (is(args[i], "BYBOX") && more >= 3 && radius < 0 && width < 0) {
      out.scale = unit(args[i + 3]);
      width = real(args[i + 1]) * out.scale;
      height = real(args[i + 2]) * out.scale;
      if (width < 0 || height < 0) refuse("ERR height or width cannot be negative");
      i += 3;
    } else if (is(args[i], "COUNT") && more >= 1) {
      count = integer(args[++i]);
      if (count < 1) refuse("ERR COUNT must be > 0");
      if (i + 1 < args.size() && is(args[i + 1], "ANY")) {
        any = true;
        ++i;
      }
    } else if (is(args[i], "WITHDIST") && !stores) {
      out.with_distance = true;
    } else if (is(args[i], "WITHCOORD") && !stores) {
      out.with_place = true;
    } else if (is(args[i], "WITHHASH") && !stores) {
      out.with_hash = true;
    } else if (is(args[i], "STOREDIST") && stores) {
      out.store_distance = true;
    } else if (is(args[i], "DESC") || is(args[i], "ASC")) {
      descending = is(args[i], "DESC");
      ascending = !descending;
    } else {
      refuse("ERR syntax error");
    }
  }
  if (!from) refuse("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch");
  if (radius < 0 && width < 0) refuse("ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch");
  if (set) {
    for (const auto& [score, member] : set->order) {
      const Place place = place_of(score);
      const double away = distance(*from, place);
      // Of a box: the way north and the way east, on the place's own latitude.
      const bool in = radius >= 0 ? away <= radius
                                  : distance({from->longitude, place.latitude}, *from) <= height / 2 &&
                                        distance({from->longitude, place.latitude}, place) <= width / 2;
      if (in) out.found.push_back({away, member, score});
    }
  }
  if (ascending || descending || (count > 0 && !any)) {
    std::ranges::sort(out.found, [](const Found& a, const Found& b) {
      return a.away != b.away ? a.away < b.away : a.member < b.member;
    });
    if (descending) std::ranges::reverse(out.found);
  }
  if (count > 0 && static_cast<std::int64_t>(out.found.size()) > count) {
    out.found.resize(static_cast<std::size_t>(count), {});
  }
  return out;
}

Reply geosearch(Engine& engine, Args args) {
  const Search made = search(engine, args[1], args, 2, false);
  Reply out = Reply::array({});
  for (const auto& [away, member, score] : made.found) {
    Reply item = Reply::array({Reply::bulk(member)});
    if (made.with_distance) item.items.push_back(Reply::bulk(fmt::format("{:.4f}", away / made.scale)));
    if (made.with_hash) item.items.push_back(Reply::number(static_cast<std::int64_t>(score)));
    if (made.with_place) {
      const Place place = place_of(score);
      item.items.push_back(texts({real_text(place.longitude), real_text(place.latitude)}));
    }
    out.items.push_back(item.items.size() == 1 ? std::move(item.items[0]) : std::move(item));
  }
  return out;
}

Reply geosearchstore(Engine& engine, Args args) {
  const Search made = search(engine, args[2], args, 3, true);
  Order order;
  for (const auto& [away, member, score] : made.found) {
    order.emplace_back(made.store_distance ? away / made.scale : score, member);
  }
  return put_sorted(engine, args[1], order);
}

}  // namespace

void add_sorted_sets(Table& table) {
  table["ZADD"] = {zadd, 4, -1};
  table["ZINCRBY"] = {zincrby, 4, 4};
  table["ZREM"] = {[](Engine& e, Args a) {
                     auto* const set = e.find<SortedSet>(a[1]);
                     std::int64_t gone = 0;
                     if (!set) return Reply::number(0);
                     for (const auto member : a.subspan(2)) gone += set->remove(member) ? 1 : 0;
                     e.touch(a[1]);
                     return Reply::number(gone);
                   },
                   3, -1};
  table["ZSCORE"] = {[](Engine& e, Args a) { return score_of(e.find<SortedSet>(a[1]), a[2]); }, 3, 3};
  table["ZMSCORE"] = {[](Engine& e, Args a) {
                        const auto* const set = e.find<SortedSet>(a[1]);
                        Reply out = Reply::array({});
                        for (const auto member : a.subspan(2)) out.items.push_back(score_of(set, member));
                        return out;
                      },
                      3, -1};
  table["ZCARD"] = {[](Engine& e, Args a) {
                      const auto* const set = e.find<SortedSet>(a[1]);
                      return Reply::number(set ? static_cast<std::int64_t>(set->scores.size()) : 0);
                    },
                    2, 2};
  table["ZCOUNT"] = {[](Engine& e, Args a) {
                       return Reply::number(static_cast<std::int64_t>(between(e, a[1], a[2], a[3], false).size()));
                     },
                     4, 4};
  table["ZRANK"] = {[](Engine& e, Args a) { return rank(e, a, false); }, 3, 3};
  table["ZREVRANK"] = {[](Engine& e, Args a) { return rank(e, a, true); }, 3, 3};
  table["ZREVRANGE"] = {[](Engine& e, Args a) { return by_rank(e, a, true); }, 4, 5};
  table["ZRANGEBYSCORE"] = {[](Engine& e, Args a) { return by_score(e, a, false); }, 4, -1};
  table["ZREVRANGEBYSCORE"] = {[](Engine& e, Args a) { return by_score(e, a, true); }, 4, -1};
  table["ZREMRANGEBYRANK"] = {[](Engine& e, Args a) {
                                Order all = sorted(e, a[1], false);
                                const auto [from, to] = range(integer(a[2]), integer(a[3]), all.size());
                                return remove_all(e, a[1],
                                                  Order(all.begin() + static_cast<std::ptrdiff_t>(from),
                                                        all.begin() + static_cast<std::ptrdiff_t>(to)));
                              },
                              4, 4};
  table["ZREMRANGEBYSCORE"] = {
      [](Engine& e, Args a) { return remove_all(e, a[1], between(e, a[1], a[2], a[3], false)); }, 4, 4};
  table["ZPOPMIN"] = {[](Engine& e, Args a) { return pop(e, a, false); }, 2, 3};
  table["ZPOPMAX"] = {[](Engine& e, Args a) { return pop(e, a, true); }, 2, 3};
  table["ZSCAN"] = {zscan, 3, -1};
}

void add_geo(Table& table) {
  table["GEOADD"] = {geoadd, 5, -1};
  table["GEOPOS"] = {geopos, 2, -1};
  table["GEODIST"] = {geodist, 4, 5};
  table["GEOHASH"] = {geohash, 2, -1};
  table["GEOSEARCH"] = {geosearch, 7, -1};
  table["GEOSEARCHSTORE"] = {geosearchstore, 8, -1};
}

}  // namespace mg::redis::local
