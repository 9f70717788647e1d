#include "mg/utils/pb/pb.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <limits>
#include <string>

#include "mg/utils/debug/debug.h"

namespace mg::pb {
namespace {

using ::testing::HasSubstr;

TEST(Pb, ViewsOfOtherKindsAreEmpty) {
  const auto made = to_struct({{"id", 7}, {"name", "x"}, {"list", dtype::List{1, "2", true}}});
  const View view(made);
  EXPECT_EQ(view.field("id").get_int64(), 7);
  EXPECT_EQ(view.field("list").index(1).get_str(), "2");
  EXPECT_EQ(view.field("list").index(3).kind(), View::Kind::kUnset);
  EXPECT_EQ(view.field("list").index(-1).kind(), View::Kind::kUnset);
  EXPECT_EQ(view.field("name").field("x").index(0).get_float64(), 0);
  EXPECT_EQ(view.field("none").get_str(), "");
  EXPECT_EQ(View().size(), 0u);
}

TEST(Pb, NumbersOutOfRangeAreTheNearest) {
  google::protobuf::Value value;
  value.set_number_value(1e300);
  EXPECT_EQ(View(value).get_int32(), INT32_MAX);
  EXPECT_EQ(View(value).get_int64(), INT64_MAX);
  value.set_number_value(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(View(value).get_int64(), 0);
}

TEST(Pb, UnpackLeavesNothingOfAnotherType) {
  google::protobuf::Value value;
  value.set_string_value("x");
  const auto any = pack(value);
  ASSERT_TRUE(any);
  google::protobuf::ListValue list;
  EXPECT_EQ(unpack(*any, list).error().code, code::kInvalid);
  google::protobuf::Value again;
  ASSERT_TRUE(unpack(*any, again));
  EXPECT_EQ(again.string_value(), "x");
}

TEST(Pb, MessagesAreShownInTheirTextForm) {
  google::protobuf::Value value;
  value.set_string_value("名\n");
  EXPECT_THAT(debug::display(value), HasSubstr("string_value: \"名\\n\""));
  value.set_string_value(std::string(100'000, 'x'));
  EXPECT_LE(debug::display(value, 1000).size(), 1000u);
}

}  // namespace
}  // namespace mg::pb
