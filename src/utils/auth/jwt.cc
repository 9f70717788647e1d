#include "mg/utils/auth/jwt.h"

#include <cmath>
#include <limits>
#include <optional>

#include "base/base64.h"

namespace mg::auth {
namespace {

using dtype::Dict;
using dtype::Kind;
using dtype::Value;

constexpr std::size_t kMaxDepth = 32;

std::int64_t seconds(Clock::WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

bool equal_without_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// Collects faults. Of several the last found gives the text, as in Go, but for a token that cannot be read at all.
class Check {
 public:
  Check(const KeySet& keys, const JwtOptions& options, JwtCheck& out) : keys_(keys), options_(options), out_(out) {}

  void run(std::string_view token) {
    if (token.size() > options_.max_bytes) {
      return fault(JwtFault::kMalformed,
                   fmt::format("token of {} octets is longer than {}", token.size(), options_.max_bytes));
    }
    const std::size_t first = token.find('.');
    const std::size_t second = first == token.npos ? first : token.find('.', first + 1);
    if (second == token.npos || token.find('.', second + 1) != token.npos) {
      return fault(JwtFault::kMalformed, "token contains an invalid number of segments");
    }
    if (token.size() > 7 && equal_without_case(token.substr(0, 7), "bearer ")) {
      return fault(JwtFault::kMalformed, "tokenstring should not contain 'bearer '");
    }
    const auto header = segment(token.substr(0, first), "header", /*rest_allowed=*/false);
    if (!header) return;
    auto payload = segment(token.substr(first + 1, second - first - 1), "claims", options_.lenient);
    if (!payload) return;
    if (payload->is_dict()) out_.claims = Claims(std::move(payload->as_dict()));

    const Key* const key = choose_key(*header);
    if (key == nullptr) return;
    check_dates();
    check_names();
    check_signature(*header, *key, token.substr(0, second), token.substr(second + 1));
    if (out_.ok() && options_.revoked && options_.revoked(out_.claims)) {
      fault(JwtFault::kRevoked, "token is revoked");
    }
  }

 private:
  void fault(JwtFault what, std::string detail) {
    out_.faults |= static_cast<std::uint8_t>(what);
    out_.detail = std::move(detail);
  }

  // A dictionary, or null.
  std::optional<Value> segment(std::string_view text, std::string_view name, bool rest_allowed) {
    const auto octets = base64::decode(text, base64::kUrl);
    if (!octets) {
      fault(JwtFault::kMalformed, fmt::format("token {} is not base64 for URLs", name));
      return std::nullopt;
    }
    const dtype::JsonLimits limits{
        .max_depth = kMaxDepth, .max_bytes = options_.max_bytes, .unique_keys = !options_.lenient};
    std::string_view rest;
    auto value = rest_allowed ? dtype::parse_json_prefix(*octets, rest, limits) : dtype::parse_json(*octets, limits);
    if (!value || !(value->is_dict() || (value->is_null() && options_.lenient))) {
      fault(JwtFault::kMalformed, fmt::format("token {}: {}", name, value ? "no JSON object" : value.error().detail));
      return std::nullopt;
    }
    return *std::move(value);
  }

  const Key* choose_key(const Value& header) {
    const Value& algorithm = header.at("alg");
    if (!algorithm.is_text()) {
      fault(JwtFault::kUnverifiable, "signing method (alg) is unspecified.");
      return nullptr;
    }
    if (!algorithm_named(algorithm.as_text()) && algorithm.as_text() != "none") {
      fault(JwtFault::kUnverifiable, "signing method (alg) is unavailable.");
      return nullptr;
    }
    if (!options_.lenient) {
      if (!header.at("crit").is_null()) {
        fault(JwtFault::kUnverifiable, "token demands extensions (crit) that are not known");
        return nullptr;
      }
      const Value& type = header.at("typ");
      if (!options_.type.empty() && !type.is_null() &&
          !(type.is_text() && equal_without_case(type.as_text(), options_.type))) {
        fault(JwtFault::kUnverifiable, fmt::format("token is not of the type {}", options_.type));
        return nullptr;
      }
    }
    const Value& id = header.at("kid");
    const Key* const key = keys_.for_token(id.is_text() ? std::optional<std::string_view>(id.as_text()) : std::nullopt);
    if (key == nullptr) fault(JwtFault::kUnverifiable, "token is signed with a key that is not known");
    return key;
  }

  // A date of the claims in seconds. Nothing: it is missing, or no date, which is a fault.
  std::optional<std::int64_t> date(std::string_view name) {
    const Value& value = out_.claims.at(name);
    switch (value.kind()) {
      case Kind::kInt:
        return value.as_int();
      case Kind::kUint:
        return std::numeric_limits<std::int64_t>::max();
      case Kind::kDouble:
        if (options_.lenient) return dtype::to_integer<std::int64_t>(value.as_double());
        break;
      case Kind::kNull:
        if (!out_.claims.has(name)) return std::nullopt;
        break;
      default:
        break;
    }
    fault(JwtFault::kMalformed, fmt::format("token claim {} is not a whole number", name));
    return std::nullopt;
  }

  void check_dates() {
    const std::int64_t now = seconds(options_.clock->wall());
    const std::int64_t leeway = options_.leeway.count();
    const auto expires = date("exp");
    const auto issued = date("iat");
    const auto starts = date("nbf");
    if (expires && *expires < now - leeway) fault(JwtFault::kExpired, "Token is expired");
    if (!expires && !out_.has(JwtFault::kMalformed) && options_.need_exp && !options_.lenient) {
      fault(JwtFault::kWrongClaim, "token never expires (no exp)");
    }
    if (issued && *issued > now + leeway) fault(JwtFault::kIssuedLater, "Token used before issued");
    if (starts && *starts > now + leeway) fault(JwtFault::kNotValidYet, "Token is not valid yet");
  }

  void check_names() {
    const auto is = [](const Value& value, std::string_view wanted) {
      return value.is_text() && value.as_text() == wanted;
    };
    if (!options_.issuer.empty() && !is(out_.claims.at("iss"), options_.issuer)) {
      fault(JwtFault::kWrongClaim, fmt::format("token is not issued by {}", options_.issuer));
    }
    if (!options_.audience.empty()) {
      const Value& audience = out_.claims.at("aud");
      bool found = is(audience, options_.audience);
      if (audience.is_list()) {
        for (const Value& one : audience.as_list()) found = found || is(one, options_.audience);
      }
      if (!found) fault(JwtFault::kWrongClaim, fmt::format("token is not meant for {}", options_.audience));
    }
  }

  void check_signature(const Value& header, const Key& key, std::string_view message, std::string_view text) {
    const std::string& algorithm = header.at("alg").as_text();
    if (algorithm == "none") return fault(JwtFault::kSignatureInvalid, "'none' signature type is not allowed");
    if (algorithm != algorithm_name(key.algorithm())) {
      return fault(JwtFault::kSignatureInvalid, "key is of invalid type");
    }
    const auto signature = base64::decode(text, base64::kUrl);
    if (!signature || !key.verify(message, *signature)) {
      fault(JwtFault::kSignatureInvalid, "signature is invalid");
    }
  }

  const KeySet& keys_;
  const JwtOptions& options_;
  JwtCheck& out_;
};

}  // namespace

const Value& Claims::at(std::string_view name) const {
  static const Value kNull;
  const Value* const found = dict_.find(name);
  return found != nullptr ? *found : kNull;
}

std::string Claims::get_str(std::string_view name) const {
  const Value& value = at(name);
  if (value.kind() == Kind::kDouble && std::trunc(value.as_double()) == value.as_double()) {
    const double number = value.as_double();
    if (number == 0) return "0";
    if (dtype::fits<std::int64_t>(number)) return std::to_string(dtype::to_integer<std::int64_t>(number));
    if (dtype::fits<std::uint64_t>(number)) return std::to_string(dtype::to_integer<std::uint64_t>(number));
  }
  return dtype::parse<std::string>(value);
}

Jwt::Jwt(KeySet keys, JwtOptions options) : keys_(std::move(keys)), options_(std::move(options)) {}

Result<std::string> Jwt::sign(const Dict& claims) const {
  const KeySet::Entry* const signer = keys_.signer();
  if (signer == nullptr) return fail(code::kInvalid, "no key to sign a token with");
  const Clock::WallTime now = options_.clock->wall();
  Dict all = claims;
  const auto put = [&](std::string_view name, Value value) -> Result<void> {
    if (claims.contains(name)) {
      if (options_.lenient) return {};  // The caller's counts.
      return fail(code::kInvalid, "claim {} is not for callers: it is set from the options", name);
    }
    if (!value.is_null()) all[name] = std::move(value);
    return {};
  };
  // A life beyond the end of the clock is a life without end.
  const bool ends = options_.expire.count() > 0 && options_.expire < Clock::WallTime::max() - now;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Value() : Value(text); };
  const std::pair<std::string_view, Value> kOurs[] = {
      {"iat", seconds(now)}, {"nbf", seconds(now)}, {"exp", ends ? Value(seconds(now + options_.expire)) : Value()}};
  for (const auto& [name, value] : kOurs) {
    if (auto done = put(name, value); !done) return std::unexpected(std::move(done).error());
  }
  for (const auto& [name, text] : {std::pair<std::string_view, const std::string&>("iss", options_.issuer),
                                   std::pair<std::string_view, const std::string&>("aud", options_.audience)}) {
    if (text.empty()) continue;
    if (auto done = put(name, text_or_null(text)); !done) return std::unexpected(std::move(done).error());
  }
  auto body = dtype::encode_json(all);
  if (!body) return std::unexpected(std::move(body).error());
  Dict header{{"alg", algorithm_name(signer->key.algorithm())}};
  if (!signer->id.empty()) header["kid"] = signer->id;
  if (!options_.type.empty()) header["typ"] = options_.type;

  std::string token = base64::encode(dtype::to_json(header), base64::kUrl);
  (token += '.') += base64::encode(*body, base64::kUrl);
  auto signature = signer->key.sign(token);
  if (!signature) return signature;
  (token += '.') += base64::encode(*signature, base64::kUrl);
  if (token.size() > options_.max_bytes) {
    return fail(code::kInvalid, "a token of {} octets would be longer than {}", token.size(), options_.max_bytes);
  }
  return token;
}

JwtCheck Jwt::check(std::string_view token) const {
  JwtCheck out;
  Check(keys_, options_, out).run(token);
  return out;
}

Result<Claims> Jwt::verify(std::string_view token) const {
  JwtCheck done = check(token);
  if (!done.ok()) return std::unexpected(make_error(code::kUnauthorized, std::move(done.detail)));
  return std::move(done.claims);
}

bool Jwt::should_refresh(const Claims& claims) const {
  const std::int64_t issued = claims.get_int64("iat");
  if (options_.refresh.count() <= 0 || issued <= 0) return false;
  return seconds(options_.clock->wall() - options_.refresh) > issued;
}

Result<std::string> Jwt::renew(const Claims& claims) const {
  Dict data = claims.all();
  for (const std::string_view name : {"iat", "nbf", "exp"}) data.erase(name);
  if (!options_.issuer.empty()) data.erase("iss");
  if (!options_.audience.empty()) data.erase("aud");
  return sign(data);
}

}  // namespace mg::auth
