// mg/codec/session_codec.h -- the packets of one session: heads, guard and serial rule together.
//
//   ServerCodec codec(options);                                // in a gate, one for each connection
//   while (auto got = codec.scan(received)) {                  // Result<Scanned<ClientHead>>; over ws: decode(message)
//     if (!got->whole) break;                                  // got->size octets are wanted
//     received = received.subspan(got->size);
//   }
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "mg/base/bytes.h"
#include "mg/base/error.h"
#include "mg/codec/frame.h"
#include "mg/codec/guard.h"
#include "mg/codec/head.h"
#include "mg/codec/options.h"

namespace mg::codec {

// Reads packets with one kind of head and writes packets with the other.
// Threads: loop. Lifetime: `options` must outlive it.
// Cost: 24 octets. Without a guard the functions of frame.h, inline; with one, a virtual call or two a packet.
// With a guard: input is put in clear where it stands, so it must be writable; and packets must reach the peer in the
// order
//   they were encoded (whether one may be left out, the guard says).
template <PacketHead In, PacketHead Out>
class SessionCodec {
 public:
  // Requires: valid options. Asks options.guard for this session's guard.
  explicit SessionCodec(const CodecOptions& options);

  // The packet at the front of a stream of which `in` has arrived. An octet that was in `in` once must be in it at the
  // next call as this one left it, until the packet it belongs to is whole.
  // Errors: kInvalid  as codec::scan; a serial that does not grow. Or the guard's. The session is over: close it.
  [[gnu::always_inline]] Result<Scanned<In>> scan(MutableBytes in) {
    if (plain()) [[likely]]
      return codec::scan<In>(in, *options_);
    return scan_with_state(in);
  }

  // The everyday case of scan() and decode(): a packet that is whole, and nothing to be looked at but itself. False,
  // with head and payload as they were: ask those. Returns: its octets in `size`.
  [[gnu::always_inline]] bool take(Bytes in, In& head, Bytes& payload, std::size_t& size) const {
    const std::size_t head_size = head_bytes<In>(*options_);
    if (!plain() || in.size() < head_size || !detail::mix_fits(in.data(), *options_)) return false;
    std::uint32_t octets = 0;
    const In got = load_head<In>(in.data() + options_->mix_size, options_->endian, octets);
    if (octets > options_->max_payload_bytes || in.size() - head_size < octets) return false;
    head = got;
    payload = in.subspan(head_size, octets);
    size = head_size + octets;
    return true;
  }

  // The packet that a whole message is. Errors: kInvalid  as codec::decode and scan
  [[gnu::always_inline]] Result<Decoded<In>> decode(MutableBytes message) {
    if (plain()) [[likely]]
      return codec::decode<In>(message, *options_);
    return decode_with_state(message);
  }

  // Where the payload of a packet to be encoded begins, and its octets in all.
  std::size_t payload_offset() const { return room_.head + head_bytes<Out>(*options_); }
  std::size_t packet_bytes(std::size_t payload_bytes) const { return payload_offset() + payload_bytes + room_.trailer; }

  // Writes a packet to the front of `out`. Returns: packet_bytes(payload.size()).
  // Requires: `out` has room for it; payload < 4 GiB and not in `out`. Errors: the guard's
  [[gnu::always_inline]] Result<std::size_t> encode(const Out& head, Bytes payload, MutableBytes out) {
    if (guard_ != nullptr) [[unlikely]]
      return encode_guarded(head, payload, out);
    return codec::encode(head, payload, *options_, out);
  }

  // As encode, for a payload that stands at out[payload_offset()] already (serialised straight into the output).
  Result<std::size_t> encode_in_place(const Out& head, std::size_t payload_bytes, MutableBytes out);

  // Whether encode gives the same octets in every session of these options: encode a broadcast once, with any.
  bool shared_outbound() const { return guard_ == nullptr || guard_->shared_outbound(); }

 private:
  // Whether input needs no state: no guard, no serial rule.
  bool plain() const { return guard_ == nullptr && (!std::same_as<In, ClientHead> || !options_->growing_serials); }
  Result<void> take_serial(const In& head);
  Result<Scanned<In>> scan_with_state(MutableBytes in);
  Result<Decoded<In>> decode_with_state(MutableBytes message);
  Result<Scanned<In>> scan_guarded(MutableBytes in);
  Result<std::size_t> encode_guarded(const Out& head, Bytes payload, MutableBytes out);

  const CodecOptions* options_;
  std::unique_ptr<PacketGuard> guard_;
  GuardRoom room_;
  std::uint16_t last_serial_ = 0;
  bool started_ = false;     // last_serial_ is a client's.
  bool head_clear_ = false;  // The head at the front of the stream has been through the guard.
};

extern template class SessionCodec<ClientHead, ServerHead>;
extern template class SessionCodec<ServerHead, ClientHead>;

// Named by whose end it is; the Go original's codec.Client and codec.Server are named by whose packets they are, both
// ways (encode_client and decode_client of frame.h).
using ServerCodec = SessionCodec<ClientHead, ServerHead>;  // The gate's end.
using ClientCodec = SessionCodec<ServerHead, ClientHead>;  // The player's end: tools, bots, C++ clients.

}  // namespace mg::codec
