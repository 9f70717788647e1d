// The Go original's argument lists (tests/golden/redis_args.json), and where we do otherwise on purpose: octets are one
// argument, nothing to set is no command, and values that its client cannot encode are sent (lists and structs as JSON,
// durations as nanoseconds, a named text as the text).
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/src.hpp>
#include <map>
#include <set>

#include "base/golden.h"
#include "mg/store/redis/args.h"
#include "mg/store/redis/options.h"

namespace mg::redis {
namespace {

namespace json = boost::json;

json::array golden_cases() {
  const json::value file = json::parse(golden::text("redis_args.json"));
  EXPECT_FALSE(file.at("cases").as_array().empty()) << "redis_args.json";
  return file.at("cases").as_array();
}

std::string text_of(const json::value& value) {
  return std::string(value.as_string());
}

std::string unhex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoul(hex.substr(i, 2), nullptr, 16));
  }
  return out;
}

// Adds what Go describes as one argument; false: a type that has no counterpart (functions, pointers to structs …).
bool add_argument(Command& command, const json::object& value) {
  const std::string type = text_of(value.at("type"));
  const auto* const nil = value.if_contains("nil");
  if (type == "nil" || (nil && nil->is_bool() && nil->as_bool())) {
    command.add(nullptr);
  } else if (type == "[]uint8") {
    const std::string octets = unhex(text_of(value.at("hex")));
    add_value(command, std::as_bytes(std::span(octets)));
  } else if (type == "bool") {
    add_value(command, value.at("value").as_bool());
  } else if (type == "float32") {
    add_value(command,
              std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(text_of(value.at("bits")), nullptr, 16))));
  } else if (type == "float64") {
    add_value(command, std::bit_cast<double>(std::stoull(text_of(value.at("bits")), nullptr, 16)));
  } else if (type == "time.Time") {
    const auto time = parse_time(dtype::parse_json(text_of(value.at("json")))->as_text());
    if (!time) return false;  // The year 1, which nanoseconds do not reach.
    add_value(command, *time);
  } else if (type == "time.Duration") {
    add_value(command, std::chrono::nanoseconds(std::stoll(text_of(value.at("value")))));
  } else if (type.starts_with("uint")) {
    add_value(command, std::stoull(text_of(value.at("value"))));
  } else if (type.starts_with("int")) {
    add_value(command, std::stoll(text_of(value.at("value"))));
  } else if (value.contains("value") && value.at("value").is_string()) {
    add_value(command, text_of(value.at("value")));
  } else if (value.contains("json") && type != "binM") {
    add_value(command, *dtype::parse_json(text_of(value.at("json"))));
  } else if (value.contains("items")) {
    dtype::List list;
    for (const auto& item : value.at("items").as_array()) {
      const auto* const number = item.as_object().if_contains("value");
      if (!number) return false;
      list.push_back(text_of(*number));
    }
    add_value(command, dtype::Value(std::move(list)));
  } else {
    return false;
  }
  return true;
}

TEST(GoldenRedisArgs, OneArgument) {
  int compared = 0;
  for (const auto& item : golden_cases()) {
    const auto& test = item.as_object();
    const auto* const arguments = test.if_contains("args");
    const auto* const sent = test.if_contains("sent");
    if (test.at("group").as_string() != "wire" || !arguments || !sent) continue;
    SCOPED_TRACE(text_of(test.at("id")));
    Command command;
    bool known = true;
    for (const auto& argument : arguments->as_array()) known = known && add_argument(command, argument.as_object());
    if (!known) continue;
    ++compared;
    const auto got = command.arguments();
    if (sent->as_array().empty()) {  // Go refuses it.
      EXPECT_TRUE(test.contains("error"));
      EXPECT_EQ(got.size(), arguments->as_array().size());
      continue;
    }
    const auto& want = sent->as_array().at(0).as_array();
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (want[i].is_string()) {
        EXPECT_EQ(got[i], want[i].as_string());
      }
    }
  }
  EXPECT_GT(compared, 5);
}

// A field of a Go struct as reflection sees it.
struct GoField {
  std::string name;
  const json::object* value;
  bool omit_empty = false;
  int depth = 0;
  bool bad_tag = false;
};

void collect(const json::array& fields, int depth, std::vector<GoField>& out) {
  for (const auto& item : fields) {
    const auto& field = item.as_object();
    const std::string tag = field.contains("tag") ? text_of(field.at("tag")) : "";
    if (field.contains("embedded") && field.at("embedded").as_bool()) {
      if (field.contains("fields")) collect(field.at("fields").as_array(), depth + 1, out);
      continue;  // A pointer is passed over.
    }
    if (!field.at("exported").as_bool() || !field.contains("value")) continue;
    const std::string name = tag.substr(0, tag.find(','));
    if (name == "-") continue;
    GoField made{name.empty() ? text_of(field.at("field")) : name, &field.at("value").as_object(), false, depth, false};
    if (const auto comma = tag.find(','); comma != tag.npos) {
      const std::string option = tag.substr(comma + 1);
      made.omit_empty = option == "omitempty";
      made.bad_tag = !made.omit_empty && !option.empty();
    }
    out.push_back(std::move(made));
  }
}

bool is_empty(const json::object& value) {
  const std::string type = text_of(value.at("type"));
  if (type == "nil" || (value.contains("nil") && value.at("nil").as_bool())) return true;
  if (value.contains("items")) return value.at("items").as_array().empty();
  if (type == "[]uint8") return text_of(value.at("hex")).empty();
  if (type == "bool") return !value.at("value").as_bool();
  if (type.starts_with("map[")) return text_of(value.at("json")) == "{}";
  if (!value.contains("value") || type.starts_with("time.")) return false;
  const std::string text = text_of(value.at("value"));
  return text.empty() || text == "0";
}

// Structs by their description: each name once, the outermost one; two at one depth remove each other.
TEST(GoldenRedisArgs, Structs) {
  int compared = 0;
  for (const auto& item : golden_cases()) {
    const auto& test = item.as_object();
    const auto* const call = test.if_contains("call");
    const auto* const fields = test.if_contains("struct");
    if (!call || call->as_string() != "HSetStruct" || !fields || !test.at("nil").is_bool()) continue;
    SCOPED_TRACE(text_of(test.at("id")));
    std::vector<GoField> all;
    if (!test.at("nil").as_bool()) collect(fields->as_array(), 0, all);
    if (std::ranges::any_of(all, &GoField::bad_tag)) continue;  // Go panics.
    Command command("HSET", text_of(test.at("key")));
    bool known = true;
    for (const auto& field : all) {
      int same = 0, outer = 0;
      for (const auto& other : all) {
        if (other.name != field.name) continue;
        outer += other.depth < field.depth ? 1 : 0;
        same += other.depth == field.depth ? 1 : 0;
      }
      if (same > 1 || outer > 0 || (field.omit_empty && is_empty(*field.value))) continue;
      command.add(field.name);
      known = known && add_argument(command, *field.value);
    }
    if (!known || test.contains("error")) continue;
    ++compared;
    const auto& want = test.at("sent").as_array().at(0).as_array();
    std::map<std::string, std::string> wanted, got;
    for (std::size_t i = 2; i + 1 < want.size(); i += 2) wanted[text_of(want[i])] = text_of(want[i + 1]);
    const auto arguments = command.arguments();
    for (std::size_t i = 2; i + 1 < arguments.size(); i += 2) got[std::string(arguments[i])] = arguments[i + 1];
    EXPECT_EQ(got, wanted);
  }
  EXPECT_GT(compared, 5);
}

struct Basic {
  std::string name;
  int age = 0;
  bool plain = false;
  std::string skip;
};
constexpr auto mg_fields(std::type_identity<Basic>) {
  return fields(field("name", &Basic::name), field("age", &Basic::age), field("Plain", &Basic::plain),
                field("Skip", &Basic::skip).redis(""));
}

// A struct of ours with the fields of Go's rBasic.
TEST(GoldenRedisArgs, StructOfOurs) {
  int compared = 0;
  for (const auto& item : golden_cases()) {
    const auto& test = item.as_object();
    const auto* const input = test.if_contains("input");
    if (!input || !test.contains("struct") || !input->as_object().contains("json")) continue;
    const std::string type = text_of(input->at("type"));
    if (type != "rBasic" && type != "*rBasic") continue;
    SCOPED_TRACE(text_of(test.at("id")));
    const json::value raw = json::parse(text_of(input->at("json")));
    const Basic basic{text_of(raw.at("Name")), static_cast<int>(raw.at("Age").as_int64()), raw.at("Plain").as_bool(),
                      text_of(raw.at("Skip"))};
    Command command;
    add_flat(command, basic);
    const auto got = command.arguments();
    ++compared;
    if (test.contains("sent")) {
      const auto& want = test.at("sent").as_array().at(0).as_array();
      ASSERT_EQ(got.size() + 2, want.size());
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], want[i + 2].as_string());
    } else {
      EXPECT_EQ(got.size(), static_cast<std::size_t>(test.at("count").to_number<int>()));
    }
  }
  EXPECT_GT(compared, 0);
}

// Lists and maps are one argument for each element, keys and values; octets are one.
TEST(GoldenRedisArgs, Flat) {
  for (const auto& item : golden_cases()) {
    const auto& test = item.as_object();
    if (test.at("group").as_string() != "flat" || test.contains("struct") || !test.contains("args")) continue;
    SCOPED_TRACE(text_of(test.at("id")));
    const auto& input = test.at("input").as_object();
    const std::string type = text_of(input.at("type"));
    const auto count = static_cast<std::size_t>(test.at("count").to_number<int>());
    Command command;
    if (type == "[]uint8") {
      const std::string octets = unhex(text_of(input.at("hex")));
      add_flat(command, std::as_bytes(std::span(octets)));
      EXPECT_EQ(command.arguments(), (std::vector<std::string_view>{octets}));
    } else if (type == "[]string") {
      Texts texts;
      if (input.contains("items")) {
        for (const auto& each : input.at("items").as_array()) texts.push_back(text_of(each.at("value")));
      }
      add_flat(command, texts);
      ASSERT_EQ(command.size(), count);
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(command.arguments()[i], texts[i]);
    } else if (type.starts_with("map[string]")) {
      const bool nil = input.contains("nil") && input.at("nil").as_bool();
      add_flat(command, nil ? dtype::Dict() : dtype::parse_json(text_of(input.at("json")))->as_dict());
      EXPECT_EQ(command.size(), count);
    } else if (type == "int" || type == "string") {
      add_flat(command, text_of(input.at("value")));
      EXPECT_EQ(command.arguments(), (std::vector<std::string_view>{input.at("value").as_string()}));
    }
  }
}

TEST(GoldenRedisArgs, Urls) {
  for (const auto& item : golden_cases()) {
    const auto& test = item.as_object();
    if (test.at("group").as_string() != "url") continue;
    SCOPED_TRACE(text_of(test.at("id")));
    const auto got = parse_url(text_of(test.at("url")));
    const bool tls = test.contains("tls") && test.at("tls").as_bool();
    EXPECT_EQ(got.has_value(), test.at("ok").as_bool() && !tls) << (got ? "" : got.error().detail);
    if (!got || !test.contains("addr")) continue;
    const bool v6 = got->host.find(':') != std::string::npos;
    EXPECT_EQ(fmt::format("{}{}{}:{}", v6 ? "[" : "", got->host, v6 ? "]" : "", got->port),
              test.at("addr").as_string());
    EXPECT_EQ(got->password, test.at("password").as_string());
    EXPECT_EQ(got->user, test.at("username").as_string());
  }
}

}  // namespace
}  // namespace mg::redis
