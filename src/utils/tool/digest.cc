#include "mg/utils/tool/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/base64.h"
#include "mg/base/check.h"

namespace mg::tool {
namespace {

const EVP_MD* kind_of(Digest kind) {
  switch (kind) {
    case Digest::kMd5:
      return EVP_md5();
    case Digest::kSha1:
      return EVP_sha1();
    case Digest::kSha256:
      return EVP_sha256();
    case Digest::kSha512:
      break;
  }
  return EVP_sha512();
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

constexpr std::array<std::uint32_t, 256> kCrcs = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ 0xEDB88320U : value >> 1;
    table[i] = value;
  }
  return table;
}();

}  // namespace

std::string digest(Digest kind, std::string_view octets) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  check(EVP_Digest(octets.data(), octets.size(), out.data(), &size, kind_of(kind), nullptr) == 1,
        "OpenSSL has no such digest");
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string hmac(Digest kind, std::string_view key, std::string_view octets) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  check(HMAC(kind_of(kind), key.empty() ? "" : key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), out.data(), &size) != nullptr,
        "OpenSSL has no such digest");
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string to_hex(std::string_view octets) {
  std::string out;
  out.reserve(octets.size() * 2);
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    out += "0123456789abcdef"[octet >> 4];
    out += "0123456789abcdef"[octet & 15];
  }
  return out;
}

Result<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(code::kInvalid, "{} hex digits are no whole octets", text.size());
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return fail(code::kInvalid, "no hex digit at octet {}", high < 0 ? i : i + 1);
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

std::uint32_t crc32(std::string_view octets, std::uint32_t before) {
  std::uint32_t value = ~before;
  for (const char c : octets) value = value >> 8 ^ kCrcs[(value ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~value;
}

std::string base64_encode(std::string_view octets) {
  return base64::encode(octets, base64::kStandard);
}

Result<std::string> base64_decode(std::string_view text) {
  static constexpr auto kValues = base64::values_of(base64::kStandard);
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int letters = 0;  // Of the group at hand.
  int padding = 0;
  bool ended = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' || c == '\n') continue;
    const auto wrong = [&] { return fail(code::kInvalid, "illegal base64 data at input byte {}", i); };
    if (ended) return wrong();
    if (c == '=') {
      if (letters < 2) return wrong();
      ++padding;
    } else {
      const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
      if (value == base64::kNoLetter || padding != 0) return wrong();
      bits = bits << 6 | value;
      ++letters;
    }
    if (letters + padding != 4) continue;
    bits <<= 6 * padding;
    for (int n = 0; n < letters - 1; ++n) out += static_cast<char>(bits >> (16 - 8 * n));
    ended = padding != 0;
    bits = 0;
    letters = padding = 0;
  }
  if (letters + padding != 0) return fail(code::kInvalid, "illegal base64 data: it ends inside a group");
  return out;
}

std::string base64url_encode(std::string_view octets) {
  return base64::encode(octets, base64::kUrl);
}

Result<std::string> base64url_decode(std::string_view text) {
  auto out = base64::decode(text, base64::kUrl);
  if (!out) return fail(code::kInvalid, "no base64 for URLs");
  return *std::move(out);
}

}  // namespace mg::tool
