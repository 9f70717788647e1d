// mg/utils/auth/password.h -- passwords kept as Argon2id hashes.
//
//   Result<std::string> kept = hash_password(password);           // "$argon2id$v=19$m=65536,t=2,p=1$…"
//   if (check_password(kept, typed) && needs_rehash(kept)) kept = *hash_password(typed);
//
// Each call takes tens of milliseconds and `memory` on purpose: run it on the blocking pool, never on a loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace mg::auth {

struct PasswordCost {
  std::uint64_t passes = 2;                     // >= 1.
  std::size_t memory_bytes = 64 * 1024 * 1024;  // >= 8 KiB. The default is libsodium's "interactive".
};

// Longer passwords are refused before any work.
inline constexpr std::size_t kMaxPasswordBytes = 1024;

// Errors: kInvalid      the password is empty or too long, the cost is out of range
//         kUnavailable  not enough memory
// Threads: shared. Source: RFC 9106.
Result<std::string> hash_password(std::string_view password, const PasswordCost& cost = {});

// False too when `hash` is none. Constant time in the password.
bool check_password(std::string_view hash, std::string_view password);

// Whether a hash was made with another cost, or is none.
bool needs_rehash(std::string_view hash, const PasswordCost& cost = {});

}  // namespace mg::auth
