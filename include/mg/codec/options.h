// mg/codec/options.h -- how the packets of a gate look.
//
//   codec::CodecOptions options{.endian = std::endian::little};
//   if (auto set = options.set_mix(flag_octets); !set) return set;      // more than 4 are refused
//   if (auto good = options.validate(); !good) return good;             // once, before the first packet
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mg/base/error.h"
#include "mg/codec/guard.h"

namespace mg::codec {

inline constexpr std::size_t kMaxMix = 4;

struct CodecOptions {
  std::array<std::uint8_t, kMaxMix> mix{};        // Octets before every head, both ways; the first `mix_size` count.
  std::uint8_t mix_size = 0;                      // 0..4.
  std::endian endian = std::endian::big;          // Of every integer in the head.
  std::uint32_t max_payload_bytes = 1024 * 1024;  // Of packets read; seen before anything is reserved. Any.
  // Refuse a client's packet whose serial does not grow. It grows when it is 1..32767 steps after the last one, counted
  // round the end (after 65535 comes 0; RFC 1982); the first one may be any.
  bool growing_serials = false;
  GuardFactory guard = nullptr;  // Makes each session's guard; none: plain packets.

  // Sets mix and mix_size. Errors: kInvalid  more than 4 octets
  Result<void> set_mix(std::span<const std::uint8_t> octets);

  // Errors: kInvalid  mix_size over 4, or an endian that is neither big nor little
  Result<void> validate() const;
};

}  // namespace mg::codec
