// The Go original's answers about formulas (tests/golden/formula.json), and where we answer otherwise on purpose.
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/src.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/golden.h"
#include "mg/utils/formula/formula.h"
#include "utils/formula/arithmetic.h"
#include "utils/formula/lexer.h"
#include "utils/formula/number_text.h"
#include "utils/formula/reference_tree.h"

namespace mg::formula {
namespace {

namespace json = boost::json;

json::array golden_cases() {
  json::array cases = json::parse(golden::text("formula.json")).at("cases").as_array();
  EXPECT_FALSE(cases.empty());
  return cases;
}

bool in_group(const json::value& c, std::string_view group) {
  return c.at("group").as_string() == group;
}
// tokens, register and misc have tests of their own.
bool is_expression(const json::value& c) {
  return c.as_object().contains("mode");
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.as_string());
  std::string out;
  const std::string_view hex = value.at("hex").as_string();
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned octet = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, octet, 16);
    out += static_cast<char>(octet);
  }
  return out;
}

double from_bits(const json::value& value) {
  std::uint64_t bits = 0;
  const std::string_view hex = value.as_string();
  std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
  return std::bit_cast<double>(bits);
}

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

std::string field(const json::value& c, const char* name) {
  const auto* found = c.as_object().if_contains(name);
  return found != nullptr ? text_of(*found) : "";
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

// As the cases are written: every octet that is no UTF-8 is U+FFFD.
std::string as_json_shows(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t size = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
    bool good = lead < 0x80 || (lead >= 0xc2 && lead < 0xf5 && text.size() >= size);
    for (std::size_t i = 1; good && i < size; ++i) good = (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80;
    if (good && size > 2) {  // Not longer than needed, no surrogates, not beyond U+10FFFF.
      const auto second = static_cast<unsigned char>(text[1]);
      good = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second >= 0xa0) &&
             !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second >= 0x90);
    }
    out += good ? text.substr(0, size) : "\xef\xbf\xbd";
    text.remove_prefix(good ? size : 1);
  }
  return out;
}

std::uint64_t ulps_between(double a, double b) {
  const auto ordered = [](double x) {
    const auto bits = std::bit_cast<std::int64_t>(x);
    return bits < 0 ? std::numeric_limits<std::int64_t>::min() - bits : bits;
  };
  const auto distance = static_cast<__int128>(ordered(a)) - ordered(b);
  return static_cast<std::uint64_t>(distance < 0 ? -distance : distance);
}

// What went wrong with one case; empty: nothing.
std::string miss(const json::value& c, const Options& options) {
  const std::string text = text_of(c.at("expr"));
  const std::string outcome = field(c, "outcome");
  const std::string want_class = field(c, "class");
  const Result<double> got = evaluate(text, options);
  const std::string shown = got ? fmt::format("{:.17g}", *got) : "error " + got.error().detail;

  // Both ways to a value agree, whatever it should be.
  const Result<Program> program = compile(text, options);
  const Result<double> compiled = program ? program->evaluate() : std::unexpected(program.error());
  const testing::Outcome tree = testing::evaluate_tree(text, options);
  if (compiled.has_value() != got.has_value() || got.has_value() == tree.failed() ||
      (got ? !same(*got, *compiled) || !same(*got, tree.value) : tree.error != got.error().detail)) {
    return shown + ", but computed as a tree " + (tree.failed() ? tree.error : fmt::format("{:.17g}", tree.value));
  }

  if (outcome == "crash") {  // Endless recursion: a negative exponent, or one that is not a number.
    const bool named = !got && got.error().detail.starts_with("operand is not a number: [");
    return got || named ? "" : "should have a value, not " + shown;
  }
  if (outcome == "panic") return !got ? "" : "should be an error, not " + shown;  // Empty text, a function that panics.
  // White space at the end is white space.
  if (want_class == "symbol" && !text.empty() &&
      std::string_view("\t\n\v\f\r").find(text.back()) != std::string_view::npos) {
    const auto trimmed = evaluate(text.substr(0, text.find_last_not_of(" \t\n\v\f\r") + 1), options);
    const bool equal = trimmed ? got && same(*trimmed, *got) : !got;
    return equal ? "" : shown;
  }
  if (tree.beyond_int64) return "";
  if (outcome == "ok") {
    // A token in the place of a comma is told, not swallowed.
    static const std::regex without_comma(R"([0-9)]\s+[0-9]|[0-9]\s*\()");
    if (!got && got.error().detail.starts_with("want ',' or ')' but get") && std::regex_search(text, without_comma)) {
      return "";
    }
    const double want = from_bits(c.at("result_bits"));
    const auto* libm = c.as_object().if_contains("libm");
    if (libm != nullptr && libm->as_bool() && got && ulps_between(*got, want) <= 4) return "";
    return got && same(*got, want) ? "" : fmt::format("should be {:.17g}, not {}", want, shown);
  }
  if (got) return "should be the error " + field(c, "error") + ", not " + shown;
  if (want_class == "nan_operand") {
    return got.error().detail.starts_with("operand is not a number: [") ? "" : shown;
  }
  return as_json_shows(got.error().detail) == field(c, "error")
             ? ""
             : "should be the error " + field(c, "error") + ", not " + shown;
}

TEST(GoldenFormula, Expressions) {
  const Functions functions = testing::golden_functions();
  std::size_t misses = 0;
  for (const json::value& c : golden_cases()) {
    if (!is_expression(c)) continue;
    Options options{.functions = &functions};
    if (field(c, "mode") == "A") options.angle = Angle::kDegrees;
    if (const std::string what = miss(c, options); !what.empty()) {
      ++misses;
      ADD_FAILURE() << field(c, "id") << " " << first_line(text_of(c.at("expr"))).substr(0, 200) << "\n  " << what;
    }
  }
  EXPECT_EQ(misses, 0u);
}

TEST(GoldenFormula, Tokens) {
  for (const json::value& c : golden_cases()) {
    if (!in_group(c, "tokens")) continue;
    const std::string text = text_of(c.at("expr"));
    std::vector<detail::Token> tokens;
    const auto ok = detail::tokenize(text, nullptr, tokens);
    if (field(c, "outcome") != "ok") {
      // White space at the end is white space.
      if (text.find_last_not_of(" \t\n\v\f\r") + 1 < text.size() && ok) continue;
      EXPECT_EQ(ok ? "tokens" : ok.error().detail, field(c, "error")) << field(c, "id");
      continue;
    }
    ASSERT_TRUE(ok) << field(c, "id");
    std::string got;
    for (const auto& token : tokens) {
      static constexpr std::string_view kTypes[] = {"literal", "identifier", "operator", "comma"};
      const std::string_view view = token.view(text);
      got += fmt::format("{} {} {}; ", token.offset,
                         token.kind == detail::TokenKind::kNumber ? detail::number_text(view) : std::string(view),
                         kTypes[static_cast<std::size_t>(token.kind)]);
    }
    std::string want;
    for (const json::value& token : c.at("tokens").as_array()) {
      want += fmt::format("{} {} {}; ", token.at("offset").to_number<int>(), field(token, "tok"), field(token, "type"));
    }
    EXPECT_EQ(got, want) << field(c, "id");
  }
}

TEST(GoldenFormula, Register) {
  Functions functions = testing::golden_functions();
  for (const json::value& c : golden_cases()) {
    if (!in_group(c, "register")) continue;
    const auto count = c.at("argc").to_number<std::int64_t>();
    const auto arity = Arity::exactly(static_cast<std::size_t>(std::max<std::int64_t>(count, 0)));
    const auto got = functions.add(field(c, "name"), arity, [](std::span<const double>) { return 1.0; });
    EXPECT_EQ(got ? "ok" : "error", field(c, "outcome")) << field(c, "id");
    if (!got) {
      EXPECT_EQ(got.error().detail, field(c, "error")) << field(c, "id");
    }
  }
}

TEST(GoldenFormula, Misc) {
  for (const json::value& c : golden_cases()) {
    if (!in_group(c, "misc")) continue;
    const std::string id = field(c, "id");
    const std::string call = field(c, "call");
    if (call == "ErrPos") {
      EXPECT_EQ(detail::caret_lines(text_of(c.at("text")), c.at("pos").to_number<std::size_t>()), field(c, "result"))
          << id;
    } else if (call == "Float64ToStr") {
      EXPECT_EQ(detail::go_fixed(from_bits(c.at("in").at("bits"))), field(c, "result")) << id;
    } else if (call == "Pow") {
      const double x = from_bits(c.at("x").at("bits"));
      const double got = detail::power(x, c.at("n").to_number<double>());
      EXPECT_TRUE(same(got, from_bits(c.at("result").at("bits")))) << id << " " << got;
    } else if (c.as_object().contains("expr")) {
      // The constant pi and a function of that name live side by side.
      Functions functions;
      ASSERT_TRUE(functions.add("pi", [](double) { return 1.0; }));
      const auto got = evaluate(field(c, "expr"), {.functions = &functions});
      ASSERT_TRUE(got) << id;
      EXPECT_TRUE(same(*got, from_bits(c.at("result").at("bits")))) << id << " " << *got;
    } else {
      ADD_FAILURE() << id << ": unknown call " << call;
    }
  }
}

}  // namespace
}  // namespace mg::formula
