// Sorted sets of the twin: ranges by member, several sets together, several taken out, some by chance.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "store/redis/local/sorted_sets.h"

namespace mg::redis::local {
namespace {

// ---- ranges ---------------------------------------------------------------------------------------------------------

struct LexBound {
  int end = 0;  // -1: below all, 1: above all.
  std::string_view text;
  bool exclusive = false;
};
LexBound lex_bound(std::string_view text) {
  if (text == "-") return {-1, {}, false};
  if (text == "+") return {1, {}, false};
  if (text.starts_with('[')) return {0, text.substr(1), false};
  if (text.starts_with('(')) return {0, text.substr(1), true};
  refuse("ERR min or max not valid string range item");
}
bool not_below(std::string_view member, const LexBound& min) {
  return min.end != 0 ? min.end < 0 : min.exclusive ? member > min.text : member >= min.text;
}
bool not_above(std::string_view member, const LexBound& max) {
  return max.end != 0 ? max.end > 0 : max.exclusive ? member < max.text : member <= max.text;
}

struct ScoreLimit {
  double score = 0;
  bool exclusive = false;
};
ScoreLimit score_limit(std::string_view text) {
  const bool exclusive = text.starts_with('(');
  try {
    return {real(text.substr(exclusive ? 1 : 0)), exclusive};
  } catch (CommandError&) {
    refuse("ERR min or max is not a float");
  }
}

Order lex_between(Engine& engine, std::string_view key, std::string_view low, std::string_view high, bool reverse) {
  const LexBound min = lex_bound(low), max = lex_bound(high);
  Order all = sorted(engine, key, reverse);
  std::erase_if(all, [&](const auto& item) { return !not_below(item.second, min) || !not_above(item.second, max); });
  return all;
}

Order limited(Order all, std::int64_t offset, std::int64_t count) {
  const auto size = static_cast<std::int64_t>(all.size());
  if (offset < 0 || offset >= size) return {};
  const std::int64_t end = count < 0 ? size : offset + std::min(count, size - offset);
  return {all.begin() + offset, all.begin() + end};
}

// start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES] from args[at] on.
Order range_of(Engine& engine, std::string_view key, Args args, std::size_t at, bool* scores) {
  bool by_score = false, by_lex = false, reverse = false, has_limit = false;
  std::int64_t offset = 0, count = -1;
  for (std::size_t i = at + 2; i < args.size(); ++i) {
    if (is(args[i], "BYSCORE")) {
      by_score = true;
    } else if (is(args[i], "BYLEX")) {
      by_lex = true;
    } else if (is(args[i], "REV")) {
      reverse = true;
    } else if (is(args[i], "LIMIT") && i + 2 < args.size()) {
      has_limit = true;
      offset = integer(args[i + 1]);
      count = integer(args[i + 2]);
      i += 2;
    } else if (is(args[i], "WITHSCORES") && scores) {
      *scores = true;
    } else {
      refuse("ERR syntax error");
    }
  }
  if (by_score && by_lex) refuse("ERR syntax error");
  if (has_limit && !by_score && !by_lex) {
    refuse("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
  }
  if (by_lex && scores && *scores) refuse("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
  const std::string_view low = args[reverse ? at + 1 : at], high = args[reverse ? at : at + 1];
  if (by_lex) return limited(lex_between(engine, key, low, high, reverse), offset, count);
  if (by_score) {
    const ScoreLimit min = score_limit(low), max = score_limit(high);
    Order all = sorted(engine, key, reverse);
    std::erase_if(all, [&](const auto& item) {
      return (min.exclusive ? item.first <= min.score : item.first < min.score) ||
             (max.exclusive ? item.first >= max.score : item.first > max.score);
    });
    return limited(std::move(all), offset, count);
  }
  const std::int64_t start = integer(args[at]), stop = integer(args[at + 1]);
  const Order all = sorted(engine, key, reverse);
  const auto [from, to] = range(start, stop, all.size());
  return {all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to)};
}

Reply zrange(Engine& engine, Args args) {
  bool scores = false;
  const Order found = range_of(engine, args[1], args, 2, &scores);
  return shown(found.begin(), found.end(), scores);
}

Reply by_lex(Engine& engine, Args args, bool reverse) {
  std::int64_t offset = 0, count = -1;
  if (args.size() == 7 && is(args[4], "LIMIT")) {
    offset = integer(args[5]);
    count = integer(args[6]);
  } else if (args.size() != 4) {
    refuse("ERR syntax error");
  }
  const Order found =
      limited(lex_between(engine, args[1], args[reverse ? 3 : 2], args[reverse ? 2 : 3], reverse), offset, count);
  return shown(found.begin(), found.end(), false);
}

// ---- several sets ---------------------------------------------------------------------------------------------------

enum class Together : std::uint8_t { kUnion, kIntersection, kDifference };

// Members and scores of a sorted set, or of a set, where they are 1.
Order scores_of(Engine& engine, std::string_view key) {
  const Entry* const there = engine.entry(key);
  if (there && std::holds_alternative<Set>(there->data)) {
    Order out;
    for (const auto& member : std::get<Set>(there->data)) out.emplace_back(1, member);
    return out;
  }
  return sorted(engine, key, false);
}

// numkeys key ... [WEIGHTS ...] [AGGREGATE ...] [WITHSCORES] from args[at] on.
Order together(Engine& engine, Args args, std::size_t at, Together how, bool* scores) {
  const std::int64_t count = integer(args[at]);
  if (count < 1) refuse("ERR at least 1 input key is needed for this command");
  if (count > static_cast<std::int64_t>(args.size() - at) - 1) refuse("ERR syntax error");
  const Args keys = args.subspan(at + 1, static_cast<std::size_t>(count));
  std::vector<double> weights(keys.size(), 1);
  enum { kSum, kMin, kMax } aggregate = kSum;
  for (std::size_t i = at + 1 + keys.size(); i < args.size(); ++i) {
    const std::size_t more = args.size() - i - 1;
    if (how != Together::kDifference && is(args[i], "WEIGHTS") && more >= keys.size()) {
      for (double& weight : weights) {
        try {
          weight = real(args[++i]);
        } catch (CommandError&) {
          refuse("ERR weight value is not a float");
        }
      }
    } else if (how != Together::kDifference && is(args[i], "AGGREGATE") && more >= 1) {
      ++i;
      if (is(args[i], "SUM")) {
        aggregate = kSum;
      } else if (is(args[i], "MIN")) {
        aggregate = kMin;
      } else if (is(args[i], "MAX")) {
        aggregate = kMax;
      } else {
        refuse("ERR syntax error");
      }
    } else if (is(args[i], "WITHSCORES") && scores) {
      *scores = true;
    } else {
      refuse("ERR syntax error");
    }
  }
  std::map<std::string, std::pair<double, std::int64_t>> sums;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const auto& [score, member] : scores_of(engine, keys[i])) {
      double value = score * weights[i];
      if (std::isnan(value)) value = 0;  // 0 times infinity.
      if (how == Together::kDifference) {
        if (i == 0) {
          sums[member] = {score, 1};
        } else {
          sums.erase(member);
        }
        continue;
      }
      const auto [there, is_new] = sums.try_emplace(member, value, 1);
      if (is_new) continue;
      double& sum = there->second.first;
      ++there->second.second;
      sum = aggregate == kSum ? sum + value : aggregate == kMin ? std::min(sum, value) : std::max(sum, value);
      if (std::isnan(sum)) sum = 0;  // Infinity less infinity.
    }
  }
  Order out;
  for (const auto& [member, sum] : sums) {
    if (how != Together::kIntersection || sum.second == count) out.emplace_back(sum.first, member);
  }
  std::ranges::sort(out);
  return out;
}

template <Together how>
Reply combined(Engine& engine, Args args) {
  bool scores = false;
  const Order made = together(engine, args, 1, how, &scores);
  return shown(made.begin(), made.end(), scores);
}
template <Together how>
Reply stored(Engine& engine, Args args) {
  return put_sorted(engine, args[1], together(engine, args, 2, how, nullptr));
}

Reply zintercard(Engine& engine, Args args) {
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
  const Order made = together(engine, args.first(at), 1, Together::kIntersection, nullptr);
  const auto size = static_cast<std::int64_t>(made.size());
  return Reply::number(limit > 0 ? std::min(limit, size) : size);
}

// ---- taken out, and by chance ---------------------------------------------------------------------------------------

// numkeys key ... MIN|MAX [COUNT n]
Reply zmpop(Engine& engine, Args args) {
  const std::int64_t keys = integer(args[1]);
  if (keys < 1) refuse("ERR numkeys should be greater than 0");
  if (keys > static_cast<std::int64_t>(args.size()) - 3) refuse("ERR syntax error");
  const std::size_t at = 2 + static_cast<std::size_t>(keys);
  const bool highest = is(args[at], "MAX");
  if (!highest && !is(args[at], "MIN")) refuse("ERR syntax error");
  std::int64_t count = 1;
  if (args.size() == at + 3 && is(args[at + 1], "COUNT")) {
    count = integer(args[at + 2]);
    if (count < 1) refuse("ERR count should be greater than 0");
  } else if (args.size() != at + 1) {
    refuse("ERR syntax error");
  }
  for (const auto key : args.subspan(2, static_cast<std::size_t>(keys))) {
    Order all = sorted(engine, key, highest);
    if (all.empty()) continue;
    if (static_cast<std::int64_t>(all.size()) > count) all.resize(static_cast<std::size_t>(count));
    remove_all(engine, key, all);
    Reply pairs = Reply::array({});
    for (const auto& [score, member] : all) pairs.items.push_back(texts({member, real_text(score)}));
    return Reply::array({Reply::bulk(std::string(key)), std::move(pairs)});
  }
  return Reply::null();
}

Reply zrandmember(Engine& engine, Args args) {
  const bool scores = args.size() == 4 && is(args[3], "WITHSCORES");
  if (args.size() == 4 && !scores) refuse("ERR syntax error");
  Order all = sorted(engine, args[1], false);
  if (args.size() == 2) return all.empty() ? Reply::null() : Reply::bulk(all[engine.random().below(all.size())].second);
  const std::int64_t count = integer(args[2]);
  Order out;
  if (count < 0 && !all.empty()) {
    for (std::int64_t left = std::max<std::int64_t>(count, -1'000'000); left < 0; ++left) {
      out.push_back(all[engine.random().below(all.size())]);
    }
  }
  for (std::size_t i = 0; i < all.size() && static_cast<std::int64_t>(i) < count; ++i) {
    std::swap(all[i], all[i + engine.random().below(all.size() - i)]);
    out.push_back(all[i]);
  }
  return shown(out.begin(), out.end(), scores);
}

}  // namespace

void add_sorted_set_ranges(Table& table) {
  table["ZRANGE"] = {zrange, 4, -1};
  table["ZRANGESTORE"] = {[](Engine& e, Args a) { return put_sorted(e, a[1], range_of(e, a[2], a, 3, nullptr)); }, 5,
                          -1};
  table["ZRANGEBYLEX"] = {[](Engine& e, Args a) { return by_lex(e, a, false); }, 4, 7};
  table["ZREVRANGEBYLEX"] = {[](Engine& e, Args a) { return by_lex(e, a, true); }, 4, 7};
  table["ZLEXCOUNT"] = {
      [](Engine& e, Args a) {
        return Reply::number(static_cast<std::int64_t>(lex_between(e, a[1], a[2], a[3], false).size()));
      },
      4, 4};
  table["ZREMRANGEBYLEX"] = {
      [](Engine& e, Args a) { return remove_all(e, a[1], lex_between(e, a[1], a[2], a[3], false)); }, 4, 4};
  table["ZUNION"] = {combined<Together::kUnion>, 3, -1};
  table["ZINTER"] = {combined<Together::kIntersection>, 3, -1};
  table["ZDIFF"] = {combined<Together::kDifference>, 3, -1};
  table["ZUNIONSTORE"] = {stored<Together::kUnion>, 4, -1};
  table["ZINTERSTORE"] = {stored<Together::kIntersection>, 4, -1};
  table["ZDIFFSTORE"] = {stored<Together::kDifference>, 4, -1};
  table["ZINTERCARD"] = {zintercard, 3, -1};
  table["ZMPOP"] = {zmpop, 4, -1};
  table["ZRANDMEMBER"] = {zrandmember, 2, 4};
}

}  // namespace mg::redis::local
