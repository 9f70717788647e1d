// Any text as a cron expression: the next moments grow, are named by it, and nothing lies between.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mg/utils/schedule/cron.h"

namespace tool = mg::tool;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using std::chrono::sys_seconds;
  static const tool::Zone kZone = tool::Zone::find("America/New_York").value_or(tool::Zone::utc());
  const auto cron = mg::schedule::Cron::parse({reinterpret_cast<const char*>(data), size});
  if (!cron) return 0;
  // From hours before the clocks go forward, and back.
  for (const std::int64_t begin : {1'710'050'000, 1'730'600'000, 951'700'000}) {
    sys_seconds after{std::chrono::seconds(begin)};
    for (int i = 0; i < 20; ++i) {
      const auto next = cron->next(after, kZone);
      if (!next) break;
      if (*next <= after) std::abort();
      // From anywhere in between it is the same one.
      if (cron->next(after + (*next - after) / 2, kZone) != next) std::abort();
      after = *next;
    }
  }
  return 0;
}
