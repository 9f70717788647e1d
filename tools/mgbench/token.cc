#include "token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "fmt/core.h"

namespace mgbench {

std::string make_token(std::string_view secret, std::string_view account, std::int64_t expiry_s) {
  std::string token = fmt::format("{}.{}", account, expiry_s);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data(), &size);
  token += '.';
  for (unsigned i = 0; i < size; ++i) token += fmt::format("{:02x}", digest[i]);
  return token;
}

}  // namespace mgbench
