// base/error_text.h -- the fields of an error in a JSON text, and what was wrong with it (parse_error decides for
// most).
//
//   ErrorText found = read_error_text(text);
//   if (found.object && found.types) use(found.error);
#pragma once

#include <string_view>

#include "mg/base/error.h"

namespace mg {

struct ErrorText {
  bool object = false;         // The text is one whole JSON object; else the rest means nothing.
  bool types = true;           // code, detail and status are of their types or null.
  bool id_is_text = true;      // So is id.
  Error error{{}, 0, {}, {}};  // What was of its type.
};

// Keys fold as in Go's decoder, the last of a name counts.
ErrorText read_error_text(std::string_view text);

}  // namespace mg
