// The Go original's answers about metadata (tests/golden/meta.json), and where we answer otherwise on purpose.
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/src.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/golden.h"
#include "mg/meta/agent_meta.h"
#include "mg/meta/data_meta.h"
#include "mg/meta/header.h"
#include "mg/meta/meta.h"

namespace mg {
namespace {

namespace json = boost::json;
using Map = std::map<std::string, std::string>;

json::array golden_cases(const char* group) {
  json::array cases;
  for (const json::value& c : json::parse(golden::text("meta.json")).at("cases").as_array()) {
    if (c.at("group").as_string() == group) cases.push_back(c);
  }
  EXPECT_FALSE(cases.empty()) << group;
  return cases;
}

std::string unhex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned octet = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, octet, 16);
    out += static_cast<char>(octet);
  }
  return out;
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_object()) return unhex(value.at("hex").as_string());
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  return json::serialize(value);
}

Map map_of(const json::value& value) {
  Map map;
  for (const auto& [key, item] : value.as_object()) map.emplace(key, text_of(item));
  return map;
}

Map map_of(const Meta& meta) {
  Map map;
  meta.for_each([&](std::string_view key, std::string_view value) { map.emplace(key, value); });
  return map;
}

template <class T>
T float_of(const json::value& bits) {
  std::uint64_t raw = 0;
  const std::string text = text_of(bits);
  std::from_chars(text.data(), text.data() + text.size(), raw, 16);
  if constexpr (sizeof(T) == 4) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(raw));
  } else {
    return std::bit_cast<double>(raw);
  }
}

// A value of the cases, as a type of its own with a JSON form.
struct GoValue {
  const json::object& input;
};
bool has(const GoValue& value, const char* field) {
  return value.input.contains(field);
}
void append_json(std::string& out, const GoValue& value) {
  const std::string type = text_of(value.input.at("type"));
  if (type == "nil" || (has(value, "nil") && value.input.at("nil").as_bool())) {
    json_text::append(out, nullptr);
  } else if (type == "json.RawMessage") {
    std::string raw;
    for (const json::value& item : value.input.at("items").as_array()) {
      raw += static_cast<char>(std::stoi(text_of(item.at("value"))));
    }
    out += json::serialize(json::parse(raw));  // Go's encoder takes the white space out.
  } else if (has(value, "items")) {
    std::vector<GoValue> items;
    for (const json::value& item : value.input.at("items").as_array()) items.push_back({item.as_object()});
    json_text::append(out, items);
  } else if (has(value, "json")) {
    out += text_of(value.input.at("json"));
  } else if (type == "float32") {
    json_text::append(out, float_of<float>(value.input.at("bits")));
  } else if (type == "float64") {
    json_text::append(out, float_of<double>(value.input.at("bits")));
  } else if (type == "string") {
    json_text::append(out, text_of(value.input.at("value")));
  } else {
    out += text_of(value.input.at("value"));
  }
}

bool set_value(Meta& meta, const char* key, const json::object& input) {
  const GoValue value{input};
  const std::string type = text_of(input.at("type"));
  if (has(value, "hex")) return meta.set(key, unhex(text_of(input.at("hex"))));
  if (type == "string") return meta.set(key, text_of(input.at("value")));
  if (type == "bool") return meta.set(key, input.at("value").as_bool());
  if (type == "float32") return meta.set(key, float_of<float>(input.at("bits")));
  if (type == "float64") return meta.set(key, float_of<double>(input.at("bits")));
  if (type.starts_with("uint")) return meta.set(key, std::strtoull(text_of(input.at("value")).c_str(), nullptr, 10));
  if (type.starts_with("int")) return meta.set(key, std::strtoll(text_of(input.at("value")).c_str(), nullptr, 10));
  return meta.set(key, value);
}

#define EXPECT_CASE(c, actual, expected) EXPECT_EQ(actual, expected) << text_of((c).at("id"))

TEST(GoldenMeta, Values) {
  for (const json::value& c : golden_cases("value")) {
    const json::object& input = c.at("input").as_object();
    const std::string type = text_of(input.at("type"));
    if (input.size() == 1 && type != "nil") continue;  // func, chan, error: they do not compile here.
    Meta meta;
    set_value(meta, "K", input);
    std::string expected = text_of(c.at("stored"));
    if (expected.empty() && input.contains("bits")) {
      // Go drops NaN and infinities; here they keep their names and read back.
      const double value = type == "float32" ? float_of<float>(input.at("bits")) : float_of<double>(input.at("bits"));
      expected = std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    } else if (expected.empty() && (input.contains("items") || input.contains("json"))) {
      continue;  // A list with NaN: Go drops it all, here it has null.
    } else if (type.starts_with("named") && expected.starts_with('"')) {
      expected = text_of(input.at("value"));  // A text with a type of its own is a text.
    }
    EXPECT_CASE(c, meta.get("K"), expected) << " " << type;
  }
}

template <class T>
void expect_float(const json::value& c, T actual, const json::value& expected) {
  const T wanted = float_of<T>(expected.at("bits"));
  if (std::isnan(wanted)) {
    EXPECT_TRUE(std::isnan(actual)) << text_of(c.at("id"));
  } else {
    EXPECT_CASE(c, actual, wanted);
    EXPECT_CASE(c, std::signbit(actual), std::signbit(wanted));
  }
}

std::int32_t clamped(const json::value& number) {
  const std::int64_t value = std::strtoll(text_of(number).c_str(), nullptr, 10);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(value, std::numeric_limits<std::int32_t>::min(),
                                                            std::numeric_limits<std::int32_t>::max()));
}

TEST(GoldenMeta, Getters) {
  for (const json::value& c : golden_cases("getter")) {
    const std::string stored = text_of(c.at("stored"));
    const Meta meta{{"K", stored}};
    EXPECT_CASE(c, meta.get("K"), text_of(c.at("Get")));
    EXPECT_CASE(c, meta.get_bool("K"), c.at("Bool").as_bool());
    EXPECT_CASE(c, std::to_string(meta.get_int("K")), text_of(c.at("Int")));
    EXPECT_CASE(c, std::to_string(meta.get_int64("K")), text_of(c.at("Int64")));
    EXPECT_CASE(c, std::to_string(meta.get_uint32("K")), text_of(c.at("Uint32")));
    EXPECT_CASE(c, std::to_string(meta.get_uint64("K")), text_of(c.at("Uint64")));
    // Go cuts an int32 to its low bits; here it is the nearest limit, as with the other types.
    EXPECT_CASE(c, meta.get_int32("K"), clamped(c.at("Int")));
    expect_float(c, meta.get_float32("K"), c.at("Float32"));
    expect_float(c, meta.get_float64("K"), c.at("Float64"));
  }
}

template <class T>
void expect_slice(const json::value& c, const char* name) {
  const json::value& expected = c.at(name);
  const Result<std::vector<T>> got = Meta{{"K", text_of(c.at("text"))}}.get_slice<T>("K");
  ASSERT_EQ(got.has_value(), expected.at("ok").as_bool()) << text_of(c.at("id")) << " " << name;
  if (!got || !expected.at("value").is_array()) {
    EXPECT_CASE(c, got.value_or(std::vector<T>()).size(), 0u);
    return;
  }
  std::vector<T> wanted;
  for (const json::value& item : expected.at("value").as_array()) {
    if constexpr (std::same_as<T, std::string>) {
      wanted.push_back(text_of(item));
    } else if constexpr (std::floating_point<T>) {
      wanted.push_back(static_cast<T>(item.to_number<double>()));
    } else {
      wanted.push_back(item.to_number<T>());
    }
  }
  EXPECT_CASE(c, *got, wanted) << name;
}

TEST(GoldenMeta, Slices) {
  for (const json::value& c : golden_cases("slice")) {
    expect_slice<std::int64_t>(c, "ParseIntSlice");
    expect_slice<std::int32_t>(c, "ParseInt32Slice");
    expect_slice<std::int64_t>(c, "ParseInt64Slice");
    expect_slice<float>(c, "ParseFloat32Slice");
    expect_slice<double>(c, "ParseFloat64Slice");
    expect_slice<std::string>(c, "ParseStrSlice");
  }
}

TEST(GoldenMeta, Contexts) {
  for (const json::value& c : golden_cases("context")) {
    Meta meta;
    if (const json::value* in = c.as_object().if_contains("in"); in != nullptr && in->is_object()) {
      std::vector<std::string> texts;
      std::vector<Meta::Entry> headers;
      const Map map = map_of(*in);
      for (const auto& [key, value] : map) headers.emplace_back(key, value);
      meta = meta_from_headers(headers);
    }
    const Result<void> got = require_meta(meta);
    ASSERT_EQ(got.has_value(), c.at("outcome").as_string() == "ok") << text_of(c.at("id"));
    if (got) {
      EXPECT_CASE(c, map_of(meta), map_of(c.at("out")));
    } else {
      const json::value error = json::parse(text_of(c.at("error")));
      EXPECT_CASE(c, got.error().code, error.at("code").to_number<int>());
      EXPECT_CASE(c, got.error().status, text_of(error.at("status")));
      EXPECT_CASE(c, got.error().detail, text_of(error.at("detail")));
    }
  }
}

TEST(GoldenMeta, Data) {
  for (const json::value& c : golden_cases("data")) {
    DataMeta meta("db", "node", "");
    set_value(meta, "Data-Id", c.at("data_id").as_object());
    const std::string id = text_of(c.at("DataId"));
    EXPECT_CASE(c, meta.data_id(), id);
    EXPECT_CASE(c, map_of(meta), map_of(c.at("metadata")));
    EXPECT_CASE(c, meta.size(), c.at("Len").to_number<std::size_t>());
    // "0" and "null" name a record in Go; they do not here.
    EXPECT_CASE(c, meta.is_valid(), c.at("IsValid").as_bool() && id != "0" && id != "null");
  }
}

TEST(GoldenMeta, Agent) {
  for (const json::value& c : golden_cases("agent")) {
    AgentMeta meta;
    if (const json::value* stored = c.as_object().if_contains("stored")) {
      meta = AgentMeta("gate", "node", "c", "1.2.3.4", "v1");
      meta.set_channel_uid("u");
      for (const char* key : {"Account-Id", "Server-Id", "Role-Id"}) meta.set(key, text_of(*stored));
    } else {
      for (const auto& [key, value] : map_of(c.at("metadata"))) meta.set(key, value);
    }
    EXPECT_CASE(c, std::to_string(meta.account_id()), text_of(c.at("AccountId")));
    EXPECT_CASE(c, std::to_string(meta.role_id()), text_of(c.at("RoleId")));
    // Any text that is not empty is online in Go; here it takes a role.
    EXPECT_CASE(c, meta.is_online(), c.at("IsOnline").as_bool() && meta.role_id() != 0);
    if (!c.as_object().contains("ClientId")) continue;
    EXPECT_CASE(c, meta.client_id(), text_of(c.at("ClientId")));
    EXPECT_CASE(c, meta.client_ip(), text_of(c.at("ClientIp")));
    EXPECT_CASE(c, meta.client_ver(), text_of(c.at("ClientVer")));
    EXPECT_CASE(c, meta.channel_uid(), text_of(c.at("ChannelUid")));
    EXPECT_CASE(c, meta.server_id(), clamped(json::value(c.at("AccountId"))));  // Go cuts it to its low bits.
  }
}

TEST(GoldenMeta, Steps) {
  Meta meta;
  Map caller;
  DataMeta data;
  const auto entries = [](const Map& map) {
    std::vector<Meta::Entry> list;
    for (const auto& [key, value] : map) list.emplace_back(key, value);
    return list;
  };
  const auto text = [](std::string_view value) { return json::value(std::string(value)); };
  const auto whole = [](const Meta& m) { return json::value_from(map_of(m)); };
  const std::map<std::string, std::function<json::value()>, std::less<>> ops{
      {"NewMeta(game,id-1,{X:1})", [&] { return whole(meta = Meta("game", "id-1", entries({{"X", "1"}}))); }},
      {"Name", [&] { return text(meta.get("Node-Name")); }},
      {"Id", [&] { return text(meta.get("Node-Id")); }},
      {"Len", [&] { return json::value(meta.size()); }},
      {"SetName(g2); SetId('')",
       [&] {
         meta.set("Node-Name", "g2");
         meta.set("Node-Id", "");
         return whole(meta);
       }},
      {"SetValues({A:1,B:[1],C:true,D:1.5})",
       [&] {
         meta.set("A", 1);
         meta.set("B", std::vector{1});
         meta.set("C", true);
         meta.set("D", 1.5);
         return whole(meta);
       }},
      {"SetMetadata({A:z,E:e})",
       [&] {
         meta.merge(Meta{{"A", "z"}, {"E", "e"}});
         return whole(meta);
       }},
      {"change the copy returned by Metadata, then Get(A)",
       [&] {
         Meta copy = meta;
         copy.set("A", "changed");
         return text(meta.get("A"));
       }},
      {"Get(missing)", [&] { return text(meta.get("missing")); }},
      {"Get(a): keys are case-sensitive", [&] { return text(meta.get("a")); }},
      {"NewMeta(game,id-1,{Node-Id:other,Node-Name:on}): given values win",
       [&] { return whole(meta = Meta("game", "id-1", entries({{"Node-Id", "other"}, {"Node-Name", "on"}}))); }},
      {"ToMeta(m) shares m: after Set(B,2) the caller's map is",
       [&] {
         caller = {{"A", "1"}};
         meta = Meta(entries(caller));
         meta.set("B", 2);
         EXPECT_EQ(caller, (Map{{"A", "1"}})) << "a Meta never shares the caller's map: it is a value";
         return whole(meta);
       }},
      {"Id of it", [&] { return text(meta.get("Node-Id")); }},
      {"ToMeta(nil).Get(A)", [&] { return text(Meta().get("A")); }},
      {"ToMeta(nil).Len()", [&] { return json::value(Meta().size()); }},
      {"ToMeta(nil).Set(A,1) panics with",
       [&] {
         Meta none;
         EXPECT_TRUE(none.set("A", 1)) << "an empty Meta can be set";
         EXPECT_EQ(map_of(none), (Map{{"A", "1"}}));
         return json::value("assignment to entry in nil map");
       }},
      {"ToMeta(nil).SetMetadata({}) panics with", [&] { return Meta().merge(Meta()) ? text("changed") : nullptr; }},
      {"ToDataMeta(nil); SetDataId(5); DataId",
       [&] {
         data = DataMeta();
         data.set_data_id(5);
         return text(data.data_id());
       }},
      {"IsValid", [&] { return json::value(data.is_valid()); }},
  };
  for (const json::value& c : golden_cases("steps")) {
    for (const json::value& step : c.at("steps").as_array()) {
      const auto op = ops.find(text_of(step.at("op")));
      if (op == ops.end()) {
        ADD_FAILURE() << text_of(c.at("id")) << ": unknown step " << text_of(step.at("op"));
        continue;
      }
      EXPECT_CASE(c, json::serialize(op->second()), json::serialize(step.at("result"))) << op->first;
    }
  }
}

}  // namespace
}  // namespace mg
