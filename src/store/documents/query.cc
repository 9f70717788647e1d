#include "store/documents/query.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace mg::documents {
namespace {

Document of(const std::string& path, std::string_view op, Value value) {
  Document condition;
  condition.append(std::string(op), std::move(value));
  Document out;
  out.append(path, std::move(condition));
  return out;
}

// A pattern for exactly this text at the beginning. Every octet that could mean something is escaped.
std::string prefix_pattern(std::string_view text) {
  std::string out = "^";
  for (const char each : text) {
    const bool plain = (each >= '0' && each <= '9') || (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') ||
                       static_cast<unsigned char>(each) >= 0x80;
    if (!plain) out += '\\';
    out += each;
  }
  return out;
}

Document list_of(std::string_view op, const std::vector<Filter>& parts) {
  Array list;
  for (const Filter& part : parts) list.push_back(to_query(part));
  Document out;
  out.append(std::string(op), std::move(list));
  return out;
}

// What `$in`, `$nin`, `$ne` and `$all` would read as an operator or a pattern, and only `$eq` takes as it is.
bool special(const Value& value) {
  if (value.type() == Type::kRegex) return true;
  return value.is_document() && !value.as_document().empty() && value.as_document().begin()->name.starts_with('$');
}

// A list of alternatives (`$in`) or of requirements (`$all`).
Document of_list(const std::string& path, std::string_view op, std::string_view joined, const Array& values) {
  if (std::ranges::none_of(values, special)) return of(path, op, values);
  Array plain, parts;
  for (const Value& each : values) {
    if (special(each)) {
      parts.push_back(of(path, "$eq", each));
    } else {
      plain.push_back(each);
    }
  }
  if (!plain.empty()) parts.push_back(of(path, op, std::move(plain)));
  Document out;
  out.append(std::string(joined), std::move(parts));
  return out;
}

Document none_of(Document query) {
  return {{"$nor", Array{Value(std::move(query))}}};
}

// One document where each condition is on a field of its own, as one would write it by hand.
Document all_of(const std::vector<Filter>& parts) {
  Document out;
  for (const Filter& part : parts) {
    const Document query = to_query(part);
    if (query.size() != 1 || query.begin()->name.starts_with('$') || out.contains(query.begin()->name))
      return list_of("$and", parts);
    out.append(query.begin()->name, query.begin()->value);
  }
  return out;
}

}  // namespace

Document to_query(const Filter& filter) {
  using Op = Filter::Op;
  const Array& values = filter.values();
  const std::string& path = filter.path();
  switch (filter.op()) {
    case Op::kAll:
      return {};
    case Op::kEq:
      return of(path, "$eq", values[0]);
    case Op::kNe:
      return special(values[0]) ? none_of(of(path, "$eq", values[0])) : of(path, "$ne", values[0]);
    case Op::kGt:
      return of(path, "$gt", values[0]);
    case Op::kGte:
      return of(path, "$gte", values[0]);
    case Op::kLt:
      return of(path, "$lt", values[0]);
    case Op::kLte:
      return of(path, "$lte", values[0]);
    case Op::kIn:
      return of_list(path, "$in", "$or", values);
    case Op::kNotIn:
      return std::ranges::any_of(values, special) ? none_of(of_list(path, "$in", "$or", values))
                                                  : of(path, "$nin", values);
    case Op::kExists:
      return of(path, "$exists", true);
    case Op::kMissing:
      return of(path, "$exists", false);
    case Op::kSize:
      return of(path, "$size", values[0]);
    case Op::kHasAll:
      return of_list(path, "$all", "$and", values);
    case Op::kStartsWith:
      return of(path, "$regex", prefix_pattern(values[0].as_text()));
    case Op::kAny:
      return of(path, "$elemMatch", to_query(filter.parts()[0]));
    case Op::kAnd:
      return all_of(filter.parts());
    case Op::kOr:
      return list_of("$or", filter.parts());
    case Op::kNot:
      return list_of("$nor", filter.parts());
  }
  return {};
}

Document to_update(const Update& update) {
  using Op = Update::Op;
  constexpr std::string_view kNames[] = {"$set",  "$unset", "$inc",  "$min",      "$max",
                                         "$push", "$pull",  "$pull", "$addToSet", "$setOnInsert"};
  Document out;
  for (const Update::Change& each : update.changes()) {
    Value value;
    switch (each.op) {
      case Op::kUnset:
        value = true;
        break;
      case Op::kPush:
      case Op::kAddToSet:
        value = Document{{"$each", each.values}};
        break;
      case Op::kPull:
        value = Document{{"$in", each.values}};
        break;
      case Op::kPullWhere:
        value = to_query(each.where[0]);
        break;
      default:
        value = each.values[0];
    }
    const std::string_view name = kNames[static_cast<std::size_t>(each.op)];
    if (!out.contains(name)) out.append(std::string(name), Document());
    out.find(name)->as_document().append(each.path, std::move(value));
  }
  return out;
}

Document to_sort(const std::vector<Sort::Key>& keys) {
  Document out;
  for (const Sort::Key& key : keys) out.set(key.path, key.down ? -1 : 1);
  return out;
}

Document to_fields(const Projection& projection) {
  Document out;
  for (const std::string& path : projection.paths()) out.set(path, projection.including() ? 1 : 0);
  if (!projection.id()) out.set("_id", 0);
  return out;
}

}  // namespace mg::documents
