#include "mg/utils/tool/real_ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "base/escape.h"
#include "mg/utils/dtype/parse.h"

namespace mg::tool {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The host of host:port and [host]:port; nothing without a port.
std::optional<std::string_view> host_of(std::string_view remote) {
  const std::size_t colon = remote.rfind(':');
  if (colon == remote.npos) return std::nullopt;
  std::string_view host = remote.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return std::nullopt;
    return host.substr(1, host.size() - 2);
  }
  return host.contains(':') ? std::nullopt : std::optional(host);
}

// An address as headers have it: perhaps with a port, perhaps in brackets.
std::string_view address_of(std::string_view entry) {
  entry = trim(entry);
  if (parse_ip(entry)) return entry;
  const auto host = host_of(entry);
  if (host && parse_ip(*host)) return *host;
  if (entry.starts_with('[') && entry.ends_with(']') && parse_ip(entry.substr(1, entry.size() - 2))) {
    return entry.substr(1, entry.size() - 2);
  }
  return {};
}

}  // namespace

std::optional<std::array<std::uint8_t, 16>> parse_ip(std::string_view text) {
  char copy[INET6_ADDRSTRLEN + 1] = {};
  if (text.empty() || text.size() >= sizeof copy || text.contains('\0')) return std::nullopt;
  std::memcpy(copy, text.data(), text.size());
  std::array<std::uint8_t, 16> out{};
  if (inet_pton(AF_INET6, copy, out.data()) == 1) return out;
  out[10] = out[11] = 0xFF;
  if (inet_pton(AF_INET, copy, out.data() + 12) == 1) return out;
  return std::nullopt;
}

Result<ProxyList> ProxyList::parse(const std::vector<std::string>& list) {
  ProxyList out;
  for (const std::string& entry : list) {
    const std::size_t slash = entry.find('/');
    const std::string_view address = std::string_view(entry).substr(0, slash);
    const auto octets = parse_ip(address);
    const unsigned most = address.contains(':') ? 128 : 32;
    unsigned bits = most;
    bool good = octets.has_value();
    if (good && slash != entry.npos) {
      const auto given = dtype::read<std::uint32_t>(std::string_view(entry).substr(slash + 1));
      good = given && *given <= most;
      if (good) bits = *given;
    }
    if (!good) return fail(code::kInvalid, "{} is no address or network", quote(entry));
    out.networks_.push_back({*octets, bits + 128 - most});
  }
  return out;
}

bool ProxyList::contains(std::string_view ip) const {
  const auto octets = parse_ip(ip);
  if (!octets) return false;
  return std::ranges::any_of(networks_, [&](const Network& network) {
    for (unsigned bit = 0; bit < network.bits; ++bit) {
      if ((((*octets)[bit / 8] ^ network.address[bit / 8]) >> (7 - bit % 8) & 1) != 0) return false;
    }
    return true;
  });
}

std::string ProxyList::client_ip(std::string_view remote, std::string_view x_forwarded_for,
                                 std::string_view x_real_ip) const {
  const auto host = host_of(remote);
  if (!host) return "";
  if (!contains(*host)) return std::string(*host);
  std::string_view left = x_forwarded_for;
  std::string_view farthest;
  while (!left.empty()) {
    const std::size_t comma = left.rfind(',');
    const std::string_view address = address_of(comma == left.npos ? left : left.substr(comma + 1));
    if (address.empty()) break;  // What stands before it cannot be believed.
    farthest = address;
    if (!contains(address) || comma == left.npos) break;
    left = left.substr(0, comma);
  }
  if (farthest.empty()) farthest = address_of(x_real_ip);
  return std::string(farthest.empty() ? *host : farthest);
}

}  // namespace mg::tool
