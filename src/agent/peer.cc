#include "mg/agent/peer.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace mg::agent {
namespace {

constexpr std::array<std::uint8_t, 12> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return std::nullopt;
    text = text.substr(1, end - 1);
    if (text.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) {
    if (!is_port(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  std::array<char, INET6_ADDRSTRLEN> buffer{};  // inet_pton() wants a NUL.
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer.data(), text.data(), text.size());
  IpAddress out;
  if (inet_pton(AF_INET6, buffer.data(), out.octets.data()) == 1) return out;
  std::ranges::copy(kV4Prefix, out.octets.begin());
  if (inet_pton(AF_INET, buffer.data(), out.octets.data() + kV4Prefix.size()) == 1) return out;
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  return std::ranges::equal(std::span(octets).first<kV4Prefix.size()>(), kV4Prefix);
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const std::size_t skip = is_v4() ? kV4Prefix.size() : 0;
  inet_ntop(skip != 0 ? AF_INET : AF_INET6, octets.data() + skip, buffer.data(), buffer.size());
  return buffer.data();
}

Result<AddressList> AddressList::parse(std::span<const std::string> entries) {
  AddressList out;
  for (const std::string& entry : entries) {
    const std::string_view text = trim(entry);
    const std::size_t slash = text.find('/');
    const std::string_view host = text.substr(0, slash);
    // No port here, so that "10.0.0.1:8" for "10.0.0.1/8" is noticed.
    const bool port = host.ends_with(']') || std::ranges::count(host, ':') == 1 || host.starts_with('[');
    const std::optional<IpAddress> address = port ? std::nullopt : IpAddress::parse(host);
    std::uint8_t bits = 0;
    bool good = address.has_value();
    if (good) {
      // As written: ::ffff:10.0.0.0/104 counts its bits like IPv6.
      const bool v4 = host.find(':') == std::string_view::npos;
      const std::uint8_t most = v4 ? 32 : 128;
      bits = most;
      if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        good = error == std::errc() && end == digits.data() + digits.size() && bits <= most;
      }
      if (v4) bits = static_cast<std::uint8_t>(bits + 96);
    }
    if (!good)
      return fail(code::kInvalid, "\"{}\" is no address or block: write it like 10.0.0.1, 10.0.0.0/8 or fd00::/8",
                  entry);
    out.blocks_.push_back({*address, bits});
  }
  return out;
}

bool AddressList::contains(const IpAddress& address) const {
  return std::ranges::any_of(blocks_, [&](const Block& block) {
    const std::size_t whole = block.prefix_bits / 8;
    if (!std::equal(address.octets.begin(), address.octets.begin() + static_cast<std::ptrdiff_t>(whole),
                    block.address.octets.begin())) {
      return false;
    }
    const int rest = block.prefix_bits % 8;
    return rest == 0 || (address.octets[whole] ^ block.address.octets[whole]) >> (8 - rest) == 0;
  });
}

bool AddressList::contains(std::string_view address) const {
  const auto parsed = IpAddress::parse(address);
  return parsed && contains(*parsed);
}

std::string client_ip(std::string_view peer, std::string_view forwarded_for, std::string_view real_ip,
                      const AddressList& trusted) {
  const std::optional<IpAddress> socket = IpAddress::parse(peer);
  if (!socket) return std::string(peer);  // A Unix socket, a test: nothing to trust.
  if (!trusted.contains(*socket)) return socket->to_string();

  std::optional<IpAddress> found;
  while (!forwarded_for.empty()) {
    const std::size_t comma = forwarded_for.rfind(',');
    const bool last = comma == std::string_view::npos;
    const std::string_view part = trim(last ? forwarded_for : forwarded_for.substr(comma + 1));
    forwarded_for = last ? std::string_view() : forwarded_for.substr(0, comma);
    if (part.empty()) continue;
    found = IpAddress::parse(part);
    if (!found) return socket->to_string();
    if (!trusted.contains(*found)) break;
  }
  if (!found) found = IpAddress::parse(trim(real_ip));
  return found.value_or(*socket).to_string();
}

}  // namespace mg::agent
