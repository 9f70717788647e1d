// mg/utils/auth/jwt.h -- JSON web tokens: signed claims, checked strictly.
//
//   Jwt jwt(*Key::secret(Algorithm::kHs256, secret), {.expire = 1h, .refresh = 30min});
//   std::string token = *jwt.sign({{"uid", 42}});
//   if (auto claims = jwt.verify(token); claims && jwt.should_refresh(*claims)) token = *jwt.renew(*claims);
//
// Strict unless `lenient`: the algorithm is the key's, never the token's choice; exp is there; dates are whole numbers;
// no key twice; nothing behind the JSON; one spelling of base64. `jku`, `x5u`, `jwk` in a header are never looked at.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/utils/auth/key.h"
#include "mg/utils/dtype/dtype.h"

namespace mg::auth {

// The claims of a token. Whole numbers are exact up to 64 bits. The getters are forgiving: 0, "", false when a claim is
// missing or of another kind, the nearest limit when out of range.
class Claims {
 public:
  Claims() = default;
  explicit Claims(dtype::Dict dict) : dict_(std::move(dict)) {}

  bool has(std::string_view name) const { return dict_.contains(name); }
  const dtype::Value& at(std::string_view name) const;  // Null when missing.
  // Whole numbers in digits, never with an exponent, so that an id stays what it was.
  std::string get_str(std::string_view name) const;
  std::int64_t get_int(std::string_view name) const { return dtype::parse<std::int64_t>(at(name)); }
  std::int32_t get_int32(std::string_view name) const { return dtype::parse<std::int32_t>(at(name)); }
  std::int64_t get_int64(std::string_view name) const { return dtype::parse<std::int64_t>(at(name)); }
  std::uint64_t get_uint64(std::string_view name) const { return dtype::parse<std::uint64_t>(at(name)); }
  float get_float32(std::string_view name) const { return dtype::parse<float>(at(name)); }
  double get_float64(std::string_view name) const { return dtype::parse<double>(at(name)); }
  bool get_bool(std::string_view name) const { return dtype::parse<bool>(at(name)); }
  const dtype::Dict& all() const { return dict_; }

 private:
  dtype::Dict dict_;
};

struct JwtOptions {
  std::chrono::nanoseconds expire{std::chrono::hours(1)};  // Life of a token signed; <= 0: it never ends.
  std::chrono::nanoseconds refresh{0};  // Age from which should_refresh says yes, in whole seconds; 0: never.
  std::chrono::seconds leeway{0};       // Clocks may differ by this: added to exp, taken from nbf and iat.
  std::string issuer{};                 // Written as iss and demanded; "": neither.
  std::string audience{};               // Written as aud and demanded, alone or in a list; "": neither.
  std::string type = "JWT";             // Written as typ; a token may leave it out, but not have another.
  bool need_exp = true;                 // Tokens without exp are refused.
  std::size_t max_bytes = 8192;         // Of a token.
  // Asked last, when all else is right: true refuses. For logouts, changed passwords: compare a version in the claims.
  std::function<bool(const Claims&)> revoked{};
  // As the Go original: exp may be missing; dates with fractions; keys twice; text behind the JSON; any typ; crit;
  // claims given to sign may replace exp, iat, nbf. (Never: another algorithm, dates that are no numbers, odd base64.)
  bool lenient = false;
  const Clock* clock = &system_clock();  // Lifetime: of the Jwt.
};

// Why a token is refused; several at once.
enum class JwtFault : std::uint8_t {
  kMalformed = 1,
  kUnverifiable = 2,      // The algorithm or the key cannot be told.
  kSignatureInvalid = 4,  // Or of an algorithm that is not the key's.
  kExpired = 8,
  kIssuedLater = 16,  // iat is in the future.
  kNotValidYet = 32,  // nbf is.
  kWrongClaim = 64,   // exp missing, iss, aud.
  kRevoked = 128,
};

// What a look at a token came to.
struct JwtCheck {
  std::uint8_t faults = 0;  // JwtFaults.
  std::string detail;       // Of the gravest one.
  Claims claims;            // Not to be trusted while there are faults.

  bool ok() const { return faults == 0; }
  bool has(JwtFault fault) const { return (faults & static_cast<std::uint8_t>(fault)) != 0; }
};

// Signs and checks tokens. Threads: const-shared. Cost: verify of HS256 about one HMAC and one JSON parse.
class Jwt {
 public:
  Jwt(KeySet keys, JwtOptions options);

  // The claims with iat, nbf, exp (and iss, aud) of now. Shape: header and claims with sorted keys, as Go's encoder.
  // Errors: kInvalid  no key that signs; a claim is one of those; a number is NaN or infinite
  Result<std::string> sign(const dtype::Dict& claims) const;

  // Errors: kUnauthorized  any fault; `Token is expired`, `signature is invalid` …
  Result<Claims> verify(std::string_view token) const;
  JwtCheck check(std::string_view token) const;

  // Whether a token's age is beyond `refresh` (it is still valid).
  bool should_refresh(const Claims& claims) const;
  // A new token with the same claims and new dates.
  Result<std::string> renew(const Claims& claims) const;

 private:
  KeySet keys_;
  JwtOptions options_;
};

}  // namespace mg::auth
