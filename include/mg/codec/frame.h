// mg/codec/frame.h -- client packets: octets <-> head + payload (wire.md section 5), without a guard.
//
//   auto got = decode_client(message, options);                    // a whole WebSocket message
//   auto got = scan_client(received_so_far, options);              // the front of a TCP stream
//   std::size_t size = encode_server(ServerHead{.serial = 7, .cmd = 1}, payload, options, out);
//
// They are inlined always: what they give is a hundred octets that, handed over in memory, cost more than they do.
//
// Sessions (and whoever may have a guard) use SessionCodec, which is these functions plus the state of a session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mg/base/bytes.h"
#include "mg/base/check.h"
#include "mg/base/error.h"
#include "mg/codec/head.h"
#include "mg/codec/options.h"

namespace mg::codec {

// A packet that is all there. Lifetime: the payload views the input.
template <PacketHead Head>
struct Decoded {
  Head head;
  Bytes payload;
  std::size_t size = 0;  // Octets of the input it takes.
};

// What stands at the front of a stream.
template <PacketHead Head>
struct Scanned {
  bool whole = false;
  std::size_t size = 0;  // Whole: octets the packet takes. Else: octets to wait for, the head's or the packet's.
  Head head;             // When whole, as are the payload's octets.
  Bytes payload;
};

namespace detail {
std::unexpected<Error> refuse_head_length(std::size_t got, std::size_t head_bytes);
std::unexpected<Error> refuse_mix();
std::unexpected<Error> refuse_too_large(std::uint32_t stated, std::uint32_t limit);
std::unexpected<Error> refuse_data_length(std::size_t stated, std::size_t got);
std::unexpected<Error> refuse_serial(std::uint16_t serial, std::uint16_t last);

// Requires: 4 readable octets, which a head always has.
inline bool mix_fits(const std::byte* at, const CodecOptions& options) {
  std::uint32_t mix;
  std::memcpy(&mix, options.mix.data(), sizeof mix);
  mix = std::endian::native == std::endian::little ? mix : std::byteswap(mix);
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << (8 * options.mix_size)) - 1);
  return ((load<std::uint32_t>(at, std::endian::little) ^ mix) & mask) == 0;
}
}  // namespace detail

// Octets of a packet without a guard.
template <PacketHead Head>
constexpr std::size_t head_bytes(const CodecOptions& options) {
  return options.mix_size + Head::kBytes;
}

// Reads the packet at the front of a whole message; octets after it are ignored (wire.md 5.2).
// Requires: valid options. Checked: length before mix, mix before size, as the Go original does; where it takes a head
//   cut short by fewer octets than the mix has, or a size without any data, this refuses.
// Errors: kInvalid  "msg head length error…"  fewer octets than mix and head
//                   "msg head check error…"   the mix octets differ
//                   "msg data length error…"  the size is over max_payload_bytes, or more than what is there
// Threads: shared. Cost: no allocation but for errors; about 2 ns.
template <PacketHead Head>
[[gnu::always_inline]] inline Result<Decoded<Head>> decode(Bytes in, const CodecOptions& options) {
  const std::size_t head_size = head_bytes<Head>(options);
  if (in.size() < head_size) [[unlikely]]
    return detail::refuse_head_length(in.size(), head_size);
  if (!detail::mix_fits(in.data(), options)) [[unlikely]]
    return detail::refuse_mix();
  std::uint32_t size = 0;
  const Head head = load_head<Head>(in.data() + options.mix_size, options.endian, size);
  if (size > options.max_payload_bytes) [[unlikely]]
    return detail::refuse_too_large(size, options.max_payload_bytes);
  if (in.size() - head_size < size) [[unlikely]]
    return detail::refuse_data_length(size, in.size() - head_size);
  return Decoded<Head>{head, in.subspan(head_size, size), head_size + size};
}

// Reads the packet at the front of a stream of which `in` has arrived. Call it again when `size` octets are there; `in`
// may have moved meanwhile. Requires, Threads, Cost: as decode.
// Errors: kInvalid  the mix octets that are there differ, or the size is over max_payload_bytes
template <PacketHead Head>
[[gnu::always_inline]] inline Result<Scanned<Head>> scan(Bytes in, const CodecOptions& options) {
  const std::size_t head_size = head_bytes<Head>(options);
  if (in.size() < head_size) {
    const std::size_t seen = in.size() < options.mix_size ? in.size() : options.mix_size;
    if (seen > 0 && std::memcmp(in.data(), options.mix.data(), seen) != 0) return detail::refuse_mix();
    return Scanned<Head>{.size = head_size, .head = {}, .payload = {}};
  }
  if (!detail::mix_fits(in.data(), options)) [[unlikely]]
    return detail::refuse_mix();
  std::uint32_t size = 0;
  const Head head = load_head<Head>(in.data() + options.mix_size, options.endian, size);
  if (size > options.max_payload_bytes) [[unlikely]]
    return detail::refuse_too_large(size, options.max_payload_bytes);
  if (in.size() - head_size < size) return Scanned<Head>{.size = head_size + size, .head = {}, .payload = {}};
  return Scanned<Head>{true, head_size + size, head, in.subspan(head_size, size)};
}

// Writes mix octets and head in front of a payload that the caller puts, or has put, right behind it.
// Requires: valid options; `to` has head_bytes<Head>(options) octets; payload_bytes < 4 GiB.
template <PacketHead Head>
void encode_head(const Head& head, std::size_t payload_bytes, const CodecOptions& options, std::byte* to) {
  std::memcpy(to, options.mix.data(), kMaxMix);  // What is too much, the head overwrites.
  store_head(to + options.mix_size, head, static_cast<std::uint32_t>(payload_bytes), options.endian);
}

// Writes a packet to the front of `out`. Returns: its octets, head_bytes<Head>(options) + payload.size().
// Requires: valid options; `out` has room for it; payload < 4 GiB and not in `out`. Cost: one copy of the payload.
template <PacketHead Head>
[[gnu::always_inline]] inline std::size_t encode(const Head& head, Bytes payload, const CodecOptions& options,
                                                 MutableBytes out) {
  const std::size_t head_size = head_bytes<Head>(options);
  check(out.size() >= head_size + payload.size() && payload.size() <= 0xFFFFFFFF, "packet does not fit its buffer");
  encode_head(head, payload.size(), options, out.data());
  if (!payload.empty()) std::memcpy(out.data() + head_size, payload.data(), payload.size());
  return head_size + payload.size();
}

// The four directions by name.
inline Result<Decoded<ClientHead>> decode_client(Bytes in, const CodecOptions& options) {
  return decode<ClientHead>(in, options);
}
inline Result<Decoded<ServerHead>> decode_server(Bytes in, const CodecOptions& options) {
  return decode<ServerHead>(in, options);
}
inline Result<Scanned<ClientHead>> scan_client(Bytes in, const CodecOptions& options) {
  return scan<ClientHead>(in, options);
}
inline Result<Scanned<ServerHead>> scan_server(Bytes in, const CodecOptions& options) {
  return scan<ServerHead>(in, options);
}
inline std::size_t encode_client(const ClientHead& head, Bytes payload, const CodecOptions& options, MutableBytes out) {
  return encode(head, payload, options, out);
}
inline std::size_t encode_server(const ServerHead& head, Bytes payload, const CodecOptions& options, MutableBytes out) {
  return encode(head, payload, options, out);
}

}  // namespace mg::codec
