#include "mg/rpc/handlers.h"

#include <algorithm>

#include "mg/rpc/errors.h"

namespace mg::rpc {
namespace {

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

Result<void> Handlers::insert(Handler handler) {
  const std::string_view name = handler.name;
  const std::size_t dot = name.find('.');
  if (dot == name.npos || !is_name(name.substr(0, dot)) || !is_name(name.substr(dot + 1))) {
    return fail(code::kInvalid, "handler \"{}\": its name must be Handler.Method, two words of letters and digits",
                name);
  }
  const auto [at, added] = by_name_.try_emplace(handler.name);
  if (!added) return fail(code::kExists, "handler \"{}\" is registered already", name);
  at->second = std::make_unique<Handler>(std::move(handler));
  return {};
}

Result<const Handler*> Handlers::find(std::string_view handler, std::string_view method) const {
  std::string name;
  name.reserve(handler.size() + 1 + method.size());
  name.append(handler).append(".").append(method);
  if (const auto at = by_name_.find(name); at != by_name_.end()) return at->second.get();
  const bool known = std::ranges::any_of(
      by_name_, [&](const auto& entry) { return entry.first.starts_with(name.substr(0, handler.size() + 1)); });
  return std::unexpected(
      client_error(code::kServer, fmt::format("unknown service {}", known ? std::string_view(name) : handler)));
}

std::vector<std::string> Handlers::names() const {
  std::vector<std::string> names;
  names.reserve(by_name_.size());
  for (const auto& [name, handler] : by_name_) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

}  // namespace mg::rpc
