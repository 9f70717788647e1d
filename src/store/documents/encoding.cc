#include "mg/store/documents/encoding.h"

#include <cmath>

#include "mg/store/documents/bson.h"

namespace mg::documents::detail {
namespace {

std::string text_of(const Place& place) {
  std::string out;
  if (place.outer != nullptr) out = text_of(*place.outer);
  if (!place.name.empty()) {
    if (!out.empty()) out += '.';
    out += place.name;
  } else if (place.outer != nullptr) {
    out += fmt::format("[{}]", place.index);
  }
  return out;
}

}  // namespace

std::unexpected<Error> wrong(const Place& place, std::string_view wanted, const Value& got) {
  std::string shown = to_json(got);
  if (shown.size() > 60) shown.replace(57, std::string::npos, "...");
  const std::string where = text_of(place);
  return fail(code::kInvalid, "{}{}{} is {}", where, where.empty() ? "" : ": ", shown, wanted);
}
std::unexpected<Error> too_big(const Place& place, std::uint64_t number) {
  return fail(code::kInvalid, "{}: {} is beyond the largest whole number of a document", text_of(place), number);
}

std::optional<std::int64_t> whole(const Value& value) {
  if (value.is_whole()) return value.as_whole();
  if (value.type() != Type::kDouble) return {};
  const double number = value.as_double();
  if (!(number >= -0x1p63 && number < 0x1p63) || number != std::trunc(number)) return {};
  return static_cast<std::int64_t>(number);
}

}  // namespace mg::documents::detail
