#include "agent/ws/framing.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "agent/ws/deflate.h"

namespace mg::agent::ws {
namespace {

// First octet of a frame.
constexpr unsigned kFin = 0x80;
constexpr unsigned kRsv1 = 0x40;
constexpr unsigned kRsv23 = 0x30;
constexpr unsigned kOpcode = 0x0F;
// Second octet.
constexpr unsigned kMasked = 0x80;
constexpr unsigned kLength = 0x7F;
constexpr unsigned kLength16 = 126;
constexpr unsigned kLength64 = 127;

FrameEvent need_more(std::size_t octets) {
  FrameEvent event;
  event.needed = octets;
  return event;
}

}  // namespace

bool valid_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

struct FrameParser::Heap {
  std::vector<std::byte> block;  // The message so far, unmasked and decompressed.
  std::uint32_t fragments = 0;
  std::unique_ptr<Inflater> inflater;
};

FrameParser::FrameParser(const FrameOptions& options) : options_(&options) {}
FrameParser::FrameParser(FrameParser&&) noexcept = default;
FrameParser& FrameParser::operator=(FrameParser&&) noexcept = default;
FrameParser::~FrameParser() = default;

void FrameParser::use_deflate(const DeflateParams& params) {
  heap_ = std::make_unique<Heap>();
  // Masked frames come from a client.
  heap_->inflater = options_->masked
                        ? std::make_unique<Inflater>(params.client_max_window_bits, params.client_no_context_takeover)
                        : std::make_unique<Inflater>(params.server_max_window_bits, params.server_no_context_takeover);
}

std::size_t FrameParser::heap_bytes() const {
  if (!heap_) return 0;
  return sizeof(Heap) + heap_->block.capacity() + (heap_->inflater ? heap_->inflater->heap_bytes() : 0);
}

void FrameParser::release() {
  flags_ &= static_cast<std::uint8_t>(~kDelivered);
  if (!heap_) return;
  if (heap_->inflater) {
    heap_->block = std::vector<std::byte>();  // Not {}: that keeps the capacity.
    heap_->fragments = 0;
  } else {
    heap_.reset();
  }
}

FrameEvent FrameParser::error(std::uint16_t code, std::string_view reason) {
  flags_ = kClosed;
  heap_.reset();
  FrameEvent event;
  event.kind = FrameKind::kError;
  event.code = code;
  event.reason = reason;
  return event;
}

// The everyday case: a short binary message that is whole, in one frame. False: look closer.
bool FrameParser::take(MutableBytes in, FrameEvent& event) {
  constexpr std::size_t kHeader = 6;
  if (flags_ != 0 || done_ != 0 || !options_->masked || in.size() < kHeader) return false;
  const auto length = std::to_integer<std::size_t>(in[1]) - kMasked;  // An unmasked frame's is huge.
  if (in[0] != static_cast<std::byte>(kFin | static_cast<unsigned>(Opcode::kBinary)) || length >= kLength16 ||
      length > options_->max_message_bytes || in.size() - kHeader < length) {
    return false;
  }
  MaskKey key;
  std::memcpy(key.data(), in.data() + kHeader - key.size(), key.size());
  event.kind = FrameKind::kMessage;
  event.opcode = Opcode::kBinary;
  event.consumed = kHeader + length;
  event.payload = in.subspan(kHeader, length);
  apply_mask(event.payload, key);
  return true;
}

FrameEvent FrameParser::next(MutableBytes in) {
  FrameEvent everyday;
  if (take(in, everyday)) [[likely]] {
    return everyday;
  }
  return next_of_any_kind(in);
}

FrameEvent FrameParser::next_of_any_kind(MutableBytes in) {
  if ((flags_ & kDelivered) != 0) release();
  std::size_t consumed = 0;
  for (;;) {
    FrameEvent event = frame(in.subspan(consumed));
    consumed = event.kind == FrameKind::kError ? in.size() : consumed + event.consumed;
    // A fragment that was taken in, but more input may complete the message.
    if (event.kind == FrameKind::kNeedMore && event.consumed != 0 && (flags_ & kClosed) == 0) continue;
    event.consumed = consumed;
    return event;
  }
}

// Looks at the frame at the front of `in`. Every rule is checked as soon as the octet that breaks it is there.
FrameEvent FrameParser::frame(MutableBytes in) {
  if ((flags_ & kClosed) != 0) [[unlikely]] {
    FrameEvent swallowed;
    swallowed.consumed = in.size();
    return swallowed;
  }
  if (in.empty()) return need_more(2);

  const auto first = std::to_integer<unsigned>(in[0]);
  const unsigned opcode = first & kOpcode;
  const bool control = (opcode & 8) != 0;
  const bool in_message = (flags_ & kInMessage) != 0;
  if (first != (kFin | static_cast<unsigned>(Opcode::kBinary)) || in_message) {  // Not the everyday case.
    if ((first & kRsv23) != 0) return error(close_code::kProtocol, "reserved bit set");
    if ((first & kRsv1) != 0) {
      if (!heap_ || !heap_->inflater) return error(close_code::kProtocol, "RSV1 set but no compression agreed");
      if (control || opcode == 0) return error(close_code::kProtocol, "RSV1 set on a control or continuation frame");
    }
    if ((opcode > 2 && !control) || opcode > 10) return error(close_code::kProtocol, "reserved opcode");
    if (control && (first & kFin) == 0) return error(close_code::kProtocol, "control frame in fragments");
    if (!control && in_message != (opcode == 0)) {
      return error(close_code::kProtocol,
                   in_message ? "new message inside a fragmented one" : "continuation of no message");
    }
    if (opcode == 1 && !options_->accept_text)
      return error(close_code::kUnsupported, "text is not served, send binary");
    if (!control && (in_message || (first & kFin) == 0)) {
      if ((in_message ? heap_->fragments : 0) >= options_->max_fragments)
        return error(close_code::kPolicy, "too many fragments");
    }
  }

  if (in.size() < 2) return need_more(2);
  const auto second = std::to_integer<unsigned>(in[1]);
  const bool masked = (second & kMasked) != 0;
  if (masked != options_->masked) {
    return error(close_code::kProtocol, masked ? "masked frame from a server" : "frame is not masked");
  }
  std::size_t header = 2;
  std::uint64_t length = second & kLength;
  if (length >= kLength16) {
    if (control) return error(close_code::kProtocol, "control frame over 125 octets");
    header = length == kLength16 ? 4 : 10;
    if (in.size() < header) return need_more(header + (masked ? 4 : 0));
    if (length == kLength16) {
      length = load<std::uint16_t>(in.data() + 2, std::endian::big);
      if (length < kLength16) return error(close_code::kProtocol, "length is not minimal");
    } else {
      length = load<std::uint64_t>(in.data() + 2, std::endian::big);
      if (length >> 63 != 0) return error(close_code::kProtocol, "length has its top bit set");
      if (length <= 0xFFFF) return error(close_code::kProtocol, "length is not minimal");
    }
  }
  if (!control) {
    std::uint64_t room = options_->max_message_bytes;
    if ((first & kRsv1) != 0 || (flags_ & kCompressed) != 0) {
      room += deflate_slack(options_->max_message_bytes);  // What comes out counts, in fragment().
    } else if (in_message) {
      room -= heap_->block.size();
    }
    if (length > room) return error(close_code::kTooBig, "message over the limit");
  }
  header += masked ? 4 : 0;
  if (in.size() < header) return need_more(header + length);
  return control ? control_frame(in, header, length) : data_frame(in, header, length);
}

FrameEvent FrameParser::data_frame(MutableBytes in, std::size_t header, std::size_t length) {
  const auto first = std::to_integer<unsigned>(in[0]);
  const bool fin = (first & kFin) != 0;
  const auto opcode = static_cast<Opcode>(first & kOpcode);
  const bool continues = opcode == Opcode::kContinuation;
  const bool text = continues ? (flags_ & kIsText) != 0 : opcode == Opcode::kText;
  const bool compressed = continues ? (flags_ & kCompressed) != 0 : (first & kRsv1) != 0;

  const MutableBytes here = in.subspan(header, std::min(length, in.size() - header));
  const MutableBytes fresh = here.subspan(done_);
  if (options_->masked) {
    MaskKey key;
    std::memcpy(key.data(), in.data() + header - key.size(), key.size());
    apply_mask(fresh, key, done_);
  }
  if (text && !compressed) {
    if (done_ == 0 && !continues) utf8_.reset();
    if (!utf8_.feed(fresh)) return error(close_code::kBadData, "text is not UTF-8");
  }
  if (here.size() < length) {
    done_ = static_cast<std::uint32_t>(here.size());
    return need_more(header + length);
  }
  done_ = 0;
  if (!fin || continues || compressed) return fragment(here, fin, opcode, compressed, header + length);
  if (text && !utf8_.complete()) return error(close_code::kBadData, "text ends inside a character");

  FrameEvent event;
  event.kind = FrameKind::kMessage;
  event.opcode = opcode;
  event.consumed = header + length;
  event.payload = here;
  return event;
}

// Adds a whole frame to the block. A compressed message in one frame passes here too.
FrameEvent FrameParser::fragment(MutableBytes payload, bool fin, Opcode opcode, bool compressed, std::size_t consumed) {
  if (!heap_) heap_ = std::make_unique<Heap>();
  if ((flags_ & kInMessage) == 0) {
    flags_ = static_cast<std::uint8_t>(kInMessage | (opcode == Opcode::kText ? kIsText : 0) |
                                       (compressed ? kCompressed : 0));
    if (compressed) utf8_.reset();
    heap_->fragments = 0;
  }
  ++heap_->fragments;
  const bool text = (flags_ & kIsText) != 0;
  std::vector<std::byte>& block = heap_->block;
  const std::size_t limit = options_->max_message_bytes;
  if (compressed) {
    const std::size_t before = block.size();
    switch (heap_->inflater->feed(payload, fin, limit, block)) {
      case Inflater::Status::kOk:
        break;
      case Inflater::Status::kBadData:
        return error(close_code::kBadData, "compressed data is broken");
      case Inflater::Status::kTooBig:
        return error(close_code::kTooBig, "message over the limit when decompressed");
    }
    if (text && !utf8_.feed(Bytes(block).subspan(before))) {
      return error(close_code::kBadData, "text is not UTF-8");
    }
  } else if (!payload.empty()) {
    const std::size_t size = block.size() + payload.size();  // <= limit: frame() has seen to it.
    if (size > block.capacity()) block.reserve(std::max(size, std::min(limit, 2 * block.capacity())));
    block.insert(block.end(), payload.begin(), payload.end());
  }
  FrameEvent event;
  event.consumed = consumed;
  if (!fin) return event;
  if (text && !utf8_.complete()) return error(close_code::kBadData, "text ends inside a character");
  flags_ = kDelivered;
  event.kind = FrameKind::kMessage;
  event.opcode = text ? Opcode::kText : Opcode::kBinary;
  event.payload = block;
  return event;
}

FrameEvent FrameParser::control_frame(MutableBytes in, std::size_t header, std::size_t length) {
  if (in.size() < header + length) return need_more(header + length);
  const MutableBytes payload = in.subspan(header, length);
  if (options_->masked) {
    MaskKey key;
    std::memcpy(key.data(), in.data() + header - key.size(), key.size());
    apply_mask(payload, key);
  }
  FrameEvent event;
  event.opcode = static_cast<Opcode>(std::to_integer<unsigned>(in[0]) & kOpcode);
  event.consumed = header + length;
  event.payload = payload;
  if (event.opcode != Opcode::kClose) {
    event.kind = event.opcode == Opcode::kPing ? FrameKind::kPing : FrameKind::kPong;
    return event;
  }
  event.kind = FrameKind::kClose;
  event.code = close_code::kNone;
  if (length == 1) return error(close_code::kProtocol, "close frame of one octet");
  if (length >= 2) {
    event.code = load<std::uint16_t>(payload.data(), std::endian::big);
    event.reason = as_text(payload.subspan(2));
    if (!valid_close_code(event.code)) return error(close_code::kProtocol, "close code may not be sent");
    if (!is_utf8(payload.subspan(2))) return error(close_code::kBadData, "close reason is not UTF-8");
  }
  flags_ = kClosed;
  heap_.reset();
  return event;
}

void apply_mask(MutableBytes data, MaskKey key, std::size_t phase) {
  // As one number from the start: octets written one by one and read back as a word would stall.
  const auto half = std::rotr(load<std::uint32_t>(key.data(), std::endian::little), static_cast<int>(8 * (phase % 4)));
  const std::uint64_t mask = half | static_cast<std::uint64_t>(half) << 32;
  std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= sizeof mask; at += sizeof mask, left -= sizeof mask) {
    store(at, load<std::uint64_t>(at, std::endian::little) ^ mask, std::endian::little);
  }
  for (std::size_t i = 0; i < left; ++i) at[i] ^= static_cast<std::byte>(mask >> (8 * i));
}

namespace {

std::size_t put_header(Opcode opcode, std::uint64_t size, unsigned mask_bit, bool fin, bool rsv1, std::byte* out) {
  out[0] = static_cast<std::byte>((fin ? kFin : 0) | (rsv1 ? kRsv1 : 0) | static_cast<unsigned>(opcode));
  if (size <= kMaxControlPayloadBytes) {
    out[1] = static_cast<std::byte>(mask_bit | size);
    return 2;
  }
  if (size <= 0xFFFF) {
    out[1] = static_cast<std::byte>(mask_bit | kLength16);
    store<std::uint16_t>(out + 2, static_cast<std::uint16_t>(size), std::endian::big);
    return 4;
  }
  out[1] = static_cast<std::byte>(mask_bit | kLength64);
  store<std::uint64_t>(out + 2, size, std::endian::big);
  return 10;
}

}  // namespace

std::size_t encode_header(Opcode opcode, std::uint64_t payload_bytes, std::span<std::byte, kMaxServerHeaderBytes> out,
                          bool fin, bool rsv1) {
  return put_header(opcode, payload_bytes, 0, fin, rsv1, out.data());
}

std::size_t encode_masked_header(Opcode opcode, std::uint64_t payload_bytes, MaskKey key,
                                 std::span<std::byte, kMaxHeaderBytes> out, bool fin, bool rsv1) {
  const std::size_t size = put_header(opcode, payload_bytes, kMasked, fin, rsv1, out.data());
  std::memcpy(out.data() + size, key.data(), key.size());
  return size + key.size();
}

ControlFrame encode_control(Opcode opcode, Bytes payload, const MaskKey* key) {
  payload = payload.first(std::min(payload.size(), kMaxControlPayloadBytes));
  ControlFrame frame;
  std::size_t size = put_header(opcode, payload.size(), key ? kMasked : 0, true, false, frame.data.data());
  if (key) {
    std::memcpy(frame.data.data() + size, key->data(), key->size());
    size += key->size();
  }
  if (!payload.empty()) std::memcpy(frame.data.data() + size, payload.data(), payload.size());
  if (key) apply_mask(MutableBytes(frame.data).subspan(size, payload.size()), *key);
  frame.size = static_cast<std::uint8_t>(size + payload.size());
  return frame;
}

ControlFrame encode_close(std::uint16_t code, std::string_view reason, const MaskKey* key) {
  if (code == close_code::kNone) return encode_control(Opcode::kClose, {}, key);
  std::array<std::byte, kMaxControlPayloadBytes> payload;
  store<std::uint16_t>(payload.data(), code, std::endian::big);
  std::size_t size = std::min(reason.size(), payload.size() - 2);
  while (size != 0 && size < reason.size() && (static_cast<unsigned char>(reason[size]) & 0xC0) == 0x80) --size;
  if (size != 0) std::memcpy(payload.data() + 2, reason.data(), size);
  return encode_control(Opcode::kClose, Bytes(payload).first(2 + size), key);
}

}  // namespace mg::agent::ws
