// mg/codec/guard.h -- a game's own rule for its packets: obfuscation and verification beyond the mix octets.
//
//   class MyGuard final : public codec::PacketGuard { … };
//   options.guard = [] { return std::make_unique<MyGuard>(); };     // one for each session
//   options.guard = [&] { return codec::make_xor_guard(key, codec::End::kServer, random.next()); };  // shipped
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "mg/base/bytes.h"
#include "mg/base/error.h"

namespace mg::codec {

// Octets a guard adds to every packet.
struct GuardRoom {
  std::uint8_t head = 0;     // Before the mix octets. 0..32.
  std::uint8_t trailer = 0;  // After the payload. 0..32.
};
inline constexpr std::size_t kMaxGuardRoom = 32;

// What a session does to its packets in place, one instance for one end of one session. With no guard (the default)
// packets are plain and nothing virtual is called.
//
// Shape of a packet:  room.head | mix octets | head | payload | room.trailer
//   `head` below spans the first three, so a guard may also scramble the mix octets; after inbound_head they must be
//   the configured ones again (the codec checks them then, and only then reads the head). The head's size field counts
//   the payload alone; the rooms are not in it.
// Order: outbound once for each packet, in the order they are sent; inbound_head then inbound_payload once for each
// packet,
//   in the order they arrive, where inbound_head may come long before the payload is there.
// Errors: any error refuses the packet and ends the session: the gate closes the connection with it.
// Threads: loop (the session's).
// Cost: head and payload are in cache anyway; be short, all packets of a session pass here.
class PacketGuard {
 public:
  virtual ~PacketGuard() = default;

  // Room in every packet, the same for the guard's whole life.
  virtual GuardRoom room() const = 0;

  // Whether `outbound` makes the same of a packet in every session, so that a broadcast is encoded once and shared.
  virtual bool shared_outbound() const = 0;

  // Scrambles a packet that is otherwise complete. The room's octets hold nothing yet: write all of them.
  virtual Result<void> outbound(MutableBytes head, MutableBytes payload, MutableBytes trailer) = 0;

  // Puts a head in clear, and refuses it when it can be told already.
  virtual Result<void> inbound_head(MutableBytes head) = 0;

  // Puts the payload in clear and verifies the packet; `head` is as inbound_head left it.
  virtual Result<void> inbound_payload(Bytes head, MutableBytes payload, MutableBytes trailer) = 0;
};

// Makes the guard of a new session. Threads: callback, on the session's loop.
using GuardFactory = std::function<std::unique_ptr<PacketGuard>()>;

}  // namespace mg::codec
