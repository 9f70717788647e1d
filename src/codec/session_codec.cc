#include "mg/codec/session_codec.h"

#include <cstring>
#include <utility>

#include "mg/base/check.h"

namespace mg::codec {

template <PacketHead In, PacketHead Out>
SessionCodec<In, Out>::SessionCodec(const CodecOptions& options) : options_(&options) {
  check(options.validate().has_value(), "codec options are not valid");
  if (options.guard) guard_ = options.guard();
  if (guard_ != nullptr) room_ = guard_->room();
  check(room_.head <= kMaxGuardRoom && room_.trailer <= kMaxGuardRoom, "a packet guard wants too much room");
}

template <PacketHead In, PacketHead Out>
Result<void> SessionCodec<In, Out>::take_serial(const In& head) {
  if constexpr (std::same_as<In, ClientHead>) {
    if (!options_->growing_serials) return {};
    const auto step = static_cast<std::uint16_t>(head.serial - last_serial_);
    if (started_ && (step == 0 || step > 0x7FFF)) return detail::refuse_serial(head.serial, last_serial_);
    started_ = true;
    last_serial_ = head.serial;
  }
  return {};
}

template <PacketHead In, PacketHead Out>
Result<Scanned<In>> SessionCodec<In, Out>::scan_with_state(MutableBytes in) {
  auto got = guard_ != nullptr ? scan_guarded(in) : codec::scan<In>(in, *options_);
  if (got && got->whole) {
    if (auto grows = take_serial(got->head); !grows) return std::unexpected(std::move(grows.error()));
  }
  return got;
}

template <PacketHead In, PacketHead Out>
Result<Scanned<In>> SessionCodec<In, Out>::scan_guarded(MutableBytes in) {
  const std::size_t head_size = room_.head + head_bytes<In>(*options_);
  Scanned<In> scanned{.size = head_size, .head = {}, .payload = {}};
  if (in.size() < head_size) return scanned;
  if (!head_clear_) {
    if (auto clear = guard_->inbound_head(in.first(head_size)); !clear)
      return std::unexpected(std::move(clear.error()));
    head_clear_ = true;
  }
  // The rest as without a guard: the input from the mix octets on, with an end that hides the trailer.
  const Bytes inner = in.subspan(room_.head);
  std::uint32_t size = 0;
  if (!detail::mix_fits(inner.data(), *options_)) return detail::refuse_mix();
  scanned.head = load_head<In>(inner.data() + options_->mix_size, options_->endian, size);
  if (size > options_->max_payload_bytes) return detail::refuse_too_large(size, options_->max_payload_bytes);
  scanned.size = head_size + size + room_.trailer;
  if (in.size() < scanned.size) return scanned;

  const MutableBytes payload = in.subspan(head_size, size);
  if (auto good = guard_->inbound_payload(in.first(head_size), payload, in.subspan(head_size + size, room_.trailer));
      !good) {
    return std::unexpected(std::move(good.error()));
  }
  head_clear_ = false;
  scanned.whole = true;
  scanned.payload = payload;
  return scanned;
}

template <PacketHead In, PacketHead Out>
Result<Decoded<In>> SessionCodec<In, Out>::decode_with_state(MutableBytes message) {
  const std::size_t head_size = room_.head + head_bytes<In>(*options_);
  if (message.size() < head_size) return detail::refuse_head_length(message.size(), head_size);
  auto got = scan_with_state(message);
  if (!got) return std::unexpected(std::move(got.error()));
  if (!got->whole) return detail::refuse_data_length(got->size - head_size, message.size() - head_size);
  return Decoded<In>{got->head, got->payload, got->size};
}

template <PacketHead In, PacketHead Out>
Result<std::size_t> SessionCodec<In, Out>::encode_guarded(const Out& head, Bytes payload, MutableBytes out) {
  check(out.size() >= packet_bytes(payload.size()), "packet does not fit its buffer");
  if (!payload.empty()) std::memcpy(out.data() + payload_offset(), payload.data(), payload.size());
  return encode_in_place(head, payload.size(), out);
}

template <PacketHead In, PacketHead Out>
Result<std::size_t> SessionCodec<In, Out>::encode_in_place(const Out& head, std::size_t payload_bytes,
                                                           MutableBytes out) {
  const std::size_t size = packet_bytes(payload_bytes);
  check(out.size() >= size && payload_bytes <= 0xFFFFFFFF, "packet does not fit its buffer");
  const std::size_t offset = payload_offset();
  encode_head(head, payload_bytes, *options_, out.data() + room_.head);
  if (guard_ != nullptr) {
    auto done = guard_->outbound(out.first(offset), out.subspan(offset, payload_bytes),
                                 out.subspan(offset + payload_bytes, room_.trailer));
    if (!done) return std::unexpected(std::move(done.error()));
  }
  return size;
}

template class SessionCodec<ClientHead, ServerHead>;
template class SessionCodec<ServerHead, ClientHead>;

}  // namespace mg::codec
