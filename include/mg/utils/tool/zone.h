// mg/utils/tool/zone.h -- time zones of the IANA database, read from the system (/usr/share/zoneinfo).
//
//   Result<Zone> shanghai = Zone::find("Asia/Shanghai");
//   shanghai->at(now).seconds;                               // 28800: east of UTC
//   std::chrono::sys_seconds when = shanghai->instant(local);   // of a time on the wall there
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace mg::tool {

// A time as clocks on a wall show it, in no zone.
using LocalSeconds = std::chrono::local_seconds;

// A zone. Copies share it. Threads: shared.
class Zone {
 public:
  Zone() : Zone(utc()) {}
  static Zone utc();
  // Always the same offset. Requires: less than 24 hours (is cut to that).
  static Zone fixed(std::chrono::seconds offset, std::string name = "");
  // "Asia/Shanghai", "UTC", "" (UTC), "Local" (TZ, else /etc/localtime). Each zone is read once.
  // Errors: kNotFound  no such zone, or the database is not installed
  //         kInvalid   a name with .. or a leading /, or a file that is none
  static Result<Zone> find(std::string_view name);
  // From the octets of a TZif file. Source: RFC 8536.
  static Result<Zone> parse(std::string name, std::string_view octets);

  struct Offset {
    std::int32_t seconds = 0;  // East of UTC.
    std::string_view name;     // "CST", "-03". Lifetime: of the zone.
    bool summer = false;
    std::int64_t begin = INT64_MIN;  // Unix seconds between which it holds: [begin, end).
    std::int64_t end = INT64_MAX;
  };
  Offset at(std::chrono::sys_seconds time) const;
  // Of a time that clocks skip, the one as much earlier as they skip; of one that they show twice, the first.
  std::chrono::sys_seconds instant(LocalSeconds local) const;
  // The same, and what happens there.
  enum class Fold : std::uint8_t { kOnce, kSkipped, kTwice };
  Fold fold(LocalSeconds local) const;
  LocalSeconds local(std::chrono::sys_seconds time) const;

  // The offset that an abbreviation stands for here, preferably at about `time`.
  std::optional<std::int32_t> offset_of(std::string_view abbreviation, std::chrono::sys_seconds time) const;

  std::string_view name() const;

  class Data;

 private:
  explicit Zone(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace mg::tool
