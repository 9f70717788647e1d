// mg/utils/tool/date.h -- dates: PHP's formats both ways, and the days, weeks and months around a moment.
//
//   Moment now = Moment::of(clock.wall(), *Zone::find("Asia/Shanghai"));
//   format_date("Y-m-d H:i:s", now);                              // "2024-05-01 20:00:00"
//   Result<Moment> got = parse_date("2024-05-01", "Y-m-d", zone);
//   Moment begin = day_begin(now), monday = find_weekday(now, 1, std::chrono::Monday);
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/utils/tool/zone.h"

namespace mg::tool {

// A point of time, shown in a zone. Years from -30000 to 30000.
struct Moment {
  std::chrono::sys_seconds time{};
  std::uint32_t nanoseconds = 0;  // Behind `time`.
  Zone zone{};

  static Moment of(Clock::WallTime wall, Zone zone = {});
  static Moment unix(std::int64_t seconds, Zone zone = {});

  std::int64_t unix_seconds() const { return time.time_since_epoch().count(); }
};

// A moment as a calendar and a clock show it.
struct Civil {
  int year = 0;
  int month = 1;  // 1..12
  int day = 1;    // 1..31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int weekday = 0;          // 0 is Sunday.
  std::int32_t offset = 0;  // Seconds east of UTC.
};
Civil civil(const Moment& moment);
// The moment of a calendar and clock time; values out of range carry over (hour 25 is 1 of the next day).
Moment from_civil(int year, int month, int day, std::int64_t hour, std::int64_t minute, std::int64_t second,
                  const Zone& zone);

// Letters: d j D l (day, weekday) m n M F (month) Y y (year) a A g G h H i s (time) O P T (zone) r (a whole date,
// RFC 2822). What follows a backslash is itself; other letters too, as in the Go original.
std::string format_date(std::string_view format, const Moment& moment);

// Reads what format_date writes. Two digits where the format writes two, but H and G take one; behind the seconds a
// fraction may follow; weekdays are not compared; a year of two digits is 1969 to 2068; what the format does not say
// is the year 0, January, the 1st, midnight. Of a time that clocks skip see Zone::instant.
// Errors: kInvalid  naming the text, the format and the place
// Threads: shared. Cost: linear in the format.
Result<Moment> parse_date(std::string_view text, std::string_view format, const Zone& zone = {});

// Midnight of the day; hour `hour` of it (less than 0 and more than 23 are in other days).
Moment day_begin(const Moment& moment);
Moment day_hour(const Moment& moment, int hour);
// Midnights of the first and last day of the month.
Moment first_day_of_month(const Moment& moment);
Moment last_day_of_month(const Moment& moment);

// The following keep the time of day, as in the Go original. A week begins on Monday; week_end is the next Monday.
Moment week_begin(const Moment& moment);
Moment week_end(const Moment& moment);
Moment month_begin(const Moment& moment);
Moment month_end(const Moment& moment);
// The `week`th such weekday of the month, from its begin or its end; may lie in the month beside. Less than 1: moment.
Moment find_weekday(const Moment& moment, int week, std::chrono::weekday weekday);
Moment find_weekday_from_end(const Moment& moment, int week, std::chrono::weekday weekday);

// Whole spans of 24 hours from `from` to `to`, cut toward zero.
std::int64_t diff_days(const Moment& from, const Moment& to);
// By the date that each shows in its own zone.
bool same_day(const Moment& a, const Moment& b);
bool same_month(const Moment& a, const Moment& b);
bool same_year(const Moment& a, const Moment& b);

// Minutes, a begun one counted as whole.
constexpr std::int64_t seconds_to_minutes(std::int64_t seconds) {
  return seconds / 60 + (seconds % 60 > 0 ? 1 : 0);
}

}  // namespace mg::tool
