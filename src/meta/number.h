// meta/number.h -- numbers out of text as Go's strconv reads them, errors swallowed (private to meta).
//
//   parse_int64("+7") == 7; parse_int64("7x") == 0; parse_int64("99999999999999999999") == INT64_MAX;
//   parse_uint64("-1", UINT32_MAX) == 0;
//   parse_float<double>("1e400", value);   // true, +Inf
#pragma once

#include <cstdint>
#include <string_view>

namespace mg {

// 0 for what is no number, the nearest limit for what is out of range.
std::int64_t parse_int64(std::string_view text);
std::uint64_t parse_uint64(std::string_view text, std::uint64_t max);
bool parse_bool(std::string_view text);

// Reads a float: decimal, hex with exponent (0x1p4), Inf, Infinity, NaN, digits grouped by _. Out of range becomes an
// infinity or 0. False: `text` is no number, `value` is 0.
template <class T>
bool parse_float(std::string_view text, T& value);

}  // namespace mg
