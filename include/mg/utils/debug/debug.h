// mg/utils/debug/debug.h -- looking at a program that runs: any value as text, and what a scope costs.
//
//   log::debug("{}", debug::display(role));              // Structs with fields, messages, lists, maps: indented
//   { debug::Profile profile("load tables"); load(); }   // Logs "load tables: 12.4ms, memory +3.1MiB (81MiB)"
//
// (Where a call comes from: std::source_location. A stack trace: mg/utils/errors/chain.h.)
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "mg/base/clock.h"
#include "mg/utils/dtype/json_text.h"

namespace mg::debug {

// JSON with line breaks and indentation; a text longer than `max_bytes` is cut and says so. The input need not be
// JSON.
std::string indent_json(std::string_view json, std::size_t max_bytes = 16 * 1024);

// A value as a person reads it: protobuf messages in their text form, all else as indented JSON.
template <class T>
std::string display(const T& value, std::size_t max_bytes = 16 * 1024) {
  if constexpr (requires { value.Utf8DebugString(); }) {
    std::string text = value.Utf8DebugString();
    if (text.size() > max_bytes) text.resize(max_bytes);
    return text;
  } else {
    std::string json;
    json_text::append_plain(json, value);
    return indent_json(json, max_bytes);
  }
}

// Memory of this process that is in use now, from /proc; 0: cannot be told.
std::uint64_t resident_bytes();

// Measures from its making to its end, and logs that at level debug; where that is off it does nothing. Threads: one.
class Profile {
 public:
  explicit Profile(std::string what, const Clock& clock = system_clock());
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  ~Profile();

  // The line so far, for one's own use. (The memory is compared only where the level was on.)
  std::string text() const;

 private:
  const std::string what_;
  const Clock& clock_;
  const Clock::TimePoint begin_;
  const bool logs_;
  const std::uint64_t memory_;
};

}  // namespace mg::debug
