// store/documents/paths.h -- fields of documents by their path, through arrays as queries go.
//
//   each_value(document, "items.count", [](const Value* value) { ... return false; });   // null: missing there
//   Result<Value*> place = make_place(document, "pos.x");                                 // for an update
#pragma once

#include <functional>
#include <string_view>

#include "mg/base/error.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

// Calls visit(value) for what the path leads to: through every item of the arrays on the way, and not into an array at
// the end; with null where a document lacks the field. Stops when it returns true, and is then true itself.
using VisitValue = std::function<bool(const Value*)>;
bool each_value(const Document& in, std::string_view path, const VisitValue& visit);
// The same, and the items of an array at the end after the array.
bool each_item(const Document& in, std::string_view path, const VisitValue& visit);

// What an update changes: made, as a null, when it is missing. Errors: kInvalid  the way leads through something that
// is no document or array, or far beyond the end of an array
Result<Value*> make_place(Document& in, std::string_view path, bool* made = nullptr);
// As make_place, but nothing is made: null when it is not there.
Value* find_place(Document& in, std::string_view path);
// Takes a field out; of an array the item becomes null. Whether it was there.
bool remove_place(Document& in, std::string_view path);

}  // namespace mg::documents
