#include "rpc/grpc/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>

namespace mg::rpc::grpc {
namespace {

bool is_port(std::string_view text) {
  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port <= 65535;
}

bool is_host(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_' || c == ':' || c == '%';
  });
}

bool unspecified(std::string_view host) {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

// Those that the Go original calls private.
bool is_private(const std::string& ip) {
  in_addr v4{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) {
    const std::uint32_t address = ntohl(v4.s_addr);
    return (address >> 24) == 10 || (address >> 20) == 0xAC1 || (address >> 16) == 0xC0A8 || (address >> 22) == 0x191;
  }
  in6_addr v6{};
  return inet_pton(AF_INET6, ip.c_str(), &v6) == 1 && v6.s6_addr[0] == 0xFD;
}

std::string pick(std::span<const InterfaceAddress> interfaces) {
  const std::string* last = nullptr;
  for (const bool loopback : {false, true}) {
    for (const InterfaceAddress& each : interfaces) {
      if (each.loopback != loopback) continue;
      if (is_private(each.ip)) return each.ip;
      last = &each.ip;
    }
  }
  return last ? *last : "127.0.0.1";
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [&] { return fail(code::kInvalid, "address \"{}\": use host:port or [host]:port", text); };
  HostPort out;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return bad();
    out.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return bad();
  } else if (std::ranges::count(text, ':') > 1) {  // An IPv6 address alone.
    out.host = text;
  } else {
    const std::size_t colon = text.find(':');
    out.host = text.substr(0, colon);
    rest = colon == text.npos ? std::string_view() : text.substr(colon);
  }
  if (!rest.empty()) {
    out.port = rest.substr(1);
    if (!is_port(out.port)) return bad();
  }
  if (text.empty() || !is_host(out.host)) return bad();
  return out;
}

std::string join_host_port(std::string_view host, std::string_view port) {
  std::string out = host.contains(':') ? fmt::format("[{}]", host) : std::string(host);
  if (!port.empty()) out.append(":").append(port);
  return out;
}

std::vector<InterfaceAddress> interface_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned(list, freeifaddrs);
  std::vector<InterfaceAddress> out;
  for (const ifaddrs* at = list; at; at = at->ifa_next) {
    if (!at->ifa_addr) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = at->ifa_addr->sa_family;
    const void* address = nullptr;
    if (family == AF_INET) {
      address = &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr;
    } else if (family == AF_INET6) {
      address = &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr;
    }
    if (!address || !inet_ntop(family, address, text.data(), text.size())) continue;
    out.push_back({text.data(), (at->ifa_flags & IFF_LOOPBACK) != 0});
  }
  return out;
}

Result<std::string> advertised(const HostPort& listen, std::uint16_t port, std::string_view advertise,
                               std::span<const InterfaceAddress> interfaces) {
  HostPort told = listen;
  told.port = std::to_string(port);
  if (!advertise.empty()) {
    Result<HostPort> given = parse_host_port(advertise);
    if (!given) return std::unexpected(std::move(given.error()));
    told.host = given->host;
    if (!given->port.empty() && given->port != "0") told.port = given->port;
  }
  if (unspecified(told.host)) told.host = pick(interfaces);
  return join_host_port(told.host, told.port);
}

Result<DialTarget> dial_target(std::string_view address, bool tls) {
  DialTarget out{.target = {}, .tls = tls};
  if (address.starts_with("https://")) {
    address.remove_prefix(8);
    out.tls = true;
  }
  Result<HostPort> parsed = parse_host_port(address);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  if (parsed->host.empty()) return fail(code::kInvalid, "address \"{}\" has no host", address);
  if (parsed->port.empty()) parsed->port = "443";
  if (parsed->port == "443") out.tls = true;
  // A zone ("fe80::1%eth0") is a percent sign to the target's URI.
  std::string host = join_host_port(parsed->host, parsed->port);
  if (const std::size_t percent = host.find('%'); percent != host.npos) host.replace(percent, 1, "%25");
  out.target = "dns:///" + host;
  return out;
}

std::string remote_of(std::string_view peer) {
  const std::size_t colon = peer.find(':');
  const std::string_view kind = peer.substr(0, colon);
  if (colon == peer.npos || (kind != "ipv4" && kind != "ipv6")) return std::string(peer);
  std::string out;
  const std::string_view text = peer.substr(colon + 1);
  for (std::size_t i = 0; i < text.size(); ++i) {  // Brackets come as %5B and %5D.
    unsigned char octet = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, octet, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(octet);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace mg::rpc::grpc
