#include "store/documents/paths.h"

#include <charconv>
#include <optional>
#include <string>

namespace mg::documents {
namespace {

constexpr std::size_t kMaxPadding = 10'000;  // Items that an update may add to an array at once by naming a far one.

struct Split {
  std::string_view first, rest;
  bool last;
};
Split split(std::string_view path) {
  const std::size_t dot = path.find('.');
  if (dot == path.npos) return {path, {}, true};
  return {path.substr(0, dot), path.substr(dot + 1), false};
}

std::optional<std::size_t> index_of(std::string_view part) {
  std::size_t index = 0;
  const auto [end, fault] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (fault != std::errc() || end != part.data() + part.size() || (part.size() > 1 && part[0] == '0')) return {};
  return index;
}

bool walk(const Document& in, std::string_view path, const VisitValue& visit);

// Goes on from the value of one part of the path.
bool go_on(const Value* value, std::string_view rest, const VisitValue& visit) {
  if (value != nullptr && value->is_document()) return walk(value->as_document(), rest, visit);
  if (value == nullptr || !value->is_array()) return visit(nullptr);
  const Array& items = value->as_array();
  const Split next = split(rest);
  if (const auto index = index_of(next.first); index && *index < items.size()) {
    const Value& item = items[*index];
    if (next.last ? visit(&item) : go_on(&item, next.rest, visit)) return true;
  }
  for (const Value& item : items) {
    if (item.is_document() && walk(item.as_document(), rest, visit)) return true;
  }
  return false;
}

bool walk(const Document& in, std::string_view path, const VisitValue& visit) {
  const Split part = split(path);
  const Value* const value = in.find(part.first);
  return part.last ? visit(value) : go_on(value, part.rest, visit);
}

}  // namespace

bool each_value(const Document& in, std::string_view path, const VisitValue& visit) {
  return walk(in, path, visit);
}
bool each_item(const Document& in, std::string_view path, const VisitValue& visit) {
  return walk(in, path, [&](const Value* value) {
    if (visit(value)) return true;
    if (value == nullptr || !value->is_array()) return false;
    for (const Value& item : value->as_array()) {
      if (visit(&item)) return true;
    }
    return false;
  });
}

Result<Value*> make_place(Document& in, std::string_view path, bool* made) {
  if (made != nullptr) *made = false;
  std::string_view rest = path;
  Document* document = &in;
  Array* array = nullptr;
  for (;;) {
    const Split part = split(rest);
    Value* value = nullptr;
    if (document != nullptr) {
      value = document->find(part.first);
      if (value == nullptr) {
        document->append(std::string(part.first), Value());
        value = document->find(part.first);
        if (made != nullptr) *made = true;
        if (!part.last) *value = Document();
      }
    } else {
      const auto index = index_of(part.first);
      if (!index) return fail(code::kInvalid, "{}: \"{}\" is no place in the array there", path, part.first);
      if (*index >= array->size()) {
        if (*index - array->size() > kMaxPadding)
          return fail(code::kInvalid, "{}: far beyond the end of the array", path);
        array->resize(*index + 1);
        if (made != nullptr) *made = true;
        if (!part.last) (*array)[*index] = Document();
      }
      value = &(*array)[*index];
    }
    if (part.last) return value;
    document = value->is_document() ? &value->as_document() : nullptr;
    array = value->is_array() ? &value->as_array() : nullptr;
    if (document == nullptr && array == nullptr) {
      return fail(code::kInvalid, "{}: \"{}\" is a {}, which has no fields", path, part.first,
                  type_name(value->type()));
    }
    rest = part.rest;
  }
}

Value* find_place(Document& in, std::string_view path) {
  Document* document = &in;
  for (std::string_view rest = path;;) {
    const Split part = split(rest);
    Value* value = document->find(part.first);
    std::string_view next = part.rest;
    bool last = part.last;
    while (value != nullptr && !last && value->is_array()) {
      const Split item = split(next);
      const auto index = index_of(item.first);
      if (!index || *index >= value->as_array().size()) return nullptr;
      value = &value->as_array()[*index];
      next = item.rest;
      last = item.last;
    }
    if (value == nullptr || last) return value;
    if (!value->is_document()) return nullptr;
    document = &value->as_document();
    rest = next;
  }
}

bool remove_place(Document& in, std::string_view path) {
  const std::size_t dot = path.rfind('.');
  if (dot == path.npos) return in.erase(path);
  Value* const outer = find_place(in, path.substr(0, dot));
  if (outer == nullptr) return false;
  if (outer->is_document()) return outer->as_document().erase(path.substr(dot + 1));
  Value* const item = find_place(in, path);
  if (item == nullptr) return false;
  *item = Value();
  return true;
}

}  // namespace mg::documents
