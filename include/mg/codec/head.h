// mg/codec/head.h -- the heads of client packets (wire.md section 5).
//
//   codec::ClientHead request{.serial = 7, .cmd = 10001};
//   codec::ServerHead reply{.serial = request.serial, .cmd = request.cmd, .code = 404};
//   static_assert(codec::ServerHead::kBytes == 14);
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "mg/base/bytes.h"

namespace mg::codec {

// Head of a packet from a client. Shape: serial:u16 cmd:u32 size:u32, after 0..4 mix octets.
struct ClientHead {
  static constexpr std::size_t kBytes = 10;
  std::uint16_t serial = 0;  // Echoed in the reply.
  std::uint32_t cmd = 0;     // Route number.

  friend bool operator==(const ClientHead&, const ClientHead&) = default;
};

// Head of a packet to a client. Shape: serial:u16 cmd:u32 code:u32 size:u32, after 0..4 mix octets.
struct ServerHead {
  static constexpr std::size_t kBytes = 14;
  std::uint16_t serial = 0;  // Of the request; 0 for a push.
  std::uint32_t cmd = 0;     // Of the request, or what is pushed.
  std::uint32_t code = 0;    // 0 is success.

  friend bool operator==(const ServerHead&, const ServerHead&) = default;
};

template <class T>
concept PacketHead = std::same_as<T, ClientHead> || std::same_as<T, ServerHead>;

// Reads the head at `from` and the number of payload octets it states. Requires: Head::kBytes readable octets.
template <PacketHead Head>
Head load_head(const std::byte* from, std::endian endian, std::uint32_t& payload_bytes) {
  Head head;
  head.serial = load<std::uint16_t>(from, endian);
  head.cmd = load<std::uint32_t>(from + 2, endian);
  if constexpr (std::same_as<Head, ServerHead>) head.code = load<std::uint32_t>(from + 6, endian);
  payload_bytes = load<std::uint32_t>(from + Head::kBytes - 4, endian);
  return head;
}

// Requires: Head::kBytes writable octets.
template <PacketHead Head>
void store_head(std::byte* to, const Head& head, std::uint32_t payload_bytes, std::endian endian) {
  store(to, head.serial, endian);
  store(to + 2, head.cmd, endian);
  if constexpr (std::same_as<Head, ServerHead>) store(to + 6, head.code, endian);
  store(to + Head::kBytes - 4, payload_bytes, endian);
}

}  // namespace mg::codec
