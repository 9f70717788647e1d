// store/documents/query.h -- filters and updates in MongoDB's words.
//
//   to_query(where("age").gte(18));          // {"age":{"$gte":18}}
//   to_update(Update().inc("level", 1));     // {"$inc":{"level":1}}
#pragma once

#include "mg/store/documents/documents.h"

namespace mg::documents {

// Requires of all: checked (documents.h), so that no name in them is an operator of the caller's.
Document to_query(const Filter& filter);
Document to_update(const Update& update);
Document to_sort(const std::vector<Sort::Key>& keys);
Document to_fields(const Projection& projection);

}  // namespace mg::documents
