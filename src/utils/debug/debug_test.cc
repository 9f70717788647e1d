#include "mg/utils/debug/debug.h"

#include <gmock/gmock.h>

#include <map>
#include <vector>

#include "mg/utils/dtype/fields.h"

namespace mg::debug {
namespace {

struct Role {
  int id = 7;
  std::string name = "x,\"{";
  std::vector<int> bag{1, 2};
  std::map<std::string, int> empty;
  friend constexpr auto mg_fields(std::type_identity<Role>) {
    return fields(field("id", &Role::id), field("name", &Role::name), field("bag", &Role::bag),
                  field("empty", &Role::empty));
  }
};

TEST(Display, ShowsStructsByLine) {
  EXPECT_EQ(display(Role()), R"({
  "id": 7,
  "name": "x,\"{",
  "bag": [
    1,
    2
  ],
  "empty": {}
})");
  EXPECT_EQ(display(1.5), "1.5");
}

TEST(Display, IsCut) {
  const std::string text = display(std::vector<int>(100'000, 1), 1000);
  EXPECT_LT(text.size(), 1100u);
  EXPECT_THAT(text, testing::HasSubstr("octets more)"));
  EXPECT_LT(indent_json(std::string(100'000, '[')).size(), 20'000u);
}

TEST(Profile, TellsTimeAndMemory) {
  ManualClock clock;
  const Profile profile("load", clock);
  clock.advance(std::chrono::milliseconds(1500));
  EXPECT_THAT(profile.text(), testing::StartsWith("load: 1.5s, memory "));
  EXPECT_GT(resident_bytes(), 1'000'000u);
}

}  // namespace
}  // namespace mg::debug
