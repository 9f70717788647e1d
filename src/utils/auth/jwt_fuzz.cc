// Any text as a token; and any text as the two JSON parts of a token that is signed right, so that what reads claims is
// reached. Nothing passes that the strict rules forbid.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "mg/utils/auth/jwt.h"

namespace {

using mg::auth::Algorithm;
using mg::auth::Jwt;
using mg::auth::Key;

const mg::ManualClock kClock{mg::Clock::WallTime(std::chrono::seconds(1'600'000'000))};
const Key kKey = *Key::secret(Algorithm::kHs256, "0123456789abcdef0123456789abcdef");
const Jwt kStrict(kKey, {.clock = &kClock});
const Jwt kLenient(kKey, {.lenient = true, .clock = &kClock});

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (kStrict.check(text).ok() && !kLenient.check(text).ok()) std::abort();

  const std::size_t cut = text.find('\n');
  const std::string_view header = cut == text.npos ? R"({"alg":"HS256"})" : text.substr(0, cut);
  const std::string_view claims = cut == text.npos ? text : text.substr(cut + 1);
  std::string token = mg::base64::encode(header, mg::base64::kUrl) + "." + mg::base64::encode(claims, mg::base64::kUrl);
  token += "." + mg::base64::encode(*kKey.sign(token), mg::base64::kUrl);
  const auto strict = kStrict.check(token);
  const auto lenient = kLenient.check(token);
  if (strict.has(mg::auth::JwtFault::kSignatureInvalid) != lenient.has(mg::auth::JwtFault::kSignatureInvalid) &&
      !strict.has(mg::auth::JwtFault::kMalformed) && !strict.has(mg::auth::JwtFault::kUnverifiable)) {
    std::abort();
  }
  if (!strict.ok()) return 0;
  if (!lenient.ok() || strict.claims.get_int("exp") < 1'600'000'000) std::abort();
  for (const auto& [name, value] : strict.claims.all()) {
    (void)strict.claims.get_str(name);
    (void)strict.claims.get_int(name);
    (void)strict.claims.get_float64(name);
  }
  // A token's claims, signed anew, are the same claims.
  const auto renewed = kStrict.renew(strict.claims);
  if (renewed && !kStrict.check(*renewed).ok()) std::abort();
  return 0;
}
