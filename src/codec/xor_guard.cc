#include "mg/codec/xor_guard.h"

#include <bit>
#include <cstddef>

#include "codec/crc32c.h"
#include "mg/base/bytes.h"

namespace mg::codec {
namespace {

constexpr std::uint32_t mix32(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x85EBCA6B;
  x ^= x >> 13;
  x *= 0xC2B2AE35;
  return x ^ x >> 16;
}

constexpr std::uint32_t kGolden = 0x9E3779B9;

using KeyWords = std::array<std::uint32_t, 4>;

// A key in one word, different for each direction.
std::uint32_t fold(const KeyWords& key, std::uint32_t direction) {
  std::uint32_t folded = direction;
  for (const std::uint32_t word : key) folded = mix32(folded ^ word) + kGolden;
  return folded;
}

// The key stream of one packet; goes on over several spans as if they were one.
class KeyStream {
 public:
  KeyStream() = default;
  KeyStream(const KeyWords& key, std::uint32_t folded, std::uint32_t number) {
    for (std::uint32_t k = 0; k < 4; ++k) state_[k] = mix32(key[k] ^ mix32(number + folded + kGolden * k));
    if ((state_[0] | state_[1] | state_[2] | state_[3]) == 0) state_[0] = 1;
  }

  void apply(MutableBytes data) {
    KeyWords state = state_;  // Local, so that it stays in registers: `data` might be anywhere.
    std::size_t at = 0;
    for (; left_ > 0 && at < data.size(); ++at) data[at] ^= take_octet();
    for (; data.size() - at >= 4; at += 4) {
      std::byte* to = data.data() + at;
      store(to, load<std::uint32_t>(to, std::endian::little) ^ next(state), std::endian::little);
    }
    if (at < data.size()) {
      word_ = next(state);
      left_ = 4;
      for (; at < data.size(); ++at) data[at] ^= take_octet();
    }
    state_ = state;
  }

 private:
  std::byte take_octet() {
    const auto octet = static_cast<std::byte>(word_);
    word_ >>= 8;
    --left_;
    return octet;
  }

  // Source: xoshiro128** 1.1, Blackman & Vigna 2018.
  static std::uint32_t next(KeyWords& s) {
    const std::uint32_t result = std::rotl(s[1] * 5, 7) * 9;
    const std::uint32_t shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = std::rotl(s[3], 11);
    return result;
  }

  KeyWords state_{};
  std::uint32_t word_ = 0;  // The rest of a word begun, next octet lowest.
  unsigned left_ = 0;       // Octets in it.
};

class XorGuard final : public PacketGuard {
 public:
  XorGuard(const XorKey& key, End end, std::uint32_t first_number) : out_number_(first_number) {
    for (std::size_t k = 0; k < 4; ++k) {
      key_[k] = load<std::uint32_t>(reinterpret_cast<const std::byte*>(key.data()) + 4 * k, std::endian::little);
    }
    out_folded_ = fold(key_, end == End::kServer);
    in_folded_ = fold(key_, end == End::kClient);
  }

  GuardRoom room() const override { return {.head = kNumberBytes, .trailer = kChecksumBytes}; }
  bool shared_outbound() const override { return false; }

  Result<void> outbound(MutableBytes head, MutableBytes payload, MutableBytes trailer) override {
    const std::uint32_t number = out_number_++;
    store(head.data(), number, std::endian::big);
    store(trailer.data(), crc32c(payload, crc32c(head)), std::endian::big);
    KeyStream stream(key_, out_folded_, number);
    stream.apply(head.subspan(kNumberBytes));
    stream.apply(payload);
    stream.apply(trailer);
    return {};
  }

  Result<void> inbound_head(MutableBytes head) override {
    const auto number = load<std::uint32_t>(head.data(), std::endian::big);
    const std::uint32_t step = number - in_number_;
    if (started_ && (step == 0 || step > 0x7FFFFFFF)) {
      return fail(code::kInvalid, "msg number error: {} does not come after {}", number, in_number_);
    }
    stream_ = KeyStream(key_, in_folded_, number);
    stream_.apply(head.subspan(kNumberBytes));
    return {};
  }

  Result<void> inbound_payload(Bytes head, MutableBytes payload, MutableBytes trailer) override {
    stream_.apply(payload);
    stream_.apply(trailer);
    if (load<std::uint32_t>(trailer.data(), std::endian::big) != crc32c(payload, crc32c(head))) {
      return fail(code::kInvalid, "msg checksum error: the packet is not as it was sent");
    }
    in_number_ = load<std::uint32_t>(head.data(), std::endian::big);
    started_ = true;
    return {};
  }

 private:
  static constexpr std::uint8_t kNumberBytes = 4;
  static constexpr std::uint8_t kChecksumBytes = 4;

  KeyWords key_{};
  std::uint32_t out_folded_ = 0;
  std::uint32_t in_folded_ = 0;
  KeyStream stream_;             // Of the packet whose head came in.
  std::uint32_t out_number_;     // Of the next packet out.
  std::uint32_t in_number_ = 0;  // Of the last packet in.
  bool started_ = false;         // in_number_ is a packet's.
};

}  // namespace

std::unique_ptr<PacketGuard> make_xor_guard(const XorKey& key, End end, std::uint64_t first_number) {
  return std::make_unique<XorGuard>(key, end, static_cast<std::uint32_t>(first_number));
}

}  // namespace mg::codec
