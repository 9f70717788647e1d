#include "mg/utils/errors/language.h"

#include <gmock/gmock.h>

#include <thread>

namespace mg::errors {
namespace {

// Every test leaves the process without a language.
class Language : public testing::Test {
 protected:
  void TearDown() override { set_status_lookup(nullptr); }
};

TEST_F(Language, NewErrorsGetTheTextsOfTheOneSet) {
  EXPECT_EQ(make_error(404, "").status, "Not Found");
  ASSERT_TRUE(set_language("zh-cn"));
  EXPECT_EQ(make_error(404, "").status, "未找到");
  EXPECT_EQ(make_error(3, "").status, "参数无效");
  EXPECT_EQ(make_error(418, "").status, "I'm a teapot") << "no Chinese text: the HTTP phrase";
  EXPECT_EQ(make_error(10001, "").status, "unknown");
  ASSERT_TRUE(set_language("en-us"));
  EXPECT_EQ(make_error(3, "").status, "invalid");
  EXPECT_EQ(language(), "en-us");
}

TEST_F(Language, AnUnknownOneChangesNothingAndIsNamed) {
  ASSERT_TRUE(set_language("zh-cn"));
  const auto set = set_language("xx-yy");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, code::kNotFound);
  EXPECT_THAT(set.error().detail,
              testing::AllOf(testing::HasSubstr("xx-yy"), testing::HasSubstr("en-us"), testing::HasSubstr("zh-cn")));
  EXPECT_EQ(language(), "zh-cn");
  EXPECT_EQ(make_error(404, "").status, "未找到");
  EXPECT_EQ(text("xx-yy", 404), "unknown language");
}

TEST_F(Language, TextsAddedCountAtOnceAndReplaceOlderOnes) {
  ASSERT_TRUE(add_language("fr-fr", {{404, "introuvable"}, {10001, "pas assez d'or"}}));
  EXPECT_EQ(text("fr-fr", 404), "introuvable");
  EXPECT_EQ(text("fr-fr", 3), "invalid") << "not translated: the English word";
  ASSERT_TRUE(set_language("fr-fr"));
  EXPECT_EQ(make_error(10001, "").status, "pas assez d'or");
  ASSERT_TRUE(add_text("fr-fr", 404, "absent"));
  EXPECT_EQ(make_error(404, "").status, "absent");
  EXPECT_EQ(make_error(10001, "").status, "pas assez d'or");
  EXPECT_THAT(languages(), testing::IsSupersetOf({"en-us", "fr-fr", "zh-cn"}));
}

TEST_F(Language, RefusesEmptyNamesAndTexts) {
  EXPECT_EQ(add_language("", {}).error().code, code::kInvalid);
  EXPECT_EQ(add_language("de-de", {{3, ""}}).error().code, code::kInvalid);
  EXPECT_FALSE(has_language("de-de"));
}

TEST_F(Language, ErrorsAreMadeWhileTextsAreAdded) {
  ASSERT_TRUE(set_language("zh-cn"));
  std::jthread adder([] {
    for (std::int32_t i = 0; i < 200; ++i) ASSERT_TRUE(add_text("zh-cn", 20000 + i, "第" + std::to_string(i)));
  });
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(make_error(404, "").status, "未找到");
    const std::string status = make_error(20000 + i % 200, "").status;
    ASSERT_TRUE(status == "unknown" || status == "第" + std::to_string(i % 200)) << status;
  }
}

}  // namespace
}  // namespace mg::errors
