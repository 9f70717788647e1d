// Any text through every conversion: forgiving and strict ones agree, JSON that was read comes back from what was
// written.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>

#include "mg/utils/dtype/dtype.h"

namespace {

namespace dtype = mg::dtype;

template <class T>
void agree(const auto& input) {
  const auto strict = dtype::read<T>(input);
  if (strict && dtype::parse<T>(input) != *strict) std::abort();
}

void all_agree(const auto& input) {
  agree<bool>(input);
  agree<std::int8_t>(input);
  agree<std::uint8_t>(input);
  agree<std::int32_t>(input);
  agree<std::uint32_t>(input);
  agree<std::int64_t>(input);
  agree<std::uint64_t>(input);
  agree<float>(input);
  agree<double>(input);
  agree<std::string>(input);
}

struct Part {
  std::int32_t a = 0;
  std::vector<double> b;
  std::map<std::string, std::string> c;
  std::optional<bool> d;
  friend constexpr auto mg_fields(std::type_identity<Part>) {
    return mg::fields(mg::field("a", &Part::a, mg::FieldRule::kAsText), mg::field("b", &Part::b),
                      mg::field("c", &Part::c), mg::field("d", &Part::d));
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  all_agree(text);
  const double number = dtype::parse<double>(text);
  all_agree(number);
  all_agree(static_cast<float>(number));
  if (std::isfinite(number) && dtype::parse<double>(dtype::float_text(number)) != number) std::abort();

  if (const auto value = dtype::parse_json(text)) {
    all_agree(*value);
    const auto again = dtype::parse_json(dtype::to_json(*value));
    // A whole double comes back as an integer; the texts must be the same.
    if (!again || dtype::to_json(*again) != dtype::to_json(*value)) std::abort();
    (void)dtype::parse_slice<std::int64_t>(*value);
    if (const auto part = dtype::from_value<Part>(*value)) {
      const auto back = dtype::from_json<Part>(dtype::to_json(*part));
      if (!back || dtype::to_json(*back) != dtype::to_json(*part)) std::abort();
    }
  }
  return 0;
}
