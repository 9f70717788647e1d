// Tokens made to deceive, one test for each kind of deceit.
#include "mg/utils/auth/jwt.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "base/base64.h"
#include "utils/auth/test_keys.h"

namespace mg::auth {
namespace {

using namespace std::chrono_literals;
using dtype::Dict;
using dtype::List;
using testing::HasSubstr;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::int64_t kNow = 1'600'000'000;

Key secret(Algorithm algorithm = Algorithm::kHs256, std::string_view octets = kSecret) {
  return *Key::secret(algorithm, octets);
}

// A token of any header and claims, signed as HS256 whatever the header says.
std::string forged(std::string_view header, std::string_view claims, const Key& key = secret()) {
  std::string token = base64::encode(header, base64::kUrl) + "." + base64::encode(claims, base64::kUrl);
  return token + "." + base64::encode(*key.sign(token), base64::kUrl);
}
std::string with_claims(std::string_view claims) {
  return forged(R"({"alg":"HS256","typ":"JWT"})", claims);
}
std::string with_header(std::string_view header) {
  return forged(header, R"({"exp":1600000100})");
}

class JwtTest : public testing::Test {
 protected:
  Jwt made(JwtOptions options = {}, KeySet keys = secret()) {
    options.clock = &clock;
    return Jwt(std::move(keys), std::move(options));
  }
  std::string fault(std::string_view token) { return fault(made(), token); }
  static std::string fault(const Jwt& jwt, std::string_view token) {
    const auto claims = jwt.verify(token);
    if (claims) return "none";
    EXPECT_EQ(claims.error().code, code::kUnauthorized);
    return claims.error().detail;
  }

  ManualClock clock{Clock::WallTime(std::chrono::seconds(kNow))};
};

TEST_F(JwtTest, SignsWhatItVerifies) {
  const Jwt jwt = made({.expire = 1h, .issuer = "gate", .audience = "game"});
  const auto token = jwt.sign({{"uid", 9007199254740993}, {"name", "中<>"}});
  ASSERT_TRUE(token);
  const auto claims = jwt.verify(*token);
  ASSERT_TRUE(claims) << claims.error().detail;
  EXPECT_EQ(claims->get_int("uid"), 9007199254740993);
  EXPECT_EQ(claims->get_str("uid"), "9007199254740993");
  EXPECT_EQ(claims->get_str("name"), "中<>");
  EXPECT_EQ(claims->get_int("exp"), kNow + 3600);
  EXPECT_EQ(claims->get_str("iss"), "gate");
}

// ---- algorithms ------------------------------------------------------------------------------------------------

TEST_F(JwtTest, NoneInAnySpellingIsRefused) {
  for (const char* name : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string header = base64::encode(fmt::format(R"({{"alg":"{}"}})", name), base64::kUrl);
    const std::string claims = base64::encode(R"({"exp":1600000100})", base64::kUrl);
    EXPECT_NE(fault(header + "." + claims + "."), "none") << name;
    EXPECT_NE(fault(with_header(fmt::format(R"({{"alg":"{}"}})", name))), "none") << name;
  }
}

TEST_F(JwtTest, AlgorithmIsTheKeysAndNotTheTokens) {
  // The classic: the public key, known to all, taken as the secret of an HMAC.
  const auto rsa = Key::public_pem(Algorithm::kRs256, test_keys::kRsaPublic);
  ASSERT_TRUE(rsa);
  const Key confused = secret(Algorithm::kHs256, test_keys::kRsaPublic);
  EXPECT_EQ(fault(made({}, *rsa), forged(R"({"alg":"HS256"})", R"({"exp":1600000100})", confused)),
            "key is of invalid type");
  EXPECT_EQ(fault(made({}, *rsa), forged(R"({"alg":"RS256"})", R"({"exp":1600000100})", confused)),
            "signature is invalid");
  // And the others.
  for (const char* header : {R"({"alg":"RS256"})", R"({"alg":"ES256"})", R"({"alg":"EdDSA"})", R"({"alg":"HS384"})",
                             R"({"alg":"HS512"})", R"({"alg":"PS256"})"}) {
    EXPECT_EQ(fault(with_header(header)), "key is of invalid type") << header;
  }
  for (const char* header : {R"({"alg":"HS1"})", R"({"alg":"hs256"})", R"({"alg":"HS256 "})", R"({"alg":["HS256"]})",
                             R"({"alg":{}})", R"({"typ":"JWT"})", R"({"ALG":"HS256"})"}) {
    EXPECT_THAT(fault(with_header(header)), HasSubstr("(alg)")) << header;
  }
}

TEST_F(JwtTest, EveryAlgorithmChecksTokensOfAnotherImplementation) {
  for (const auto& [name, private_key, public_key, token] : test_keys::kTokens) {
    const Algorithm algorithm = *algorithm_named(name);
    const auto checks = Key::public_pem(algorithm, public_key);
    const auto signs = Key::private_pem(algorithm, private_key);
    ASSERT_TRUE(checks && signs) << name;
    EXPECT_EQ(fault(made({}, *checks), token), "none") << name;
    EXPECT_FALSE(checks->can_sign());
    EXPECT_EQ(made({}, *checks).sign({}).error().code, code::kInvalid);

    const auto own = made({}, *signs).sign({{"uid", 1}});
    ASSERT_TRUE(own) << name << " " << own.error().detail;
    EXPECT_EQ(fault(made({}, *checks), *own), "none") << name;
    for (const std::size_t place : {own->rfind('.') + 1, own->rfind('.') + 20, own->find('.') + 1}) {
      std::string changed = *own;
      changed[place] = changed[place] == 'A' ? 'B' : 'A';
      EXPECT_NE(fault(made({}, *checks), changed), "none") << name << " " << place;
    }
    EXPECT_NE(fault(made({}, *checks), own->substr(0, own->rfind('.') + 1)), "none") << name;
  }
}

TEST(AuthKey, OfTheWrongTypeCurveOrSizeIsRefused) {
  const auto fault = [](const Result<Key>& key) { return key ? "none" : key.error().detail; };
  EXPECT_THAT(fault(Key::public_pem(Algorithm::kRs256, test_keys::kP256Public)), HasSubstr("type RSA, not EC"));
  EXPECT_THAT(fault(Key::public_pem(Algorithm::kEs256, test_keys::kP384Public)), HasSubstr("curve prime256v1"));
  EXPECT_THAT(fault(Key::public_pem(Algorithm::kEdDsa, test_keys::kRsaPublic)), HasSubstr("type ED25519"));
  EXPECT_THAT(fault(Key::public_pem(Algorithm::kRs256, test_keys::kSmallRsaPublic)), HasSubstr("2048 bits"));
  EXPECT_THAT(fault(Key::public_pem(Algorithm::kRs256, "x")), HasSubstr("no public key"));
  EXPECT_THAT(fault(Key::private_pem(Algorithm::kRs256, test_keys::kRsaPublic)), HasSubstr("no private key"));
  EXPECT_THAT(fault(Key::public_pem(Algorithm::kHs256, test_keys::kRsaPublic)), HasSubstr("has a secret"));
  EXPECT_THAT(fault(Key::secret(Algorithm::kRs256, kSecret)), HasSubstr("PEM"));
  EXPECT_THAT(fault(Key::secret(Algorithm::kHs256, "short")), HasSubstr("too short"));
  EXPECT_THAT(fault(Key::secret(Algorithm::kHs256, "")), HasSubstr("too short"));
  EXPECT_THAT(
      fault(Key::private_pem(Algorithm::kRs256,
                             "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")),
      HasSubstr("no private key"))
      << "and nobody is asked for a password";
}

// ---- dates, iss, aud -------------------------------------------------------------------------------------------

TEST_F(JwtTest, DatesMustBeThereWholeAndRight) {
  const std::map<std::string, std::string> kFaults{
      {R"({})", "token never expires (no exp)"},
      {R"({"exp":1599999999})", "Token is expired"},
      {R"({"exp":-1})", "Token is expired"},
      {R"({"exp":0})", "Token is expired"},
      {R"({"exp":-9223372036854775808})", "Token is expired"},
      {R"({"exp":"1700000000"})", "token claim exp is not a whole number"},
      {R"({"exp":1700000000.5})", "token claim exp is not a whole number"},
      {R"({"exp":1e30})", "token claim exp is not a whole number"},
      {R"({"exp":null})", "token claim exp is not a whole number"},
      {R"({"exp":true})", "token claim exp is not a whole number"},
      {R"({"exp":[1700000000]})", "token claim exp is not a whole number"},
      {R"({"exp":1600000000,"nbf":1600000001})", "Token is not valid yet"},
      {R"({"exp":1600000000,"iat":1600000001})", "Token used before issued"},
      {R"({"exp":1600000000,"iat":"x"})", "token claim iat is not a whole number"},
  };
  for (const auto& [claims, wanted] : kFaults) EXPECT_EQ(fault(with_claims(claims)), wanted) << claims;
  EXPECT_THAT(fault(with_claims(R"({"exp":1e400})")), HasSubstr("too large a number"));
  EXPECT_EQ(fault(with_claims(R"({"exp":1600000000,"nbf":1600000000,"iat":1600000000})")), "none") << "the very second";
  EXPECT_EQ(fault(with_claims(R"({"exp":18446744073709551615})")), "none") << "far, not negative";
}

TEST_F(JwtTest, LeewayBridgesClocksThatDiffer) {
  const Jwt jwt = made({.leeway = 30s});
  EXPECT_EQ(fault(jwt, with_claims(R"({"exp":1599999970,"nbf":1600000030,"iat":1600000030})")), "none");
  EXPECT_EQ(fault(jwt, with_claims(R"({"exp":1599999969})")), "Token is expired");
  EXPECT_EQ(fault(jwt, with_claims(R"({"exp":1600000000,"nbf":1600000031})")), "Token is not valid yet");
}

TEST_F(JwtTest, IssuerAndAudienceMustBeTheWanted) {
  const Jwt jwt = made({.issuer = "gate", .audience = "game"});
  const auto claims = [](std::string_view rest) {
    return with_claims(fmt::format(R"({{"exp":1600000100,{}}})", rest));
  };
  EXPECT_EQ(fault(jwt, claims(R"("iss":"gate","aud":"game")")), "none");
  EXPECT_EQ(fault(jwt, claims(R"("iss":"gate","aud":["web","game"])")), "none");
  EXPECT_EQ(fault(jwt, claims(R"("iss":"other","aud":"game")")), "token is not issued by gate");
  EXPECT_EQ(fault(jwt, claims(R"("iss":["gate"],"aud":"game")")), "token is not issued by gate");
  for (const char* audience : {R"("web")", R"(["web"])", "[]", "{}", "null", R"([["game"]])", R"("gam")"}) {
    EXPECT_EQ(fault(jwt, claims(fmt::format(R"("iss":"gate","aud":{})", audience))), "token is not meant for game")
        << audience;
  }
  EXPECT_NE(fault(jwt, claims(R"("a":1)")), "none");
}

// ---- headers ---------------------------------------------------------------------------------------------------

TEST_F(JwtTest, KeysInHeadersAndPlacesToFetchThemAreIgnored) {
  // The key that signed travels in the token, or lies where the token says: neither is looked at.
  const Key other = secret(Algorithm::kHs256, "another secret, of an attacker!!");
  for (const char* extra : {R"("jwk":{"kty":"oct","k":"YW5vdGhlciBzZWNyZXQ"})", R"("jku":"http://127.0.0.1:1/keys")",
                            R"("x5u":"file:///etc/passwd")", R"("kid":"../../../../dev/null")",
                            R"("kid":"x' UNION SELECT 'secret")", R"("kid":"/proc/self/environ")"}) {
    const std::string header = fmt::format(R"({{"alg":"HS256",{}}})", extra);
    EXPECT_EQ(fault(forged(header, R"({"exp":1600000100})", other)), "signature is invalid") << extra;
    EXPECT_EQ(fault(with_header(header)), "none") << extra;
  }
}

TEST_F(JwtTest, KidChoosesAmongTheKeysOfTheSetAlone) {
  const Key old_key = secret(Algorithm::kHs256, "the secret of the first half year");
  const Key new_key = secret(Algorithm::kHs512, "the secret of the second half of it");
  const std::string before = *made({}, KeySet().add("h1", old_key)).sign({{"uid", 1}});
  const Jwt both = made({}, KeySet().add("h1", old_key).add("h2", new_key));
  const std::string after = *both.sign({{"uid", 1}});
  EXPECT_EQ(base64::decode(after.substr(0, after.find('.')), base64::kUrl),
            R"({"alg":"HS512","kid":"h2","typ":"JWT"})");
  EXPECT_EQ(fault(both, before), "none");
  EXPECT_EQ(fault(both, after), "none");
  const Jwt rotated = made({}, KeySet().add("h2", new_key));
  EXPECT_EQ(fault(rotated, before), "token is signed with a key that is not known");
  EXPECT_EQ(fault(rotated, after), "none");
  EXPECT_EQ(fault(both, forged(R"({"alg":"HS256"})", R"({"exp":1600000100})", old_key)),
            "token is signed with a key that is not known")
      << "which of the two cannot be told";
  EXPECT_EQ(fault(both, forged(R"({"alg":"HS256","kid":"h2"})", R"({"exp":1600000100})", old_key)),
            "key is of invalid type");
  EXPECT_EQ(fault(both, forged(R"({"alg":"HS256","kid":["h1"]})", R"({"exp":1600000100})", old_key)),
            "token is signed with a key that is not known");
}

TEST_F(JwtTest, TypeAndCriticalExtensionsCount) {
  EXPECT_EQ(fault(with_header(R"({"alg":"HS256","typ":"jwt"})")), "none");
  EXPECT_EQ(fault(with_header(R"({"alg":"HS256"})")), "none");
  EXPECT_EQ(fault(with_header(R"({"alg":"HS256","typ":"at+jwt"})")), "token is not of the type JWT");
  EXPECT_EQ(fault(with_header(R"({"alg":"HS256","typ":7})")), "token is not of the type JWT");
  EXPECT_THAT(fault(with_header(R"({"alg":"HS256","crit":["exp"]})")), HasSubstr("(crit)"));
}

// ---- form ------------------------------------------------------------------------------------------------------

TEST_F(JwtTest, MalformedTokensAreRefused) {
  const std::string good = with_claims(R"({"exp":1600000100})");
  ASSERT_EQ(fault(good), "none");
  std::string other_bits = good;  // The last letter of 32 octets has two bits that mean nothing.
  other_bits.back() = other_bits.back() == 'A' ? 'B' : static_cast<char>(other_bits.back() + 1);
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("..."), good + "=", good + ".", good + ".x",
        "." + good, good.substr(0, good.rfind('.')), " " + good, good + " ", good + "\n", "Bearer " + good,
        std::string(good).insert(5, "\r\n"), std::string(good).insert(good.find('.'), "="), other_bits,
        std::string(1 << 20, 'a'), std::string(1 << 20, '.'), good + std::string(10000, 'A')}) {
    EXPECT_NE(fault(bad), "none") << bad.substr(0, 200);
  }
  EXPECT_EQ(fault(std::string(1 << 20, '.')), "token of 1048576 octets is longer than 8192");
  for (const char* header : {"", "null", "[]", "5", "\"HS256\"", R"({"alg":"HS256"} x)", R"({"alg":"HS256"}{})",
                             R"({"alg":"HS256","alg":"HS256"})", "{'alg':'HS256'}", "\xff"}) {
    EXPECT_NE(fault(with_header(header)), "none") << header;
  }
  for (const char* claims : {"", "null", "[]", "5", R"({"exp":1600000100} x)", R"({"exp":1600000100,"exp":1600000100})",
                             R"({"exp":1600000100,"a":{"b":1,"b":2}})", R"({"exp":1600000100,})"}) {
    EXPECT_NE(fault(with_claims(claims)), "none") << claims;
  }
}

TEST_F(JwtTest, DeepJsonIsRefused) {
  const auto deep = [](std::size_t depth) {
    return with_claims(R"({"exp":1600000100,"a":)" + std::string(depth, '[') + std::string(depth, ']') + "}");
  };
  EXPECT_EQ(fault(deep(31)), "none");
  EXPECT_THAT(fault(deep(32)), HasSubstr("levels"));
  EXPECT_THAT(fault(deep(2500)), HasSubstr("levels"));
}

TEST_F(JwtTest, LenientTakesWhatTheGoOriginalTakes) {
  const Jwt jwt = made({.lenient = true});
  for (const char* claims : {"{}", "null", R"({"uid":1} x)", R"({"uid":1,"uid":2})", R"({"exp":1600000000.9})"}) {
    EXPECT_EQ(fault(jwt, with_claims(claims)), "none") << claims;
  }
  EXPECT_EQ(fault(jwt, with_header(R"({"alg":"HS256","typ":"X","crit":["a"]})")), "none");
  EXPECT_NE(fault(jwt, with_claims(R"({"exp":"1700000000"})")), "none");
  EXPECT_NE(fault(jwt, with_header(R"({"alg":"HS384"})")), "none");
}

// ---- signing ---------------------------------------------------------------------------------------------------

TEST_F(JwtTest, CallersCannotSetDatesOrNames) {
  const Jwt jwt = made({.issuer = "gate"});
  for (const char* name : {"exp", "iat", "nbf", "iss"}) {
    const auto token = jwt.sign({{name, kNow + 1'000'000}});
    ASSERT_FALSE(token) << name;
    EXPECT_EQ(token.error().code, code::kInvalid);
    EXPECT_THAT(token.error().detail, HasSubstr(name));
  }
  EXPECT_TRUE(jwt.sign({{"aud", "x"}})) << "no audience is configured";
}

TEST_F(JwtTest, NumbersWithoutJsonAndTokensThatGrowTooLongAreNotSigned) {
  EXPECT_EQ(made().sign({{"x", std::numeric_limits<double>::quiet_NaN()}}).error().code, code::kInvalid);
  EXPECT_THAT(made().sign({{"x", std::string(9000, 'x')}}).error().detail, HasSubstr("longer than 8192"));
}

TEST_F(JwtTest, AnEndlessLifeHasNoEnd) {
  for (const auto life : {std::chrono::nanoseconds::max(), std::chrono::nanoseconds(-1h), 0ns}) {
    const auto token = made({.expire = life}).sign({});
    ASSERT_TRUE(token);
    EXPECT_EQ(fault(made({.need_exp = false}), *token), "none");
    EXPECT_EQ(fault(*token), "token never expires (no exp)");
  }
}

TEST(Constant, ComparisonTellsOnlyWhetherTheyAreTheSame) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

// ---- sessions --------------------------------------------------------------------------------------------------

TEST_F(JwtTest, RefreshesFromItsAgeToItsEnd) {
  const Jwt jwt = made({.expire = 1h, .refresh = 10min});
  const std::string token = *jwt.sign({{"uid", 7}});
  clock.advance(10min);
  EXPECT_FALSE(jwt.should_refresh(*jwt.verify(token))) << "exactly that old";
  clock.advance(1s);
  EXPECT_TRUE(jwt.should_refresh(*jwt.verify(token)));
  clock.advance(50min - 1s);
  ASSERT_TRUE(jwt.verify(token)) << "the last second";
  const auto renewed = jwt.renew(*jwt.verify(token));
  ASSERT_TRUE(renewed) << renewed.error().detail;
  clock.advance(1s);
  EXPECT_EQ(fault(jwt, token), "Token is expired");
  EXPECT_EQ(jwt.verify(*renewed)->get_int("uid"), 7);
  EXPECT_EQ(jwt.verify(*renewed)->get_int("iat"), kNow + 3600);
}

TEST_F(JwtTest, TokensAreRefusedAfterALogoutOrANewPassword) {
  std::map<std::int64_t, std::int64_t> session_version{{7, 1}};
  const Jwt jwt = made({.issuer = "gate", .revoked = [&](const Claims& claims) {
                          const auto known = session_version.find(claims.get_int("uid"));
                          return known == session_version.end() || known->second != claims.get_int("sv");
                        }});
  const std::string token = *jwt.sign({{"uid", 7}, {"sv", 1}});
  EXPECT_EQ(fault(jwt, token), "none");
  session_version[7] = 2;
  EXPECT_EQ(fault(jwt, token), "token is revoked");
  EXPECT_EQ(fault(jwt, *jwt.sign({{"uid", 7}, {"sv", 2}})), "none");
}

TEST_F(JwtTest, RevocationIsNotAskedAboutForgeries) {
  int asked = 0;
  const Jwt jwt = made({.revoked = [&](const Claims&) { return ++asked, false; }});
  EXPECT_NE(fault(jwt, with_claims(R"({"exp":1})")), "none");
  EXPECT_NE(fault(jwt, with_claims(R"({"exp":1600000100})") + "A"), "none");
  EXPECT_EQ(asked, 0);
}

}  // namespace
}  // namespace mg::auth
