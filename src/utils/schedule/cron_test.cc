#include "mg/utils/schedule/cron.h"

#include <gmock/gmock.h>

#include "mg/utils/tool/date.h"

namespace mg::schedule {
namespace {

using ::testing::HasSubstr;
using tool::Zone;

// The next `count` moments, as local times with their offsets.
std::string nexts(std::string_view expression, std::string_view zone_name, std::string_view from, int count = 1) {
  const Zone zone = *Zone::find(zone_name);
  const auto cron = Cron::parse(expression);
  if (!cron) return cron.error().detail;
  auto at = tool::parse_date(from, "Y-m-d H:i:s", zone)->time;
  std::string out;
  for (int i = 0; i < count; ++i) {
    const auto next = cron->next(at, zone);
    if (!next) return out + "never";
    at = *next;
    if (i != 0) out += ", ";
    out += tool::format_date("D Y-m-d H:i:s P", tool::Moment{at, 0, zone});
  }
  return out;
}

TEST(Cron, NamesMoments) {
  EXPECT_EQ(nexts("30 4 * * *", "UTC", "2024-01-01 00:00:00"), "Mon 2024-01-01 04:30:00 +00:00");
  EXPECT_EQ(nexts("30 4 * * *", "UTC", "2024-01-01 04:30:00"), "Tue 2024-01-02 04:30:00 +00:00");
  EXPECT_EQ(nexts("*/20 * * * *", "UTC", "2024-01-01 00:50:00", 2),
            "Mon 2024-01-01 01:00:00 +00:00, Mon 2024-01-01 01:20:00 +00:00");
  EXPECT_EQ(nexts("*/15 30 23 31 dec *", "UTC", "2024-01-01 00:00:00", 2),
            "Tue 2024-12-31 23:30:00 +00:00, Tue 2024-12-31 23:30:15 +00:00");
  EXPECT_EQ(nexts("0 0 * * MON-fri", "UTC", "2024-01-05 12:00:00"), "Mon 2024-01-08 00:00:00 +00:00");
  EXPECT_EQ(nexts("0 0 * * sat-sun", "UTC", "2024-01-05 12:00:00", 2),
            "Sat 2024-01-06 00:00:00 +00:00, Sun 2024-01-07 00:00:00 +00:00");
  EXPECT_EQ(nexts("0 0 * * 7", "UTC", "2024-01-05 12:00:00"), "Sun 2024-01-07 00:00:00 +00:00");
  EXPECT_EQ(nexts("@monthly", "Asia/Shanghai", "2024-01-05 12:00:00"), "Thu 2024-02-01 00:00:00 +08:00");
  EXPECT_EQ(nexts("0 0 29 2 *", "UTC", "2025-01-05 12:00:00"), "Tue 2028-02-29 00:00:00 +00:00");
  EXPECT_EQ(nexts("0 9,18 * * *", "UTC", "2024-01-05 12:00:00"), "Fri 2024-01-05 18:00:00 +00:00");
}

TEST(Cron, OfDayAndWeekdayEitherWillDo) {
  EXPECT_EQ(nexts("0 0 13 * fri", "UTC", "2024-09-01 00:00:00", 3),
            "Fri 2024-09-06 00:00:00 +00:00, Fri 2024-09-13 00:00:00 +00:00, Fri 2024-09-20 00:00:00 +00:00");
  EXPECT_EQ(nexts("0 0 2 * sun", "UTC", "2024-09-01 00:00:00"), "Mon 2024-09-02 00:00:00 +00:00");
}

TEST(Cron, ATimeThatClocksSkipIsWhenTheyJump) {
  EXPECT_EQ(nexts("30 2 * * *", "America/New_York", "2021-03-13 12:00:00", 2),
            "Sun 2021-03-14 03:00:00 -04:00, Mon 2021-03-15 02:30:00 -04:00");
  EXPECT_EQ(nexts("*/30 * * * *", "America/New_York", "2021-03-14 01:00:00", 3),
            "Sun 2021-03-14 01:30:00 -05:00, Sun 2021-03-14 03:00:00 -04:00, Sun 2021-03-14 03:30:00 -04:00");
}

TEST(Cron, OfATimeThatComesTwiceTheFirstUnlessEveryHourCounts) {
  EXPECT_EQ(nexts("30 1 * * *", "America/New_York", "2021-11-06 12:00:00", 2),
            "Sun 2021-11-07 01:30:00 -04:00, Mon 2021-11-08 01:30:00 -05:00");
  EXPECT_EQ(nexts("30 * * * *", "America/New_York", "2021-11-07 00:45:00", 3),
            "Sun 2021-11-07 01:30:00 -04:00, Sun 2021-11-07 01:30:00 -05:00, Sun 2021-11-07 02:30:00 -05:00");
  // Half an hour, on an island.
  EXPECT_EQ(nexts("0 * * * *", "Australia/Lord_Howe", "2021-04-04 00:59:00", 3),
            "Sun 2021-04-04 01:00:00 +11:00, Sun 2021-04-04 02:00:00 +10:30, Sun 2021-04-04 03:00:00 +10:30");
}

TEST(Cron, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> wrong[] = {{"", "0 fields"},
                                                       {"* * * *", "4 fields"},
                                                       {"60 * * * *", "minute \"60\""},
                                                       {"* 24 * * *", "hour"},
                                                       {"* * 0 * *", "day \"0\""},
                                                       {"* * * 13 *", "month"},
                                                       {"* * * jann *", "month"},
                                                       {"* * * * 8", "weekday"},
                                                       {"5-1 * * * *", "ends before"},
                                                       {"*/0 * * * *", "step"},
                                                       {"1,,2 * * * *", "minute"},
                                                       {"-1 * * * *", "minute"},
                                                       {"* * 31 feb *", "no month"},
                                                       {"@never", "1 fields"},
                                                       {"+5 * * * *", "minute"}};
  for (const auto& [text, what] : wrong) {
    const auto got = Cron::parse(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code, code::kInvalid);
    EXPECT_THAT(got.error().detail, HasSubstr(what)) << text;
  }
  EXPECT_FALSE(Cron::parse(std::string(100'000, '*')));
}

}  // namespace
}  // namespace mg::schedule
