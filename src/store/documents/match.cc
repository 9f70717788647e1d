#include "store/documents/match.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "mg/store/documents/order.h"
#include "store/documents/paths.h"

namespace mg::documents {
namespace {

bool is_nan(const Value& value) {
  return value.type() == Type::kDouble && std::isnan(value.as_double());
}

bool equal(const Value* value, const Value& wanted) {
  if (value == nullptr) return wanted.is_null();
  if (value->is_text() && wanted.is_text()) return value->as_text() == wanted.as_text();
  return compare(*value, wanted) == 0;
}

bool in_order(const Value* value, Filter::Op op, const Value& wanted) {
  static const Value null;
  const Value& found = value != nullptr ? *value : null;
  if (kind_order(found) != kind_order(wanted)) return false;
  if (is_nan(found) || is_nan(wanted)) {
    return is_nan(found) && is_nan(wanted) && (op == Filter::Op::kGte || op == Filter::Op::kLte);
  }
  const int order = compare(found, wanted);
  switch (op) {
    case Filter::Op::kGt:
      return order > 0;
    case Filter::Op::kGte:
      return order >= 0;
    case Filter::Op::kLt:
      return order < 0;
    default:
      return order <= 0;
  }
}

bool any_equal(const Document& document, const std::string& path, const Value& wanted) {
  return each_item(document, path, [&](const Value* value) { return equal(value, wanted); });
}
bool any_of(const Document& document, const Filter& filter) {
  return std::ranges::any_of(filter.values(), [&](const Value& v) { return any_equal(document, filter.path(), v); });
}

// Keeps, or takes out, the fields of `names` (a sorted set of paths, of which `prefix` is gone).
void project_into(Document& out, const Document& in, const std::vector<std::string_view>& paths, bool including) {
  for (const Field& each : in) {
    bool whole = false;
    std::vector<std::string_view> inner;
    for (const std::string_view path : paths) {
      if (path == each.name) whole = true;
      if (path.size() > each.name.size() && path[each.name.size()] == '.' && path.starts_with(each.name)) {
        inner.push_back(path.substr(each.name.size() + 1));
      }
    }
    if (whole) {
      if (including) out.append(each.name, each.value);
      continue;
    }
    if (inner.empty()) {
      if (!including) out.append(each.name, each.value);
      continue;
    }
    const auto descend = [&](const auto& self, const Value& value) -> std::optional<Value> {
      if (value.is_document()) {
        Document part;
        project_into(part, value.as_document(), inner, including);
        return Value(std::move(part));
      }
      if (value.is_array()) {
        Array items;
        for (const Value& item : value.as_array()) {
          if (auto kept = self(self, item)) items.push_back(*std::move(kept));
        }
        return Value(std::move(items));
      }
      return including ? std::optional<Value>() : value;
    };
    if (auto kept = descend(descend, each.value)) out.append(each.name, *std::move(kept));
  }
}

}  // namespace

bool matches(const Document& document, const Filter& filter) {
  using Op = Filter::Op;
  switch (filter.op()) {
    case Op::kAll:
      return true;
    case Op::kEq:
      return any_equal(document, filter.path(), filter.values()[0]);
    case Op::kNe:
      return !any_equal(document, filter.path(), filter.values()[0]);
    case Op::kGt:
    case Op::kGte:
    case Op::kLt:
    case Op::kLte:
      return each_item(document, filter.path(),
                       [&](const Value* value) { return in_order(value, filter.op(), filter.values()[0]); });
    case Op::kIn:
      return any_of(document, filter);
    case Op::kNotIn:
      return !any_of(document, filter);
    case Op::kExists:
      return each_value(document, filter.path(), [](const Value* value) { return value != nullptr; });
    case Op::kMissing:
      return !each_value(document, filter.path(), [](const Value* value) { return value != nullptr; });
    case Op::kSize:
      return each_value(document, filter.path(), [&](const Value* value) {
        return value != nullptr && value->is_array() &&
               compare(Value(static_cast<std::int64_t>(value->as_array().size())), filter.values()[0]) == 0;
      });
    case Op::kHasAll:
      return !filter.values().empty() && std::ranges::all_of(filter.values(), [&](const Value& v) {
        return any_equal(document, filter.path(), v);
      });
    case Op::kStartsWith:
      return each_item(document, filter.path(), [&](const Value* value) {
        return value != nullptr && value->is_text() && value->as_text().starts_with(filter.values()[0].as_text());
      });
    case Op::kAny:
      return each_value(document, filter.path(), [&](const Value* value) {
        return value != nullptr && value->is_array() && std::ranges::any_of(value->as_array(), [&](const Value& item) {
                 return item.is_document() && matches(item.as_document(), filter.parts()[0]);
               });
      });
    case Op::kAnd:
      return std::ranges::all_of(filter.parts(), [&](const Filter& f) { return matches(document, f); });
    case Op::kOr:
      return std::ranges::any_of(filter.parts(), [&](const Filter& f) { return matches(document, f); });
    case Op::kNot:
      return !matches(document, filter.parts()[0]);
  }
  return false;
}

std::string sort_key(const Document& document, const std::vector<Sort::Key>& keys) {
  std::string out, candidate;
  for (const Sort::Key& key : keys) {
    std::optional<std::string> best;
    each_item(document, key.path, [&](const Value* value) {
      static const Value null;
      if (value != nullptr && value->is_array()) return false;  // Its items count.
      candidate.clear();
      append_key(candidate, value != nullptr ? *value : null, key.down);
      if (!best || candidate < *best) best = candidate;
      return false;
    });
    if (best) {
      out += *best;
    } else {
      append_key(out, Value(), key.down);
    }
  }
  return out;
}

Document project(const Document& document, const Projection& projection) {
  if (projection.all()) return document;
  std::vector<std::string_view> paths(projection.paths().begin(), projection.paths().end());
  const bool including = projection.including();
  if (including && projection.id()) {
    paths.emplace_back("_id");
  } else if (!including && !projection.id()) {
    paths.emplace_back("_id");
  }
  Document out;
  project_into(out, document, paths, including);
  return out;
}

Result<std::vector<std::string>> index_keys(const Document& document, const std::vector<Sort::Key>& keys) {
  std::vector<std::string> out{std::string()};
  bool several = false;
  for (const Sort::Key& key : keys) {
    std::vector<std::string> parts;
    bool array = false;
    each_value(document, key.path, [&](const Value* value) {
      static const Value null;
      append_key(parts.emplace_back(), value != nullptr ? *value : null, key.down);
      if (value != nullptr && value->is_array()) {
        array = true;
        for (const Value& item : value->as_array()) append_key(parts.emplace_back(), item, key.down);
      }
      return false;
    });
    if (parts.empty()) append_key(parts.emplace_back(), Value(), key.down);
    std::ranges::sort(parts);
    const auto tail = std::ranges::unique(parts);
    parts.erase(tail.begin(), tail.end());
    if (array || parts.size() > 1) {
      if (several) return fail(code::kInvalid, "an index of two fields that both hold arrays: {} is one", key.path);
      several = true;
    }
    std::vector<std::string> longer;
    longer.reserve(out.size() * parts.size());
    for (const std::string& front : out) {
      for (const std::string& part : parts) longer.push_back(front + part);
    }
    out = std::move(longer);
  }
  return out;
}

}  // namespace mg::documents
