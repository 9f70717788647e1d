#include "store/documents/apply.h"

#include <algorithm>

#include "mg/store/documents/bson.h"
#include "mg/store/documents/order.h"
#include "store/documents/match.h"
#include "store/documents/paths.h"

namespace mg::documents {
namespace {

Result<Value> sum(const Value& a, const Value& b, const std::string& path) {
  if (!a.is_number()) {
    return fail(code::kInvalid, "inc {}: there is a {}, not a number", path, type_name(a.type()));
  }
  if (a.type() == Type::kDouble || b.type() == Type::kDouble) {
    const auto number = [](const Value& v) { return v.is_whole() ? static_cast<double>(v.as_whole()) : v.as_double(); };
    return number(a) + number(b);
  }
  std::int64_t out = 0;
  if (__builtin_add_overflow(a.as_whole(), b.as_whole(), &out)) {
    return fail(code::kInvalid, "inc {}: {} + {} is beyond the largest whole number", path, a.as_whole(), b.as_whole());
  }
  const bool small = a.type() == Type::kInt32 && b.type() == Type::kInt32 && std::in_range<std::int32_t>(out);
  return small ? Value(static_cast<std::int32_t>(out)) : Value(out);
}

bool holds(const Array& items, const Value& wanted) {
  return std::ranges::any_of(items, [&](const Value& item) { return compare(item, wanted) == 0; });
}

Result<void> change(Document& document, const Update::Change& each, bool inserting) {
  using Op = Update::Op;
  if (each.op == Op::kUnset) {
    remove_place(document, each.path);
    return {};
  }
  if (each.op == Op::kSetOnInsert && !inserting) return {};
  if (each.op == Op::kPull || each.op == Op::kPullWhere) {
    Value* const place = find_place(document, each.path);
    if (place == nullptr) return {};
    if (!place->is_array()) {
      return fail(code::kInvalid, "pull {}: there is a {}, not an array", each.path, type_name(place->type()));
    }
    std::erase_if(place->as_array(), [&](const Value& item) {
      if (each.op == Op::kPull) return holds(each.values, item);
      return item.is_document() && matches(item.as_document(), each.where[0]);
    });
    return {};
  }
  bool made = false;
  auto found = make_place(document, each.path, &made);
  if (!found) return std::unexpected(std::move(found).error());
  Value& place = **found;
  switch (each.op) {
    case Op::kInc: {
      auto added = made ? Result<Value>(each.values[0]) : sum(place, each.values[0], each.path);
      if (!added) return std::unexpected(std::move(added).error());
      place = *std::move(added);
      return {};
    }
    case Op::kMin:
      if (made || compare(each.values[0], place) < 0) place = each.values[0];
      return {};
    case Op::kMax:
      if (made || compare(each.values[0], place) > 0) place = each.values[0];
      return {};
    case Op::kPush:
    case Op::kAddToSet: {
      if (made) place = Array();
      if (!place.is_array()) {
        return fail(code::kInvalid, "{} {}: there is a {}, not an array", each.op == Op::kPush ? "push" : "add_to_set",
                    each.path, type_name(place.type()));
      }
      for (const Value& value : each.values) {
        if (each.op == Op::kPush || !holds(place.as_array(), value)) place.as_array().push_back(value);
      }
      return {};
    }
    default:
      place = each.values[0];
      return {};
  }
}

// The values that the filter says are equal, put in by their paths.
Result<void> put_equal(Document& document, const Filter& filter) {
  if (filter.op() == Filter::Op::kAnd) {
    for (const Filter& part : filter.parts()) {
      if (auto done = put_equal(document, part); !done) return done;
    }
  } else if (filter.op() == Filter::Op::kEq || (filter.op() == Filter::Op::kIn && filter.values().size() == 1)) {
    auto place = make_place(document, filter.path());
    if (!place) return std::unexpected(std::move(place).error());
    **place = filter.values()[0];
  }
  return {};
}

}  // namespace

Document with_id(Document document) {
  if (document.empty() || document.begin()->name != "_id") {
    Document out;
    out.reserve(document.size() + 1);
    const Value* const id = document.find("_id");
    out.append("_id", id != nullptr ? *id : Value(ObjectId::make()));
    for (Field& each : document) {
      if (each.name != "_id") out.append(std::move(each.name), std::move(each.value));
    }
    return out;
  }
  return document;
}

Result<bool> apply(Document& document, const Update& update, bool inserting) {
  Document changed = document;
  std::vector<const Update::Change*> changes;
  for (const Update::Change& each : update.changes()) changes.push_back(&each);
  // In the order of paths, as servers do; it shows in the order of new fields.
  std::ranges::sort(changes, {}, [](const Update::Change* c) -> const std::string& { return c->path; });
  for (const Update::Change* each : changes) {
    if (auto done = change(changed, *each, inserting); !done) return std::unexpected(std::move(done).error());
  }
  const Value* const id = document.find("_id");
  if (id != nullptr) {
    const Value* const now = changed.find("_id");
    if (now == nullptr || compare(*id, *now) != 0) return fail(code::kInvalid, "the _id of a document cannot change");
  }
  if (changed == document) return false;
  if (auto fine = check_storable(changed); !fine) return std::unexpected(std::move(fine).error());
  document = std::move(changed);
  return true;
}

Result<Document> upserted(const Filter& filter, const Update& update) {
  Document out;
  if (auto done = put_equal(out, filter); !done) return std::unexpected(std::move(done).error());
  if (auto done = apply(out, update, true); !done) return std::unexpected(std::move(done).error());
  out = with_id(std::move(out));
  if (auto fine = check_storable(out); !fine) return std::unexpected(std::move(fine).error());
  return out;
}

Result<bool> replace(Document& document, const Document& by) {
  const Value* const id = by.find("_id");
  if (id != nullptr && compare(*id, document.at("_id")) != 0) {
    return fail(code::kInvalid, "the _id of a document cannot change");
  }
  Document changed = by;
  changed.set("_id", document.at("_id"));
  changed = with_id(std::move(changed));
  if (changed == document) return false;
  document = std::move(changed);
  return true;
}

Document upserted(const Filter& filter, Document by) {
  if (!by.contains("_id")) {
    Document equal;
    if (put_equal(equal, filter) && equal.contains("_id")) by.set("_id", equal.at("_id"));
  }
  return with_id(std::move(by));
}

}  // namespace mg::documents
