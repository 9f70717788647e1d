#include "tools/common/url.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace mgtools {

std::string Url::authority() const {
  return (host.contains(':') ? '[' + host + ']' : host) + ':' + port;
}

std::optional<Url> parse_url(std::string_view text) {
  const auto unprintable = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; };
  const std::size_t mark = text.find("://");
  if (mark == text.npos || std::ranges::any_of(text, unprintable)) return std::nullopt;
  Url url;
  url.text = text;
  const std::string_view scheme = text.substr(0, mark);
  url.ws = scheme == "ws" || scheme == "wss";
  url.tls = scheme == "wss" || scheme == "tcps";
  if (!url.ws && scheme != "tcp" && scheme != "tcps") return std::nullopt;

  std::string_view rest = text.substr(mark + 3);
  if (const std::size_t slash = rest.find('/'); slash != rest.npos) {
    url.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  std::string_view after_host;
  if (rest.starts_with('[')) {
    const std::size_t bracket = rest.find(']');
    if (bracket == rest.npos) return std::nullopt;
    url.host = rest.substr(1, bracket - 1);
    after_host = rest.substr(bracket + 1);
  } else {
    url.host = rest.substr(0, rest.find(':'));
    after_host = rest.substr(url.host.size());
  }
  if (url.host.empty()) return std::nullopt;
  if (after_host.empty()) {
    if (!url.ws) return std::nullopt;
    url.port = url.tls ? "443" : "80";
    return url;
  }
  std::uint16_t number = 0;
  url.port = after_host.substr(1);
  const char* const end = url.port.data() + url.port.size();
  const auto [stop, fault] = std::from_chars(url.port.data(), end, number);
  if (after_host.front() != ':' || fault != std::errc() || stop != end) return std::nullopt;
  return url;
}

}  // namespace mgtools
