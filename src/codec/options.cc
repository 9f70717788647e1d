#include "mg/codec/options.h"

#include <algorithm>

namespace mg::codec {

Result<void> CodecOptions::set_mix(std::span<const std::uint8_t> octets) {
  if (octets.size() > kMaxMix) {
    return fail(code::kInvalid, "{} mix octets: at most {} may stand before a head", octets.size(), kMaxMix);
  }
  mix.fill(0);
  std::ranges::copy(octets, mix.begin());
  mix_size = static_cast<std::uint8_t>(octets.size());
  return {};
}

Result<void> CodecOptions::validate() const {
  if (mix_size > kMaxMix) {
    return fail(code::kInvalid, "mix_size is {}: at most {} mix octets may stand before a head", mix_size, kMaxMix);
  }
  if (endian != std::endian::big && endian != std::endian::little) {
    return fail(code::kInvalid, "endian of the codec is neither big nor little");
  }
  return {};
}

}  // namespace mg::codec
