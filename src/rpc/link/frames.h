// rpc/link/frames.h -- the octets of docs/link.md: heads, the frames of the handshake, cutting input into frames.
//
//   std::string hello = encode(Hello{...});
//   Result<Hello> got = decode_hello(head, body);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "mg/base/bytes.h"
#include "mg/base/error.h"

namespace mg::rpc::link {

enum class Type : std::uint8_t {
  kHello = 1,
  kChallenge = 2,
  kProof = 3,
  kWelcome = 4,
  kRefuse = 5,
  kMethod = 16,
  kMeta = 17,
  kCall = 18,
  kCancel = 19,
  kReply = 32,
  kFailure = 33,
  kPing = 48,
  kPong = 49,
  kDrain = 50,
  kBye = 51,
};

// Numbers of REFUSE.
enum class Refusal : std::uint16_t { kVersion = 1, kNode = 2, kSecret = 3, kTooMany = 4, kStopping = 5 };

inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::uint32_t kMagic = 0x6B6C676D;
inline constexpr std::size_t kHeadSize = 8;
inline constexpr std::size_t kNonceSize = 32;
inline constexpr std::size_t kProofSize = 32;
inline constexpr std::size_t kMaxHandshake = 1024;    // Body of a frame of the handshake.
inline constexpr std::size_t kMaxPlain = 128 * 1024;  // Body of a frame without a message.
inline constexpr std::size_t kCallFields = 12;        // Of CALL, before the message.
inline constexpr std::size_t kReplyFields = 4;        // Of REPLY.
inline constexpr std::size_t kMessageRoom = 16;       // A frame with a message is this much longer at most.
inline constexpr std::uint32_t kMaxMetaSize = 64 * 1024;
inline constexpr std::uint32_t kMetaEntry = 8;  // What an entry counts besides its texts.
inline constexpr std::uint32_t kNoMeta = 0xFFFFFFFF;
inline constexpr std::uint32_t kErased = 0xFFFFFFFF;  // As the length of a value.
inline constexpr std::uint32_t kMaxMethods = 65'536;
inline constexpr std::size_t kMaxName = 255;

inline constexpr std::uint8_t kHasSecret = 1;  // Flag of HELLO.
inline constexpr std::uint8_t kFromEmpty = 1;  // Flag of META.
inline constexpr std::uint8_t kDidNotRun = 1;  // Flag of FAILURE.

using Nonce = std::array<std::byte, kNonceSize>;
using Proof = std::array<std::byte, kProofSize>;

template <class T>
T get(const std::byte* from) {
  return load<T>(from, std::endian::little);
}
template <class T>
void put(std::byte* to, T value) {
  store<T>(to, value, std::endian::little);
}

struct Head {
  std::uint32_t size = 0;
  Type type{};
  std::uint8_t flags = 0;
  std::uint16_t number = 0;
};
inline Head read_head(const std::byte* at) {
  return {get<std::uint32_t>(at), static_cast<Type>(at[4]), static_cast<std::uint8_t>(at[5]),
          get<std::uint16_t>(at + 6)};
}
inline void write_head(std::byte* at, const Head& head) {
  put(at, head.size);
  at[4] = static_cast<std::byte>(head.type);
  at[5] = static_cast<std::byte>(head.flags);
  put(at + 6, head.number);
}

// A text of octets without a length, or one that came with a length before it. Lifetime: of the body.
inline std::string_view text_at(const std::byte* at, std::size_t size) {
  return {reinterpret_cast<const char*>(at), size};
}

// ---- handshake ------------------------------------------------------------------------------------------------------

struct Hello {
  bool has_secret = false;
  std::uint16_t oldest = kVersion;
  std::uint16_t newest = kVersion;
  std::uint64_t epoch = 0;
  std::uint64_t instance = 0;
  Nonce nonce{};
  std::uint32_t max_message = 0;
  std::string node;
};
struct Welcome {
  std::uint16_t version = kVersion;
  std::uint64_t epoch = 0;
  std::uint32_t time = 0;
  std::uint32_t max_calls = 0;
  std::uint32_t max_message = 0;
  std::uint32_t max_metas = 0;
  std::uint32_t max_meta_octets = 0;
  Proof proof{};
};

// Whole frames. Errors of the decoders: kInvalid  what is wrong
std::string encode(const Hello& hello);
Result<Hello> decode_hello(const Head& head, Bytes body);
std::string encode_challenge(const Nonce& nonce, std::uint16_t version);
std::string encode_proof(const Proof& proof);
std::string encode(const Welcome& welcome);
Result<Welcome> decode_welcome(const Head& head, Bytes body);
std::string encode_text(Type type, std::uint16_t number, std::string_view text);  // REFUSE, BYE

// What each side proves its knowledge of the secret with. `welcome` is a frame of encode(), whose proof is left out.
Proof caller_proof(std::string_view secret, std::string_view hello, std::string_view challenge);
Proof node_proof(std::string_view secret, std::string_view hello, std::string_view challenge, std::string_view welcome);
// In constant time.
bool equal(const Proof& left, Bytes right);

// ---- frames from input ----------------------------------------------------------------------------------------------

// Calls on_frame(head, body) for each whole frame at the front of `in` until it returns false. `most(head)` is the
// largest body such a frame may have; a frame with more calls too_large(head). Returns the octets used; `*want` gets
// the size of an incomplete frame with its head, or 0 while that is not known.
template <class Most, class OnFrame, class TooLarge>
std::size_t take_frames(Bytes in, std::size_t* want, Most most, OnFrame on_frame, TooLarge too_large) {
  std::size_t used = 0;
  *want = 0;
  while (in.size() - used >= kHeadSize) {
    const std::byte* const at = in.data() + used;
    const Head head = read_head(at);
    if (head.size > most(head)) [[unlikely]] {
      too_large(head);
      return used;
    }
    if (in.size() - used - kHeadSize < head.size) {
      *want = kHeadSize + head.size;
      return used;
    }
    used += kHeadSize + head.size;
    if (!on_frame(head, at + kHeadSize)) return used;
  }
  return used;
}

// ---- mg-link --------------------------------------------------------------------------------------------------------

// Where a node's link is, from its metadata.
struct Place {
  std::string ip;
  std::uint16_t port = 0;
  std::uint64_t epoch = 0;
};
std::string encode(const Place& place);
// Errors: kInvalid  it is not "ip:port;epoch"
Result<Place> decode_place(std::string_view text);

}  // namespace mg::rpc::link
