#include "agent/ws/utf8.h"

#include <cstring>

namespace mg::agent::ws {

bool Utf8Check::feed(Bytes text) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* const end = at + text.size();
  while (at != end) {
    if (missing_ != 0) {
      if (*at < low_ || *at > high_) return false;
      ++at;
      --missing_;
      low_ = 0x80;
      high_ = 0xBF;
      continue;
    }
    while (end - at >= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, at, sizeof eight);
      if ((eight & 0x8080808080808080U) != 0) break;
      at += 8;
    }
    if (at == end) break;
    const std::uint8_t lead = *at++;
    if (lead < 0x80) continue;
    if (lead < 0xC2 || lead > 0xF4) return false;
    missing_ = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    // Only the octet after these leads is narrower: over-long forms, surrogates, the end of Unicode.
    if (lead == 0xE0) low_ = 0xA0;
    if (lead == 0xED) high_ = 0x9F;
    if (lead == 0xF0) low_ = 0x90;
    if (lead == 0xF4) high_ = 0x8F;
  }
  return true;
}

}  // namespace mg::agent::ws
