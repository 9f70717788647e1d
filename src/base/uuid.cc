#include "mg/base/uuid.h"

namespace mg {
namespace {

// True where the text has a dash before octet i.
constexpr bool dash_before(std::size_t i) {
  return i == 4 || i == 6 || i == 8 || i == 10;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Uuid Uuid::v4(Random& random) {
  Uuid id;
  random.fill(std::as_writable_bytes(std::span(id.octets)));
  id.octets[6] = static_cast<std::uint8_t>((id.octets[6] & 0x0F) | 0x40);  // Version 4
  id.octets[8] = static_cast<std::uint8_t>((id.octets[8] & 0x3F) | 0x80);  // of the RFC's variant.
  return id;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != kTextSize) return std::nullopt;
  Uuid id;
  const char* from = text.data();
  for (std::size_t i = 0; i < id.octets.size(); ++i) {
    if (dash_before(i) && *from++ != '-') return std::nullopt;
    const int high = hex_digit(*from++), low = hex_digit(*from++);
    if (high < 0 || low < 0) return std::nullopt;
    id.octets[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return id;
}

void Uuid::write(std::span<char, kTextSize> out) const {
  static constexpr char kDigits[] = "0123456789abcdef";
  char* to = out.data();
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (dash_before(i)) *to++ = '-';
    *to++ = kDigits[octets[i] >> 4];
    *to++ = kDigits[octets[i] & 0xF];
  }
}

std::string Uuid::text() const {
  std::string out(kTextSize, '\0');
  write(std::span<char, kTextSize>(out.data(), kTextSize));
  return out;
}

}  // namespace mg
