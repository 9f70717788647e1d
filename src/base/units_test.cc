#include "mg/base/units.h"

#include <gtest/gtest.h>

namespace mg {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, ReadsEveryUnit) {
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_EQ(parse_duration("7ns"), 7ns);
  EXPECT_EQ(parse_duration("7us"), 7us);
  EXPECT_EQ(parse_duration("7µs"), 7us);
  EXPECT_EQ(parse_duration("7μs"), 7us);
  EXPECT_EQ(parse_duration("7ms"), 7ms);
  EXPECT_EQ(parse_duration("10s"), 10s);
  EXPECT_EQ(parse_duration("1m30s"), 90s);
  EXPECT_EQ(parse_duration("1h2m3.004s"), 1h + 2min + 3004ms);
  EXPECT_EQ(parse_duration("+1.5h"), 90min);
  EXPECT_EQ(parse_duration("-.5s"), -500ms);
  EXPECT_EQ(parse_duration("5.s"), 5s);
  EXPECT_EQ(parse_duration("1.0000000019s"), 1s + 1ns) << "below a nanosecond is cut";
  EXPECT_EQ(parse_duration("0.33333333333333333333h"), 20min - 1ns);
  EXPECT_EQ(parse_duration("2562047h47m16.854775807s"), std::chrono::nanoseconds::max());
}

TEST(ParseDuration, RejectsOtherTexts) {
  for (auto text : {"",
                    "1",
                    "s",
                    "-",
                    "+",
                    ".s",
                    "-.s",
                    "1 s",
                    " 1s",
                    "1s ",
                    "1d",
                    "1S",
                    "s1",
                    "1s1",
                    "1,5s",
                    "1e3s",
                    "--1s",
                    "0x1s",
                    "2562047h47m16.854775808s",
                    "99999999999999999999s",
                    "9223372037s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(FormatDuration, IsAsGoWritesIt) {
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(1ns), "1ns");
  EXPECT_EQ(format_duration(1100ns), "1.1µs");
  EXPECT_EQ(format_duration(2200us), "2.2ms");
  EXPECT_EQ(format_duration(3300ms), "3.3s");
  EXPECT_EQ(format_duration(90s), "1m30s");
  EXPECT_EQ(format_duration(1h), "1h0m0s");
  EXPECT_EQ(format_duration(-5001ms), "-5.001s");
  EXPECT_EQ(format_duration(std::chrono::nanoseconds::max()), "2562047h47m16.854775807s");
  EXPECT_EQ(format_duration(std::chrono::nanoseconds::min()), "-2562047h47m16.854775808s");
}

TEST(ParseBytes, ReadsPlainAndBinaryUnits) {
  EXPECT_EQ(parse_bytes("1048576"), 1048576u);
  EXPECT_EQ(parse_bytes("0"), 0u);
  EXPECT_EQ(parse_bytes("12B"), 12u);
  EXPECT_EQ(parse_bytes("64KiB"), 65536u);
  EXPECT_EQ(parse_bytes("1mib"), 1048576u);
  EXPECT_EQ(parse_bytes("3GiB"), 3ull << 30);
  EXPECT_EQ(parse_bytes("2TiB"), 2ull << 40);
  EXPECT_EQ(parse_bytes("18446744073709551615"), ~0ull);
}

TEST(ParseBytes, RejectsOtherTexts) {
  for (auto text :
       {"", "-1", "+1", "1.5MiB", "1 MiB", "1MB", "1M", "MiB", "16777216TiB", "18446744073709551616", "0x10"}) {
    EXPECT_FALSE(parse_bytes(text)) << text;
  }
}

TEST(FormatBytes, UsesTheLargestWholeUnit) {
  for (auto text : {"0", "1", "1023", "1KiB", "1025", "1MiB", "1536KiB", "2TiB"}) {
    EXPECT_EQ(format_bytes(*parse_bytes(text)), text);
  }
}

}  // namespace
}  // namespace mg
