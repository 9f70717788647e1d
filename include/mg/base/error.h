// mg/base/error.h -- errors as values: Error, Result, the framework's codes.
//
//   Result<int> parse(std::string_view text);
//   if (auto n = parse("x"); !n) return fail(code::kInvalid, "level is \"{}\": not a number", text);
//   log(to_json(n.error()));                       // {"id":"","code":3,...}
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace mg {

// Codes with a meaning of their own; any other int32 is an application's. Source: wire.md 10.
namespace code {
inline constexpr std::int32_t kOk = 0;
inline constexpr std::int32_t kUniversal = 1;
inline constexpr std::int32_t kUnknown = 2;
inline constexpr std::int32_t kInvalid = 3;
inline constexpr std::int32_t kExists = 4;
inline constexpr std::int32_t kStarted = 90;
inline constexpr std::int32_t kFinished = 91;
inline constexpr std::int32_t kOther = 99;
inline constexpr std::int32_t kUnauthorized = 401;
inline constexpr std::int32_t kForbidden = 403;
inline constexpr std::int32_t kNotFound = 404;
inline constexpr std::int32_t kTimeout = 408;
inline constexpr std::int32_t kTooMany = 429;
inline constexpr std::int32_t kServer = 500;
inline constexpr std::int32_t kUnavailable = 503;
}  // namespace code

// What went wrong. Same fields as a go-micro error, so that it crosses the wire unchanged.
struct [[nodiscard]] Error {
  std::string id;                      // Who made it: a node's UUID or a component's name; may be empty.
  std::int32_t code = code::kUnknown;  // 0 never reaches a peer: it would mean success.
  std::string detail;                  // What was tried, on what, what to do.
  std::string status;                  // Short text of the code.

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

// Status text of a code: of the language chosen (mg/utils/errors/language.h), else ours, else the HTTP reason phrase,
// else "unknown". Threads: shared. Lifetime: of the process.
std::string_view status_text(std::int32_t code);

// HTTP reason phrase of a code, else "unknown".
std::string_view http_reason(std::int32_t code);

// Asked first for every status text; "" where it has none. One for the process; nullptr: none. Threads: shared.
using StatusLookup = std::string_view (*)(std::int32_t code) noexcept;
void set_status_lookup(StatusLookup lookup);

// An error with the status text of its code.
Error make_error(std::int32_t code, std::string detail);

// What a function that returns a Result returns on failure; formats like fmt::format.
template <class... Args>
std::unexpected<Error> fail(std::int32_t code, fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected<Error>(make_error(code, fmt::format(text, std::forward<Args>(args)...)));
}

// {"id":..,"code":..,"detail":..,"status":..}, a field left out when empty or zero, as Go's encoder writes it
// (< > & U+2028 U+2029 escaped, bad UTF-8 replaced). Source: wire.md 2.7.
std::string to_json(const Error& error);

// The error that a text stands for: a JSON object with a code that is not 0, else kUnknown with the text as detail.
// Source: wire.md 10.
Error parse_error(std::string_view text);

}  // namespace mg
