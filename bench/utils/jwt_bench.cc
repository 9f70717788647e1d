// Tokens of HS256 beside bare OpenSSL and Boost.JSON.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/json/src.hpp>
#include <cstdlib>

#include "mg/utils/auth/jwt.h"
#include "mg/utils/auth/key.h"
#include "utils/bench_case.h"

namespace mg::bench {

void jwt_rows(Report& report) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  const auth::Jwt jwt(*auth::Key::secret(auth::Algorithm::kHs256, secret), {});
  const std::string token = *jwt.sign({{"uid", 9007199254740993}, {"name", "player one"}, {"role", "user"}});
  const std::size_t first = token.find('.');
  const std::string claims = dtype::to_json(jwt.verify(token)->all());
  const std::string header = R"({"alg":"HS256","typ":"JWT"})";
  const std::string_view signed_part = std::string_view(token).substr(0, token.find('.', first + 1));
  report.row(
      {"jwt: verify HS256", 1.5}, 1, [&] { keep(jwt.verify(token)); },
      [&] {
        unsigned char mac[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(signed_part.data()), signed_part.size(), mac, &size);
        keep(mac);
        keep(boost::json::parse(header));
        keep(boost::json::parse(claims));
      });
}

}  // namespace mg::bench
