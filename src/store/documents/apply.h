// store/documents/apply.h -- what updates do, for stores that work it out themselves.
//
//   Result<bool> changed = apply(document, update, /*inserting=*/false);
//   Result<Document> made = upserted(filter, update);
#pragma once

#include "mg/store/documents/filter.h"
#include "mg/store/documents/update.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

// Returns: whether anything changed. Errors: kInvalid  the document has something else where the update wants a number
// or an array; its _id would change; it would be too large. The document is then as it was.
Result<bool> apply(Document& document, const Update& update, bool inserting);

// What an upsert inserts when nothing matches: what the filter says is equal, changed by the update, with an _id.
Result<Document> upserted(const Filter& filter, const Update& update);

// Replaces all but the _id. Returns: whether anything changed. Errors: kInvalid  another _id
Result<bool> replace(Document& document, const Document& by);
// What an upsert of a replacement inserts: its own _id, else the filter's, else a new one.
Document upserted(const Filter& filter, Document by);

// The document with its _id in front, made if it has none.
Document with_id(Document document);

}  // namespace mg::documents
