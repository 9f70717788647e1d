#include "mg/store/redis/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace mg::redis {

std::string describe(const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::kNull:
      return "null";
    case Reply::Kind::kStatus:
      return fmt::format("the status \"{}\"", reply.text.substr(0, 40));
    case Reply::Kind::kBulk:
      return "a bulk string";
    case Reply::Kind::kInteger:
      return "an integer";
    case Reply::Kind::kError:
      return "an error";
    case Reply::Kind::kArray:
      return fmt::format("an array of {}", reply.items.size());
  }
  return "nothing";
}

bool convert(Reply&& reply, Reply& out) {
  out = std::move(reply);
  return true;
}

bool convert(Reply&& reply, Ok&) {
  return reply.kind == Reply::Kind::kStatus;
}

bool convert(Reply&& reply, bool& out) {
  // SET with NX answers OK or null; most others 1 or 0.
  if (reply.kind == Reply::Kind::kStatus || reply.is_null()) {
    out = !reply.is_null();
    return true;
  }
  out = reply.integer != 0;
  return reply.is_integer() && (reply.integer == 0 || reply.integer == 1);
}

bool convert(Reply&& reply, std::int64_t& out) {
  if (reply.is_integer()) {
    out = reply.integer;
    return true;
  }
  if (!reply.is_bulk()) return false;
  const char* const end = reply.text.data() + reply.text.size();
  const auto done = std::from_chars(reply.text.data(), end, out);
  return done.ec == std::errc() && done.ptr == end;
}

bool convert(Reply&& reply, double& out) {
  if (reply.is_integer()) {
    out = static_cast<double>(reply.integer);
    return true;
  }
  if (!reply.is_bulk()) return false;
  const char* const end = reply.text.data() + reply.text.size();
  const auto done = std::from_chars(reply.text.data(), end, out);  // Also inf and nan.
  return done.ec == std::errc() && done.ptr == end;
}

bool convert(Reply&& reply, std::string& out) {
  if (!reply.is_bulk() && reply.kind != Reply::Kind::kStatus) return false;
  out = std::move(reply.text);
  return true;
}

bool convert(Reply&& reply, TextMap& out) {
  out.clear();
  if (!reply.is_array() || reply.items.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < reply.items.size(); i += 2) {
    if (!reply.items[i].is_bulk() || !reply.items[i + 1].is_bulk()) return false;
    out[std::move(reply.items[i].text)] = std::move(reply.items[i + 1].text);
  }
  return true;
}

bool convert(Reply&& reply, Scored& out) {
  return reply.is_array() && reply.items.size() == 2 && convert(std::move(reply.items[0]), out.member) &&
         convert(std::move(reply.items[1]), out.score);
}

bool convert(Reply&& reply, std::vector<Scored>& out) {
  out.clear();
  if (!reply.is_array()) return false;
  if (!reply.items.empty() && reply.items[0].is_array()) {
    return std::ranges::all_of(reply.items, [&](Reply& item) { return convert(std::move(item), out.emplace_back()); });
  }
  if (reply.items.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < reply.items.size(); i += 2) {
    Scored& scored = out.emplace_back();
    if (!convert(std::move(reply.items[i]), scored.member) || !convert(std::move(reply.items[i + 1]), scored.score)) {
      return false;
    }
  }
  return true;
}

bool convert(Reply&& reply, std::pair<std::string, Scored>& out) {
  return reply.is_array() && reply.items.size() == 3 && convert(std::move(reply.items[0]), out.first) &&
         convert(std::move(reply.items[1]), out.second.member) && convert(std::move(reply.items[2]), out.second.score);
}

bool convert(Reply&& reply, ScanPage& out) {
  if (!reply.is_array() || reply.items.size() != 2 || !reply.items[0].is_bulk()) return false;
  const std::string& cursor = reply.items[0].text;
  const auto done = std::from_chars(cursor.data(), cursor.data() + cursor.size(), out.cursor);
  if (done.ec != std::errc() || done.ptr != cursor.data() + cursor.size()) return false;
  return convert(std::move(reply.items[1]), out.items);
}

}  // namespace mg::redis
