// store/documents/match.h -- what filters, sorts and projections mean, for stores that work it out themselves.
//
//   if (matches(document, filter)) out.push_back(project(std::move(document), projection));
//   std::string key = sort_key(document, sort.keys());     // compared as octets
#pragma once

#include <string>
#include <vector>

#include "mg/store/documents/filter.h"
#include "mg/store/documents/value.h"

namespace mg::documents {

bool matches(const Document& document, const Filter& filter);

// Octets that sort documents. Shape: the keys of order.h one after the other.
std::string sort_key(const Document& document, const std::vector<Sort::Key>& keys);

Document project(const Document& document, const Projection& projection);

// The entries of an index for a document: one, or for an array one for each item and one for the whole. Of several
// fields one may hold an array. Errors: kInvalid  two of them do
Result<std::vector<std::string>> index_keys(const Document& document, const std::vector<Sort::Key>& keys);

}  // namespace mg::documents
