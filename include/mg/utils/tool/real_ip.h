// mg/utils/tool/real_ip.h -- the address of a client behind proxies, from headers that only trusted proxies may set.
//
//   Result<ProxyList> proxies = ProxyList::parse({"10.0.0.0/8", "::1"});
//   std::string ip = proxies->client_ip("10.1.2.3:4711", x_forwarded_for, x_real_ip);
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg::tool {

// Octets of an address; IPv4 as ::ffff:a.b.c.d. Nothing: it is none.
std::optional<std::array<std::uint8_t, 16>> parse_ip(std::string_view text);

// Proxies whose headers are believed. Threads: const-shared.
class ProxyList {
 public:
  ProxyList() = default;
  // Shape: addresses and networks, "192.168.0.0/16", "2001:db8::/32". Errors: kInvalid  naming the one that is none
  static Result<ProxyList> parse(const std::vector<std::string>& list);

  bool contains(std::string_view ip) const;

  // `remote` is host:port, or [host]:port, of the connection. From a proxy of the list: the last address of
  // X-Forwarded-For that is no such proxy, else X-Real-Ip. "" when `remote` is none.
  std::string client_ip(std::string_view remote, std::string_view x_forwarded_for, std::string_view x_real_ip) const;

 private:
  struct Network {
    std::array<std::uint8_t, 16> address;
    unsigned bits;
  };
  std::vector<Network> networks_;
};

}  // namespace mg::tool
