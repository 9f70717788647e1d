// The Go original's tools (tests/golden/tool.json), and where we answer otherwise on purpose.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "base/golden.h"
#include "mg/utils/dtype/convert.h"
#include "mg/utils/tool/chance.h"
#include "mg/utils/tool/date.h"
#include "mg/utils/tool/digest.h"
#include "mg/utils/tool/exec.h"
#include "mg/utils/tool/ids.h"
#include "mg/utils/tool/real_ip.h"
#include "mg/utils/tool/slices.h"
#include "mg/utils/tool/strings.h"
#include "mg/utils/tool/validate.h"

namespace mg::tool {
namespace {

using dtype::Value;

const dtype::List& golden_cases() {
  static const Value all = [] {
    auto value = dtype::parse_json(golden::text("tool.json"));
    EXPECT_TRUE(value) << (value ? "" : value.error().detail);
    return value ? *value : Value();
  }();
  static const dtype::List none;
  return all.at("cases").is_list() ? all.at("cases").as_list() : none;
}

// A text, or octets in hex.
std::string text_of(const Value& value) {
  return value.is_text() ? value.as_text() : from_hex(dtype::parse<std::string>(value.at("hex"))).value_or("");
}
std::string text(const Value& c, std::string_view key) {
  return text_of(c.at(key));
}
std::int64_t number(const Value& c, std::string_view key) {
  return dtype::parse<std::int64_t>(c.at(key));
}
bool panics(const Value& c) {
  return !c.at("outcome").is_null();
}

// Calls `check(case)` for every case of a call; what it returns is what is wrong.
void each(std::string_view call, auto check) {
  std::size_t count = 0;
  for (const Value& c : golden_cases()) {
    if (c.at("call") != Value(call)) continue;
    ++count;
    const std::string wrong = check(c);
    if (!wrong.empty()) ADD_FAILURE() << text(c, "id") << ": " << wrong;
  }
  EXPECT_GT(count, 0u) << call;
}
template <class T>
std::string differs(const T& got, const T& want) {
  return got == want ? "" : fmt::format("{} where {} should be", dtype::to_json(got), dtype::to_json(want));
}
std::string differs(const Value& got, const Value& want) {
  return got == want ? "" : fmt::format("{} where {} should be", dtype::to_json(got), dtype::to_json(want));
}

// ---- digests, texts ----------------------------------------------------------------------------------------------

TEST(GoldenTool, Digests) {
  each("Md5", [](const Value& c) { return differs(md5(text(c, "in")), text(c, "result")); });
  each("Sha256", [](const Value& c) { return differs(sha256(text(c, "in")), text(c, "result")); });
}

TEST(GoldenTool, Base64) {
  each("Base64Encode",
       [](const Value& c) { return differs(base64_encode(*from_hex(text(c, "in_hex"))), text(c, "result")); });
  each("Base64Decode", [](const Value& c) -> std::string {
    const auto got = base64_decode(text(c, "in"));
    if (got.has_value() != c.at("ok").as_bool()) return got ? "should be an error" : got.error().detail;
    return got ? differs(to_hex(*got), text(c, "result_hex")) : "";
  });
}

TEST(GoldenTool, Names) {
  each("UnderscoreToCamelCase",
       [](const Value& c) { return differs(snake_to_camel(text(c, "in")), text(c, "result")); });
  each("CamelCaseToUnderscore",
       [](const Value& c) { return differs(camel_to_snake(text(c, "in")), text(c, "result")); });
}

// A tag of a cache name as %v shows it, by way of our conversions.
std::string tag_text(const Value& tag) {
  const std::string type = text(tag, "type");
  if (type == "nil") return "<nil>";
  if (type == "float32") return dtype::parse<std::string>(dtype::parse<float>(tag.at("value")));
  if (type == "float64") return dtype::parse<std::string>(dtype::parse<double>(tag.at("value")));
  if (type == "time.Duration") return cache_name("", std::chrono::nanoseconds(number(tag, "value"))).substr(1);
  if (type == "[]uint8") {
    dtype::List octets;
    for (const char octet : *from_hex(text(tag, "hex"))) octets.emplace_back(static_cast<unsigned char>(octet));
    return dtype::plain_text(Value(octets));
  }
  if (!tag.at("items").is_null()) {
    dtype::List items;
    for (const Value& item : tag.at("items").as_list()) items.emplace_back(tag_text(item));
    return dtype::plain_text(Value(items));
  }
  if (!tag.at("json").is_null()) return dtype::plain_text(*dtype::parse_json(text(tag, "json")));
  return dtype::parse<std::string>(tag.at("value"));
}

TEST(GoldenTool, CacheNames) {
  each("GetCacheName", [](const Value& c) -> std::string {
    std::string got = cache_name(text(c, "prefix"));
    for (const Value& tag : c.at("tags").as_list()) {
      const std::string type = text(tag, "type");
      // Shapes that our languages do not share: pointers, structs.
      if (type.starts_with('*') || type.contains("struct") || type.contains("main.") || type.contains("error"))
        return "";
      got = cache_name(got, tag_text(tag));
    }
    return differs(got, text(c, "result"));
  });
}

// ---- lists -------------------------------------------------------------------------------------------------------

dtype::List typed(const Value& list) {
  if (list.is_list()) return list.as_list();
  return list.at("items").is_list() ? list.at("items").as_list() : dtype::List();
}

TEST(GoldenTool, Lists) {
  each("InSlice", [](const Value& c) -> std::string {
    if (panics(c)) return "";
    const Value& slice = c.at("slice");
    const bool is_list = !slice.at("items").is_null();  // Others have no members.
    const dtype::List items = typed(slice);
    return differs(Value(is_list && std::ranges::find(items, c.at("value")) != items.end()), c.at("result"));
  });
  each("SliceDiff",
       [](const Value& c) { return differs(Value(diff(typed(c.at("a")), typed(c.at("b")))), c.at("result")); });
  each("SliceIntersect",
       [](const Value& c) { return differs(Value(intersect(typed(c.at("a")), typed(c.at("b")))), c.at("result")); });
  each("SliceMerge",
       [](const Value& c) { return differs(Value(merge(typed(c.at("a")), typed(c.at("b")))), c.at("result")); });
  for (const char* call : {"SliceUnique", "Int32SliceUnique", "Int64SliceUnique", "StrSliceUnique"}) {
    each(call, [](const Value& c) { return differs(Value(unique(typed(c.at("a")))), c.at("result")); });
  }
  each("SliceSum", [](const Value& c) -> std::string {
    if (text(c.at("a"), "type") != "[]int64") return "";
    std::vector<std::int64_t> list;
    for (const Value& item : typed(c.at("a"))) list.push_back(number(item, "value"));
    return differs(std::to_string(sum(list)), text(c, "result"));
  });
  each("SplitStrSlice", [](const Value& c) {
    Value got;
    dtype::List parts;
    for (auto& part : split_unique(text(c, "in"), text(c, "sep"))) parts.emplace_back(part);
    if (!parts.empty()) got = parts;  // Go: nil when there is none.
    return differs(got, c.at("result"));
  });
}

TEST(GoldenTool, Chunks) {
  each("SliceChunk", [](const Value& c) -> std::string {
    const auto all = range(1, number(c, "slice_len"));
    const std::int64_t size = number(c, "size");
    const auto got = chunk(*all, static_cast<std::size_t>(size < 0 ? 0 : size));
    if (panics(c)) return got ? "should be an error" : "";
    // The original drops a last part that is shorter.
    dtype::List want = c.at("result").as_list();
    const auto rest = size == 0 ? 0 : all->size() % static_cast<std::size_t>(size);
    if (all->size() > static_cast<std::size_t>(size) && rest != 0) {
      dtype::List last;
      for (std::size_t i = all->size() - rest; i < all->size(); ++i) last.emplace_back((*all)[i]);
      want.emplace_back(last);
    }
    return got ? differs(dtype::to_value(*got), Value(want)) : got.error().detail;
  });
  each("SliceRange", [](const Value& c) -> std::string {
    const auto got = range(number(c, "start"), number(c, "end"), number(c, "step"));
    if (panics(c)) return got ? "should be an error" : "";
    if (!got) return got.error().detail;
    return differs(got->empty() ? Value() : dtype::to_value(*got), c.at("result"));
  });
  each("SlicePad", [](const Value& c) -> std::string {
    std::vector<std::int64_t> list;
    for (const Value& item : c.at("slice").as_list()) list.push_back(item.as_int());
    const std::int64_t size = number(c, "size");
    const auto got = pad(list, static_cast<std::size_t>(size < 0 ? 0 : size), number(c, "val"));
    // The original stops half way.
    if (size > static_cast<std::int64_t>(list.size())) {
      const bool good = got.size() == static_cast<std::size_t>(size) &&
                        std::equal(list.begin(), list.end(), got.begin()) &&
                        std::all_of(got.begin() + static_cast<std::ptrdiff_t>(list.size()), got.end(),
                                    [&](std::int64_t n) { return n == number(c, "val"); });
      return good ? "" : dtype::to_json(got);
    }
    return differs(dtype::to_value(got), c.at("result"));
  });
}

// ---- validation --------------------------------------------------------------------------------------------------

TEST(GoldenTool, Validation) {
  const std::pair<const char*, bool (*)(std::string_view)> rules[] = {{"Alpha", is_alpha},
                                                                      {"AlphaNum", is_alnum},
                                                                      {"AlphaDash", is_alnum_dash},
                                                                      {"Chs", is_chinese},
                                                                      {"ChsAlpha", is_chinese_alpha},
                                                                      {"ChsAlphaNum", is_chinese_alnum},
                                                                      {"ChsDash", is_chinese_dash},
                                                                      {"Mobile", is_mobile},
                                                                      {"Email", is_email},
                                                                      {"Number", is_number},
                                                                      {"Integer", is_integer},
                                                                      {"Float", is_decimal},
                                                                      {"PositiveInteger", is_positive_integer},
                                                                      {"NegativeInteger", is_negative_integer}};
  for (const auto& [call, rule] : rules) {
    each(call, [&](const Value& c) { return differs(Value(rule(text(c, "in"))), c.at("result")); });
  }
  each("Zip", [](const Value& c) {  // The original finds six digits anywhere.
    const std::string in = text(c, "in");
    return differs(Value(is_zip(in)), Value(in.size() == 6 && c.at("result").as_bool()));
  });
  each("IdCard", [](const Value& c) {
    const bool want = c.at("intended_rule").as_bool() && c.at("checksum_ok").as_bool();
    return differs(Value(is_id_card(text(c, "in"))), Value(want));
  });
}

// ---- dates -------------------------------------------------------------------------------------------------------

Zone zone_of(const Value& c) {
  const auto zone = Zone::find(text(c, "tz"));
  EXPECT_TRUE(zone) << (zone ? "" : zone.error().detail);
  return zone.value_or(Zone());
}

// 2021-01-01T00:00:00.5+08:00
Moment rfc3339(std::string_view written) {
  std::string head(written.substr(0, 19));
  written.remove_prefix(19);
  std::string fraction;
  if (written.starts_with('.')) {
    const std::size_t end = written.find_first_not_of("0123456789", 1);
    fraction = written.substr(0, end);
    written.remove_prefix(end);
  }
  const std::string zone = written == "Z" ? "+00:00" : std::string(written);
  const auto got = parse_date(head + fraction + zone, "Y-m-d\\TH:i:sP");
  EXPECT_TRUE(got) << head << fraction << zone;
  return got.value_or(Moment());
}
std::string shown(const Moment& moment) {
  std::string out = format_date("Y-m-d\\TH:i:s", moment);
  if (moment.nanoseconds != 0) {
    std::string fraction = fmt::format(".{:09}", moment.nanoseconds);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    out += fraction;
  }
  const std::string offset = format_date("P", moment);
  return out + (civil(moment).offset == 0 ? "Z" : offset);
}

TEST(GoldenTool, DateFormats) {
  each("TimeFormat", [](const Value& c) -> std::string {
    Moment moment = Moment::unix(number(c, "unix"), zone_of(c));
    if (const std::string instant = text(c, "instant"); instant.contains('.'))
      moment.nanoseconds = rfc3339(instant).nanoseconds;
    std::string wrong;
    for (const auto& [format, want] : c.at("formats").as_dict()) {
      const std::string got = format_date(format, moment);
      std::string expected = want.as_text();
      // Where the original trips over its layouts: words beside small letters, digits that are layouts, backslashes,
      // and G, which it writes with two digits.
      if (format == "G" || format == "nG") {
        expected = format_date(format == "G" ? "" : "n", moment) + std::to_string(civil(moment).hour);
      } else if (format == "Da" || format == "Ma") {
        expected = format_date(format.substr(0, 1), moment) + format_date("a", moment);
      } else if (format == "_j") {
        expected = "_" + std::to_string(civil(moment).day);
      } else if (format == "0j" || format == "0n") {
        expected = "0" + std::to_string(format == "0j" ? civil(moment).day : civil(moment).month);
      } else if (format == "Z07:00" || format == "2006-01-02 15:04:05") {
        expected = format;
      } else if (format.contains("000") || format.contains("999")) {
        const std::size_t digits = format.find_first_of("09");
        expected = format_date(format.substr(0, digits), moment) + format.substr(digits);
      } else if (format == "\\Y\\m") {
        expected = "Ym";
      } else if (format == "Y-m-d\\TH:i:sP") {
        expected = format_date("Y-m-d", moment) + "T" + format_date("H:i:sP", moment);
      } else if (format == "January Monday") {
        continue;  // As PHP reads it; the original ends in layouts of layouts.
      }
      if (got != expected) wrong += fmt::format("\n  {} gives {}, not {}", dtype::to_json(format), got, expected);
    }
    return wrong;
  });
}

TEST(GoldenTool, DateParsing) {
  each("StrToUnix/StrToTime", [](const Value& c) -> std::string {
    const auto got = parse_date(text(c, "in"), text(c, "format"), zone_of(c));
    if (got.has_value() != c.at("ok").as_bool()) return got ? "should be an error: " + shown(*got) : got.error().detail;
    if (!got) return "";
    return got->unix_seconds() != number(c, "unix") ? shown(*got) : differs(shown(*got), text(c, "time"));
  });
}

TEST(GoldenTool, DatesAround) {
  each("many", [](const Value& c) -> std::string {
    const bool is_now = c.at("group") == Value("now");
    // By the number where there is one: the texts have no seconds of old offsets, and five digits of far years.
    Moment moment = is_now ? rfc3339(text(c, "now")) : Moment::unix(number(c, "unix"));
    if (const std::string local = text(c, "local"); local.contains('.'))
      moment.nanoseconds = rfc3339(local).nanoseconds;
    const bool two_zones = !c.at("about_case").is_null();
    const Zone process = zone_of(c);
    moment.zone = two_zones ? *Zone::find("America/New_York") : process;
    using std::chrono::Friday, std::chrono::Monday, std::chrono::Sunday;
    std::map<std::string, std::string> got = {
        {"Datetime(unix)", format_date("Y-m-d H:i:s", Moment::unix(moment.unix_seconds(), process))},
        {"Datetime(unix,Y/m/d)", format_date("Y/m/d", Moment::unix(moment.unix_seconds(), process))},
        {"FormatDate", format_date("Y-m-d", moment)},
        {"FormatDatetime", format_date("Y-m-d H:i:s", moment)},
        {"FormatTime", format_date("H:i:s", moment)},
        {"GetFirstDateOfMonth", shown(first_day_of_month(moment))},
        {"GetLastDateOfMonth", shown(last_day_of_month(moment))},
        {"GetZeroTime", shown(day_begin(moment))},
        {"TimeDayBegin", shown(day_begin(moment))},
        {"TimeFindWeekDay(1,Mon)", shown(find_weekday(moment, 1, Monday))},
        {"TimeFindWeekDay(2,Sun)", shown(find_weekday(moment, 2, Sunday))},
        {"TimeFindWeekDay(5,Fri)", shown(find_weekday(moment, 5, Friday))},
        {"TimeMonthBegin", shown(month_begin(moment))},
        {"TimeMonthEnd", shown(month_end(moment))},
        {"TimeRFindWeekDay(1,Mon)", shown(find_weekday_from_end(moment, 1, Monday))},
        {"TimeRFindWeekDay(2,Sun)", shown(find_weekday_from_end(moment, 2, Sunday))},
        {"TimeRFindWeekDay(5,Fri)", shown(find_weekday_from_end(moment, 5, Friday))},
        {"TimeWeekBegin", shown(week_begin(moment))},
        {"TimeWeekEnd", shown(week_end(moment))},
        {"UnixToTime", shown(Moment::unix(moment.unix_seconds(), process))},
        // Of the process's clock.
        {"TodayTime", shown(day_begin(moment))},
        {"WeekTime", shown(day_begin(week_begin(moment)))},
        {"WeekEndTime", shown(day_begin(week_end(moment)))},
        {"MonthTime", shown(day_begin(month_begin(moment)))},
        {"TimeFindWeekDay(now,0,Mon)", shown(find_weekday(moment, 0, Monday))},
        {"TimeRFindWeekDay(now,0,Mon)", shown(find_weekday_from_end(moment, 0, Monday))},
    };
    for (const int hour : {-1, 2, 8, 25}) got[fmt::format("TimeDayHour({})", hour)] = shown(day_hour(moment, hour));
    std::string wrong;
    for (const auto& [name, want] : c.at("results").as_dict()) {
      // The original mixes two zones here: the date of the one, midnight of the other.
      if (two_zones && name.starts_with("TimeDay")) continue;
      if (!want.is_text() || !got.contains(name)) continue;
      if (got[name] != want.as_text()) wrong += fmt::format("\n  {} gives {}, not {}", name, got[name], want.as_text());
    }
    return wrong;
  });
}

TEST(GoldenTool, DatesCompared) {
  each("DiffDays/IsSame", [](const Value& c) -> std::string {
    const Moment from = rfc3339(text(c, "from"));
    const Moment to = rfc3339(text(c, "to"));
    const bool good =
        diff_days(from, to) == number(c, "DiffDays") && same_day(from, to) == c.at("IsSameDay").as_bool() &&
        same_month(from, to) == c.at("IsSameMonth").as_bool() && same_year(from, to) == c.at("IsSameYear").as_bool();
    return good ? "" : fmt::format("{} days", diff_days(from, to));
  });
  each("TimeToMinute", [](const Value& c) -> std::string {
    const auto in = number(c, "in");
    if (std::abs(in) > 1'000'000'000'000'000) return "";  // The original computes these with floats.
    return differs(std::to_string(seconds_to_minutes(in)), text(c, "result"));
  });
}

// ---- chance, the rest --------------------------------------------------------------------------------------------

TEST(GoldenTool, RandomShapes) {
  SeededRandom random(1);
  each("GenRandStr", [&](const Value& c) -> std::string {
    const std::int64_t length = number(c, "length");
    const std::string got = random_hex(random, static_cast<std::size_t>(length < 0 ? 0 : length));
    const bool good = static_cast<std::int64_t>(got.size()) == std::max<std::int64_t>(length, 0) &&
                      got.find_first_not_of("0123456789abcdef") == got.npos;
    return good ? "" : got;  // An odd length too, and nothing for a negative one.
  });
  each("GetRandom", [&](const Value& c) -> std::string {
    std::set<std::int64_t> seen;
    for (int i = 0; i < 2000; ++i) {
      const auto got = random_between(random, number(c, "min"), number(c, "max"));
      if (panics(c)) return got && number(c, "max") <= number(c, "min") ? "should be an error" : "";
      if (!got) return got.error().detail;
      seen.insert(*got);
    }
    if (c.at("all_values_seen").is_null()) return "";
    return differs(dtype::to_value(std::vector<std::int64_t>(seen.begin(), seen.end())), c.at("all_values_seen"));
  });
  each("GetRandomN", [&](const Value& c) -> std::string {
    const std::int64_t n = number(c, "n");
    const auto got =
        random_distinct(random, number(c, "min"), number(c, "max"), static_cast<std::size_t>(n < 0 ? 0 : n));
    if (panics(c)) return "";
    if (!got) return got.error().detail;
    const std::set<std::int64_t> distinct(got->begin(), got->end());
    const std::int64_t most =
        number(c, "max") - number(c, "min") + 1;  // Also the last one, which the original forgets.
    return distinct.size() == got->size() && static_cast<std::int64_t>(got->size()) == std::min(n, most) ? ""
                                                                                                         : "wrong size";
  });
  each("SliceRandList", [&](const Value& c) -> std::string {
    auto got = random_distinct(random, number(c, "min"), number(c, "max"), 1'000'000);
    if (panics(c)) return "";
    if (!got) return got.error().detail;
    std::ranges::sort(*got);
    return differs(dtype::to_value(*got), c.at("result_sorted"));
  });
  each("SliceShuffleInt", [&](const Value& c) {
    std::vector<int> list{5, 4, 3, 2, 1};
    shuffle(random, list);
    std::ranges::sort(list);
    return differs(dtype::to_value(list), c.at("sorted"));
  });
}

TEST(GoldenTool, AddressesOfClients) {
  each("GetHttpRealIP", [](const Value& c) -> std::string {
    const std::string remote = text(c, "remote_addr");
    const std::string forwarded = text(c, "x_forwarded_for");
    const std::string real = text(c, "x_real_ip");
    if (const std::string direct = ProxyList().client_ip(remote, forwarded, real); forwarded.empty() && real.empty()) {
      return differs(direct, text(c, "result"));
    }
    // From a trusted proxy one address is the same; lists are read from the end, and what is no address is not
    // believed.
    const auto proxies = ProxyList::parse({"1.2.3.4"});
    const std::string got = proxies->client_ip(remote, forwarded, real);
    const std::string want = text(c, "result");
    return parse_ip(want) && !forwarded.contains(',') && remote.starts_with("1.2.3.4:") ? differs(got, want) : "";
  });
}

TEST(GoldenTool, Commands) {
  each("ExecCmd", [](const Value& c) -> std::string {
    std::vector<std::string> arguments;
    for (const Value& argument : c.at("argv").as_list()) arguments.push_back(argument.as_text());
    const auto got = exec_output(arguments);
    if (got.has_value() != c.at("ok").as_bool()) return got ? "should be an error" : got.error().detail;
    if (got) return differs(*got, text(c, "stdout"));
    return got.error().code == code::kNotFound ? "" : differs(got.error().detail, text(c, "error"));
  });
}

}  // namespace
}  // namespace mg::tool
