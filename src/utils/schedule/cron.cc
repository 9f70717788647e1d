#include "mg/utils/schedule/cron.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/escape.h"
#include "mg/utils/dtype/parse.h"

namespace mg::schedule {
namespace {

namespace chrono = std::chrono;

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int low;
  int high;
  std::span<const std::string_view> words{};  // The first stands for `low`.
};
constexpr Field kSecond{"second", 0, 59};
constexpr Field kMinute{"minute", 0, 59};
constexpr Field kHour{"hour", 0, 23};
constexpr Field kDay{"day", 1, 31};
constexpr Field kMonth{"month", 1, 12, kMonths};
constexpr Field kWeekday{"weekday", 0, 7, kWeekdays};

std::vector<std::string_view> parts(std::string_view text, auto separates) {
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && !separates(text[i])) continue;
    out.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  return out;
}

Result<int> number(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.words.size(); ++i) {
    if (std::ranges::equal(text, field.words[i], {},
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; })) {
      return field.low + static_cast<int>(i);
    }
  }
  const auto got = dtype::read<int>(text);
  if (!got || text.starts_with('+') || *got < field.low || *got > field.high) {
    return fail(code::kInvalid, "{} {} is not from {} to {}", field.name, quote(text), field.low, field.high);
  }
  return *got;
}

// Sets the bits that a field names. Returns: whether it is `*`.
Result<bool> read(const Field& field, std::string_view text, auto& bits) {
  bool any = false;
  for (const std::string_view entry : parts(text, [](char c) { return c == ','; })) {
    const std::size_t slash = entry.find('/');
    const std::string_view range = entry.substr(0, slash);
    int step = 1;
    if (slash != entry.npos) {
      const auto got = dtype::read<int>(entry.substr(slash + 1));
      if (!got || *got < 1 || *got > 1000)
        return fail(code::kInvalid, "{} {} has no step from 1 on", field.name, quote(entry));
      step = *got;
    }
    int first = field.low;
    int last = field.high;
    if (range == "*" || range == "?") {
      any = any || step == 1;
      if (field.high == 7) last = 6;  // Sunday once.
    } else {
      const std::size_t dash = range.find('-');
      const auto low = number(field, range.substr(0, dash));
      if (!low) return std::unexpected(low.error());
      first = *low;
      if (dash != range.npos) {
        const auto high = number(field, range.substr(dash + 1));
        if (!high) return std::unexpected(high.error());
        last = *high;
        if (field.high == 7 && first > last && last == 0) last = 7;  // sat-sun
        if (first > last) return fail(code::kInvalid, "{} {} ends before it begins", field.name, quote(entry));
      } else if (slash == entry.npos) {
        last = first;
      } else if (field.high == 7) {
        last = 6;
      }
    }
    for (int i = first; i <= last; i += step) bits.set(static_cast<std::size_t>(field.high == 7 ? i % 7 : i));
  }
  return any;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  constexpr std::size_t kMaxText = 1000;
  if (text.size() > kMaxText) return fail(code::kInvalid, "a cron expression of {} octets is none", text.size());
  constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
      {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
      {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}};
  Cron cron;
  cron.text_ = text;
  for (const auto& [name, meaning] : kNamed) {
    if (text == name) text = meaning;
  }
  std::vector<std::string_view> fields = parts(text, [](char c) { return c == ' ' || c == '\t'; });
  std::erase(fields, "");
  if (fields.size() != 5 && fields.size() != 6) {
    return fail(code::kInvalid, "cron {}: {} fields, want 5 or 6", quote(text), fields.size());
  }
  if (fields.size() == 5) fields.insert(fields.begin(), "0");
  bool any = false;
  Result<bool> got;
  const auto take = [&](const Field& field, std::size_t index, auto& bits, bool& out) {
    if (!got) return;
    got = read(field, fields[index], bits);
    if (got) out = *got;
  };
  take(kSecond, 0, cron.seconds_, any);
  take(kMinute, 1, cron.minutes_, any);
  take(kHour, 2, cron.hours_, cron.any_hour_);
  take(kDay, 3, cron.days_, cron.any_day_);
  take(kMonth, 4, cron.months_, any);
  take(kWeekday, 5, cron.weekdays_, cron.any_weekday_);
  if (!got) return fail(code::kInvalid, "cron {}: {}", quote(text), got.error().detail);
  if (cron.hours_.all()) cron.any_hour_ = true;
  // Only by the day, and of none of its months.
  if (cron.any_weekday_ && !cron.any_day_) {
    constexpr std::array<std::size_t, 13> kLast = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool possible = false;
    for (std::size_t month = 1; month <= 12; ++month) {
      for (std::size_t day = 1; day <= kLast[month]; ++day) {
        possible = possible || (cron.months_[month] && cron.days_[day]);
      }
    }
    if (!possible) return fail(code::kInvalid, "cron {}: no month has such a day", quote(text));
  }
  return cron;
}

std::optional<chrono::sys_seconds> Cron::in_hour(tool::LocalSeconds hour, chrono::sys_seconds after,
                                                 const tool::Zone& zone) const {
  using Fold = tool::Zone::Fold;
  const auto at = [&](std::size_t minute, std::size_t second) {
    return hour + chrono::seconds(static_cast<std::int64_t>(minute * 60 + second));
  };
  std::optional<chrono::sys_seconds> best;
  const auto offer = [&](chrono::sys_seconds moment) {
    if (moment > after && (!best || moment < *best)) best = moment;
  };
  const bool usual =
      zone.fold(at(0, 0)) == Fold::kOnce && zone.fold(at(30, 0)) == Fold::kOnce && zone.fold(at(59, 59)) == Fold::kOnce;
  if (usual && zone.instant(at(59, 59)) <= after) return std::nullopt;
  for (std::size_t minute = 0; minute < 60; ++minute) {
    if (!minutes_[minute] || (usual && zone.instant(at(minute, 59)) <= after)) continue;
    for (std::size_t second = 0; second < 60; ++second) {
      if (!seconds_[second]) continue;
      const tool::LocalSeconds local = at(minute, second);
      const chrono::sys_seconds moment = zone.instant(local);
      const Fold fold = usual ? Fold::kOnce : zone.fold(local);
      if (fold != Fold::kSkipped) offer(moment);
      if (fold == Fold::kOnce) {
        if (usual && best) return best;
        continue;
      }
      const auto before = zone.at(moment);
      const chrono::sys_seconds change{chrono::seconds(before.end)};
      if (fold == Fold::kSkipped) {
        if (!any_hour_) offer(change);
      } else if (any_hour_) {
        offer(moment + chrono::seconds(before.seconds - zone.at(change).seconds));
      }
    }
  }
  return best;
}

std::optional<chrono::sys_seconds> Cron::next(chrono::sys_seconds after, const tool::Zone& zone) const {
  constexpr int kDays = 366 * 30;
  // A day earlier: where clocks go back, an hour of the local day before may still come.
  auto day = chrono::floor<chrono::days>(zone.local(after)) - chrono::days(1);
  for (int i = 0; i < kDays; ++i, day += chrono::days(1)) {
    const chrono::year_month_day date{day};
    if (!months_[static_cast<unsigned>(date.month())]) continue;
    const bool by_day = days_[static_cast<unsigned>(date.day())];
    const bool by_weekday = weekdays_[chrono::weekday(day).c_encoding()];
    const bool good = any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
    if (!good) continue;
    for (int hour = 0; hour < 24; ++hour) {
      if (!hours_[static_cast<std::size_t>(hour)]) continue;
      if (const auto found = in_hour(tool::LocalSeconds(day) + chrono::hours(hour), after, zone)) return found;
    }
  }
  return std::nullopt;
}

}  // namespace mg::schedule
