// Any format and text: what is read comes back from what is written; zones and rules from any octets.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mg/utils/tool/date.h"

namespace tool = mg::tool;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const tool::Zone kZone = tool::Zone::find("America/New_York").value_or(tool::Zone::utc());
  const std::size_t cut = text.find('\n');
  const std::string_view format = text.substr(0, cut);
  const std::string_view date = cut == text.npos ? std::string_view() : text.substr(cut + 1);
  if (const auto moment = tool::parse_date(date, format, kZone)) {
    (void)tool::format_date(format, *moment);
    const std::string whole = tool::format_date("Y-m-d H:i:s P", *moment);
    const auto again = tool::parse_date(whole, "Y-m-d H:i:s P");
    // Offsets with seconds, as before 1900, are not in the text.
    if (tool::civil(*moment).offset % 60 == 0 && tool::civil(*moment).year >= 0 &&
        (!again || again->time != moment->time)) {
      std::abort();
    }
    (void)tool::week_begin(*moment);
    (void)tool::find_weekday(*moment, 5, std::chrono::Friday);
  }
  std::int64_t number = 0;
  for (std::size_t i = 0; i < 8 && i < size; ++i)
    number = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) << 8 | data[i]);
  (void)tool::format_date("r T l F y G", tool::Moment::unix(number, kZone));
  if (const auto zone = tool::Zone::parse("fuzz", text)) {
    const auto at = zone->at(std::chrono::sys_seconds(std::chrono::seconds(number % 100'000'000'000)));
    if (at.begin > number % 100'000'000'000 || at.end <= number % 100'000'000'000) std::abort();
    (void)zone->instant(tool::LocalSeconds(std::chrono::seconds(number % 100'000'000'000)));
  }
  return 0;
}
