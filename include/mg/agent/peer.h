// mg/agent/peer.h -- whose connection is it: the player's address behind proxies that are trusted to tell it.
//
//   Result<AddressList> trusted = AddressList::parse({"10.0.0.0/8", "::1"});
//   if (trusted->contains(peer)) ...
//   std::string ip = client_ip(peer, x_forwarded_for, x_real_ip, *trusted);
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg::agent {

// An IPv4 or IPv6 address. Shape: 16 octets; IPv4 as ::ffff:a.b.c.d, so that both ways to write it are equal.
struct IpAddress {
  std::array<std::uint8_t, 16> octets{};

  // Forms: 1.2.3.4, ::1, [::1]; each may carry a port (1.2.3.4:80, [::1]:80), which is left out. nullopt: none of them,
  // also for a zone (fe80::1%eth0) and for octal or short forms of IPv4.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  // The shortest usual form: 1.2.3.4, ::1.
  std::string to_string() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// Addresses and blocks of them. Threads: const-shared. Cost of contains(): linear in the entries.
class AddressList {
 public:
  // Entries: an address, or a block in CIDR form (10.0.0.0/8, fd00::/8; bits right of the prefix do not matter).
  // Errors: kInvalid an entry that is neither, named.
  static Result<AddressList> parse(std::span<const std::string> entries);
  static Result<AddressList> parse(std::initializer_list<std::string> entries) {
    return parse(std::span(entries.begin(), entries.size()));
  }

  bool contains(const IpAddress& address) const;
  bool contains(std::string_view address) const;  // False for what is no address.
  bool empty() const { return blocks_.empty(); }

 private:
  struct Block {
    IpAddress address;
    std::uint8_t prefix_bits;  // Of 128.
  };
  std::vector<Block> blocks_;
};

// The player's address. `peer` is the socket's; `forwarded_for` and `real_ip` are X-Forwarded-For (several lines joined
// by commas) and X-Real-IP, empty when not sent.
//
// The headers count only when the peer is a trusted proxy: then the right-most address of X-Forwarded-For that is not a
// trusted proxy itself (the first one when all are), else X-Real-IP. A part of X-Forwarded-For that is not an address
// ends the search with the peer: what stands left of it was not written by a proxy of ours.
// (The Go original takes the first address, from anyone: a player could claim any.)
// Threads: const-shared. Source: wire.md 5.5.
std::string client_ip(std::string_view peer, std::string_view forwarded_for, std::string_view real_ip,
                      const AddressList& trusted);

}  // namespace mg::agent
