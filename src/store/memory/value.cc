#include "mg/store/memory/value.h"

namespace mg::memory {
namespace {

std::size_t bytes_of(const dtype::Value& value) {
  std::size_t sum = sizeof value;
  if (value.is_text() && value.as_text().size() > 15) sum += value.as_text().size();
  if (value.is_list()) {
    for (const auto& item : value.as_list()) sum += bytes_of(item);
  }
  if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict()) sum += sizeof key + key.size() + bytes_of(item);
  }
  return sum;
}

}  // namespace

bool Value::is_null() const {
  const auto* held = value();
  return held && held->is_null();
}

std::size_t Value::bytes() const {
  if (const auto* held = value()) return bytes_of(*held);
  if (const auto* held = octets()) return sizeof *held + held->size();
  return 64;
}

Error Value::other_kind(dtype::Kind kind) {
  return make_error(code::kInvalid, fmt::format("it holds another type: {}", dtype::kind_name(kind)));
}

Error Value::other_type(const char* wanted) const {
  if (const auto* held = value()) return other_kind(held->kind());
  if (octets()) return make_error(code::kInvalid, "it holds another type: octets");
  return make_error(code::kInvalid,
                    fmt::format("it holds another type: {}, not {}", std::get<std::any>(data_).type().name(), wanted));
}

}  // namespace mg::memory
