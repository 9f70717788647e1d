#include "mg/store/redis/args.h"

#include <charconv>

namespace mg::redis {

std::string time_text(Clock::WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (const auto ns = clock.subseconds().count(); ns != 0) {
    out += fmt::format(".{:09}", ns);
    out.erase(out.find_last_not_of('0') + 1);
  }
  out += 'Z';
  return out;
}

Result<Clock::WallTime> parse_time(std::string_view text) {
  const std::string_view whole = text;
  const auto wrong = [&] { return fail(code::kInvalid, "\"{}\" is not a time of RFC 3339", whole.substr(0, 80)); };
  bool good = true;
  const auto number = [&](std::size_t digits) {
    int value = 0;
    if (text.size() < digits) {
      good = false;
      return 0;
    }
    for (const char c : text.substr(0, digits)) {
      if (c < '0' || c > '9') good = false;
      value = value * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return value;
  };
  const auto mark = [&](char wanted) {
    if (!text.starts_with(wanted)) {
      good = false;
    } else {
      text.remove_prefix(1);
    }
  };
  const int year = number(4);
  mark('-');
  const int month = number(2);
  mark('-');
  const int day = number(2);
  mark('T');
  const int hour = number(2);
  mark(':');
  const int minute = number(2);
  mark(':');
  const int second = number(2);
  std::int64_t ns = 0;
  if (good && text.starts_with('.')) {
    text.remove_prefix(1);
    std::int64_t unit = 100'000'000;
    std::size_t digits = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits, unit /= 10) {
      ns += unit * (text[0] - '0');
    }
    good = good && digits > 0;
  }
  std::chrono::minutes offset{0};
  if (text == "Z") {
    text = {};
  } else if (good && (text.starts_with('+') || text.starts_with('-'))) {
    const int sign = text[0] == '+' ? 1 : -1;
    text.remove_prefix(1);
    const int hours = number(2);
    mark(':');
    const int minutes = number(2);
    offset = std::chrono::minutes(sign * (hours * 60 + minutes));
  } else {
    good = false;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  // Nanoseconds since 1970 in 64 bits end in 2262; they begin in 1678.
  good = good && text.empty() && date.ok() && hour < 24 && minute < 60 && second < 60 && year >= 1678 && year < 2262;
  if (!good) return wrong();
  return Clock::WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::nanoseconds(ns) - offset;
}

}  // namespace mg::redis
