// mg/utils/auth/key.h -- keys that tokens are signed and checked with, each for one algorithm.
//
//   auto key = Key::secret(Algorithm::kHs256, secret);
//   auto pair = Key::private_pem(Algorithm::kEdDsa, pem);         // signs and checks
//   KeySet keys; keys.add("2024-07", *pair);                      // by kid; the key added last signs
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg::auth {

// Source: RFC 7518 section 3.1, RFC 8037 (Ed25519 alone).
enum class Algorithm : std::uint8_t {
  kHs256,
  kHs384,
  kHs512,
  kRs256,
  kRs384,
  kRs512,
  kPs256,
  kPs384,
  kPs512,
  kEs256,
  kEs384,
  kEs512,
  kEdDsa,
};
std::string_view algorithm_name(Algorithm algorithm);             // "HS256"
std::optional<Algorithm> algorithm_named(std::string_view name);  // Exact case; nothing for "none".

// A key and the algorithm it is pinned to. Threads: const-shared. Cost: a pointer to copy.
class Key {
 public:
  // HS*. `min_bytes` guards against secrets that are guessed; RFC 7518 asks for as many as the digest has (32, 48, 64).
  // Errors: kInvalid  no HS* algorithm, the secret is shorter
  static Result<Key> secret(Algorithm algorithm, std::string_view octets, std::size_t min_bytes = 16);
  // RS*, PS*, ES*, EdDSA. PEM, not encrypted.
  // Errors: kInvalid  no such key, of another type or curve, RSA below 2048 bits
  static Result<Key> private_pem(Algorithm algorithm, std::string_view pem);
  // Checks only.
  static Result<Key> public_pem(Algorithm algorithm, std::string_view pem);

  Algorithm algorithm() const;
  bool can_sign() const;

  // Raw octets, for ES* r and s side by side. Errors: kInvalid  a public key; kServer  the library failed
  Result<std::string> sign(std::string_view message) const;
  // Constant time in the signature for HS*.
  bool verify(std::string_view message, std::string_view signature) const;

  class Impl;

 private:
  explicit Key(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Keys by their ids. One without an id checks tokens that name no key, or, when it is alone, any token.
// To rotate: a new set with the old key and then the new one; once the old tokens have expired, a set without the old.
class KeySet {
 public:
  KeySet() = default;
  KeySet(Key key) { add("", std::move(key)); }  // NOLINT(google-explicit-constructor)

  // A key of the same id is replaced. The last one added that can sign does.
  KeySet& add(std::string id, Key key);

  // nullptr: none. `id` is only compared, never a path or a query.
  const Key* find(std::string_view id) const;
  // The key for a token that names `id`, or names none. nullptr: cannot be told, or not known.
  const Key* for_token(std::optional<std::string_view> id) const;

  struct Entry {
    std::string id;
    Key key;
  };
  // nullptr: no key can sign.
  const Entry* signer() const;
  bool empty() const { return keys_.empty(); }

 private:
  std::vector<Entry> keys_;
};

// Whether two texts are the same, in a time that depends on their lengths alone.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace mg::auth
