// base/escape.h -- text from outside, made safe to show on one line of a terminal or log.
//
//   append_escaped(line, name);                        // "a\r\nb\x1b[31m" becomes a\r\nb\x1b[31m in plain letters
//   fail(code::kInvalid, "not a port: {}", quote(text));
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mg {

// Appends `text` with everything that could start a line, steer a terminal or turn the direction of writing shown as
// an escape (\n, \x1b, \u202e); octets that are no UTF-8 as \xff. Stops before `out` is longer than `limit`.
// Returns: how many octets of `text` were taken. Cost: one pass, a plain run is copied as a block.
std::size_t append_escaped(std::string& out, std::string_view text, std::size_t limit = std::string::npos);

// "text" in quotes, escaped, and cut with ... when it is longer than `limit` octets.
std::string quote(std::string_view text, std::size_t limit = 80);

// Text as a JSON string in its quotes, escaped as Go's encoding/json does by default (< > & U+2028 U+2029 too, bad
// UTF-8 replaced).
void append_json_string(std::string& out, std::string_view text);

}  // namespace mg
