#include "mg/base/units.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace mg {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr Unit kTimeUnits[] = {  // A longer name before the shorter one that it starts with.
    {"ns", 1},       {"us", 1000},         {"\u00B5s", 1000},         {"\u03BCs", 1000},
    {"ms", 1000000}, {"s", 1000000000ull}, {"m", 60 * 1000000000ull}, {"h", 3600 * 1000000000ull}};

constexpr Unit kByteUnits[] = {
    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}, {"", 1}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  while (!text.empty()) {
    const char* end = text.data() + text.size();
    std::uint64_t whole = 0;
    const char* at = text.data();
    const bool has_whole = is_digit(*at);
    if (has_whole) {
      auto [stop, fault] = std::from_chars(at, end, whole);
      if (fault != std::errc()) return std::nullopt;
      at = stop;
    }
    std::string_view fraction;
    if (at != end && *at == '.') {
      const char* begin = ++at;
      at = std::find_if_not(at, end, is_digit);
      fraction = {begin, at};
    }
    if (!has_whole && fraction.empty()) return std::nullopt;
    const std::string_view rest(at, end);
    const auto* unit = std::ranges::find_if(kTimeUnits, [&](const Unit& u) { return rest.starts_with(u.name); });
    if (unit == std::end(kTimeUnits)) return std::nullopt;
    if (whole > kMax / unit->size) return std::nullopt;
    std::uint64_t part = whole * unit->size;
    // Fifteen places reach below a nanosecond even of an hour; the rest is cut.
    std::uint64_t digits = 0, scale = 1;
    for (char digit : fraction.substr(0, std::min<std::size_t>(fraction.size(), 15))) {
      digits = digits * 10 + static_cast<std::uint64_t>(digit - '0');
      scale *= 10;
    }
    __extension__ using Wide = unsigned __int128;
    part += static_cast<std::uint64_t>(static_cast<Wide>(digits) * unit->size / scale);
    if (part > kMax - total) return std::nullopt;
    total += part;
    text = rest.substr(unit->name.size());
  }
  const auto signed_total = static_cast<std::int64_t>(total);
  return std::chrono::nanoseconds(negative ? -signed_total : signed_total);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  if (duration.count() == 0) return "0s";
  const bool negative = duration.count() < 0;
  std::uint64_t left = static_cast<std::uint64_t>(duration.count());
  if (negative) left = -left;
  std::string out(negative ? "-" : "");
  auto decimal = [&out](std::uint64_t value, std::uint64_t unit, std::string_view name) {
    out += std::to_string(value / unit);
    std::string fraction;
    for (std::uint64_t rest = value % unit; rest != 0; rest = rest * 10 % unit) {
      fraction += static_cast<char>('0' + rest * 10 / unit);
    }
    if (!fraction.empty()) (out += '.') += fraction;
    out += name;
  };
  constexpr std::uint64_t kSecond = 1000000000;
  if (left < 1000) return decimal(left, 1, "ns"), out;
  if (left < 1000000) return decimal(left, 1000, "\u00B5s"), out;
  if (left < kSecond) return decimal(left, 1000000, "ms"), out;
  const std::uint64_t minutes = left / (60 * kSecond);
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  decimal(left % (60 * kSecond), kSecond, "s");
  return out;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  std::uint64_t value = 0;
  auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc()) return std::nullopt;
  const std::string_view name(stop, text.data() + text.size());
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (const Unit& unit : kByteUnits) {
    if (!std::ranges::equal(name, unit.name, {}, lower, lower)) continue;
    if (value > std::numeric_limits<std::uint64_t>::max() / unit.size) return std::nullopt;
    return value * unit.size;
  }
  return std::nullopt;
}

std::string format_bytes(std::uint64_t bytes) {
  for (const Unit& unit : kByteUnits) {
    if (unit.size > 1 && bytes != 0 && bytes % unit.size == 0) {
      return std::to_string(bytes / unit.size) + std::string(unit.name);
    }
  }
  return std::to_string(bytes);
}

}  // namespace mg
