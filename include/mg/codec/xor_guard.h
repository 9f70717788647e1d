// mg/codec/xor_guard.h -- the shipped guard: a key stream over each packet, and a checksum in it.
//
//   options.guard = [&] { return make_xor_guard(key, End::kServer, random.next()); };   // in the gate
//   options.guard = [&] { return make_xor_guard(key, End::kClient, random.next()); };   // in the client
//
// It keeps scripted clients, replayed packets and accidents out. It is not encryption: whoever has the client program
// has the key, and a checksum under XOR can be patched by who knows the text. For secrecy use TLS.
//
// Room: 4 octets of packet number before the mix octets, 4 octets of checksum after the payload.
// Numbers n: the first of a direction is any (random: no two sessions the same), each next packet is one more, modulo
// 2^32.
//   A receiver takes the first as it comes, and after that only one that is 1..2^31-1 steps after the last it took:
//   packets may be left out before they are sent, but never repeated or turned round. Big-endian, in clear.
// Checksum: CRC32C (Castagnoli, as iSCSI) over number | mix | head | payload in clear, big-endian.
// Key stream: covers mix | head | payload | checksum, octet by octet in this order, by XOR. It is the output of
//   xoshiro128** (Blackman & Vigna 2018), each 32-bit word low octet first, from the state
//     s[k] = mix32(key[k] ^ mix32(n + f + 0x9E3779B9 * k))     k = 0..3, all modulo 2^32
//   with key[k] = octets 4k..4k+3 of the key, low octet first;
//   f = the key folded: f = d, then for k = 0..3 f = mix32(f ^ key[k]) + 0x9E3779B9; d = 0 for packets of clients, 1
//   for packets of servers; mix32 = the finaliser of MurmurHash3: x ^= x >> 16; x *= 0x85EBCA6B; x ^= x >> 13; x *=
//   0xC2B2AE35; x ^= x >> 16. A state of four zeros becomes s[0] = 1.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "mg/codec/guard.h"

namespace mg::codec {

using XorKey = std::array<std::uint8_t, 16>;

enum class End : std::uint8_t { kClient, kServer };

// A guard for one end of one session. `first_number`: of its first packet out; only the low 32 bits count.
// Errors of the guard: kInvalid  a number that does not follow, a checksum that does not fit
// Cost: about 1 ns an octet, each end. Its outbound packets differ in every session: broadcasts are encoded for each.
std::unique_ptr<PacketGuard> make_xor_guard(const XorKey& key, End end, std::uint64_t first_number);

}  // namespace mg::codec
