#include "mg/utils/dtype/parse.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>

#include "mg/utils/dtype/dtype.h"

namespace mg::dtype {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Parse, TextsThatAreNoNumberAreZero) {
  for (const char* text :
       {"", " ", "x", "1x", " 12", "12 ", "0x10", "1e3", "1.5", "1_000", "--1", "+-1", "+", "-", "１２"}) {
    EXPECT_EQ(parse<std::int64_t>(text), 0) << text;
    EXPECT_EQ(parse<std::uint64_t>(text), 0u) << text;
  }
  EXPECT_EQ(parse<std::uint32_t>("+1"), 0u);
  EXPECT_EQ(parse<std::int32_t>("+1"), 1);
}

TEST(Parse, OutOfRangeIsTheNearestLimit) {
  EXPECT_EQ(parse<std::int64_t>("99999999999999999999"), INT64_MAX);
  EXPECT_EQ(parse<std::int64_t>("-99999999999999999999"), INT64_MIN);
  EXPECT_EQ(parse<std::int64_t>("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse<std::uint64_t>("18446744073709551616"), UINT64_MAX);
  EXPECT_EQ(parse<std::uint64_t>("-1"), 0u);
  EXPECT_EQ(parse<std::int32_t>("3000000000"), INT32_MAX);
  EXPECT_EQ(parse<std::int8_t>("-129"), -128);
  EXPECT_EQ(parse<std::uint8_t>("256"), 255);
  EXPECT_EQ(parse<std::int32_t>(3e9), INT32_MAX);
  EXPECT_EQ(parse<std::int32_t>(std::int64_t{-5'000'000'000}), INT32_MIN);
  EXPECT_EQ(parse<std::uint64_t>(-9), 0u);
  EXPECT_EQ(parse<std::int64_t>(UINT64_MAX), INT64_MAX);
}

TEST(Parse, FloatsToIntegersAreNeverUndefined) {
  for (const double value : {kNan, kInf, -kInf, 1e300, -1e300, 9223372036854775808.0, 18446744073709551616.0}) {
    const bool low = value < 0;
    const bool nan = value != value;
    EXPECT_EQ(parse<std::int64_t>(value), nan ? 0 : low ? INT64_MIN : INT64_MAX) << value;
    EXPECT_EQ(parse<std::int8_t>(value), nan ? 0 : low ? INT8_MIN : INT8_MAX) << value;
    EXPECT_EQ(parse<std::int32_t>(static_cast<float>(value)), nan ? 0 : low ? INT32_MIN : INT32_MAX) << value;
  }
  EXPECT_EQ(parse<std::uint64_t>(9223372036854775808.0), 9223372036854775808u);
  EXPECT_EQ(parse<std::uint8_t>(255.9), 255);
  EXPECT_EQ(parse<std::uint8_t>(-0.9), 0);
  EXPECT_EQ(parse<std::int8_t>(-128.9), -128);
  EXPECT_EQ(parse<std::int64_t>(-9223372036854775808.0), INT64_MIN);
  EXPECT_EQ(parse<float>(1e300), std::numeric_limits<float>::infinity());
}

TEST(Parse, AnyKindOfInput) {
  enum class Color : std::uint8_t { kRed = 7 };
  EXPECT_EQ(parse_int(nullptr), 0);
  EXPECT_EQ(parse_int(true), 1);
  EXPECT_EQ(parse_int(Color::kRed), 7);
  EXPECT_EQ(parse_int(std::optional<std::string>("12")), 12);
  EXPECT_EQ(parse_int(std::optional<int>()), 0);
  EXPECT_EQ(parse_int(std::make_unique<int>(5)), 5);
  EXPECT_EQ(parse_int(as_bytes("12")), 12);
  EXPECT_EQ(parse_int(Value("12")), 12);
  EXPECT_EQ(parse_int(Value(List{1})), 0);
  EXPECT_EQ(parse_int(std::chrono::milliseconds(5)), 5);
  EXPECT_EQ(parse_str(std::chrono::milliseconds(1500)), "1.5s");
  EXPECT_EQ(parse_str(Value(Dict{{"b", 2}, {"a", nullptr}, {"c", List{"x", 1.5}}})), "map[a:<nil> b:2 c:[x 1.5]]");
  EXPECT_TRUE(parse_bool(-1) && parse_bool(0.5) && parse_bool("t"));
  EXPECT_FALSE(parse_bool(kNan) || parse_bool("2") || parse_bool("yes") || parse_bool(-0.0));
}

template <class T>
std::string fault(const auto& input) {
  const Result<T> got = read<T>(input);
  if (got) return "none";
  EXPECT_EQ(got.error().code, code::kInvalid);
  return got.error().detail;
}

TEST(Read, NamesTheInputAndWhatIsWrong) {
  EXPECT_EQ(fault<int>("x"), R"("x" is not a whole number)");
  EXPECT_EQ(fault<int>(""), R"("" is not a whole number)");
  EXPECT_EQ(fault<std::int32_t>("3000000000"), R"("3000000000" is out of range: -2147483648 to 2147483647)");
  EXPECT_EQ(fault<std::uint64_t>("-1"), R"("-1" is not a whole number)");
  EXPECT_EQ(fault<std::uint8_t>(-1), "-1 is out of range: 0 to 255");
  EXPECT_EQ(fault<int>(1.5), "1.5 is not a whole number");
  EXPECT_EQ(fault<int>(kNan), "NaN is not a finite number");
  EXPECT_EQ(fault<std::int64_t>(9223372036854775808.0),
            "9.223372036854776e+18 is out of range: -9223372036854775808 to 9223372036854775807")
      << "the limit itself";
  EXPECT_EQ(fault<double>("inf"), R"("inf" is not a finite number)");
  EXPECT_THAT(fault<double>("1e400"), HasSubstr(R"("1e400" is out of range)"));
  EXPECT_THAT(fault<float>(1e39), HasSubstr("1e+39 is out of range"));
  EXPECT_EQ(fault<bool>("yes"), R"("yes" is not true or false)");
  EXPECT_EQ(fault<bool>(2), "2 is not true or false");
  EXPECT_EQ(fault<int>(nullptr), "null is not a whole number");
  EXPECT_EQ(fault<std::string>(Value(List{1})), "[1] is not a text");
  EXPECT_THAT(fault<int>(std::string(1000, 'x')), HasSubstr("..."));
  EXPECT_THAT(fault<int>("a\r\n\x1b[31m"), testing::Not(HasSubstr("\n"))) << "one line";
}

TEST(Read, TakesWhatFits) {
  EXPECT_EQ(*read<int>("-12"), -12);
  EXPECT_EQ(*read<std::int64_t>(-9223372036854775808.0), INT64_MIN);
  EXPECT_EQ(*read<std::uint64_t>(UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(*read<std::uint8_t>(255.0), 255);
  EXPECT_EQ(*read<double>(std::int64_t{1} << 62), 0x1p62);
  EXPECT_EQ(*read<bool>(1), true);
  EXPECT_EQ(*read<int>(true), 1);
  EXPECT_EQ(*read<std::string>(7), "7");
  EXPECT_EQ(*read<int>(Value(7.0)), 7);
  EXPECT_EQ(*read<int>(as_bytes("7")), 7);
}

TEST(Slice, ForgivingAndStrict) {
  const Value list = List{"1", 2, 3.9, "x", nullptr};
  EXPECT_THAT(parse_slice<int>(list), ElementsAre(1, 2, 3, 0, 0));
  EXPECT_THAT(parse_slice<std::string>(std::vector<double>{1e6, 0.5}), ElementsAre("1e+06", "0.5"));
  EXPECT_TRUE(parse_slice<int>(Value("text")).empty());
  EXPECT_TRUE(parse_slice<int>("text").empty());
  EXPECT_EQ(read_slice<int>(list).error().detail, "element 2: 3.9 is not a whole number");
  EXPECT_THAT(*read_slice<int>(std::vector<std::string>{"1", "2"}), ElementsAre(1, 2));
  EXPECT_EQ(read_slice<int>(Value(7)).error().detail, "7 is not a list");
}

TEST(Scan, EveryNumberComesBackFromItsText) {
  std::mt19937_64 random(42);
  for (int i = 0; i < 20000; ++i) {
    const auto bits = random() >> (random() % 64);
    const auto number = static_cast<std::int64_t>(random() % 2 == 0 ? bits : ~bits);
    ASSERT_EQ(scan<std::int64_t>(std::to_string(number)).value, number);
    ASSERT_EQ(scan<std::uint64_t>(std::to_string(bits)).value, bits);
    const double real = std::bit_cast<double>(random());
    if (!std::isfinite(real)) continue;
    ASSERT_EQ(scan<double>(float_text(real)).value, real) << float_text(real);
    const float small = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(small)) ASSERT_EQ(scan<float>(float_text(small)).value, small);
  }
}

TEST(Scan, OnceOutOfRangeTheRestIsNotReadAsInGo) {
  EXPECT_EQ(scan<std::uint32_t>("4294967296x").fault, Fault::kRange);
  EXPECT_EQ(scan<std::uint32_t>("429496729x").fault, Fault::kNotANumber);
  EXPECT_EQ(scan<std::uint64_t>("99999999999999999999999x").fault, Fault::kRange);
  EXPECT_EQ(scan<std::int32_t>("99999999999x").fault, Fault::kNotANumber);
}

TEST(FloatText, AsGoPrintsThem) {
  for (const auto& [value, text] : {std::pair(1e6, "1e+06"), std::pair(999999.0, "999999"), std::pair(0.0001, "0.0001"),
                                    std::pair(0.00001, "1e-05"), std::pair(-0.0, "-0"), std::pair(1e100, "1e+100"),
                                    std::pair(20999999.5, "2.09999995e+07"), std::pair(-kInf, "-Inf")}) {
    EXPECT_EQ(float_text(value), text);
  }
  EXPECT_EQ(float_text(0.1F), "0.1");
}

}  // namespace
}  // namespace mg::dtype
