// mg/utils/tool/digest.h -- digests and base64.
//
//   sha256("abc") == "ba7816bf…"; hmac(Digest::kSha256, key, text); crc32("123456789") == 0xCBF43926
//   base64_encode(octets); Result<std::string> octets = base64_decode("aGk=");
//
// For passwords see mg/utils/auth/password.h; md5 and sha1 are for files of others, not against forgery.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace mg::tool {

enum class Digest : std::uint8_t { kMd5, kSha1, kSha256, kSha512 };

// The octets of a digest, and its lower-case hex digits. Threads: shared.
std::string digest(Digest kind, std::string_view octets);
std::string hmac(Digest kind, std::string_view key, std::string_view octets);
std::string to_hex(std::string_view octets);
// Errors: kInvalid  an odd length, a character that is no hex digit
Result<std::string> from_hex(std::string_view text);

inline std::string md5(std::string_view octets) {
  return to_hex(digest(Digest::kMd5, octets));
}
inline std::string sha1(std::string_view octets) {
  return to_hex(digest(Digest::kSha1, octets));
}
inline std::string sha256(std::string_view octets) {
  return to_hex(digest(Digest::kSha256, octets));
}
inline std::string sha512(std::string_view octets) {
  return to_hex(digest(Digest::kSha512, octets));
}

// Of zlib, PNG. `before`: the value of what came before.
std::uint32_t crc32(std::string_view octets, std::uint32_t before = 0);

// With padding. Reading passes over CR and LF and bits that mean nothing, as Go does.
// Errors: kInvalid  naming the octet where it is no base64
std::string base64_encode(std::string_view octets);
Result<std::string> base64_decode(std::string_view text);
// For URLs, without padding; strict.
std::string base64url_encode(std::string_view octets);
Result<std::string> base64url_decode(std::string_view text);

}  // namespace mg::tool
