#include "store/embedded/plan.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "mg/store/documents/order.h"

namespace mg::documents {
namespace {

constexpr std::size_t kMaxRanges = 1000;

// The conditions that all must hold.
void flatten(const Filter& filter, std::vector<const Filter*>& out) {
  if (filter.op() == Filter::Op::kAnd) {
    for (const Filter& part : filter.parts()) flatten(part, out);
  } else {
    out.push_back(&filter);
  }
}

std::string key_of(const Value& value) {
  std::string out;
  append_key(out, value);
  return out;
}

std::string flipped(std::string key) {
  for (char& each : key) each = static_cast<char>(~each);
  return key;
}

// From the smallest to the largest prefix that a key of one field may begin with, both included, as if it went up.
struct Span {
  std::string low, high;
};

std::optional<Span> span_of(const std::vector<const Filter*>& conditions, const std::string& path, bool multikey) {
  std::optional<Span> out;
  for (const Filter* each : conditions) {
    if (each->path() != path || each->values().empty()) continue;
    const Value& value = each->values()[0];
    Span span;
    switch (each->op()) {
      case Filter::Op::kGt:
      case Filter::Op::kGte:
        span = {key_of(value), std::string(1, static_cast<char>(kind_order(value)))};
        break;
      case Filter::Op::kLt:
      case Filter::Op::kLte:
        span = {std::string(1, static_cast<char>(kind_order(value))), key_of(value)};
        break;
      case Filter::Op::kStartsWith: {
        span.low = key_of(value);
        span.low.resize(span.low.size() - 2);  // Without the mark of the end.
        span.high = span.low;
        break;
      }
      default:
        continue;
    }
    if (!out) {
      out = std::move(span);
    } else if (!multikey) {  // Of an array different items may meet different conditions.
      if (span.low > out->low) out->low = span.low;
      // The shorter of two prefixes reaches further.
      if (after(span.high).compare(after(out->high)) < 0) out->high = span.high;
    }
  }
  return out;
}

const Filter* equality(const std::vector<const Filter*>& conditions, const std::string& path) {
  const Filter* several = nullptr;
  for (const Filter* each : conditions) {
    if (each->path() != path) continue;
    if (each->op() == Filter::Op::kEq) return each;
    if (each->op() == Filter::Op::kIn && each->values().size() <= kMaxRanges) several = each;
  }
  return several;
}

struct Candidate {
  Plan plan;
  int score = 0;
};

// What `index` can do for it; score 0: nothing.
Candidate consider(const IndexInfo& index, const std::vector<const Filter*>& conditions, const Sort& sort) {
  Candidate out;
  out.plan.index = &index;
  std::vector<std::string> prefixes{std::string()};
  std::size_t equal = 0;
  bool ranged = false;
  for (const Sort::Key& key : index.spec.keys) {
    const Filter* const same = equality(conditions, key.path);
    if (same == nullptr || prefixes.size() * same->values().size() > kMaxRanges) break;
    std::vector<std::string> longer;
    for (const std::string& front : prefixes) {
      for (const Value& value : same->values()) {
        std::string part = front;
        append_key(part, value, key.down);
        longer.push_back(std::move(part));
      }
    }
    prefixes = std::move(longer);
    ++equal;
  }
  std::ranges::sort(prefixes);
  const auto tail = std::ranges::unique(prefixes);
  prefixes.erase(tail.begin(), tail.end());
  std::optional<Span> span;
  if (equal < index.spec.keys.size()) {
    const Sort::Key& key = index.spec.keys[equal];
    span = span_of(conditions, key.path, index.multikey);
    ranged = span.has_value();
    if (span && key.down) span = Span{flipped(span->high), flipped(span->low)};
  }
  for (const std::string& prefix : prefixes) {
    if (span) {
      Range range{prefix + span->low, after(prefix + span->high)};
      if (range.to.empty() || range.from < range.to) out.plan.ranges.push_back(std::move(range));
    } else {
      out.plan.ranges.push_back({prefix, after(prefix)});
    }
  }
  out.plan.exact_id = index.id == 0 && equal == 1 && prefixes.size() == 1;
  out.plan.unique = !index.multikey;
  out.score = static_cast<int>(equal) * 4 + (ranged ? 2 : 0);
  if (index.id == 0 && equal == 1) out.score = 1000;
  if (index.spec.unique && equal == index.spec.keys.size()) out.score += 100;

  // Does it give the order asked for? Behind the equal fields, and only without arrays.
  if (!sort.keys().empty() && !index.multikey && prefixes.size() <= 1 &&
      sort.keys().size() <= index.spec.keys.size() - equal) {
    const auto* const next = index.spec.keys.data() + equal;
    const bool backward = next[0].down != sort.keys()[0].down;
    out.plan.sorted = true;
    for (std::size_t i = 0; i < sort.keys().size(); ++i) {
      const Sort::Key& wanted = sort.keys()[i];
      if (next[i].path != wanted.path || (next[i].down != wanted.down) != backward) out.plan.sorted = false;
    }
    out.plan.backward = out.plan.sorted && backward;
    if (out.plan.sorted) out.score += 1;
  }
  return out;
}

}  // namespace

std::string after(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

Plan make_plan(const std::vector<IndexInfo>& indexes, const Filter& filter, const Sort& sort) {
  std::vector<const Filter*> conditions;
  flatten(filter, conditions);
  Candidate best;
  for (const IndexInfo& index : indexes) {
    Candidate candidate = consider(index, conditions, sort);
    if (candidate.score > best.score) best = std::move(candidate);
  }
  return std::move(best.plan);
}

}  // namespace mg::documents
