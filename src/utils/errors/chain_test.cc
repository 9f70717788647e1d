#include "mg/utils/errors/chain.h"

#include <gmock/gmock.h>

namespace mg::errors {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Chain, TextHasTheOutermostContextFirst) {
  const Chain chain = wrap(wrap(make_error(3, "bad <7>"), "parsing {}", "a"), "loading role {}", 7);
  EXPECT_EQ(chain.text(), R"(loading role 7 : parsing a : {"code":3,"status":"invalid","detail":"bad \u003c7\u003e"})");
  EXPECT_THAT(chain.contexts(), testing::ElementsAre("parsing a", "loading role 7"));
  EXPECT_EQ(chain.cause(), make_error(3, "bad <7>"));
}

TEST(Chain, FormatHasALineForEachContext) {
  const Chain chain = wrap(wrap(make_error(3, "x"), "inner"), "outer");
  EXPECT_EQ(format(chain), "{\"code\":3,\"status\":\"invalid\",\"detail\":\"x\"}\n  while inner\n  while outer");
}

TEST(Chain, BecomesItsErrorWhereAResultIsReturned) {
  const auto load = []() -> Result<int> { return std::unexpected(wrap(make_error(404, "no role"), "loading")); };
  EXPECT_EQ(load().error(), make_error(404, "no role"));
}

[[gnu::noinline]] Chain failing_call() {
  return wrap(make_error(3, "x"), "here");
}

TEST(Chain, HasTheStackOnlyWhenWanted) {
  const bool before = stacks_wanted();
  want_stacks(false);
  EXPECT_TRUE(failing_call().stack().empty());
  EXPECT_THAT(format(failing_call()), Not(HasSubstr("stack")));
  want_stacks(true);
  const Chain chain = failing_call();
  EXPECT_FALSE(chain.stack().empty());
  EXPECT_THAT(format(chain), testing::AllOf(HasSubstr("\nstack\n  #0 "), HasSubstr("  #1 "), HasSubstr("0x")));
  want_stacks(before);
}

TEST(WithContext, KeepsTheCodeAndLengthensTheDetail) {
  const Error inner{"node", 404, "no document", "Not Found"};
  const Result<int> outer = with_context(inner, "loading role {}", 7);
  EXPECT_EQ(outer.error(), (Error{"node", 404, "loading role 7 : no document", "Not Found"}));
  EXPECT_EQ(with_context(make_error(3, ""), "x").error().detail, "x");
}

TEST(IsCode, ComparesCodesAlone) {
  EXPECT_TRUE(is(make_error(3, "a"), make_error(3, "b")));
  EXPECT_FALSE(is(make_error(3, "a"), make_error(4, "a")));
  EXPECT_TRUE(is_code(wrap(make_error(3, "a"), "b"), code::kInvalid));
  EXPECT_TRUE(is_code(Result<int>(1), code::kOk));
  EXPECT_TRUE(is_code(Result<int>(fail(404, "x")), 404));
  EXPECT_FALSE(is_code(Result<int>(fail(404, "x")), code::kOk));
}

TEST(ToText, LeavesNothingOut) {
  EXPECT_EQ(to_text(Error{"id", 0, {}, {}}), R"({"code":0,"status":"","detail":""})");
  EXPECT_EQ(to_text(make_error(404, "\"\n<")), R"({"code":404,"status":"Not Found","detail":"\"\n\u003c"})");
}

}  // namespace
}  // namespace mg::errors
