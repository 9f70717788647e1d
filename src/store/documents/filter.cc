#include "mg/store/documents/filter.h"

#include "mg/store/documents/bson.h"
#include "mg/store/documents/update.h"

namespace mg::documents {
namespace {

constexpr std::size_t kMaxDepth = 50;

Result<void> check_path(std::string_view path) {
  const auto bad = [&](const char* why) { return fail(code::kInvalid, "path \"{}\": {}", path, why); };
  if (path.empty()) return bad("empty");
  if (path.size() > 1024) return fail(code::kInvalid, "a path of {} octets: at most 1024", path.size());
  if (path.contains('\0')) return bad("a NUL in it");
  std::size_t parts = 1;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    if (dot == at) return bad("an empty part");
    if (path[at] == '$') return bad("a part that begins with $");
    if (++parts > 64) return bad("more than 64 parts");
    at = dot + 1;
  }
  return {};
}

// Values in filters are data: any document is fine that can be sent.
Result<void> check_values(const Array& values) {
  for (const Value& each : values) {
    if (each.type() == Type::kRegex) return fail(code::kInvalid, "a regular expression is no value to compare with");
  }
  return {};
}

Result<void> check_filter(const Filter& filter, std::size_t depth) {
  using Op = Filter::Op;
  if (depth > kMaxDepth) return fail(code::kInvalid, "a filter nested deeper than {}", kMaxDepth);
  if (filter.op() != Op::kAll && filter.op() != Op::kAnd && filter.op() != Op::kOr && filter.op() != Op::kNot) {
    if (auto fine = check_path(filter.path()); !fine) return fine;
  }
  if (auto fine = check_values(filter.values()); !fine) return fine;
  for (const Filter& part : filter.parts()) {
    if (auto fine = check_filter(part, depth + 1); !fine) return fine;
  }
  return {};
}

// a and b in one list, so that chains stay flat.
Filter join(Filter::Op op, Filter a, Filter b) {
  std::vector<Filter> parts;
  for (Filter* each : {&a, &b}) {
    if (each->op() == op) {
      parts.insert(parts.end(), each->parts().begin(), each->parts().end());
    } else {
      parts.push_back(std::move(*each));
    }
  }
  return {op, {}, std::move(parts)};
}

}  // namespace

Result<void> Path::check() const {
  return check_path(text_);
}
Result<void> Filter::check() const {
  return check_filter(*this, 1);
}

Filter operator&&(Filter a, Filter b) {
  if (a.op() == Filter::Op::kAll) return b;
  if (b.op() == Filter::Op::kAll) return a;
  return join(Filter::Op::kAnd, std::move(a), std::move(b));
}
Filter operator||(Filter a, Filter b) {
  return join(Filter::Op::kOr, std::move(a), std::move(b));
}
Filter operator!(Filter a) {
  return {Filter::Op::kNot, {}, std::vector<Filter>{std::move(a)}};
}

Result<void> check(const Sort& sort) {
  for (const Sort::Key& each : sort.keys()) {
    if (auto fine = check_path(each.path); !fine) return fine;
  }
  return {};
}
Result<void> check(const Projection& projection) {
  for (const std::string& each : projection.paths()) {
    if (auto fine = check_path(each); !fine) return fine;
  }
  return {};
}

Result<void> Update::check() const {
  if (fault_.code != 0) return std::unexpected(fault_);
  if (changes_.empty()) return fail(code::kInvalid, "an update that changes nothing");
  for (const Change& each : changes_) {
    if (auto fine = check_path(each.path); !fine) return fine;
    for (const Filter& part : each.where) {
      if (auto fine = part.check(); !fine) return fine;
    }
    // Within a document, so that the rules for names and sizes hold for what is set.
    Document held{{"value", each.values}};
    if (auto fine = check_storable(held); !fine) {
      return fail(code::kInvalid, "{}: {}", each.path, fine.error().detail);
    }
    if (each.op == Op::kInc && !each.values[0].is_number()) {
      return fail(code::kInvalid, "inc {}: by {}, which is no number", each.path, to_json(each.values[0]));
    }
    for (const Change& other : changes_) {
      if (&other == &each) break;
      const std::string_view a = each.path.size() < other.path.size() ? each.path : other.path;
      const std::string_view b = each.path.size() < other.path.size() ? other.path : each.path;
      if (b.starts_with(a) && (a.size() == b.size() || b[a.size()] == '.')) {
        return fail(code::kInvalid, "an update of both \"{}\" and \"{}\"", other.path, each.path);
      }
    }
  }
  return {};
}

}  // namespace mg::documents
