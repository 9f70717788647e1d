// mg/base/units.h -- durations and sizes as people write them.
//
//   parse_duration("1m30s");                           // 90 s
//   parse_bytes("64KiB");                              // 65536
//   format_duration(std::chrono::milliseconds(1500));  // "1.5s"
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mg {

// Shape: a sequence of decimal numbers with a unit, "300ms", "-1.5h", "2h45m"; units ns us ms s m h; or "0".
// Errors: nothing for another text, or beyond 292 years. Source: Go, time.ParseDuration.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

// As parse_duration reads it. Source: Go, Duration.String.
std::string format_duration(std::chrono::nanoseconds duration);

// Shape: a whole number, with nothing, B, KiB, MiB, GiB or TiB behind it, any case.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

// In the largest unit that divides it.
std::string format_bytes(std::uint64_t bytes);

}  // namespace mg
