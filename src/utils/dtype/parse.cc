#include "mg/utils/dtype/parse.h"

#include "base/escape.h"
#include "mg/utils/dtype/json_text.h"

namespace mg::dtype {
namespace {

void append_plain(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      out += "<nil>";
      break;
    case Kind::kList: {
      out += '[';
      bool first = true;
      for (const Value& item : value.as_list()) {
        if (!std::exchange(first, false)) out += ' ';
        append_plain(out, item);
      }
      out += ']';
      break;
    }
    case Kind::kDict: {
      out += "map[";
      bool first = true;
      for (const auto& [key, item] : value.as_dict()) {
        if (!std::exchange(first, false)) out += ' ';
        (out += key) += ':';
        append_plain(out, item);
      }
      out += ']';
      break;
    }
    default:
      detail::visit(value, [&](const auto& held) {
        if constexpr (!std::same_as<std::remove_cvref_t<decltype(held)>, Value>) out += parse<std::string>(held);
      });
  }
}

}  // namespace

std::string plain_text(const Value& value) {
  std::string out;
  if (!value.is_null()) append_plain(out, value);
  return out;
}

namespace detail {

Error not_a(std::string_view kind, std::string shown) {
  return make_error(code::kInvalid, fmt::format("{} is not {}", shown, kind));
}

Error out_of_range(std::string shown, std::string low, std::string high) {
  return make_error(code::kInvalid, fmt::format("{} is out of range: {} to {}", shown, low, high));
}

std::string shown(std::string_view text) {
  return quote(text);
}

std::string shown(const Value& value) {
  std::string json;
  append_json(json, value);
  std::string out;
  append_escaped(out, json, 80);
  return out;
}

}  // namespace detail
}  // namespace mg::dtype
