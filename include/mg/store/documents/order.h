// mg/store/documents/order.h -- the order of values in queries, sorts and indexes.
//
//   compare(Value(1), Value(1.0)) == 0;             // numbers by what they are worth, whatever their type
//   append_key(out, value);                         // octets that compare like the values
#pragma once

#include <cstddef>
#include <string>

#include "mg/store/documents/value.h"

namespace mg::documents {

// Values of different kinds in this order: MinKey, null, numbers (NaN first), text, documents, arrays, binary,
// ObjectId, bool, date, timestamp, regex, MaxKey. Source: MongoDB, Comparison/Sort Order. Decimals come after the other
// numbers, by their octets.
int kind_order(const Value& value);

// <0, 0, >0.
int compare(const Value& a, const Value& b);

// Appends octets such that memcmp of two keys is compare() of their values; no key is the beginning of another, so keys
// of several values may follow each other. `descending` turns the order round.
void append_key(std::string& out, const Value& value, bool descending = false);

}  // namespace mg::documents
