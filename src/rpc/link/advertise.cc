#include "rpc/link/advertise.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>

#include <cstdint>
#include <memory>

namespace mg::rpc::link {
namespace {

bool is_ip(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 || ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

bool is_private(const sockaddr& address) {
  if (address.sa_family == AF_INET6) {
    return reinterpret_cast<const sockaddr_in6&>(address).sin6_addr.s6_addr[0] == 0xFD;  // fd00::/8
  }
  const std::uint32_t ip = ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr);
  return ip >> 24 == 10 || ip >> 20 == (172U << 4 | 1) || ip >> 16 == (192U << 8 | 168) ||
         ip >> 22 == (100U << 2 | 1);  // 10/8, 172.16/12, 192.168/16, 100.64/10
}

std::string text_of(const sockaddr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof text);
  }
  return text;
}

bool is_link_local(const sockaddr& address) {
  return address.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string own_ip() {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return "127.0.0.1";
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(found, &::freeifaddrs);
  std::string last = "127.0.0.1";
  for (const bool loopback : {false, true}) {
    for (const ifaddrs* at = found; at; at = at->ifa_next) {
      if (!at->ifa_addr || ((at->ifa_flags & IFF_LOOPBACK) != 0) != loopback || (at->ifa_flags & IFF_UP) == 0) continue;
      if (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6) continue;
      if (is_link_local(*at->ifa_addr)) continue;  // Means nothing without its interface.
      if (is_private(*at->ifa_addr)) return text_of(*at->ifa_addr);
      if (!loopback || last == "127.0.0.1") last = text_of(*at->ifa_addr);
    }
  }
  return last;
}

}  // namespace

Result<std::string> advertised_ip(std::string_view given, std::string_view listening) {
  std::string host(given.empty() ? listening.substr(0, listening.rfind(':')) : given);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || host == "0.0.0.0" || host == "::") return own_ip();
  if (host == "localhost") return std::string("127.0.0.1");
  if (!is_ip(host)) {
    return fail(code::kInvalid, "link: \"{}\" is no IP; links are announced by IP, set one to advertise", host);
  }
  return host;
}

}  // namespace mg::rpc::link
