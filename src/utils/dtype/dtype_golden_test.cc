// The Go original's answers about conversions (tests/golden/dtype.json), and where we answer otherwise on purpose:
// integers are clamped where Go's wrap or depend on the CPU, a boolean is 1 or 0, every number but 0 is true.
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/src.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/golden.h"

#include "mg/utils/dtype/dtype.h"

namespace mg::dtype {
namespace {

namespace json = boost::json;

std::vector<json::object> golden_cases(std::string_view group) {
  std::vector<json::object> found;
  const json::value file = json::parse(golden::text("dtype.json"));
  for (const auto& item : file.at("cases").as_array()) {
    if (item.at("group").as_string() == group) found.push_back(item.as_object());
  }
  EXPECT_FALSE(found.empty()) << "dtype.json has no group " << group;
  return found;
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

// A text, or {"hex": …} for one that is no UTF-8.
std::string text_of(const json::value& value) {
  if (value.is_object()) return unhex(value.at("hex").as_string());
  return std::string(value.as_string());
}

template <class U>
U bits_of(const json::value& bits) {
  U raw = 0;
  const std::string text = text_of(bits);
  std::from_chars(text.data(), text.data() + text.size(), raw, 16);
  return raw;
}

// The input of a case as what it is in C++, handed to `use`; false: a Go type that has no counterpart.
template <class Use>
bool with_input(const json::object& input, Use&& use) {
  const std::string type = text_of(input.at("type"));
  const auto number = [&]<class T>(T) {
    const std::string text = text_of(input.at("value"));
    T value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    use(value);
  };
  if (type == "nil") {
    use(nullptr);
  } else if (type == "string" || type == "json.Number" || type == "namedStr") {
    use(text_of(input.at("value")));
  } else if (type == "[]uint8") {
    const std::string octets = unhex(text_of(input.at("hex")));
    use(as_bytes(octets));
  } else if (type == "bool" || type == "namedBool") {
    use(input.at("value").as_bool());
  } else if (type == "float32") {
    use(std::bit_cast<float>(bits_of<std::uint32_t>(input.at("bits"))));
  } else if (type == "float64") {
    use(std::bit_cast<double>(bits_of<std::uint64_t>(input.at("bits"))));
  } else if (type == "int8") {
    number(std::int8_t{});
  } else if (type == "int16") {
    number(std::int16_t{});
  } else if (type == "int32") {
    number(std::int32_t{});
  } else if (type == "int" || type == "int64" || type == "namedInt") {
    number(std::int64_t{});
  } else if (type == "uint8") {
    number(std::uint8_t{});
  } else if (type == "uint16") {
    number(std::uint16_t{});
  } else if (type == "uint32") {
    number(std::uint32_t{});
  } else if (type == "uint" || type == "uint64") {
    number(std::uint64_t{});
  } else {
    return false;
  }
  return true;
}

std::optional<Value> value_from(const json::object& input);

std::optional<Value> list_from(const json::object& input) {
  List items;
  for (const auto& item : input.at("items").as_array()) {
    auto value = value_from(item.as_object());
    if (!value) return std::nullopt;
    items.push_back(*std::move(value));
  }
  return Value(std::move(items));
}

// The input of a case as a Value.
std::optional<Value> value_from(const json::object& input) {
  const std::string type = text_of(input.at("type"));
  if (input.contains("nil") && input.at("nil").as_bool()) return Value();
  if (input.contains("items")) return list_from(input);
  if (type.starts_with("map[string]") && input.contains("json")) return *parse_json(text_of(input.at("json")));
  if (type == "json.Number") {
    auto number = parse_json(text_of(input.at("value")));
    return number ? std::optional(*std::move(number)) : std::nullopt;
  }
  if (type == "time.Duration") {
    return Value(parse_str(std::chrono::nanoseconds(std::stoll(text_of(input.at("value"))))));
  }
  std::optional<Value> out;
  with_input(input, [&](const auto& value) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(value)>, Bytes>) {
      out = to_value(value);
    } else {
      out = Value(value);
    }
  });
  return out;
}

// What an integer function must answer: Go's answer, but the nearest T where Go wraps or leaves it to the CPU.
template <class T, class From>
T wanted_integer(const From& input, T go) {
  if constexpr (std::same_as<From, bool>) {
    return input ? 1 : 0;
  } else if constexpr (std::floating_point<From>) {
    if (std::isnan(input)) return 0;
    const From cut = std::trunc(input);
    if (cut < static_cast<From>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    if (cut >= std::ldexp(From{1}, std::numeric_limits<T>::digits)) return std::numeric_limits<T>::max();
    EXPECT_EQ(static_cast<T>(cut), go);
    return static_cast<T>(cut);
  } else if constexpr (std::integral<From>) {
    const __int128 wide = input;
    if (wide < __int128{std::numeric_limits<T>::min()}) return std::numeric_limits<T>::min();
    if (wide > __int128{std::numeric_limits<T>::max()}) return std::numeric_limits<T>::max();
    EXPECT_EQ(static_cast<T>(wide), go);
    return static_cast<T>(wide);
  } else if constexpr (std::convertible_to<From, std::string_view>) {
    // Where Go reads more bits than the result has, it cuts; where it reads fewer (ParseUint), it clamps too early.
    std::int64_t whole = 0;
    const std::string_view text(input);
    const std::size_t sign = text.starts_with('+') ? 1 : 0;
    const auto end = std::from_chars(text.data() + sign, text.data() + text.size(), whole);
    const bool number = end.ptr == text.data() + text.size() && !text.starts_with("+-");
    if (number && (std::signed_integral<T> || sign == 0)) {
      if (end.ec == std::errc::result_out_of_range) {
        if (text.starts_with('-')) return std::numeric_limits<T>::min();
        if (sizeof(T) < 8 || std::signed_integral<T>) return std::numeric_limits<T>::max();
        std::uint64_t large = 0;
        const bool fits = std::from_chars(text.data(), text.data() + text.size(), large).ec == std::errc();
        return fits ? static_cast<T>(large) : std::numeric_limits<T>::max();
      }
      if (end.ec == std::errc()) return wanted_integer<T>(whole, static_cast<T>(whole));
    }
    EXPECT_EQ(go, T{0}) << "a text that is no integer";
    return 0;
  } else {
    return go;
  }
}

template <class T, class From>
void check_integer(const From& input, const json::object& out, const char* function, const json::value& id) {
  if (!out.contains(function)) return;
  const std::string text = text_of(out.at(function));
  T go = 0;
  std::from_chars(text.data(), text.data() + text.size(), go);
  SCOPED_TRACE(std::string(id.as_string()) + " " + function);
  EXPECT_EQ(parse<T>(input), wanted_integer<T>(input, go));
}

template <class U, class T>
void check_float(T got, const json::value& want, const json::value& id) {
  const T wanted = std::bit_cast<T>(bits_of<U>(want.at("bits")));
  if (std::isnan(wanted)) {
    EXPECT_TRUE(std::isnan(got)) << id;
  } else {
    EXPECT_EQ(std::bit_cast<U>(got), std::bit_cast<U>(wanted)) << id << " " << got;
  }
}

TEST(GoldenDtype, Parse) {
  for (const auto& item : golden_cases("parse")) {
    const auto& id = item.at("id");
    const auto& input = item.at("input").as_object();
    const auto& out = item.at("out").as_object();
    const std::string type = text_of(input.at("type"));
    const bool known = with_input(input, [&]<class From>(const From& raw) {
      // Octets are checked as the text they are.
      const auto& value = [&]() -> decltype(auto) {
        if constexpr (std::same_as<From, Bytes>) {
          return as_text(raw);
        } else {
          return (raw);
        }
      }();
      if constexpr (std::same_as<From, Bytes>) {
        EXPECT_EQ(parse_str(raw), parse_str(value)) << id;
        EXPECT_EQ(parse_int(raw), parse_int(value)) << id;
      }
      check_integer<std::int64_t>(value, out, "ParseInt", id);
      check_integer<std::int32_t>(value, out, "ParseInt32", id);
      check_integer<std::int64_t>(value, out, "ParseInt64", id);
      check_integer<std::uint64_t>(value, out, "ParseUint", id);
      check_integer<std::uint32_t>(value, out, "ParseUint32", id);
      check_integer<std::uint64_t>(value, out, "ParseUint64", id);
      EXPECT_EQ(parse_str(value), text_of(out.at("ParseStr"))) << id;
      if constexpr (std::same_as<From, bool>) {
        EXPECT_EQ(parse_float64(value), raw ? 1 : 0) << id;
        EXPECT_EQ(parse_bool(value), raw) << id;
      } else {
        check_float<std::uint32_t>(parse_float32(value), out.at("ParseFloat32"), id);
        check_float<std::uint64_t>(parse_float64(value), out.at("ParseFloat64"), id);
        bool truth = out.at("ParseBool").as_bool();
        if constexpr (std::is_arithmetic_v<From>) truth = value != 0 && value == value;
        EXPECT_EQ(parse_bool(value), truth) << id;
      }
    });
    if (known) continue;
    if (type == "time.Duration") {
      const std::chrono::nanoseconds duration(std::stoll(text_of(input.at("value"))));
      EXPECT_EQ(parse_str(duration), text_of(out.at("ParseStr"))) << id;
    } else if (const auto value = value_from(input)) {
      if (type.starts_with("[]") || type.starts_with("map") || type.starts_with("[2]")) {
        if (value->is_null()) continue;  // Go's typed nil: [] or map[].
        EXPECT_EQ(parse_str(*value), text_of(out.at("ParseStr"))) << id;
        EXPECT_EQ(parse_int(*value), 0) << id;
        EXPECT_EQ(parse_bool(*value), false) << id;
      }
    } else {
      // complex numbers and anonymous structs have no counterpart.
      EXPECT_TRUE(type.starts_with("complex") || type.find("struct") != type.npos || type.starts_with("*") ||
                  type.starts_with("func") || type.starts_with("chan") || type.starts_with("time.") ||
                  type.starts_with("map[") || input.contains("json"))
          << id << " " << type;
    }
  }
}

// A struct like the one of the cases, with Go's pointers and nil slices as optionals.
struct Inner {
  int x = 0;
};
constexpr auto mg_fields(std::type_identity<Inner>) {
  return fields(field("x", &Inner::x));
}
struct Full {
  std::int64_t a = 0;
  std::string b;
  bool d = false;
  std::optional<std::vector<std::int64_t>> e;
  std::map<std::string, std::int64_t> f;
  std::optional<Inner> g;
  Inner h;
  std::int64_t j = 0;
  std::string k;
  std::optional<std::vector<std::byte>> l;
  Value m;
};
constexpr auto mg_fields(std::type_identity<Full>) {
  return fields(field("a", &Full::a), field("b", &Full::b, FieldRule::kOmitEmpty), field("D", &Full::d),
                field("e", &Full::e), field("f", &Full::f, FieldRule::kOmitEmpty), field("g", &Full::g),
                field("h", &Full::h), field("j", &Full::j, FieldRule::kAsText),
                field("K", &Full::k, FieldRule::kOmitEmpty), field("l", &Full::l), field("m", &Full::m));
}
struct St1 {
  std::string name;
  std::int64_t age = 0;
  bool no_tag = false;
  std::string emp;
  Inner sub;
  std::int64_t dup = 0;
};
constexpr auto mg_fields(std::type_identity<St1>) {
  return fields(field("name", &St1::name), field("age", &St1::age, FieldRule::kOmitEmpty), field("NoTg", &St1::no_tag),
                field("Emp", &St1::emp, FieldRule::kOmitEmpty), field("sub", &St1::sub), field("name2", &St1::dup));
}

json::value normal(std::string_view text) {
  return json::parse(text);
}

TEST(GoldenDtype, Json) {
  for (const auto& item : golden_cases("json")) {
    const auto& id = item.at("id");
    const auto& input = item.at("input").as_object();
    const std::string type = text_of(input.at("type"));
    const std::string want = text_of(item.at("result"));
    if (type == "full" || type == "*full") {
      const auto full = from_json<Full>(want == "null" ? "{}" : want);
      ASSERT_TRUE(full) << id << " " << full.error().detail;
      if (want != "null") EXPECT_EQ(to_json(*full), want) << id;
      if (want != "null") EXPECT_EQ(normal(to_json(to_dict(*full))), item.at("ToDict")) << id;
    } else if (type == "inner" || type == "*inner") {
      const auto inner = from_json<std::optional<Inner>>(want);
      ASSERT_TRUE(inner) << id;
      EXPECT_EQ(to_json(*inner), want) << id;
    } else if (type == "time.Duration") {
      EXPECT_EQ(to_json(std::stoll(text_of(input.at("value")))), want) << id;
    } else if (type == "json.Number" && text_of(input.at("value")).contains('.')) {
      continue;  // Go keeps 12.50 as it was written.
    } else if (const auto value = value_from(input)) {
      EXPECT_EQ(to_json(*value), want) << id;
      const Dict dict = to_dict(*value);
      if (item.at("ToDict").is_object()) {
        EXPECT_EQ(normal(to_json(dict)), item.at("ToDict")) << id;
      } else {
        EXPECT_TRUE(dict.empty()) << id;
      }
    }
    // And the direct way, without a Value.
    with_input(input, [&](const auto& value) {
      if (type == "json.Number" || (input.contains("nil") && input.at("nil").as_bool())) return;
      EXPECT_EQ(to_json(value), want) << id;
    });
  }
}

TEST(GoldenDtype, ToStruct) {
  for (const auto& item : golden_cases("struct")) {
    const auto& id = item.at("id");
    if (text_of(item.at("call")) != "ToStruct") continue;
    std::string text;
    if (text_of(item.at("from")) == "text") {
      text = text_of(item.at("text"));
    } else {
      const auto& input = item.at("input").as_object();
      if (input.contains("json")) {
        text = text_of(input.at("json"));
      } else {
        const auto value = value_from(input);
        text = value ? to_json(*value) : "";  // What has no JSON, as in Go.
      }
    }
    const bool ok = item.at("ok").as_bool();
    const auto got = from_json<Full>(text);
    EXPECT_EQ(got.has_value(), ok) << id << " " << text << " " << (got ? "" : got.error().detail);
    if (got && ok) EXPECT_EQ(to_json(*got), text_of(item.at("value_json"))) << id;
  }
}

TEST(GoldenDtype, StructToDict) {
  for (const auto& item : golden_cases("struct")) {
    const auto& id = item.at("id");
    if (text_of(item.at("call")) != "StructToDict" || text_of(item.at("outcome")) != "ok") continue;
    const std::string type = text_of(item.at("input").at("type"));
    if (type != "st1" && type != "*st1") continue;
    const auto st1 = from_json<St1>(text_of(item.at("input").at("json")));
    ASSERT_TRUE(st1) << id;
    const Dict got = struct_to_dict(*st1);
    const auto& want = item.at("result").as_object();
    EXPECT_EQ(got.size(), want.size()) << id;
    for (const auto& [key, value] : want) {
      const Value* const found = got.find(std::string_view(key.data(), key.size()));
      ASSERT_NE(found, nullptr) << id << " " << key;
      const auto& input = value.as_object();
      const Value wanted = input.contains("json") ? *parse_json(text_of(input.at("json"))) : *value_from(input);
      EXPECT_EQ(*found, wanted) << id << " " << key;
    }
  }
}

TEST(GoldenDtype, DeepCopy) {
  for (const auto& item : golden_cases("struct")) {
    const auto& id = item.at("id");
    if (text_of(item.at("call")) != "DeepCopy" || !item.at("ok").as_bool()) continue;
    const std::string about = text_of(item.at("about_case"));
    if (about.starts_with("dst had name=old")) {
      St1 into{.name = "old", .age = 9, .no_tag = true, .emp = {}, .sub = {}, .dup = 5};
      merge(into, St1{.name = "n", .age = 3, .no_tag = false, .emp = {}, .sub = {1}, .dup = 0});
      auto want = item.at("dst_json").is_string() ? normal(text_of(item.at("dst_json"))) : json::value();
      want.as_object().erase("-");
      EXPECT_EQ(normal(to_json(into)), want) << id;
    } else if (about == "map copied into a non-empty map") {
      const auto source = *from_json<std::map<std::string, int>>(text_of(item.at("src_json")));
      std::map<std::string, int> into{{"b", 2}};
      merge(into, source);
      EXPECT_EQ(to_json(into), text_of(item.at("dst_json"))) << id;
    }
  }
}

TEST(GoldenDtype, Slice) {
  for (const auto& item : golden_cases("slice")) {
    const auto& id = item.at("id");
    const auto value = value_from(item.at("input").as_object());
    if (!value) continue;  // Elements of types that C++ has not.
    const auto got = parse_str_slice(*value);
    if (text_of(item.at("call")) == "ParseStrSlice") {
      std::vector<std::string> want;
      if (item.at("result").is_array()) {
        for (const auto& text : item.at("result").as_array()) want.push_back(text_of(text));
      }
      EXPECT_EQ(got, want) << id;
    } else {
      const auto length = static_cast<std::size_t>(item.at("result_len").as_int64());
      EXPECT_EQ(got.size(), length) << id;
    }
  }
}

}  // namespace
}  // namespace mg::dtype
