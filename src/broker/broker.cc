#include "mg/broker/broker.h"

#include <algorithm>

namespace mg::broker {

Result<void> check_topic(std::string_view topic) {
  const auto refuse = [&](std::string_view why) {
    return fail(code::kInvalid, "topic \"{}\": {}", topic.substr(0, 64), why);
  };
  if (topic.empty()) return refuse("is empty");
  if (topic.size() > 255) return refuse("is longer than 255 characters");
  const auto allowed = [](char c) { return c > ' ' && c < '\x7f' && c != '*' && c != '>'; };
  if (!std::ranges::all_of(topic, allowed)) return refuse("only printable ASCII without spaces, * and >");
  if (topic.front() == '.' || topic.back() == '.' || topic.contains("..")) return refuse("an empty part between dots");
  return {};
}

}  // namespace mg::broker
