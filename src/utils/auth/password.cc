#include "mg/utils/auth/password.h"

#include <sodium.h>

#include <array>
#include <cstring>

namespace mg::auth {
namespace {

bool ready() {
  static const bool done = sodium_init() >= 0;
  return done;
}

// A hash as the library wants it: ended by 0, in a fixed block. False: no hash.
using HashText = std::array<char, crypto_pwhash_STRBYTES>;
bool to_hash_text(std::string_view hash, HashText& out) {
  if (hash.empty() || hash.size() >= out.size() || hash.contains('\0')) return false;
  out.fill('\0');
  std::memcpy(out.data(), hash.data(), hash.size());
  return true;
}

}  // namespace

Result<std::string> hash_password(std::string_view password, const PasswordCost& cost) {
  if (password.empty()) return fail(code::kInvalid, "the password is empty");
  if (password.size() > kMaxPasswordBytes) {
    return fail(code::kInvalid, "the password has {} octets, more than {}", password.size(), kMaxPasswordBytes);
  }
  if (cost.passes < crypto_pwhash_OPSLIMIT_MIN || cost.passes > crypto_pwhash_OPSLIMIT_MAX ||
      cost.memory_bytes < crypto_pwhash_MEMLIMIT_MIN || cost.memory_bytes > crypto_pwhash_MEMLIMIT_MAX) {
    return fail(code::kInvalid, "passwords cannot cost {} passes over {} octets", cost.passes, cost.memory_bytes);
  }
  HashText out{};
  if (!ready() || crypto_pwhash_str_alg(out.data(), password.data(), password.size(), cost.passes, cost.memory_bytes,
                                        crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return fail(code::kUnavailable, "no {} octets of memory to hash a password with", cost.memory_bytes);
  }
  return std::string(out.data());
}

bool check_password(std::string_view hash, std::string_view password) {
  HashText text{};
  if (!ready() || password.size() > kMaxPasswordBytes || !to_hash_text(hash, text)) return false;
  return crypto_pwhash_str_verify(text.data(), password.data(), password.size()) == 0;
}

bool needs_rehash(std::string_view hash, const PasswordCost& cost) {
  HashText text{};
  if (!ready() || !hash.starts_with("$argon2id$") || !to_hash_text(hash, text)) return true;
  return crypto_pwhash_str_needs_rehash(text.data(), cost.passes, cost.memory_bytes) != 0;
}

}  // namespace mg::auth
