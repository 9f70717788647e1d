// mg/utils/tool/strings.h -- names in their two spellings, parts of texts, masks.
//
//   snake_to_camel("user_name") == "UserName"; camel_to_snake("UserName") == "user_name";
//   split("a,,b", ",")                          // {"a", "b"}
//   cache_name("role", 7, "bag") == "role:7:bag"; mask("13800138000", 3, 4) == "138****8000";
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mg/utils/dtype/parse.h"

namespace mg::tool {

// The first letter of every word large, then _ and spaces dropped. A word begins behind a space, a _ and any ASCII
// character that is no letter or digit ("o'neil_x" -> "O'NeilX"); other large letters stay.
// Letters are those of Unicode that have one code point in both cases. Octets that are no UTF-8 become U+FFFD.
std::string snake_to_camel(std::string_view text);
// _ before every large letter but the first character, all of those small: "UserID" -> "user_i_d".
std::string camel_to_snake(std::string_view text);

// The parts between separators, without empty ones. An empty separator separates nothing.
std::vector<std::string> split(std::string_view text, std::string_view separator);
// Of equal parts only the first, as the Go original's SplitStrSlice.
std::vector<std::string> split_unique(std::string_view text, std::string_view separator);

// Parts with : between them: names of cache records. Parts are anything that dtype::parse makes a text of.
template <class... Parts>
std::string cache_name(std::string_view prefix, const Parts&... parts) {
  std::string out(prefix);
  ((out += ':', out += dtype::parse<std::string>(parts)), ...);
  return out;
}

// All but the first `head` and last `tail` characters (of UTF-8) as `star`; all of them when there are no more.
std::string mask(std::string_view text, std::size_t head, std::size_t tail, std::string_view star = "*");

}  // namespace mg::tool
