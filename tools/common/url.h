// tools/common/url.h -- addresses of gates: ws, wss, tcp or tcps://HOST:PORT[/PATH].
//
//   auto url = parse_url("wss://[::1]:9000/game");     // std::optional<Url>
//   connect(url->host, url->port);                     // "::1", "9000"
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mgtools {

inline constexpr std::string_view kUrlForm = "ws|wss|tcp|tcps://HOST:PORT[/PATH]";

struct Url {
  bool ws = false;
  bool tls = false;
  std::string host;  // Without brackets.
  std::string port;
  std::string path = "/";
  std::string text;  // As given.

  // host:port, an IPv6 host in brackets.
  std::string authority() const;
};

// Nothing when `text` is not of kUrlForm. The port may be left out with ws (80) and wss (443).
std::optional<Url> parse_url(std::string_view text);

}  // namespace mgtools
