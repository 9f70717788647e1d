#include "mg/utils/tool/zone.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/escape.h"

namespace mg::tool {
namespace {

namespace chrono = std::chrono;
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kDay = 86'400;

struct Period {
  std::int32_t seconds = 0;
  bool summer = false;
  std::string name;
};

// When clocks change, by a rule: "M3.2.0/2". Source: POSIX.1, TZ.
struct Change {
  enum class Kind : std::uint8_t { kJulian, kDayOfYear, kMonthWeek } kind = Kind::kMonthWeek;
  int month = 0;
  int week = 0;
  int day = 0;
  std::int32_t seconds = 7200;  // Of the day, by the clock before the change.

  // Seconds from the beginning of the year.
  std::int64_t in_year(chrono::year year) const {
    if (kind == Kind::kMonthWeek) {
      const chrono::year_month_day first(year / month / 1);
      const chrono::sys_days begin(first);
      const int weekday = static_cast<int>(chrono::weekday(begin).c_encoding());
      int date = (day - weekday + 7) % 7 + (week - 1) * 7;  // From 0.
      const int last = static_cast<int>(static_cast<unsigned>((year / month / chrono::last).day()));
      while (date >= last) date -= 7;
      return (begin - chrono::sys_days(year / 1 / 1)).count() * kDay + date * kDay + seconds;
    }
    int days = day;
    if (kind == Kind::kJulian) days = day - 1 + (year.is_leap() && day >= 60 ? 1 : 0);
    return days * kDay + seconds;
  }
};

// What holds behind the last change of the table.
struct Rule {
  Period standard;
  bool has_summer = false;
  Period summer;
  Change begin;  // Of the summer.
  Change end;
};

class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  bool read(Rule& rule) {
    if (!name(rule.standard.name) || !offset(rule.standard.seconds)) return false;
    rule.standard.seconds = -rule.standard.seconds;
    if (text_.empty()) return true;
    rule.has_summer = true;
    rule.summer.summer = true;
    if (!name(rule.summer.name)) return false;
    rule.summer.seconds = rule.standard.seconds + 3600;
    if (!text_.empty() && text_[0] != ',') {
      if (!offset(rule.summer.seconds)) return false;
      rule.summer.seconds = -rule.summer.seconds;
    }
    if (text_.empty()) text_ = ",M3.2.0,M11.1.0";
    return eat(',') && change(rule.begin) && eat(',') && change(rule.end) && text_.empty();
  }

 private:
  bool eat(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool number(int& out, int most) {
    if (text_.empty() || text_[0] < '0' || text_[0] > '9') return false;
    out = 0;
    while (!text_.empty() && text_[0] >= '0' && text_[0] <= '9') {
      out = out * 10 + (text_[0] - '0');
      if (out > most) return false;
      text_.remove_prefix(1);
    }
    return true;
  }
  bool name(std::string& out) {
    const bool quoted = eat('<');
    std::size_t size = 0;
    while (
        size < text_.size() &&
        (quoted ? text_[size] != '>' : std::string_view("0123456789,-+").find(text_[size]) == std::string_view::npos)) {
      ++size;
    }
    out = std::string(text_.substr(0, size));
    text_.remove_prefix(size);
    return size >= 3 && size <= 16 && (!quoted || eat('>'));
  }
  bool offset(std::int32_t& out) {
    const bool negative = eat('-');
    if (!negative) eat('+');
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    if (!number(hours, 24 * 7)) return false;
    if (eat(':') && (!number(minutes, 59) || (eat(':') && !number(seconds, 59)))) return false;
    out = hours * 3600 + minutes * 60 + seconds;
    if (negative) out = -out;
    return true;
  }
  bool change(Change& out) {
    if (eat('M')) {
      out.kind = Change::Kind::kMonthWeek;
      if (!number(out.month, 12) || out.month < 1 || !eat('.') || !number(out.week, 5) || out.week < 1 || !eat('.') ||
          !number(out.day, 6)) {
        return false;
      }
    } else {
      out.kind = eat('J') ? Change::Kind::kJulian : Change::Kind::kDayOfYear;
      if (!number(out.day, 365) || (out.kind == Change::Kind::kJulian && out.day < 1)) return false;
    }
    return !eat('/') || offset(out.seconds);
  }

  std::string_view text_;
};

std::int64_t big_endian(std::string_view octets) {
  std::uint64_t value = (static_cast<unsigned char>(octets[0]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char c : octets) value = value << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(value);
}

}  // namespace

class Zone::Data {
 public:
  std::string name;
  std::vector<Period> periods;                                 // [0] holds before the first change.
  std::vector<std::pair<std::int64_t, std::uint8_t>> changes;  // When, and to which period.
  std::size_t first = 0;                                       // The period before all changes.
  std::optional<Rule> rule;

  Offset at(std::int64_t time) const {
    if (changes.empty() || time < changes.front().first) {
      if (changes.empty() && rule) return by_rule(time, std::numeric_limits<std::int64_t>::min());
      return offset(periods[first], std::numeric_limits<std::int64_t>::min(),
                    changes.empty() ? kForever : changes.front().first);
    }
    const auto next = std::ranges::upper_bound(changes, time, {}, &std::pair<std::int64_t, std::uint8_t>::first);
    if (next == changes.end() && rule) return by_rule(time, changes.back().first);
    return offset(periods[std::prev(next)->second], std::prev(next)->first,
                  next == changes.end() ? kForever : next->first);
  }

 private:
  static Offset offset(const Period& period, std::int64_t begin, std::int64_t end) {
    return {period.seconds, period.name, period.summer, begin, end};
  }
  Offset by_rule(std::int64_t time, std::int64_t last_change) const {
    if (!rule->has_summer) return offset(rule->standard, last_change, kForever);
    // In years that std::chrono knows: the rule is the same in all, so far ones may as well be near ones.
    constexpr std::int64_t kFar = 250'000'000'000;    // About the year 9900.
    constexpr std::int64_t kRepeat = 12'622'780'800;  // 400 years.
    std::int64_t moved = 0;
    if (time > kFar) moved = (time - kFar) / kRepeat * kRepeat + kRepeat;
    if (time < -kFar) moved = -((-kFar - time) / kRepeat * kRepeat + kRepeat);
    const std::int64_t near = time - moved;
    const chrono::sys_seconds local{chrono::seconds(near + rule->standard.seconds)};
    const auto year = chrono::year_month_day(chrono::floor<chrono::days>(local)).year();
    const auto begin_of = [&](chrono::year y) {
      return chrono::sys_seconds(chrono::sys_days(y / 1 / 1)).time_since_epoch().count();
    };
    // The changes of three years in order; the one before `near` decides.
    std::array<std::pair<std::int64_t, const Period*>, 6> all;
    std::size_t n = 0;
    for (int i = -1; i <= 1; ++i) {
      const chrono::year y = year + chrono::years(i);
      all[n++] = {begin_of(y) + rule->begin.in_year(y) - rule->standard.seconds, &rule->summer};
      all[n++] = {begin_of(y) + rule->end.in_year(y) - rule->summer.seconds, &rule->standard};
    }
    std::ranges::sort(all, {}, &std::pair<std::int64_t, const Period*>::first);
    std::size_t i = all.size() - 1;
    while (i > 0 && all[i].first > near) --i;
    return offset(*all[i].second, std::max(all[i].first + moved, last_change),
                  i + 1 < all.size() ? all[i + 1].first + moved : kForever);
  }
};

Zone Zone::utc() {
  static const Zone zone = fixed(chrono::seconds(0), "UTC");
  return zone;
}

Zone Zone::fixed(chrono::seconds offset, std::string name) {
  auto data = std::make_shared<Data>();
  const auto seconds = static_cast<std::int32_t>(std::clamp<std::int64_t>(offset.count(), -kDay + 1, kDay - 1));
  data->periods.push_back({seconds, false, name});
  data->name = std::move(name);
  return Zone(std::move(data));
}

Result<Zone> Zone::parse(std::string name, std::string_view octets) {
  const auto broken = [&] { return fail(code::kInvalid, "zone {}: no TZif data", quote(name)); };
  constexpr std::size_t kHeader = 44;
  struct Counts {
    std::size_t utc_flags, wall_flags, leaps, times, types, letters;
  };
  const auto counts = [&](Counts& out) {
    if (octets.size() < kHeader || !octets.starts_with("TZif")) return false;
    std::size_t* const fields[] = {&out.utc_flags, &out.wall_flags, &out.leaps, &out.times, &out.types, &out.letters};
    for (std::size_t i = 0; i < 6; ++i) {
      const std::int64_t value = big_endian(octets.substr(20 + 4 * i, 4));
      if (value < 0 || value > 100'000) return false;
      *fields[i] = static_cast<std::size_t>(value);
    }
    return true;
  };
  const auto body = [](const Counts& c, std::size_t width) {
    return c.times * width + c.times + c.types * 6 + c.letters + c.leaps * (width + 4) + c.wall_flags + c.utc_flags;
  };
  Counts c{};
  if (!counts(c)) return broken();
  std::size_t width = 4;
  const char version = octets[4];
  if (version >= '2') {  // The data again, in 64 bits.
    const std::size_t skipped = kHeader + body(c, 4);
    if (octets.size() < skipped) return broken();
    octets.remove_prefix(skipped);
    if (!counts(c)) return broken();
    width = 8;
  }
  octets.remove_prefix(kHeader);
  if (octets.size() < body(c, width) || c.types == 0 || c.types > 256) return broken();
  const std::string_view times = octets.substr(0, c.times * width);
  const std::string_view indices = octets.substr(times.size(), c.times);
  const std::string_view types = octets.substr(times.size() + c.times, c.types * 6);
  const std::string_view letters = octets.substr(times.size() + c.times + types.size(), c.letters);

  auto data = std::make_shared<Data>();
  for (std::size_t i = 0; i < c.types; ++i) {
    const std::string_view type = types.substr(6 * i, 6);
    const auto seconds = big_endian(type.substr(0, 4));
    const auto letter = static_cast<unsigned char>(type[5]);
    if (letter >= letters.size() || seconds <= -2 * kDay || seconds >= 2 * kDay) return broken();
    const std::string_view rest = letters.substr(letter);
    data->periods.push_back(
        {static_cast<std::int32_t>(seconds), type[4] != 0, std::string(rest.substr(0, rest.find('\0')))});
  }
  for (std::size_t i = 0; i < c.times; ++i) {
    const auto index = static_cast<std::uint8_t>(indices[i]);
    const std::int64_t when = big_endian(times.substr(i * width, width));
    if (index >= c.types || (i > 0 && when <= data->changes.back().first)) return broken();
    data->changes.emplace_back(when, index);
  }
  // Before the first change: the first period if no change leads to it, else the first that is no summer time.
  if (std::ranges::any_of(data->changes, [](const auto& change) { return change.second == 0; })) {
    const auto standard = std::ranges::find(data->periods, false, &Period::summer);
    if (standard != data->periods.end()) data->first = static_cast<std::size_t>(standard - data->periods.begin());
  }
  std::string_view footer = octets.substr(body(c, width));
  if (width == 8 && footer.size() > 2 && footer.front() == '\n' && footer.back() == '\n') {
    Rule rule;
    if (RuleReader(footer.substr(1, footer.size() - 2)).read(rule)) data->rule = std::move(rule);
  }
  data->name = std::move(name);
  return Zone(std::move(data));
}

Result<Zone> Zone::find(std::string_view name) {
  if (name.empty() || name == "UTC") return utc();
  if (name == "Local") {
    const char* const wanted = std::getenv("TZ");
    if (wanted != nullptr && *wanted != '\0' && std::string_view(wanted) != "Local") {
      return find(*wanted == ':' ? wanted + 1 : wanted);
    }
  }
  if (name.starts_with('/') || name.contains("..") || name.contains('\0') || name.size() > 255) {
    return fail(code::kInvalid, "{} is no name of a zone", quote(name));
  }
  static std::mutex mutex;  // docs/threads.md: "time zones"
  static std::map<std::string, Zone, std::less<>> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  const std::string path = name == "Local" ? "/etc/localtime" : "/usr/share/zoneinfo/" + std::string(name);
  std::ifstream file(path, std::ios::binary);
  std::string octets{std::istreambuf_iterator<char>(file), {}};
  if (octets.empty()) {
    if (name == "Local") return utc();
    return fail(code::kNotFound, "no zone {}: is the package tzdata installed?", quote(name));
  }
  auto zone = parse(std::string(name), octets);
  if (zone && known.size() < 1000) known.emplace(name, *zone);
  return zone;
}

Zone::Offset Zone::at(chrono::sys_seconds time) const {
  return data_->at(time.time_since_epoch().count());
}

chrono::sys_seconds Zone::instant(LocalSeconds local) const {
  const chrono::sys_seconds as_utc(local.time_since_epoch());
  Offset offset = at(as_utc);
  if (offset.seconds != 0) {
    const std::int64_t guess = as_utc.time_since_epoch().count() - offset.seconds;
    if (guess < offset.begin || guess >= offset.end) offset = at(chrono::sys_seconds(chrono::seconds(guess)));
  }
  return as_utc - chrono::seconds(offset.seconds);
}

Zone::Fold Zone::fold(LocalSeconds wall) const {
  // Offsets that may hold: those of a day around.
  const chrono::sys_seconds as_utc(wall.time_since_epoch());
  int fits = 0;
  std::int64_t last = std::numeric_limits<std::int64_t>::min();
  for (const int days : {-1, 0, 1}) {
    for (const std::int32_t seconds : {at(as_utc + chrono::days(days)).seconds}) {
      const chrono::sys_seconds guess = as_utc - chrono::seconds(seconds);
      if (guess.time_since_epoch().count() != last && local(guess) == wall) {
        ++fits;
        last = guess.time_since_epoch().count();
      }
    }
  }
  return fits == 0 ? Fold::kSkipped : fits == 1 ? Fold::kOnce : Fold::kTwice;
}

LocalSeconds Zone::local(chrono::sys_seconds time) const {
  return LocalSeconds(time.time_since_epoch() + chrono::seconds(at(time).seconds));
}

std::optional<std::int32_t> Zone::offset_of(std::string_view abbreviation, chrono::sys_seconds time) const {
  // The one in force at about that time, else any of that name.
  for (const Period& period : data_->periods) {
    if (period.name != abbreviation) continue;
    const auto offset = at(time - chrono::seconds(period.seconds));
    if (offset.name == abbreviation) return offset.seconds;
  }
  for (const Period& period : data_->periods) {
    if (period.name == abbreviation) return period.seconds;
  }
  return std::nullopt;
}

std::string_view Zone::name() const {
  return data_->name;
}

}  // namespace mg::tool
