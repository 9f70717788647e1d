// The Go original's answers about errors (tests/golden/errors.json), and where we answer otherwise on purpose.
#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/golden.h"
#include "mg/utils/errors/chain.h"
#include "mg/utils/errors/convert.h"
#include "mg/utils/errors/language.h"

namespace mg::errors {
namespace {

namespace json = boost::json;

std::vector<json::object> golden_cases(std::string_view group) {
  std::vector<json::object> found;
  const json::value file = json::parse(golden::text("errors.json"));
  for (const auto& item : file.at("cases").as_array()) {
    if (item.at("group").as_string() == group) found.push_back(item.as_object());
  }
  EXPECT_FALSE(found.empty()) << "errors.json has no group " << group;
  return found;
}

std::string text_of(const json::object& from, std::string_view key) {
  return std::string(from.at(key).as_string());
}

std::int32_t code_of(const json::object& from) {
  return from.at("code").to_number<std::int32_t>();
}

bool has(const json::object& item, std::string_view key) {
  return item.contains(key);
}

void expect_same(const Error& got, const json::object& want, const json::value& id) {
  EXPECT_EQ(got.code, code_of(want)) << id;
  EXPECT_EQ(got.detail, text_of(want, "detail")) << id;
  EXPECT_EQ(got.status, text_of(want, "status")) << id;
}

// The errors that the cases name by the Go expression that makes them. Texts in them are in single quotes.
std::optional<Chain> error_named(const std::string& name) {
  static const std::regex kWrap(R"re((?:pkg/errors )?Wrap\((.*?)(?:,'(\w*)')?\))re");
  static const std::regex kMade(R"re((\w+)\((?:(-?\d+),)?(?:'(.*)')?\))re");
  static const std::regex kPlain(R"re((?:plain '(.*)'|text (.*)))re");
  static const std::regex kFmt(R"re(fmt\.Errorf\('(\w+): %w', (.*)\))re");
  static const std::regex kMicro(R"re(micro(?: id='?(\w*)'?)?(?: code=(\d+))?(?: detail=(\w+))?(?: status=(\w+))?)re");
  std::smatch m;
  if (std::regex_match(name, m, kFmt)) {
    const auto inner = error_named(m[2]);
    return inner ? std::optional(Chain(parse_error(m[1].str() + ": " + inner->text()))) : std::nullopt;
  }
  if (std::regex_match(name, m, kWrap)) {
    auto inner = error_named(m[1]);
    if (!inner) return std::nullopt;
    return wrap(*std::move(inner), "{}", m[2].str());
  }
  if (std::regex_match(name, m, kPlain)) return Chain(parse_error(m[1].matched ? m[1].str() : m[2].str()));
  if (name == "micro") return Chain(Error{"i", 5, "d", "s"});
  if (std::regex_match(name, m, kMicro)) {
    return Chain(Error{m[1], m[2].matched ? std::stoi(m[2]) : 0, m[3], m[4]});
  }
  const std::pair<const char*, std::int32_t> kMakers[] = {
      {"Universal", 1},  {"Unknown", 2},  {"Invalid", 3},      {"Exists", 4},         {"Started", 90},
      {"Finished", 91},  {"Other", 99},   {"Timeout", 408},    {"Unauthorized", 401}, {"Forbidden", 403},
      {"NotFound", 404}, {"Server", 500}, {"Unavailable", 503}};
  std::string maker = name, detail;
  std::int32_t code = 0;
  if (std::regex_match(name, m, kMade)) {
    maker = m[1];
    detail = m[3];
    if (m[2].matched) code = std::stoi(m[2]);
    if (maker == "New") return Chain(make_error(code, detail));
  }
  for (const auto& [known, its_code] : kMakers) {
    if (maker == known) return Chain(make_error(its_code, detail));
  }
  if (name == "context deadline exceeded") return Chain(parse_error(name));
  return std::nullopt;
}

// Go's zh-cn holds English words, and its en-us nothing for our own codes; here each language has its own.
TEST(GoldenErrors, Status) {
  for (const auto& item : golden_cases("status")) {
    const std::int32_t code = code_of(item);
    std::string want = text_of(item, "text");
    if (!has_language(text_of(item, "lang"))) {
      EXPECT_EQ(text(text_of(item, "lang"), code), want) << item.at("id");
      continue;
    }
    if (text_of(item, "lang") == kEnglish && code < 100 && want == "unknown") want = status_text(code);
    EXPECT_EQ(status_text(code), want) << item.at("id");
    EXPECT_EQ(text(kEnglish, code), want) << item.at("id");
    if (text(kChinese, code) == want) {
      EXPECT_TRUE(want == "unknown" || code >= 100) << item.at("id") << ": no Chinese text";
    }
  }
}

TEST(GoldenErrors, Codes) {
  for (const auto& item : golden_cases("codes")) {
    if (!has(item, "result")) {
      EXPECT_EQ(code_of(item), code::kOk) << item.at("id");
      continue;
    }
    const auto maker = error_named(text_of(item, "constructor"));
    ASSERT_TRUE(maker) << item.at("id");
    const auto& want = item.at("result").as_object();
    const bool formatted = item.at("args").as_array().size() == 2;
    const Error got = formatted ? fail(maker->cause().code, "why {}", 7).error() : *maker;
    expect_same(got, want, item.at("id"));
    EXPECT_EQ(to_text(got), text_of(want, "text")) << item.at("id");
  }
}

// One argument is the text as it is; with more, Go's printf is replaced by formats checked when they are compiled, so
// that only what follows from the text remains.
TEST(GoldenErrors, New) {
  for (const auto& item : golden_cases("new")) {
    const auto& args = item.at("args").as_array();
    const auto& want = item.at("result").as_object();
    std::string detail = text_of(want, "detail");
    if (args.empty()) detail.clear();
    if (args.size() == 1 && args[0].at("type").as_string() == "string" && args[0].at("value").is_string()) {
      detail = args[0].at("value").as_string();
    }
    const Error got = make_error(code_of(item), detail);
    expect_same(got, want, item.at("id"));
    EXPECT_EQ(to_text(got), text_of(want, "text")) << item.at("id");
  }
}

TEST(GoldenErrors, Parse) {
  for (const auto& item : golden_cases("parse")) {
    if (!item.at("result").is_object()) continue;  // nil: there is no error that is none.
    const auto& want = item.at("result").as_object();
    std::optional<Chain> made;
    if (has(item, "error_text") && item.at("error_text").is_string()) {
      made = Chain(parse_error(text_of(item, "error_text")));
    } else if (has(item, "error")) {
      made = error_named(text_of(item, "error"));
    }
    if (!made) {
      ADD_FAILURE() << item.at("id") << ": what is " << json::serialize(item) << "?";
      continue;
    }
    const Error& got = *made;
    if (code_of(want) == 0) {  // Go answers success there, which it must never be.
      EXPECT_EQ(got, make_error(code::kUnknown, text_of(item, "error_text"))) << item.at("id");
      continue;
    }
    expect_same(got, want, item.at("id"));
    EXPECT_EQ(to_text(got), text_of(want, "text")) << item.at("id");
  }
}

TEST(GoldenErrors, Micro) {
  for (const auto& item : golden_cases("micro")) {
    if (!item.at("result").is_object()) continue;
    const auto& want = item.at("result").as_object();
    const Error wanted{text_of(want, "id"), code_of(want), text_of(want, "detail"), text_of(want, "status")};
    EXPECT_EQ(to_json(wanted), text_of(want, "text")) << item.at("id");

    const std::string name = text_of(item, "error");
    const std::string id = text_of(item, "id_given");
    const auto made = error_named(name);
    if (!made) {
      ADD_FAILURE() << item.at("id") << ": what is " << name << "?";
      continue;
    }
    const bool is_text = name.starts_with("text ");
    const Error got = is_text ? for_wire(name.substr(5), id) : for_wire(*made, id);
    if (wanted.code == 0) {  // Go sends success there.
      EXPECT_EQ(got.code, code::kUnknown) << item.at("id");
      EXPECT_EQ(got.detail, wanted.detail) << item.at("id");
      continue;
    }
    EXPECT_EQ(to_json(got), text_of(want, "text")) << item.at("id");
  }
}

TEST(GoldenErrors, Wrap) {
  for (const auto& item : golden_cases("wrap")) {
    if (has(item, "format_of")) {
      const auto& of = item.at("format_of").as_object();
      const Error error{{}, code_of(of), text_of(of, "detail"), text_of(of, "status")};
      EXPECT_EQ(to_text(error), text_of(item, "s")) << item.at("id");
      continue;
    }
    if (!has(item, "inner") || !has(item, "text")) continue;  // Wrap(nil), Cause and As: types take care of them.
    auto inner = error_named(text_of(item, "inner"));
    if (!inner) {
      ADD_FAILURE() << item.at("id") << ": what is " << text_of(item, "inner") << "?";
      continue;
    }
    std::string context;
    for (const auto& arg : item.at("args").as_array()) context = arg.at("value").as_string();
    if (item.at("args").as_array().size() > 1) continue;  // printf
    const Error cause = inner->cause();
    const Chain got = wrap(*std::move(inner), "{}", context);
    // A text that is no error of ours is one with code 2 here, shown as any error; Go shows the bare text.
    std::string want = text_of(item, "text");
    const std::string bare = text_of(item, "cause_text");
    ASSERT_TRUE(want.ends_with(bare)) << item.at("id");
    want.replace(want.size() - bare.size(), bare.size(), to_text(cause));
    EXPECT_EQ(got.text(), want) << item.at("id");
    EXPECT_EQ(got.cause(), cause) << item.at("id");
    const std::string shown = format(got);
    EXPECT_TRUE(shown.starts_with(to_text(cause))) << item.at("id");
    EXPECT_NE(shown.find(context), shown.npos) << item.at("id") << ": the context stays, unlike in Go";
  }
}

TEST(GoldenErrors, IsCode) {
  for (const auto& item : golden_cases("iscode")) {
    if (text_of(item, "outcome") != "ok") continue;  // nil, where Go breaks.
    if (text_of(item, "call") == "IsCode") {
      const auto error = error_named(text_of(item, "error"));
      ASSERT_TRUE(error) << item.at("id");
      const std::int32_t code = code_of(item);
      const bool want = code != 0 && item.at("result").as_bool();  // No error is success here.
      EXPECT_EQ(is_code(*error, code), want) << item.at("id");
    } else {
      const auto a = error_named(text_of(item, "a"));
      const auto b = error_named(text_of(item, "b"));
      ASSERT_TRUE(a && b) << item.at("id");
      EXPECT_EQ(is(*a, *b), item.at("result").as_bool()) << item.at("id");
    }
  }
}

TEST(GoldenErrors, Language) {
  for (const auto& item : golden_cases("lang")) {
    const std::string about = has(item, "about_case") ? text_of(item, "about_case") : "";
    if (about.starts_with("SetDefaultLang(nope")) {
      EXPECT_TRUE(is_code(set_language("nope"), code::kNotFound));
      EXPECT_EQ(make_error(3, "").status, "invalid");
    } else if (about.starts_with("AddStatusText(nope")) {
      EXPECT_TRUE(is_code(add_text("nope", 3, "x"), code::kNotFound));
    } else if (about.starts_with("AddStatusText(zh-cn, 12345")) {
      ASSERT_TRUE(set_language(kChinese));
      ASSERT_TRUE(add_text("zh-cn", 12345, "自定义"));
      expect_same(make_error(12345, ""), item.at("results").at(0).as_object(), item.at("id"));
      EXPECT_EQ(text(kEnglish, 12345), std::string(item.at("results").at(1).as_string()));
      set_status_lookup(nullptr);
    } else if (about.starts_with("GetStatus(zh-cn)")) {
      EXPECT_TRUE(has_language("zh-cn") && !has_language("nope"));
    }
  }
}

}  // namespace
}  // namespace mg::errors
