#include "mg/utils/tool/date.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "base/escape.h"

namespace mg::tool {
namespace {

namespace chrono = std::chrono;

constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};
constexpr std::string_view kWeekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::string_view kRfc2822 = "D, d M Y H:i:s O";

// Days from 1970-01-01 on, of any year an int holds. Source: Howard Hinnant, "chrono-compatible low-level date
// algorithms".
constexpr std::int64_t days_of(std::int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

constexpr void date_of(std::int64_t days, int& year, int& month, int& day) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t of_era = days - era * 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  day = static_cast<int>(of_year - (153 * shifted + 2) / 5 + 1);
  month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
}

constexpr bool is_leap(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
constexpr int days_in(std::int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

// Keeps the time of day.
Moment on_date(const Moment& moment, int year, int month, int day) {
  const Civil c = civil(moment);
  Moment out = from_civil(year, month, day, c.hour, c.minute, c.second, moment.zone);
  out.nanoseconds = moment.nanoseconds;
  return out;
}

void append_offset(std::string& out, std::int32_t offset, std::string_view between) {
  const std::int32_t minutes = std::abs(offset) / 60;
  fmt::format_to(std::back_inserter(out), "{}{:02}{}{:02}", offset < 0 ? '-' : '+', minutes / 60, between,
                 minutes % 60);
}

void append_format(std::string& out, std::string_view format, const Civil& c, const Moment& moment) {
  const auto put = std::back_inserter(out);
  const int hour12 = c.hour % 12 == 0 ? 12 : c.hour % 12;
  const std::string_view month = kMonths[c.month - 1];
  const std::string_view weekday = kWeekdays[c.weekday];
  for (std::size_t i = 0; i < format.size(); ++i) {
    switch (format[i]) {
      case 'd':
        fmt::format_to(put, "{:02}", c.day);
        break;
      case 'j':
        fmt::format_to(put, "{}", c.day);
        break;
      case 'D':
        out += weekday.substr(0, 3);
        break;
      case 'l':
        out += weekday;
        break;
      case 'm':
        fmt::format_to(put, "{:02}", c.month);
        break;
      case 'n':
        fmt::format_to(put, "{}", c.month);
        break;
      case 'M':
        out += month.substr(0, 3);
        break;
      case 'F':
        out += month;
        break;
      case 'Y':
        if (c.year < 0) out += '-';
        fmt::format_to(put, "{:04}", std::abs(c.year));
        break;
      case 'y':
        fmt::format_to(put, "{:02}", std::abs(c.year) % 100);
        break;
      case 'a':
        out += c.hour < 12 ? "am" : "pm";
        break;
      case 'A':
        out += c.hour < 12 ? "AM" : "PM";
        break;
      case 'g':
        fmt::format_to(put, "{}", hour12);
        break;
      case 'G':
        fmt::format_to(put, "{}", c.hour);
        break;
      case 'h':
        fmt::format_to(put, "{:02}", hour12);
        break;
      case 'H':
        fmt::format_to(put, "{:02}", c.hour);
        break;
      case 'i':
        fmt::format_to(put, "{:02}", c.minute);
        break;
      case 's':
        fmt::format_to(put, "{:02}", c.second);
        break;
      case 'O':
        append_offset(out, c.offset, "");
        break;
      case 'P':
        append_offset(out, c.offset, ":");
        break;
      case 'T': {
        const auto offset = moment.zone.at(moment.time);
        if (offset.name.empty()) {
          append_offset(out, c.offset, "");
        } else {
          out += offset.name;
        }
        break;
      }
      case 'r':
        append_format(out, kRfc2822, c, moment);
        break;
      case '\\':
        if (++i < format.size()) out += format[i];
        break;
      default:
        out += format[i];
    }
  }
}

// One text read by one format.
class Reader {
 public:
  Reader(std::string_view text, const Zone& zone) : text_(text), zone_(zone) {}

  bool read(std::string_view format) {
    for (std::size_t i = 0; i < format.size(); ++i) {
      if (format[i] == 'r') {
        if (!read(kRfc2822)) return false;
      } else if (format[i] == '\\') {
        if (++i < format.size() && !literal(format[i])) return false;
      } else if (!element(format[i])) {
        return false;
      }
    }
    return true;
  }

  std::string_view rest() const { return text_; }
  // Empty: a text that does not fit the format.
  std::string_view out_of_range() const { return range_; }

  std::optional<Moment> moment() {
    if (pm_ && hour_ < 12) hour_ += 12;
    if (am_ && hour_ == 12) hour_ = 0;
    if (day_ < 1 || day_ > days_in(year_, month_)) return range("day"), std::nullopt;
    Moment out = from_civil(year_, month_, day_, hour_, minute_, second_, Zone::utc());
    if (offset_) {
      out.time -= chrono::seconds(*offset_);
      out.zone = zone_.at(out.time).seconds == *offset_ ? zone_ : Zone::fixed(chrono::seconds(*offset_));
    } else if (abbreviation_ == "UTC") {
      // As it is.
    } else if (!abbreviation_.empty()) {
      if (const auto offset = zone_.offset_of(abbreviation_, out.time)) {
        out.time -= chrono::seconds(*offset);
        out.zone = zone_;
      } else {
        out.zone = Zone::fixed(chrono::seconds(named_offset_), std::string(abbreviation_));
        out.time -= chrono::seconds(named_offset_);
      }
    } else {
      out = from_civil(year_, month_, day_, hour_, minute_, second_, zone_);
    }
    out.nanoseconds = nanoseconds_;
    return out;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  bool digit_at(std::size_t i) const { return i < text_.size() && is_digit(text_[i]); }
  bool range(std::string_view what) {
    range_ = what;
    return false;
  }

  // `least` to `most` digits.
  bool number(int& out, std::size_t least, std::size_t most) {
    std::size_t size = 0;
    out = 0;
    while (size < most && digit_at(size)) out = out * 10 + (text_[size++] - '0');
    if (size < least) return false;
    text_.remove_prefix(size);
    return true;
  }
  bool bounded(int& out, std::size_t least, int low, int high, std::string_view what) {
    if (!number(out, least, 2)) return false;
    return (out >= low && out <= high) || range(what);
  }
  bool word(std::span<const std::string_view> words, std::size_t size, int& out) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::string_view wanted = words[i].substr(0, size);
      if (text_.size() < wanted.size() ||
          !std::ranges::equal(text_.substr(0, wanted.size()), wanted, {}, lower, lower)) {
        continue;
      }
      text_.remove_prefix(wanted.size());
      out = static_cast<int>(i);
      return true;
    }
    return false;
  }
  bool half(std::string_view am, std::string_view pm) {
    am_ = text_.starts_with(am);
    pm_ = text_.starts_with(pm);
    if (am_ || pm_) text_.remove_prefix(2);
    return am_ || pm_;
  }
  bool literal(char c) {
    if (c == ' ') {  // Any number of spaces is as good as one, and none at the end.
      if (!text_.empty() && text_[0] != ' ') return false;
      while (text_.starts_with(' ')) text_.remove_prefix(1);
      return true;
    }
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool numeric_zone(bool colon) {
    const std::size_t size = colon ? 6 : 5;
    if (text_.size() < size || (text_[0] != '+' && text_[0] != '-')) return false;
    const std::size_t minutes = colon ? 4 : 3;
    if (colon && text_[3] != ':') return false;
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}, minutes, minutes + 1}) {
      if (!is_digit(text_[i])) return false;
    }
    const int h = (text_[1] - '0') * 10 + (text_[2] - '0');
    const int m = (text_[minutes] - '0') * 10 + (text_[minutes + 1] - '0');
    if (h > 23) return range("zone offset hour");
    if (m > 59) return range("zone offset minute");
    offset_ = (h * 60 + m) * 60 * (text_[0] == '-' ? -1 : 1);
    text_.remove_prefix(size);
    return true;
  }
  // UTC; letters: three to five capitals; GMT+3; +03, -0330.
  bool named_zone() {
    std::size_t size = 0;
    if (text_.starts_with("UTC")) {
      size = 3;
    } else if (text_.starts_with('+') || text_.starts_with('-')) {
      std::size_t digits = 0;
      while (digits < 4 && digit_at(1 + digits)) ++digits;
      if (digits != 2 && digits != 4) return false;
      const int h = (text_[1] - '0') * 10 + (text_[2] - '0');
      const int m = digits == 4 ? (text_[3] - '0') * 10 + (text_[4] - '0') : 0;
      named_offset_ = (h * 60 + m) * 60 * (text_[0] == '-' ? -1 : 1);
      size = 1 + digits;
    } else {
      while (size < text_.size() && size < 6 && text_[size] >= 'A' && text_[size] <= 'Z') ++size;
      if (text_.starts_with("ChST") || text_.starts_with("MeST")) size = 4;
      if (size < 3 || size > 5) return false;
      // Longer ones than three end in T, as in Go: CEST.
      if (size > 3 && text_[size - 1] != 'T' && !text_.starts_with("WITA")) return false;
      if (size == 3 && text_.starts_with("GMT") && text_.size() > 4 && (text_[3] == '+' || text_[3] == '-') &&
          is_digit(text_[4])) {
        int hours = text_[4] - '0';
        size = 5;
        if (digit_at(5)) hours = hours * 10 + (text_[size++] - '0');
        if (hours > 23) return false;
        named_offset_ = hours * 3600 * (text_[3] == '-' ? -1 : 1);
      }
    }
    abbreviation_ = text_.substr(0, size);
    text_.remove_prefix(size);
    return true;
  }

  bool element(char letter) {
    int ignored = 0;
    switch (letter) {
      case 'd':
        return number(day_, 2, 2);
      case 'j':
        return number(day_, 1, 2);
      case 'D':
        return word(kWeekdays, 3, ignored);
      case 'l':
        return word(kWeekdays, std::string_view::npos, ignored);
      case 'm':
        return bounded(month_, 2, 1, 12, "month");
      case 'n':
        return bounded(month_, 1, 1, 12, "month");
      case 'M':
        return word(kMonths, 3, month_) && (++month_, true);
      case 'F':
        return word(kMonths, std::string_view::npos, month_) && (++month_, true);
      case 'Y':
        return number(year_, 4, 4);
      case 'y':
        if (!number(year_, 2, 2)) return false;
        year_ += year_ >= 69 ? 1900 : 2000;
        return true;
      case 'a':
        return half("am", "pm");
      case 'A':
        return half("AM", "PM");
      case 'g':
        return bounded(hour_, 1, 0, 12, "hour");
      case 'h':
        return bounded(hour_, 2, 0, 12, "hour");
      case 'G':
      case 'H':
        return bounded(hour_, 1, 0, 23, "hour");
      case 'i':
        return bounded(minute_, 2, 0, 59, "minute");
      case 's': {
        if (!bounded(second_, 2, 0, 59, "second")) return false;
        if (text_.size() < 2 || (text_[0] != '.' && text_[0] != ',') || !is_digit(text_[1])) return true;
        text_.remove_prefix(1);
        nanoseconds_ = 0;
        for (std::uint32_t unit = 100'000'000; digit_at(0); unit /= 10) {
          nanoseconds_ += unit * static_cast<std::uint32_t>(text_[0] - '0');
          text_.remove_prefix(1);
        }
        return true;
      }
      case 'O':
        return numeric_zone(false);
      case 'P':
        return numeric_zone(true);
      case 'T':
        return named_zone();
      default:
        return literal(letter);
    }
  }

  std::string_view text_;
  const Zone& zone_;
  std::string_view range_;
  int year_ = 0;
  int month_ = 1;
  int day_ = 1;
  int hour_ = 0;
  int minute_ = 0;
  int second_ = 0;
  std::uint32_t nanoseconds_ = 0;
  bool am_ = false;
  bool pm_ = false;
  std::optional<std::int32_t> offset_;
  std::string_view abbreviation_;
  std::int32_t named_offset_ = 0;
};

}  // namespace

Moment Moment::of(Clock::WallTime wall, Zone zone) {
  const auto whole = chrono::floor<chrono::seconds>(wall);
  return {whole, static_cast<std::uint32_t>((wall - whole).count()), std::move(zone)};
}

Moment Moment::unix(std::int64_t seconds, Zone zone) {
  return {chrono::sys_seconds(chrono::seconds(seconds)), 0, std::move(zone)};
}

Civil civil(const Moment& moment) {
  constexpr std::int64_t kFarthest = 946'000'000'000;  // About 30,000 years.
  const std::int32_t offset = moment.zone.at(moment.time).seconds;
  const std::int64_t local = std::clamp(moment.unix_seconds(), -kFarthest, kFarthest) + offset;
  const std::int64_t days = local >= 0 ? local / 86'400 : (local - 86'399) / 86'400;
  const auto seconds = static_cast<int>(local - days * 86'400);
  Civil out;
  date_of(days, out.year, out.month, out.day);
  out.hour = seconds / 3600;
  out.minute = seconds / 60 % 60;
  out.second = seconds % 60;
  out.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  out.offset = offset;
  return out;
}

Moment from_civil(int year, int month, int day, std::int64_t hour, std::int64_t minute, std::int64_t second,
                  const Zone& zone) {
  const int months = month - 1;
  const int years = months >= 0 ? months / 12 : (months - 11) / 12;
  const std::int64_t days = days_of(std::int64_t{year} + years, months - years * 12 + 1, 1) + day - 1;
  const chrono::seconds local(days * 86'400 + hour * 3600 + minute * 60 + second);
  return {zone.instant(LocalSeconds(local)), 0, zone};
}

std::string format_date(std::string_view format, const Moment& moment) {
  std::string out;
  append_format(out, format, civil(moment), moment);
  return out;
}

Result<Moment> parse_date(std::string_view text, std::string_view format, const Zone& zone) {
  Reader reader(text, zone);
  if (reader.read(format)) {
    if (!reader.rest().empty()) {
      return fail(code::kInvalid, "date {}: {} is too much for {}", quote(text), quote(reader.rest()), quote(format));
    }
    if (const auto moment = reader.moment()) return *moment;
  }
  if (!reader.out_of_range().empty())
    return fail(code::kInvalid, "date {}: {} out of range", quote(text), reader.out_of_range());
  return fail(code::kInvalid, "date {} is not {}: wrong from octet {} on", quote(text), quote(format),
              text.size() - reader.rest().size());
}

Moment day_hour(const Moment& moment, int hour) {
  const Civil c = civil(moment);
  return from_civil(c.year, c.month, c.day, hour, 0, 0, moment.zone);
}
Moment day_begin(const Moment& moment) {
  return day_hour(moment, 0);
}
Moment first_day_of_month(const Moment& moment) {
  const Civil c = civil(moment);
  return from_civil(c.year, c.month, 1, 0, 0, 0, moment.zone);
}
Moment last_day_of_month(const Moment& moment) {
  const Civil c = civil(moment);
  return from_civil(c.year, c.month + 1, 0, 0, 0, 0, moment.zone);
}

Moment week_begin(const Moment& moment) {
  const Civil c = civil(moment);
  return on_date(moment, c.year, c.month, c.day - (c.weekday + 6) % 7);
}
Moment week_end(const Moment& moment) {
  const Civil c = civil(moment);
  return on_date(moment, c.year, c.month, c.day - (c.weekday + 6) % 7 + 7);
}
Moment month_begin(const Moment& moment) {
  const Civil c = civil(moment);
  return on_date(moment, c.year, c.month, 1);
}
Moment month_end(const Moment& moment) {
  const Civil c = civil(moment);
  return on_date(moment, c.year, c.month, days_in(c.year, c.month));
}

Moment find_weekday(const Moment& moment, int week, chrono::weekday weekday) {
  if (week < 1) return moment;
  const Moment first = month_begin(moment);
  const Civil c = civil(first);
  const int wanted = static_cast<int>(weekday.c_encoding());
  const int weeks = std::min(week, 100'000) - 1;
  return on_date(moment, c.year, c.month, 1 + (wanted - c.weekday + 7) % 7 + weeks * 7);
}
Moment find_weekday_from_end(const Moment& moment, int week, chrono::weekday weekday) {
  if (week < 1) return moment;
  const Moment last = month_end(moment);
  const Civil c = civil(last);
  const int wanted = static_cast<int>(weekday.c_encoding());
  const int weeks = std::min(week, 100'000) - 1;
  return on_date(moment, c.year, c.month, c.day - (c.weekday - wanted + 7) % 7 - weeks * 7);
}

std::int64_t diff_days(const Moment& from, const Moment& to) {
  std::int64_t seconds = to.unix_seconds() - from.unix_seconds();
  const std::int64_t nanoseconds = std::int64_t{to.nanoseconds} - from.nanoseconds;
  if (seconds > 0 && nanoseconds < 0) --seconds;
  if (seconds < 0 && nanoseconds > 0) ++seconds;
  return seconds / 86'400;
}

bool same_year(const Moment& a, const Moment& b) {
  return civil(a).year == civil(b).year;
}
bool same_month(const Moment& a, const Moment& b) {
  return same_year(a, b) && civil(a).month == civil(b).month;
}
bool same_day(const Moment& a, const Moment& b) {
  return same_month(a, b) && civil(a).day == civil(b).day;
}

}  // namespace mg::tool
