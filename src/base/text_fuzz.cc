// The small readers of this module on any text: escapes, durations, sizes, UUIDs, short decimals.
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "base/escape.h"
#include "base/short_decimal.h"
#include "mg/base/units.h"
#include "mg/base/uuid.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string shown;
  const std::size_t limit = size / 2;
  if (mg::append_escaped(shown, text, limit) > size || shown.size() > limit) std::abort();
  for (char c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) std::abort();
  }
  if (auto duration = mg::parse_duration(text)) {
    if (mg::parse_duration(mg::format_duration(*duration)) != duration) std::abort();
  }
  if (auto bytes = mg::parse_bytes(text)) {
    if (mg::parse_bytes(mg::format_bytes(*bytes)) != bytes) std::abort();
  }
  if (auto id = mg::Uuid::parse(text)) {
    if (mg::Uuid::parse(id->text()) != id) std::abort();
  }
  if (double value = 0; mg::read_short_decimal(text, value)) {
    double same = 0;
    const char* const end = text.data() + text.size();
    if (std::from_chars(text.data(), end, same).ptr != end || same != value) std::abort();
  }
  return 0;
}
