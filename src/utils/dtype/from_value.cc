#include "mg/utils/dtype/from_value.h"

#include <algorithm>

#include "base/base64.h"
#include "base/escape.h"

namespace mg::dtype::detail {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string text_of(const Path& path) {
  std::string out = path.up != nullptr ? text_of(*path.up) : "";
  if (path.up == nullptr) return out;
  if (path.key.data() == nullptr) return out + fmt::format("[{}]", path.index);
  if (!out.empty()) out += '.';
  append_escaped(out, path.key, out.size() + 80);
  return out;
}

}  // namespace

Error at_path(const Path& path, Error error) {
  if (const std::string where = text_of(path); !where.empty()) error.detail = where + ": " + error.detail;
  return error;
}

Error wrong_kind(const Path& path, std::string_view wanted, const Value& got) {
  return at_path(path, not_a(wanted, shown(got)));
}

const Value* find_field(const Dict& dict, std::string_view name) {
  if (const Value* const exact = dict.find(name)) return exact;
  for (const auto& [key, value] : dict) {
    if (key.size() == name.size() && std::ranges::equal(key, name, {}, lower, lower)) return &value;
  }
  return nullptr;
}

std::string octets_text(Bytes octets) {
  return base64::encode(as_text(octets), base64::kStandard);
}

bool octets_from_text(std::string_view text, std::vector<std::byte>& out) {
  const auto octets = base64::decode(text, base64::kStandard);
  if (!octets) return false;
  const Bytes all = as_bytes(*octets);
  out.assign(all.begin(), all.end());
  return true;
}

}  // namespace mg::dtype::detail
