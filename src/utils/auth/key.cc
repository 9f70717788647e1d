#include "mg/utils/auth/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "mg/base/check.h"

namespace mg::auth {
namespace {

enum class Family : std::uint8_t { kHmac, kRsa, kPss, kEc, kEd };

struct Spec {
  std::string_view name;
  Family family;
  const char* digest;      // OpenSSL's name; nullptr: part of the algorithm.
  const char* curve;       // OpenSSL's name.
  std::size_t half_bytes;  // ES*: octets of r and of s.
};

constexpr std::array<Spec, 13> kSpecs{{
    {"HS256", Family::kHmac, "SHA256", nullptr, 0},
    {"HS384", Family::kHmac, "SHA384", nullptr, 0},
    {"HS512", Family::kHmac, "SHA512", nullptr, 0},
    {"RS256", Family::kRsa, "SHA256", nullptr, 0},
    {"RS384", Family::kRsa, "SHA384", nullptr, 0},
    {"RS512", Family::kRsa, "SHA512", nullptr, 0},
    {"PS256", Family::kPss, "SHA256", nullptr, 0},
    {"PS384", Family::kPss, "SHA384", nullptr, 0},
    {"PS512", Family::kPss, "SHA512", nullptr, 0},
    {"ES256", Family::kEc, "SHA256", "prime256v1", 32},
    {"ES384", Family::kEc, "SHA384", "secp384r1", 48},
    {"ES512", Family::kEc, "SHA512", "secp521r1", 66},
    {"EdDSA", Family::kEd, nullptr, nullptr, 0},
}};

const Spec& spec_of(Algorithm algorithm) {
  return kSpecs[static_cast<std::size_t>(algorithm)];
}

template <class T, void (*destroy)(T*)>
struct Destroy {
  void operator()(T* what) const { destroy(what); }
};
template <class T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroy<T, destroy>>;
using Bio = Owned<BIO, [](BIO* bio) { BIO_free(bio); }>;
using Pkey = Owned<EVP_PKEY, EVP_PKEY_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using MacContext = Owned<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using Mac = Owned<EVP_MAC, EVP_MAC_free>;
using EcSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* octets(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

// The oldest reason in OpenSSL's queue, which is emptied.
std::string reason() {
  const unsigned long error = ERR_get_error();  // NOLINT(google-runtime-int)
  ERR_clear_error();
  const char* text = error != 0 ? ERR_reason_error_string(error) : nullptr;
  return text != nullptr ? text : "no reason given";
}

// A key that nobody gave a password for is never asked for one.
int no_password(char*, int, int, void*) {
  return -1;
}

// ES*: r and s side by side to the DER that OpenSSL wants, and back. Source: RFC 7518 section 3.4.
std::string to_der(std::string_view raw, std::size_t half) {
  const EcSignature signature(ECDSA_SIG_new());
  const int size = static_cast<int>(half);
  BIGNUM* r = BN_bin2bn(octets(raw), size, nullptr);
  BIGNUM* s = BN_bin2bn(octets(raw) + half, size, nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  std::string der(static_cast<std::size_t>(std::max(0, i2d_ECDSA_SIG(signature.get(), nullptr))), '\0');
  unsigned char* to = octets(der);
  i2d_ECDSA_SIG(signature.get(), &to);
  return der;
}
std::string to_raw(std::string_view der, std::size_t half) {
  const unsigned char* from = octets(der);
  const EcSignature signature(d2i_ECDSA_SIG(nullptr, &from, static_cast<long>(der.size())));  // NOLINT
  if (signature == nullptr) return {};
  std::string raw(2 * half, '\0');
  const int size = static_cast<int>(half);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), octets(raw), size) != size ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), octets(raw) + half, size) != size) {
    return {};
  }
  return raw;
}

}  // namespace

class Key::Impl {
 public:
  Impl(Algorithm algorithm, MacContext keyed) : algorithm_(algorithm), signs_(true), keyed_(std::move(keyed)) {}
  Impl(Algorithm algorithm, Pkey pkey, bool signs) : algorithm_(algorithm), signs_(signs), pkey_(std::move(pkey)) {}

  Algorithm algorithm() const { return algorithm_; }
  bool can_sign() const { return signs_; }

  // The MAC of a message; its size, 0 on failure.
  std::size_t mac(std::string_view message, std::array<unsigned char, EVP_MAX_MD_SIZE>& out) const {
    const MacContext context(EVP_MAC_CTX_dup(keyed_.get()));  // Keyed already: the two inner blocks are hashed once.
    std::size_t size = 0;
    if (context == nullptr || EVP_MAC_update(context.get(), octets(message), message.size()) != 1 ||
        EVP_MAC_final(context.get(), out.data(), &size, out.size()) != 1) {
      return 0;
    }
    return size;
  }

  Result<std::string> sign(std::string_view message) const {
    const Spec& spec = spec_of(algorithm_);
    if (spec.family == Family::kHmac) {
      std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
      const std::size_t size = mac(message, out);
      if (size == 0) return fail(code::kServer, "signing with {}: {}", spec.name, reason());
      return std::string(reinterpret_cast<const char*>(out.data()), size);
    }
    const DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* settings = nullptr;
    std::size_t size = 0;
    std::string out;
    const bool done =
        context != nullptr &&
        EVP_DigestSignInit_ex(context.get(), &settings, spec.digest, nullptr, nullptr, pkey_.get(), nullptr) == 1 &&
        pad(spec, settings) && EVP_DigestSign(context.get(), nullptr, &size, octets(message), message.size()) == 1 &&
        (out.resize(size), EVP_DigestSign(context.get(), octets(out), &size, octets(message), message.size()) == 1);
    if (!done) return fail(code::kServer, "signing with {}: {}", spec.name, reason());
    out.resize(size);
    return spec.family == Family::kEc ? to_raw(out, spec.half_bytes) : out;
  }

  bool verify(std::string_view message, std::string_view signature) const {
    const Spec& spec = spec_of(algorithm_);
    if (spec.family == Family::kHmac) {
      std::array<unsigned char, EVP_MAX_MD_SIZE> wanted{};
      const std::size_t size = mac(message, wanted);
      return size != 0 && signature.size() == size && CRYPTO_memcmp(wanted.data(), signature.data(), size) == 0;
    }
    std::string der;
    if (spec.family == Family::kEc) {
      if (signature.size() != 2 * spec.half_bytes) return false;
      der = to_der(signature, spec.half_bytes);
      signature = der;
    }
    const DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* settings = nullptr;
    const bool good =
        context != nullptr &&
        EVP_DigestVerifyInit_ex(context.get(), &settings, spec.digest, nullptr, nullptr, pkey_.get(), nullptr) == 1 &&
        pad(spec, settings) &&
        EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message), message.size()) == 1;
    if (!good) ERR_clear_error();
    return good;
  }

 private:
  // PS*: the salt is as long as the digest. Source: RFC 7518 section 3.5.
  static bool pad(const Spec& spec, EVP_PKEY_CTX* settings) {
    return spec.family != Family::kPss || (EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
                                           EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1);
  }

  Algorithm algorithm_;
  bool signs_;
  MacContext keyed_;
  Pkey pkey_;
};

namespace {

Result<Pkey> read_pem(Algorithm algorithm, std::string_view pem, bool is_private) {
  constexpr std::size_t kMaxPem = 64 * 1024;
  constexpr int kMinRsaBits = 2048;
  const Spec& spec = spec_of(algorithm);
  const std::string_view kind = is_private ? "private" : "public";
  if (spec.family == Family::kHmac) return fail(code::kInvalid, "{} has a secret, no {} key", spec.name, kind);
  if (pem.size() > kMaxPem) return fail(code::kInvalid, "a PEM of {} octets is no key", pem.size());
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Pkey key(is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr)
                      : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_password, nullptr));
  if (key == nullptr) return fail(code::kInvalid, "no {} key in PEM for {}: {}", kind, spec.name, reason());
  const char* const type = spec.family == Family::kEc ? "EC" : spec.family == Family::kEd ? "ED25519" : "RSA";
  if (EVP_PKEY_is_a(key.get(), type) != 1) {
    return fail(code::kInvalid, "{} needs a key of type {}, not {}", spec.name, type,
                EVP_PKEY_get0_type_name(key.get()));
  }
  if (spec.curve != nullptr) {
    std::array<char, 64> curve{};
    std::size_t size = 0;
    EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.data(), curve.size(), &size);
    if (std::string_view(curve.data()) != spec.curve) {
      return fail(code::kInvalid, "{} needs a key on the curve {}, not {}", spec.name, spec.curve, curve.data());
    }
  }
  if ((spec.family == Family::kRsa || spec.family == Family::kPss) && EVP_PKEY_get_bits(key.get()) < kMinRsaBits) {
    return fail(code::kInvalid, "{} needs a key of {} bits or more, not {}", spec.name, kMinRsaBits,
                EVP_PKEY_get_bits(key.get()));
  }
  return key;
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) {
  return spec_of(algorithm).name;
}

std::optional<Algorithm> algorithm_named(std::string_view name) {
  const auto found = std::ranges::find(kSpecs, name, &Spec::name);
  if (found == kSpecs.end()) return std::nullopt;
  return static_cast<Algorithm>(found - kSpecs.begin());
}

Result<Key> Key::secret(Algorithm algorithm, std::string_view secret, std::size_t min_bytes) {
  const Spec& spec = spec_of(algorithm);
  if (spec.family != Family::kHmac) return fail(code::kInvalid, "{} needs a key in PEM, no secret", spec.name);
  if (secret.size() < min_bytes) {
    return fail(code::kInvalid, "a secret of {} octets for {} is too short: {} or more", secret.size(), spec.name,
                min_bytes);
  }
  const Mac mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  MacContext keyed(mac != nullptr ? EVP_MAC_CTX_new(mac.get()) : nullptr);
  const std::array settings{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(spec.digest), 0),
                            OSSL_PARAM_construct_end()};
  // An empty secret is one too, but a null pointer would mean none.
  const unsigned char* const key = secret.empty() ? octets(std::string_view("")) : octets(secret);
  if (keyed == nullptr || EVP_MAC_init(keyed.get(), key, secret.size(), settings.data()) != 1) {
    return fail(code::kServer, "making a key for {}: {}", spec.name, reason());
  }
  return Key(std::make_shared<const Impl>(algorithm, std::move(keyed)));
}

Result<Key> Key::private_pem(Algorithm algorithm, std::string_view pem) {
  auto key = read_pem(algorithm, pem, true);
  if (!key) return std::unexpected(std::move(key).error());
  return Key(std::make_shared<const Impl>(algorithm, *std::move(key), true));
}

Result<Key> Key::public_pem(Algorithm algorithm, std::string_view pem) {
  auto key = read_pem(algorithm, pem, false);
  if (!key) return std::unexpected(std::move(key).error());
  return Key(std::make_shared<const Impl>(algorithm, *std::move(key), false));
}

Algorithm Key::algorithm() const {
  return impl_->algorithm();
}
bool Key::can_sign() const {
  return impl_->can_sign();
}
Result<std::string> Key::sign(std::string_view message) const {
  if (!can_sign()) return fail(code::kInvalid, "a public key cannot sign");
  return impl_->sign(message);
}
bool Key::verify(std::string_view message, std::string_view signature) const {
  return impl_->verify(message, signature);
}

KeySet& KeySet::add(std::string id, Key key) {
  std::erase_if(keys_, [&](const Entry& entry) { return entry.id == id; });
  keys_.push_back({std::move(id), std::move(key)});
  return *this;
}

const Key* KeySet::find(std::string_view id) const {
  const auto found = std::ranges::find(keys_, id, &Entry::id);
  return found != keys_.end() ? &found->key : nullptr;
}

const Key* KeySet::for_token(std::optional<std::string_view> id) const {
  if (keys_.size() == 1 && (!id || keys_.front().id.empty())) return &keys_.front().key;
  return find(id.value_or(""));
}

const KeySet::Entry* KeySet::signer() const {
  for (auto entry = keys_.rbegin(); entry != keys_.rend(); ++entry) {
    if (entry->key.can_sign()) return &*entry;
  }
  return nullptr;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mg::auth
