// mg/utils/schedule/cron.h -- cron expressions: which moments they name.
//
//   Result<Cron> cron = Cron::parse("30 4 * * mon-fri");
//   std::optional<std::chrono::sys_seconds> next = cron->next(now, *tool::Zone::find("Asia/Shanghai"));
//
// Shape: [second] minute hour day month weekday, or @yearly @monthly @weekly @daily @hourly. A field is a list of
// *, ?, n, a-b, each with /step behind it; months and weekdays also by their first three letters, any case; weekday 0
// and 7 are Sunday. When day and weekday are both given, either will do.
#pragma once

#include <bitset>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "mg/utils/tool/zone.h"

namespace mg::schedule {

// A value. Threads: shared.
class Cron {
 public:
  // Errors: kInvalid  naming the field and what is wrong in it; a day that no month has
  static Result<Cron> parse(std::string_view text);

  // The first moment after `after`; nothing when there is none in the next 30 years (29 February on a Monday is).
  // When clocks are changed: of times that they show twice, an expression with given hours means the first; one with
  // `*` hours runs through both. For times that they skip, an expression with given hours runs when they jump.
  // Cost: microseconds, a few for each day without a match.
  std::optional<std::chrono::sys_seconds> next(std::chrono::sys_seconds after, const tool::Zone& zone) const;

  const std::string& text() const { return text_; }

 private:
  std::optional<std::chrono::sys_seconds> in_hour(tool::LocalSeconds hour, std::chrono::sys_seconds after,
                                                  const tool::Zone& zone) const;

  std::string text_;
  std::bitset<60> seconds_, minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1..31
  std::bitset<13> months_;   // 1..12
  std::bitset<7> weekdays_;  // 0 is Sunday.
  bool any_hour_ = false;
  bool any_day_ = false;
  bool any_weekday_ = false;
};

}  // namespace mg::schedule
