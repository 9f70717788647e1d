// store/embedded/plan.h -- which index a query goes by, and from where to where.
//
//   Plan plan = make_plan(collection.indexes, filter, sort);
//   for (const Range& range : plan.ranges) scan(plan.index, range);     // what is found is still held against the
//   filter
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mg/store/documents/documents.h"

namespace mg::documents {

struct IndexInfo {
  std::int64_t id = 0;  // Its table is x<id>; 0: the one of _id.
  Index spec;
  bool multikey = false;  // Some document has several entries, for the items of an array.
};

// Keys with from <= key < to; an empty `to` has no end.
struct Range {
  std::string from, to;
};

struct Plan {
  const IndexInfo* index = nullptr;  // Null: every document. Lifetime: of the indexes given.
  std::vector<Range> ranges;         // In order; disjoint.
  bool exact_id = false;             // One _id, which is the range's `from`.
  bool sorted = false;               // What is found comes in the order asked for,
  bool backward = false;             // when the index is read from its end.
  bool unique = true;                // No document comes twice.
};

Plan make_plan(const std::vector<IndexInfo>& indexes, const Filter& filter, const Sort& sort);

// The octets after all those that begin with `prefix`; empty: there are none.
std::string after(std::string prefix);

}  // namespace mg::documents
