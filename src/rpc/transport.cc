#include "mg/rpc/transport.h"

namespace mg::rpc {

std::string_view Node::uuid(std::string_view service) const {
  std::string_view text = id;
  if (text.size() > service.size() && text.starts_with(service) && text[service.size()] == '-') {
    text.remove_prefix(service.size() + 1);
  }
  return text;
}

std::string_view Node::get(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace mg::rpc
