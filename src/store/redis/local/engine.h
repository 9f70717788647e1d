// store/redis/local/engine.h -- the data types of Redis and their commands, in memory: no sockets, no waiting.
//
//   Engine engine(clock);
//   Reply reply = engine.run({"INCR", "n"});          // errors are replies, as from a server
//   if (engine.take_changed()) wake_those_who_wait();
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mg/base/clock.h"
#include "mg/base/random.h"
#include "mg/store/redis/reply.h"

namespace mg::redis::local {

using Hash = std::map<std::string, std::string, std::less<>>;
using List = std::deque<std::string>;
using Set = std::set<std::string, std::less<>>;

struct SortedSet {
  std::map<std::string, double, std::less<>> scores;
  std::set<std::pair<double, std::string>> order;
  // Returns: whether the member is new.
  bool put(std::string_view member, double score);
  bool remove(std::string_view member);
};

struct StreamId {
  std::uint64_t ms = 0, seq = 0;
  auto operator<=>(const StreamId&) const = default;
  std::string text() const;
};
using StreamFields = std::vector<std::string>;  // Names and values in turns.
struct Group {
  struct Pending {
    std::string consumer;
    std::int64_t delivered_ms = 0;
    std::int64_t times = 1;
  };
  StreamId last;
  std::map<StreamId, Pending> pending;
  std::set<std::string, std::less<>> consumers;
};
struct Stream {
  std::map<StreamId, StreamFields> entries;
  StreamId last;
  std::map<std::string, Group, std::less<>> groups;
};

using Data = std::variant<std::string, Hash, List, Set, SortedSet, Stream>;
struct Entry {
  Data data;
  std::int64_t until_ms = 0;  // Since 1970; 0: never.
  std::uint64_t version = 0;
};

// What a command is refused with; becomes the reply.
struct CommandError {
  std::string text;
};
[[noreturn]] void refuse(std::string text);

using Args = std::span<const std::string_view>;  // The name first.

// Threads: one at a time.
class Engine {
 public:
  explicit Engine(const Clock& clock) : clock_(clock) {}

  Reply run(Args args);
  // Why a command would be refused before it runs: unknown, or with a wrong number of arguments.
  static std::optional<Reply> check(Args args);
  // 0 without the key; another number after each change.
  std::uint64_t version(std::string_view key);
  // Whether anything was written since the last call.
  bool take_changed() { return std::exchange(changed_, false); }

  // For the commands' own files.
  std::int64_t now_ms() const;
  Random& random() { return random_; }
  std::map<std::string, Entry, std::less<>>& entries() { return entries_; }
  Entry* entry(std::string_view key);  // Null: none, or expired and gone now.
  void sweep();                        // Removes all that has expired.
  bool remove(std::string_view key);
  void put(std::string_view key, Data data, std::int64_t until_ms = 0);

  // Null: no such key. Refuses another type.
  template <class T>
  T* find(std::string_view key) {
    Entry* const found = entry(key);
    if (!found) return nullptr;
    T* const data = std::get_if<T>(&found->data);
    if (!data) refuse("WRONGTYPE Operation against a key holding the wrong kind of value");
    return data;
  }
  // An empty one where there is none.
  template <class T>
  T& make(std::string_view key) {
    if (T* const found = find<T>(key)) return *found;
    put(key, T{});
    return *find<T>(key);
  }
  // To be called after a change; a list, set, hash without an element goes.
  void touch(std::string_view key);

 private:
  const Clock& clock_;
  SeededRandom random_{SystemRandom().next()};
  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t versions_ = 0;
  bool changed_ = false;
};

// Parts of a command line.
std::int64_t integer(std::string_view text);
double real(std::string_view text);
std::string real_text(double value);
bool is(std::string_view text, std::string_view upper);  // Without regard to case.
bool matches(std::string_view pattern, std::string_view text);
Reply texts(std::vector<std::string> list);
inline Reply ok() {
  return Reply::status("OK");
}
// start and stop of a range as positions [first, second); equal when it is empty.
std::pair<std::size_t, std::size_t> range(std::int64_t start, std::int64_t stop, std::size_t size);
// The same of a string, where a stop before its begin counts as its first octet.
std::pair<std::size_t, std::size_t> text_range(std::int64_t start, std::int64_t stop, std::size_t size);

struct Spec {
  Reply (*run)(Engine&, Args);
  int least;  // Arguments, the name included.
  int most;   // -1: any number.
};
using Table = std::map<std::string_view, Spec>;
void add_strings(Table& table);
void add_keys(Table& table);
void add_hashes(Table& table);
void add_lists(Table& table);
void add_sets(Table& table);
void add_sorted_sets(Table& table);
void add_sorted_set_ranges(Table& table);
void add_bits(Table& table);
void add_geo(Table& table);
void add_streams(Table& table);

}  // namespace mg::redis::local
