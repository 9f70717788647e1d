// mg/store/redis/reply.h -- what a Redis server answers, and its conversion to C++ types.
//
//   Result<Reply> reply = co_await redis.command({"OBJECT", "ENCODING", "k"});
//   if (reply->is_bulk()) use(reply->text);
//   std::int64_t n; if (!convert(*std::move(reply), n)) ...      // another type than was expected
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mg::redis {

// Source: the Redis serialization protocol, version 2.
struct Reply {
  enum class Kind : std::uint8_t { kNull, kStatus, kBulk, kInteger, kError, kArray };
  Kind kind = Kind::kNull;
  std::int64_t integer = 0;
  std::string text;          // Of a status, a bulk string, an error without the "-".
  std::vector<Reply> items;  // Of an array.

  bool is_null() const { return kind == Kind::kNull; }
  bool is_bulk() const { return kind == Kind::kBulk; }
  bool is_error() const { return kind == Kind::kError; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_integer() const { return kind == Kind::kInteger; }

  static Reply status(std::string text) { return {Kind::kStatus, 0, std::move(text), {}}; }
  static Reply bulk(std::string text) { return {Kind::kBulk, 0, std::move(text), {}}; }
  static Reply error(std::string text) { return {Kind::kError, 0, std::move(text), {}}; }
  static Reply number(std::int64_t value) { return {Kind::kInteger, value, {}, {}}; }
  static Reply array(std::vector<Reply> items) { return {Kind::kArray, 0, {}, std::move(items)}; }
  static Reply null() { return {}; }

  friend bool operator==(const Reply&, const Reply&) = default;
};

// "a bulk string", "an array of 3" … for messages.
std::string describe(const Reply& reply);

struct Ok {};  // The status OK (or another): it was done.

struct Scored {
  std::string member;
  double score = 0;
  friend bool operator==(const Scored&, const Scored&) = default;
};

// A part of what a SCAN goes through; `cursor` is for the next call, 0 at the end.
struct ScanPage {
  std::uint64_t cursor = 0;
  std::vector<std::string> items;  // Keys or members; of HSCAN and ZSCAN each followed by its value or score.
};

using Texts = std::vector<std::string>;
using MaybeTexts = std::vector<std::optional<std::string>>;
using TextMap = std::map<std::string, std::string>;

// The reply as a type; false: it is of another kind, and `out` undefined. bool: 1 or 0. Numbers in texts are read;
// optionals take null; a TextMap takes an array of keys and values.
bool convert(Reply&& reply, Reply& out);
bool convert(Reply&& reply, Ok& out);
bool convert(Reply&& reply, bool& out);
bool convert(Reply&& reply, std::int64_t& out);
bool convert(Reply&& reply, double& out);
bool convert(Reply&& reply, std::string& out);
bool convert(Reply&& reply, TextMap& out);
bool convert(Reply&& reply, Scored& out);
bool convert(Reply&& reply, ScanPage& out);
// Of an array of members and scores, flat or in pairs.
bool convert(Reply&& reply, std::vector<Scored>& out);
// Of key, member, score.
bool convert(Reply&& reply, std::pair<std::string, Scored>& out);

template <class A, class B>
bool convert(Reply&& reply, std::pair<A, B>& out) {
  return reply.is_array() && reply.items.size() == 2 && convert(std::move(reply.items[0]), out.first) &&
         convert(std::move(reply.items[1]), out.second);
}
template <class T>
bool convert(Reply&& reply, std::optional<T>& out) {
  if (reply.is_null()) {
    out.reset();
    return true;
  }
  return convert(std::move(reply), out.emplace());
}
template <class T>
bool convert(Reply&& reply, std::vector<T>& out) {
  out.clear();
  if (!reply.is_array()) return false;
  out.reserve(reply.items.size());
  for (auto& item : reply.items) {
    if (!convert(std::move(item), out.emplace_back())) return false;
  }
  return true;
}

}  // namespace mg::redis
