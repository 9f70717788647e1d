// The Go original's answers about tokens (tests/golden/auth.json), and where we answer otherwise on purpose: another
// algorithm than the configured one is refused, dates that are no numbers too, and a signature has one spelling.
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/src.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/base64.h"
#include "base/golden.h"
#include "mg/utils/auth/jwt.h"

namespace mg::auth {
namespace {

namespace json = boost::json;
using dtype::Dict;
using dtype::List;
using dtype::Value;

std::vector<json::object> golden_cases(std::string_view group) {
  std::vector<json::object> found;
  const json::value file = json::parse(golden::text("auth.json"));
  for (const auto& item : file.at("cases").as_array()) {
    if (item.at("group").as_string() == group) found.push_back(item.as_object());
  }
  EXPECT_FALSE(found.empty()) << "auth.json has no group " << group;
  return found;
}

std::string text_of(const json::value& value) {
  return std::string(value.as_string());
}

template <class F, class U>
F float_of(const json::value& bits) {
  U raw = 0;
  const std::string text = text_of(bits);
  std::from_chars(text.data(), text.data() + text.size(), raw, 16);
  return std::bit_cast<F>(raw);
}

// A Go value of the cases; nothing for a type without JSON (a channel).
std::optional<Value> value_from(const json::object& input) {
  const std::string type = text_of(input.at("type"));
  if (type == "nil") return Value();
  if (input.contains("items")) {
    List items;
    for (const auto& item : input.at("items").as_array()) items.push_back(*value_from(item.as_object()));
    return Value(std::move(items));
  }
  if (input.contains("json")) return *dtype::parse_json(text_of(input.at("json")));
  if (type == "float64") return Value(float_of<double, std::uint64_t>(input.at("bits")));
  if (type == "float32") return Value(float_of<float, std::uint32_t>(input.at("bits")));
  if (type == "bool") return Value(input.at("value").as_bool());
  if (type == "string") return Value(text_of(input.at("value")));
  if (type.starts_with("int")) return Value(dtype::parse<std::int64_t>(text_of(input.at("value"))));
  if (type.starts_with("uint")) return Value(dtype::parse<std::uint64_t>(text_of(input.at("value"))));
  return std::nullopt;
}

Clock::WallTime at(const json::object& item) {
  return Clock::WallTime(std::chrono::seconds(item.at("now").as_int64()));
}

std::chrono::nanoseconds duration(const json::value& seconds) {
  return std::chrono::nanoseconds(std::llround(seconds.to_number<double>() * 1e9));
}

Result<Key> key_for(std::string_view algorithm, std::string_view secret) {
  const auto known = algorithm_named(algorithm);
  if (!known) return fail(code::kInvalid, "no algorithm");
  return Key::secret(*known, secret, 0);
}

TEST(GoldenAuth, Encrypt) {
  for (const auto& item : golden_cases("encrypt")) {
    const auto& id = item.at("id");
    const ManualClock clock(at(item));
    const auto key = key_for(text_of(item.at("alg")), text_of(item.at("secret")));
    const bool ok = text_of(item.at("outcome")) == "ok";
    if (!key) {
      EXPECT_FALSE(ok) << id << " " << key.error().detail;
      continue;
    }
    Dict data;
    bool encodable = true;
    for (const auto& [name, value] : item.at("data").as_object()) {
      auto made = value_from(value.as_object());
      encodable = encodable && made;
      if (made) data[std::string_view(name.data(), name.size())] = *std::move(made);
    }
    if (!encodable) {
      EXPECT_FALSE(ok) << id;
      continue;
    }
    const Jwt jwt(*key, {.expire = duration(item.at("expire_s")), .lenient = true, .clock = &clock});
    const auto token = jwt.sign(data);
    ASSERT_TRUE(token) << id << " " << token.error().detail;
    if (ok) EXPECT_EQ(*token, text_of(item.at("token"))) << id;
  }
}

struct Class {
  const char* name;
  JwtFault fault;
};
constexpr Class kClasses[] = {{"malformed", JwtFault::kMalformed},
                              {"unverifiable", JwtFault::kUnverifiable},
                              {"signature_invalid", JwtFault::kSignatureInvalid},
                              {"expired", JwtFault::kExpired},
                              {"issued_at", JwtFault::kIssuedLater},
                              {"not_valid_yet", JwtFault::kNotValidYet}};

// The algorithm that a token names, "" when it cannot be read.
std::string algorithm_of(std::string_view token) {
  const auto header = base64::decode(token.substr(0, token.find('.')), base64::kUrl);
  const auto value = dtype::parse_json(header.value_or(""));
  return value && value->at("alg").is_text() ? value->at("alg").as_text() : "";
}

Value payload_of(std::string_view token) {
  const std::size_t first = token.find('.') + 1;
  const auto body = base64::decode(token.substr(first, token.find('.', first) - first), base64::kUrl);
  std::string_view rest;
  auto value = dtype::parse_json_prefix(body.value_or(""), rest);
  return value ? *std::move(value) : Value();
}

// Why we refuse what Go lets pass.
std::string our_reason(std::string_view token, std::string_view configured) {
  if (algorithm_of(token) != configured) return "another algorithm";
  if (!base64::decode(token.substr(token.rfind('.') + 1), base64::kUrl)) return "a second spelling of the signature";
  const Value claims = payload_of(token);
  for (const char* name : {"exp", "iat", "nbf"}) {
    if (claims.is_dict() && claims.as_dict().contains(name) && !claims.at(name).is_number()) return "no date";
  }
  if (claims.at("exp").is_number() && dtype::parse<double>(claims.at("exp")) == 0) return "expired in 1970";
  return "";
}

// Texts of Go's JSON and base64 readers, which we word otherwise.
bool of_a_reader(std::string_view error) {
  for (const char* start :
       {"illegal base64", "json:", "unexpected end", "invalid character", "EOF", "key is invalid"}) {
    if (error.starts_with(start)) return true;
  }
  return false;
}

TEST(GoldenAuth, Verify) {
  for (const auto& item : golden_cases("verify")) {
    const auto& id = item.at("id");
    const ManualClock clock(at(item));
    const std::string token = text_of(item.at("token"));
    const std::string configured = text_of(item.at("alg"));
    const auto key = key_for(configured, text_of(item.at("secret")));
    ASSERT_TRUE(key) << id;
    const JwtOptions options{.refresh = duration(item.at("refresh_s")), .lenient = true, .clock = &clock};
    const Jwt jwt(*key, options);
    const JwtCheck got = jwt.check(token);
    const bool ok = text_of(item.at("outcome")) == "ok";
    const std::string reason = our_reason(token, configured);

    if (!ok) {
      if (dtype::parse<double>(payload_of(token).at("exp")) >= 0x1p63) continue;  // Go's overflow: far away, not over.
      EXPECT_FALSE(got.ok()) << id;
      // A token of another algorithm or with odd dates has faults of ours besides.
      const bool same = reason.empty() || reason == "another algorithm" || reason.starts_with("a second");
      for (const auto& [name, fault] : kClasses) {
        bool wanted = false;
        for (const auto& one : item.at("classes").as_array()) wanted = wanted || text_of(one) == name;
        if (same) EXPECT_EQ(got.has(fault), wanted) << id << " " << name << ": " << got.detail;
      }
      const std::string error = text_of(item.at("error"));
      if (same && !of_a_reader(error)) EXPECT_EQ(got.detail, error) << id;
      continue;
    }
    if (reason == "another algorithm") {
      EXPECT_EQ(got.detail, "key is of invalid type") << id;
      // With its own algorithm it is right.
      const auto own = key_for(algorithm_of(token), text_of(item.at("secret")));
      if (own) EXPECT_TRUE(Jwt(*own, options).check(token).ok()) << id;
      continue;
    }
    if (!reason.empty()) {
      EXPECT_FALSE(got.ok()) << id << " " << reason;
      continue;
    }
    EXPECT_TRUE(got.ok()) << id << " " << got.detail;
    const auto& claims = item.at("claims").as_object();
    EXPECT_EQ(got.claims.all().size(), claims.size()) << id;
    for (const auto& [name, value] : claims) {
      const std::string_view key_text(name.data(), name.size());
      ASSERT_TRUE(got.claims.has(key_text)) << id << " " << name;
      const Value wanted = *value_from(value.as_object());
      const Value& found = got.claims.at(key_text);
      // Go has doubles only; ours are exact.
      if (wanted.is_number()) {
        EXPECT_EQ(dtype::parse<double>(found), dtype::parse<double>(wanted)) << id << " " << name;
      } else if (wanted.is_list()) {
        EXPECT_EQ(found.as_list().size(), wanted.as_list().size()) << id << " " << name;
      } else {
        EXPECT_EQ(found, wanted) << id << " " << name;
      }
    }
    EXPECT_EQ(jwt.should_refresh(got.claims), item.at("refresh").as_bool()) << id;
  }
}

TEST(GoldenAuth, Getters) {
  for (const auto& item : golden_cases("getters")) {
    const auto& id = item.at("id");
    auto payload = dtype::parse_json(text_of(item.at("token_payload")));
    ASSERT_TRUE(payload) << id;
    const Claims claims(payload->as_dict());
    const std::string name = text_of(item.at("key"));
    const Value& value = claims.at(name);

    const std::string text = text_of(item.at("GetStr"));
    if (value.is_number() && dtype::parse<double>(value) == std::trunc(dtype::parse<double>(value)) &&
        std::abs(dtype::parse<double>(value)) < 0x1p63) {
      // An id stays what it was: digits, all of them.
      const auto digits = dtype::read<std::int64_t>(claims.get_str(name));
      ASSERT_TRUE(digits) << id << " " << claims.get_str(name);
      EXPECT_EQ(static_cast<double>(*digits), dtype::parse<double>(text)) << id;
    } else if (!item.at("impl_defined").as_bool()) {
      EXPECT_EQ(claims.get_str(name), text) << id;
    }

    const auto wanted_int = item.at("GetInt64").to_number<std::int64_t>();
    if (item.at("impl_defined").as_bool()) {
      EXPECT_EQ(claims.get_int64(name), dtype::to_integer<std::int64_t>(dtype::parse<double>(value))) << id;
    } else if (value.is_bool()) {
      EXPECT_EQ(claims.get_int64(name), value.as_bool() ? 1 : 0) << id;
    } else if (value.kind() == dtype::Kind::kInt) {
      EXPECT_EQ(static_cast<double>(claims.get_int64(name)), static_cast<double>(wanted_int)) << id;
      EXPECT_EQ(claims.get_int(name), value.as_int()) << id;
    } else {
      EXPECT_EQ(claims.get_int64(name), wanted_int) << id;
    }
    if (value.is_bool()) continue;  // 1 or 0 here.
    EXPECT_EQ(claims.get_float64(name), (float_of<double, std::uint64_t>(item.at("GetFloat64").at("bits")))) << id;
    EXPECT_EQ(claims.get_float32(name), (float_of<float, std::uint32_t>(item.at("GetFloat32").at("bits")))) << id;
  }
}

}  // namespace
}  // namespace mg::auth
