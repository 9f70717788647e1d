#include "rpc/link/frames.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace mg::rpc::link {
namespace {

constexpr std::size_t kHelloFields = 4 + 2 + 2 + 8 + 8 + kNonceSize + 4;
constexpr std::size_t kWelcomeFields = 8 + 4 + 4 + 4 + 4 + 4;

std::string frame(Type type, std::uint8_t flags, std::uint16_t number, std::size_t size) {
  std::string made(kHeadSize + size, '\0');
  write_head(reinterpret_cast<std::byte*>(made.data()), {static_cast<std::uint32_t>(size), type, flags, number});
  return made;
}

// Writes fields one after the other.
class Writer {
 public:
  explicit Writer(std::string& frame) : at_(reinterpret_cast<std::byte*>(frame.data()) + kHeadSize) {}
  template <class T>
  void number(T value) {
    put(at_, value);
    at_ += sizeof value;
  }
  void octets(Bytes bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

 private:
  std::byte* at_;
};
class Reader {
 public:
  explicit Reader(const std::byte* at) : at_(at) {}
  template <class T>
  void number(T& value) {
    value = get<T>(at_);
    at_ += sizeof value;
  }
  void octets(MutableBytes bytes) {
    std::memcpy(bytes.data(), at_, bytes.size());
    at_ += bytes.size();
  }
  const std::byte* at() const { return at_; }

 private:
  const std::byte* at_;
};

Proof hmac(std::string_view secret, std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all.append(part);
  Proof proof;
  unsigned int size = 0;
  if (!HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
            reinterpret_cast<const unsigned char*>(all.data()), all.size(),
            reinterpret_cast<unsigned char*>(proof.data()), &size) ||
      size != kProofSize) {
    std::fprintf(stderr, "mg: HMAC-SHA-256 failed\n");
    std::abort();
  }
  return proof;
}

}  // namespace

std::string encode(const Hello& hello) {
  std::string made = frame(Type::kHello, hello.has_secret ? kHasSecret : 0, 0, kHelloFields + hello.node.size());
  Writer to(made);
  to.number(kMagic);
  to.number(hello.oldest);
  to.number(hello.newest);
  to.number(hello.epoch);
  to.number(hello.instance);
  to.octets(hello.nonce);
  to.number(hello.max_message);
  to.octets(as_bytes(hello.node));
  return made;
}

Result<Hello> decode_hello(const Head& head, Bytes body) {
  if (head.type != Type::kHello || (head.flags & ~kHasSecret) != 0 || body.size() <= kHelloFields ||
      body.size() > kHelloFields + kMaxName) {
    return fail(code::kInvalid, "the first frame is no HELLO");
  }
  Reader from(body.data());
  std::uint32_t magic = 0;
  from.number(magic);
  if (magic != kMagic) return fail(code::kInvalid, "the first frame is no HELLO");
  Hello hello;
  hello.has_secret = (head.flags & kHasSecret) != 0;
  from.number(hello.oldest);
  from.number(hello.newest);
  from.number(hello.epoch);
  from.number(hello.instance);
  from.octets(hello.nonce);
  from.number(hello.max_message);
  hello.node = text_at(from.at(), body.size() - kHelloFields);
  return hello;
}

std::string encode_challenge(const Nonce& nonce, std::uint16_t version) {
  std::string made = frame(Type::kChallenge, 0, version, kNonceSize);
  Writer(made).octets(nonce);
  return made;
}

std::string encode_proof(const Proof& proof) {
  std::string made = frame(Type::kProof, 0, 0, kProofSize);
  Writer(made).octets(proof);
  return made;
}

std::string encode(const Welcome& welcome) {
  std::string made = frame(Type::kWelcome, 0, welcome.version, kWelcomeFields + kProofSize);
  Writer to(made);
  to.number(welcome.epoch);
  to.number(welcome.time);
  to.number(welcome.max_calls);
  to.number(welcome.max_message);
  to.number(welcome.max_metas);
  to.number(welcome.max_meta_octets);
  to.octets(welcome.proof);
  return made;
}

Result<Welcome> decode_welcome(const Head& head, Bytes body) {
  if (head.type != Type::kWelcome || head.flags != 0 || body.size() != kWelcomeFields + kProofSize) {
    return fail(code::kInvalid, "no WELCOME");
  }
  Welcome welcome;
  welcome.version = head.number;
  Reader from(body.data());
  from.number(welcome.epoch);
  from.number(welcome.time);
  from.number(welcome.max_calls);
  from.number(welcome.max_message);
  from.number(welcome.max_metas);
  from.number(welcome.max_meta_octets);
  from.octets(welcome.proof);
  if (welcome.max_calls == 0 || welcome.max_metas == 0 || welcome.max_meta_octets < kMaxMetaSize) {
    return fail(code::kInvalid, "WELCOME with a limit too low to work with");
  }
  return welcome;
}

std::string encode_text(Type type, std::uint16_t number, std::string_view text) {
  text = text.substr(0, kMaxHandshake);
  std::string made = frame(type, 0, number, text.size());
  Writer(made).octets(as_bytes(text));
  return made;
}

Proof caller_proof(std::string_view secret, std::string_view hello, std::string_view challenge) {
  return hmac(secret, {"mg-link caller", hello, challenge});
}

Proof node_proof(std::string_view secret, std::string_view hello, std::string_view challenge,
                 std::string_view welcome) {
  return hmac(secret, {"mg-link node", hello, challenge, welcome.substr(0, kHeadSize + kWelcomeFields)});
}

bool equal(const Proof& left, Bytes right) {
  return right.size() == left.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string encode(const Place& place) {
  const bool v6 = place.ip.contains(':');
  return fmt::format("{}{}{}:{};{:016x}", v6 ? "[" : "", place.ip, v6 ? "]" : "", place.port, place.epoch);
}

Result<Place> decode_place(std::string_view text) {
  const auto bad = [&] { return fail(code::kInvalid, "\"{}\" is not ip:port;epoch", text); };
  const std::size_t semicolon = text.rfind(';');
  if (semicolon == text.npos || text.size() - semicolon - 1 != 16) return bad();
  const std::size_t colon = text.rfind(':', semicolon);
  if (colon == text.npos) return bad();
  Place place;
  std::string_view ip = text.substr(0, colon);
  const bool v6 = ip.starts_with('[') && ip.ends_with(']');
  if (v6) ip = ip.substr(1, ip.size() - 2);
  place.ip = ip;
  in6_addr parsed{};
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, place.ip.c_str(), &parsed) != 1) return bad();
  const auto whole = [](std::string_view digits, auto& value, int base) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  if (!whole(text.substr(colon + 1, semicolon - colon - 1), place.port, 10) || place.port == 0 ||
      !whole(text.substr(semicolon + 1), place.epoch, 16)) {
    return bad();
  }
  return place;
}

}  // namespace mg::rpc::link
