#include "mg/store/documents/documents.h"

#include "mg/store/documents/bson.h"

namespace mg::documents {

Result<void> check(const Call& call) {
  const std::string& name = call.collection;
  if (name.empty() || name.size() > 120 || name.find_first_of(std::string_view("$\0", 2)) != std::string::npos ||
      name.starts_with("system.") || name.front() == '.' || name.back() == '.') {
    return fail(code::kInvalid, "collection \"{}\": a name of 1 to 120 octets without $ and NUL, not of the system",
                name);
  }
  return {};
}

Result<void> check(const Write& write) {
  if (auto fine = write.filter.check(); !fine) return fine;
  switch (write.kind) {
    case Write::Kind::kInsert:
    case Write::Kind::kReplace: {
      const Value* const id = write.document.find("_id");
      if (id != nullptr && (id->is_array() || id->type() == Type::kRegex)) {
        return fail(code::kInvalid, "an _id that is an {}", type_name(id->type()));
      }
      if (write.many) return fail(code::kInvalid, "one document cannot replace many");
      return check_storable(write.document);
    }
    case Write::Kind::kUpdate:
      return write.update.check();
    case Write::Kind::kRemove:
      return {};
  }
  return {};
}

Result<void> check(const Modify& change) {
  if (auto fine = check(change.sort); !fine) return fine;
  if (auto fine = check(change.projection); !fine) return fine;
  Write write{.kind = change.kind == Modify::Kind::kUpdate    ? Write::Kind::kUpdate
                      : change.kind == Modify::Kind::kReplace ? Write::Kind::kReplace
                                                              : Write::Kind::kRemove,
              .filter = change.filter,
              .document = change.document,
              .update = change.update};
  return check(write);
}

Result<void> check(const FindOptions& options) {
  if (options.skip < 0 || options.limit < 0)
    return fail(code::kInvalid, "skip {}, limit {}: not negative", options.skip, options.limit);
  if (auto fine = check(options.sort); !fine) return fine;
  return check(options.projection);
}

Result<void> check(const Index& index) {
  if (index.keys.empty() || index.keys.size() > 32)
    return fail(code::kInvalid, "an index of {} fields: 1 to 32", index.keys.size());
  Sort sort;
  for (const Sort::Key& key : index.keys) sort.up(key.path);
  if (auto fine = check(sort); !fine) return fine;
  if (index.expire_after && (index.keys.size() != 1 || *index.expire_after < std::chrono::seconds(0))) {
    return fail(code::kInvalid, "index {}: one that expires has one field, and a time that is not negative",
                index.name_or_default());
  }
  return {};
}

std::string Index::name_or_default() const {
  if (!name.empty()) return name;
  std::string out;
  for (const Sort::Key& key : keys) {
    if (!out.empty()) out += '_';
    out += key.path + (key.down ? "_-1" : "_1");
  }
  return out;
}

}  // namespace mg::documents
