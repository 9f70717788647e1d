#include "mg/store/redis/options.h"

#include <charconv>

#include "mg/base/flags.h"

namespace mg::redis {
namespace {

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned octet = 0;
    const bool whole = i + 2 < text.size();
    const auto done = whole ? std::from_chars(text.data() + i + 1, text.data() + i + 3, octet, 16)
                            : std::from_chars_result{text.data(), std::errc::invalid_argument};
    if (done.ec != std::errc() || done.ptr != text.data() + i + 3) {
      return fail(code::kInvalid, "redis url: a % in the user or password without two hexadecimal digits");
    }
    out += static_cast<char>(octet);
    i += 2;
  }
  return out;
}

// "": it is fine.
std::string url_fault(const std::string& url) {
  const auto read = parse_url(url);
  return read ? std::string() : read.error().detail;
}

}  // namespace

void Options::add_to(Flags& flags) {
  flags.section("Redis");
  flags.add("redis", &url, "Redis server: [redis://][user:password@]host[:port], or empty: built in, in this process",
            {.check = url_fault, .secret = true, .env = {"GAME_REDIS_URL"}});
  flags.add("redis_db", &db, "Its database", {.min = 0, .env = {"GAME_REDIS_DB"}});
  flags.add("redis_idle_conns", &idle_pool, "Connections for waiting commands that are kept when idle",
            {.aliases = {"redis_ide_conns"}, .env = {"GAME_REDIS_IDLE_CONNS", "GAME_REDIS_IDE_CONNS"}});
  flags.add("redis_max_pool", &max_pool, "Connections for waiting commands, on each loop",
            {.min = 1, .env = {"GAME_REDIS_MAX_POOL"}});
}

Result<Endpoint> parse_url(std::string_view url) {
  if (url.empty()) return Endpoint{.host = "127.0.0.1", .user = {}, .password = {}};
  if (url.starts_with("rediss://")) {
    return fail(code::kInvalid, "redis url: rediss:// (TLS) is not offered: put a TLS proxy beside the server");
  }
  if (url.starts_with("redis://")) {
    url.remove_prefix(8);
  } else if (const auto scheme = url.find("://"); scheme != url.npos && scheme < url.find('@')) {
    return fail(code::kInvalid, "redis url: the scheme \"{}\" is not redis", url.substr(0, scheme));
  }
  Endpoint out;
  const std::size_t query = url.find_first_of("?#");
  if (query != url.npos) return fail(code::kInvalid, "redis url: a query or fragment");
  // The password may hold a '/' only as %2F.
  const std::size_t slash = url.find('/');
  if (slash != url.npos) {
    const std::string_view path = url.substr(slash + 1);
    std::uint32_t db = 0;
    const auto done = std::from_chars(path.data(), path.data() + path.size(), db);
    if (!path.empty() && (done.ec != std::errc() || done.ptr != path.data() + path.size())) {
      return fail(code::kInvalid, "redis url: invalid database number: \"{}\"", path);
    }
    url = url.substr(0, slash);
  }
  if (const std::size_t at = url.rfind('@'); at != url.npos) {
    const std::string_view login = url.substr(0, at);
    url.remove_prefix(at + 1);
    const std::size_t colon = login.find(':');
    auto user = unescape(login.substr(0, colon));
    auto password = unescape(colon == login.npos ? std::string_view() : login.substr(colon + 1));
    if (!user) return std::unexpected(std::move(user).error());
    if (!password) return std::unexpected(std::move(password).error());
    out.user = *std::move(user);
    out.password = *std::move(password);
    if (out.password.empty() && !out.user.empty()) {
      return fail(code::kInvalid, "redis url: a user without a password");
    }
  }
  std::string_view port;
  if (url.starts_with('[')) {
    const std::size_t end = url.find(']');
    if (end == url.npos) return fail(code::kInvalid, "redis url: [ without ]");
    out.host = url.substr(1, end - 1);
    port = url.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return fail(code::kInvalid, "redis url: text behind ]");
  } else {
    const std::size_t colon = url.find(':');
    out.host = url.substr(0, colon);
    if (colon != url.npos) port = url.substr(colon);
  }
  if (out.host.empty()) out.host = "localhost";
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto done = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (port.empty() || done.ec != std::errc() || done.ptr != port.data() + port.size() || out.port == 0) {
      return fail(code::kInvalid, "redis url: invalid port \":{}\" after host", port);
    }
  }
  return out;
}

}  // namespace mg::redis
