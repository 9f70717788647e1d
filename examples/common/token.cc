#include "examples/common/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>

namespace example {
namespace {

constexpr std::size_t kMaxToken = 512;

std::string sign(std::string_view text, std::string_view secret) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace

std::string make_token(std::string_view account, mg::Clock::WallTime expiry, std::string_view secret) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(expiry.time_since_epoch()).count();
  std::string text = fmt::format("{}.{}", account, seconds);
  return text + '.' + sign(text, secret);
}

mg::Result<std::string> check_token(std::string_view token, std::string_view secret, mg::Clock::WallTime now) {
  const auto refuse = [] { return mg::fail(mg::code::kUnauthorized, "login refused: the token is not valid"); };
  if (token.size() > kMaxToken) return refuse();
  const std::size_t signature_dot = token.rfind('.');
  if (signature_dot == std::string_view::npos) return refuse();
  const std::string_view text = token.substr(0, signature_dot);
  const std::string_view signature = token.substr(signature_dot + 1);
  const std::string expected = sign(text, secret);
  if (signature.size() != expected.size() || CRYPTO_memcmp(signature.data(), expected.data(), expected.size()) != 0) {
    return refuse();
  }
  const std::size_t expiry_dot = text.rfind('.');
  if (expiry_dot == std::string_view::npos || expiry_dot == 0) return refuse();
  const std::string_view expiry = text.substr(expiry_dot + 1);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(expiry.data(), expiry.data() + expiry.size(), seconds);
  if (error != std::errc() || end != expiry.data() + expiry.size()) return refuse();
  if (std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() >= seconds) {
    return mg::fail(mg::code::kUnauthorized, "login refused: the token has expired");
  }
  return std::string(text.substr(0, expiry_dot));
}

}  // namespace example
