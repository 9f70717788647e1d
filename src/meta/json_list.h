// meta/json_list.h -- a JSON list of numbers or texts (private to meta).
//
//   parse_json_list<std::int32_t>("[1, 2, null]");     // {1, 2, 0}
//   parse_json_list<std::string>("[\"a\"]");
//   parse_json_list<std::int32_t>("[1.5]").error();    // "element 0 is 1.5, not a whole number …"
#pragma once

#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg {

// null is an empty list; as an element it is 0 or "". T: std::int32_t, std::int64_t, float, double, std::string.
// Errors: kInvalid  not JSON, not a list, an element of another kind or out of range
template <class T>
Result<std::vector<T>> parse_json_list(std::string_view text);

}  // namespace mg
