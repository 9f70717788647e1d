#include "mg/utils/dtype/convert.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

namespace mg::dtype {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

enum class Job : std::uint8_t { kNone, kMage };

struct Item {
  std::int32_t id = 0;
  double level = 1;
  bool operator==(const Item&) const = default;
};
constexpr auto mg_fields(std::type_identity<Item>) {
  return fields(field("id", &Item::id), field("level", &Item::level));
}

struct Role {
  std::int64_t id = 0;
  std::string name;
  Job job = Job::kNone;
  std::vector<Item> items;
  std::map<std::string, int> bag;
  std::optional<Item> pet;
  std::unique_ptr<Item> mount;
  std::array<int, 2> place{};
  std::vector<std::byte> blob;
  std::vector<bool> flags;
  Value extra;

  friend constexpr auto mg_fields(std::type_identity<Role>) {
    return fields(field("id", &Role::id, FieldRule::kAsText), field("name", &Role::name, FieldRule::kOmitEmpty),
                  field("job", &Role::job), field("items", &Role::items),
                  field("bag", &Role::bag, FieldRule::kOmitEmpty), field("pet", &Role::pet),
                  field("mount", &Role::mount, FieldRule::kOmitEmpty), field("place", &Role::place),
                  field("blob", &Role::blob, FieldRule::kOmitEmpty), field("flags", &Role::flags),
                  field("extra", &Role::extra, FieldRule::kOmitEmpty));
  }
};

constexpr std::string_view kFull =
    R"({"id":"9007199254740993","name":"x","job":1,"items":[{"id":1,"level":2.5}],"bag":{"gold":7},)"
    R"("pet":{"id":3,"level":1},"mount":{"id":4,"level":1},"place":[5,6],"blob":"aGk=","flags":[true,false],"extra":[1]})";

TEST(Convert, AStructComesBackFromItsJson) {
  const auto role = from_json<Role>(kFull);
  ASSERT_TRUE(role) << role.error().detail;
  EXPECT_EQ(role->id, 9007199254740993);
  EXPECT_EQ(role->job, Job::kMage);
  EXPECT_EQ(role->mount->id, 4);
  EXPECT_EQ(to_json(*role), kFull);
  EXPECT_EQ(to_json(*from_value<Role>(to_value(*role))), kFull);
}

TEST(Convert, EmptyFieldsAreLeftOutWhereTheRuleSaysSo) {
  EXPECT_EQ(to_json(Role{}), R"({"id":"0","job":0,"items":[],"pet":null,"place":[0,0],"flags":[]})");
  const Dict dict = struct_to_dict(Role{});
  EXPECT_EQ(dict.size(), 11u) << "all of them here";
  EXPECT_EQ(*dict.find("id"), Value(0)) << "and no quotes";
}

std::string fault(std::string_view text) {
  const auto role = from_json<Role>(text);
  return role ? "none" : role.error().detail;
}

TEST(Convert, FaultsNameThePath) {
  EXPECT_EQ(fault(R"({"items":[{},{"id":"x"}]})"), R"(items[1].id: "x" is not a whole number)");
  EXPECT_EQ(fault(R"({"items":[{"id":1.0}]})"), "items[0].id: 1 is not a whole number");
  EXPECT_EQ(fault(R"({"items":[{"id":3000000000}]})"),
            "items[0].id: 3000000000 is out of range: -2147483648 to 2147483647");
  EXPECT_EQ(fault(R"({"bag":{"gold":null,"x":[]}})"), "bag.x: [] is not a whole number");
  EXPECT_EQ(fault(R"({"id":7})"), "id: 7 is not a value in quotes");
  EXPECT_EQ(fault(R"({"job":256})"), "job: 256 is out of range: 0 to 255");
  EXPECT_EQ(fault(R"({"blob":"!"})"), R"(blob: "!" is not base64)");
  EXPECT_EQ(fault(R"({"name":5})"), "name: 5 is not a text");
  EXPECT_EQ(fault(R"({"pet":[]})"), "pet: [] is not a dictionary");
  EXPECT_EQ(fault("[]"), "[] is not a dictionary");
  EXPECT_THAT(fault("{"), HasSubstr("not JSON"));
}

TEST(Convert, KeysMatchWithoutCaseAndOthersArePassedOver) {
  const auto item = from_json<Item>(R"({"ID":3,"Level":4,"none":[{}]})");
  ASSERT_TRUE(item);
  EXPECT_EQ(*item, (Item{3, 4}));
  EXPECT_EQ(from_json<Item>(R"({"id":1,"ID":2})")->id, 1) << "the exact one first";
}

TEST(Convert, UpdateChangesOnlyWhatIsNamedAndNothingOnAFault) {
  std::map<std::string, Item> bag{{"a", {1, 1}}};
  ASSERT_TRUE(update_from_json(bag, R"({"b":{"id":2}})"));
  EXPECT_EQ(bag.size(), 2u);
  Item item{7, 8};
  ASSERT_TRUE(update_from_json(item, R"({"level":9})"));
  EXPECT_EQ(item, (Item{7, 9}));
  EXPECT_FALSE(update_from_json(item, R"({"id":1,"level":"x"})"));
  EXPECT_EQ(item, (Item{7, 9}));
}

TEST(Convert, NumbersWithoutJsonAreRefused) {
  EXPECT_EQ(to_json(std::nan("")), "");
  EXPECT_EQ(to_json(Dict{{"a", List{std::nan("")}}}), "");
  EXPECT_EQ(to_json(Item{1, INFINITY}), "");
  EXPECT_EQ(encode_json(std::vector<double>{1, NAN}).error().code, code::kInvalid);
  EXPECT_EQ(to_json(Value(List{1, Dict{{"a", NAN}}})), "");
  EXPECT_EQ(*encode_json(1e300), "1e+300");
}

TEST(Convert, DictionariesComeFromDictionariesAlone) {
  EXPECT_EQ(to_dict(Item{1, 2}).size(), 2u);
  EXPECT_TRUE(to_dict(R"({"a":1})").empty()) << "a text is not parsed";
  EXPECT_TRUE(to_dict(5).empty());
  EXPECT_EQ(to_dict(std::map<std::string, int>{{"a", 1}}), (Dict{{"a", 1}}));
}

TEST(Merge, LeavesWhatTheSourceHasNot) {
  Item into{1, 2};
  merge(into, Item{0, 5});
  EXPECT_EQ(into, (Item{1, 5}));
  std::map<std::string, int> bag{{"a", 1}};
  merge(bag, {{"b", 2}});
  EXPECT_EQ(bag.size(), 2u);
}

struct Point {
  int x = 0;
  int y = 0;
};
void append_json(std::string& out, const Point& point) {
  out += fmt::format("\"{},{}\"", point.x, point.y);
}
Result<void> from_json_value(const Value& value, Point& out) {
  if (!value.is_text()) return fail(code::kInvalid, "no point");
  out.x = static_cast<int>(value.as_text().size());
  return {};
}

TEST(Convert, TypesMayBringTheirOwnForm) {
  EXPECT_EQ(to_json(std::vector<Point>{{1, 2}}), R"(["1,2"])");
  EXPECT_EQ(to_value(Point{1, 2}), Value("1,2"));
  EXPECT_EQ(from_json<std::vector<Point>>(R"(["abc"])")->front().x, 3);
  EXPECT_EQ(from_json<std::vector<Point>>("[5]").error().detail, "[0]: no point");
}

TEST(Fields, NamesOfStoresMayDiffer) {
  constexpr auto renamed = field("id", &Item::id).redis("i").bson("_id");
  static_assert(renamed.name == "id" && renamed.redis_name == "i" && renamed.bson_name == "_id");
  std::vector<std::string_view> names;
  for_each_field<Item>([&](const auto& item) { names.push_back(item.redis_name); });
  EXPECT_THAT(names, ElementsAre("id", "level"));
}

}  // namespace
}  // namespace mg::dtype
