#include "mg/runtime/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "runtime/ip_text.h"

namespace mg {
namespace {

constexpr auto kRest = std::chrono::milliseconds(50);

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

Result<HostPort> split(std::string_view address) {
  const auto bad = [&] {
    return fail(code::kInvalid, "listen address \"{}\": expected host:port, :port or [ipv6]:port, port 0 to 65535",
                address);
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  HostPort parts{std::string(host), 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parts.port);
  if (error != std::errc() || end != port.data() + port.size()) return bad();
  return parts;
}

std::unexpected<Error> os_failure(std::string_view what, std::string_view address, int error) {
  if (error == EADDRINUSE) {
    return fail(code::kExists, "cannot listen on {}: another program does; stop it or choose another port", address);
  }
  return fail(code::kServer, "cannot {} {}: {}", what, address, std::strerror(error));
}

Result<int> bind_and_listen(const sockaddr* to, socklen_t size, std::string_view address, const ListenOptions& options,
                            bool share) {
  const int fd = ::socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return os_failure("make a socket for", address, errno);
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (share) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (to->sa_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd, to, size) != 0 || ::listen(fd, options.backlog) != 0) {
    const int error = errno;
    ::close(fd);
    return os_failure("listen on", address, error);
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, std::string_view address, ListenOptions options,
                                                 OnAccept on_accept) {
  auto parts = split(address);
  if (!parts) return std::unexpected(std::move(parts.error()));

  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(parts->port);
  const int failed = ::getaddrinfo(parts->host.empty() ? nullptr : parts->host.c_str(), port.c_str(), &hints, &found);
  if (failed != 0) return fail(code::kInvalid, "listen address \"{}\": {}", address, ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);

  // All interfaces: IPv6 with IPv4 in it where the machine has IPv6.
  const addrinfo* chosen = found;
  if (parts->host.empty()) {
    for (const addrinfo* at = found; at; at = at->ai_next) {
      if (at->ai_family == AF_INET6) chosen = at;
    }
  }
  Result<int> fd = fail(code::kServer, "listen address \"{}\": no socket", address);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!options.share && parts->port != 0) {
      // SO_REUSEPORT alone would silently share the port with another program of this user: ask first without it.
      auto probe = bind_and_listen(chosen->ai_addr, chosen->ai_addrlen, address, options, false);
      if (probe) ::close(*probe);
      fd = probe ? bind_and_listen(chosen->ai_addr, chosen->ai_addrlen, address, options, true) : probe;
    } else {
      fd = bind_and_listen(chosen->ai_addr, chosen->ai_addrlen, address, options, true);
    }
    if (fd || fd.error().code == code::kExists || chosen == found) break;
    chosen = found;
  }
  if (!fd) return std::unexpected(std::move(fd.error()));

  std::unique_ptr<Listener> made(new Listener(loop, *fd, options, std::move(on_accept)));
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  ::getsockname(*fd, reinterpret_cast<sockaddr*>(&local), &size);
  made->port_ = ntohs(local.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(local).sin_port
                                                 : reinterpret_cast<sockaddr_in6&>(local).sin6_port);
  const bool v6 = parts->host.find(':') != std::string::npos;
  made->address_ = fmt::format("{}{}{}:{}", v6 ? "[" : "", parts->host, v6 ? "]" : "", made->port_);
  return made;
}

Listener::Listener(Loop& loop, int fd, ListenOptions options, OnAccept on_accept)
    : loop_(loop),
      fd_(fd),
      options_(options),
      on_accept_(std::move(on_accept)),
      rest_(
          [](void* self) {
            auto& listener = *static_cast<Listener*>(self);
            listener.resting_ = false;
            listener.loop_.watch(listener.fd_, listener, EPOLLIN);
          },
          this) {
  reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  loop_.watch(fd_, *this, EPOLLIN);
}

Listener::~Listener() {
  if (!resting_) loop_.unwatch(fd_, *this);
  ::close(fd_);
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
}

void Listener::on_events(std::uint32_t) {
  for (int i = 0; i < options_.accepts_per_turn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) out_of_descriptors();
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    on_accept_(fd, ip_text(peer));
  }
}

void Listener::out_of_descriptors() {
  ++refused_;
  if (reserve_fd_ >= 0) {
    ::close(reserve_fd_);
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) ::close(fd);
    reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  loop_.unwatch(fd_, *this);
  resting_ = true;
  rest_.arm(loop_, loop_.now() + kRest);
  errno = EMFILE;
}

}  // namespace mg
