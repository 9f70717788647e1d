#include "tools/client/connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "agent/ws/handshake.h"
#include "base/escape.h"
#include "mg/base/random.h"
#include "mg/codec/frame.h"

namespace mgclient {
namespace {

namespace ws = mg::agent::ws;
using mg::code::kInvalid;
using mg::code::kTimeout;
using mg::code::kUnavailable;
using Steady = std::chrono::steady_clock;

constexpr std::uint32_t kMaxMessage = 64 * 1024 * 1024;
constexpr auto kFarewell = std::chrono::seconds(2);

mg::MutableBytes octets_of(std::string& text) {
  return std::as_writable_bytes(std::span(text.data(), text.size()));
}

std::string tls_error() {
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "the connection was closed";
}

ws::MaskKey make_mask() {
  ws::MaskKey key;
  mg::SystemRandom().fill(key);
  return key;
}

std::string_view close_meaning(std::uint16_t code) {
  switch (code) {
    case ws::close_code::kNormal:
      return "normal";
    case ws::close_code::kGoingAway:
      return "going away";
    case ws::close_code::kProtocol:
      return "protocol error";
    case ws::close_code::kUnsupported:
      return "unsupported data";
    case ws::close_code::kBadData:
      return "bad data";
    case ws::close_code::kPolicy:
      return "policy";
    case ws::close_code::kTooBig:
      return "message too big";
    case ws::close_code::kInternal:
      return "internal error";
    case ws::close_code::kTryLater:
      return "try again later";
    default:
      return "no standard meaning";
  }
}

}  // namespace

struct Connection::Tls {
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;
  Tls() = default;
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
};

Connection::Connection(const mgtools::Url& url, std::chrono::milliseconds timeout)
    : url_(url), timeout_(timeout), frames_{.max_message_bytes = kMaxMessage, .masked = false}, parser_(frames_) {}

Connection::~Connection() {
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
}

mg::Result<std::unique_ptr<Connection>> Connection::open(const mgtools::Url& url, const Trust& trust,
                                                         std::chrono::milliseconds timeout) {
  std::unique_ptr<Connection> made(new Connection(url, timeout));
  const Deadline deadline = Steady::now() + timeout;
  if (auto done = made->dial(deadline); !done) return std::unexpected(std::move(done.error()));
  if (url.tls) {
    if (auto done = made->start_tls(trust, deadline); !done) return std::unexpected(std::move(done.error()));
  }
  if (url.ws) {
    if (auto done = made->upgrade(deadline); !done) return std::unexpected(std::move(done.error()));
  }
  return made;
}

// ---- connecting -------------------------------------------------------------------------------------------------

mg::Result<void> Connection::dial(Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int fault = ::getaddrinfo(url_.host.c_str(), url_.port.c_str(), &hints, &list); fault != 0) {
    return mg::fail(kUnavailable, "cannot connect to {}: host \"{}\": {}", url_.text, url_.host, ::gai_strerror(fault));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::string why = "no address";
  for (const addrinfo* to = list; to != nullptr; to = to->ai_next) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      why = std::strerror(errno);
      continue;
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int fault = ::connect(fd_, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (fault == EINPROGRESS) {
      if (auto ready = wait(POLLOUT, deadline, "to connect"); !ready) return ready;
      socklen_t size = sizeof fault;
      ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &fault, &size);
    }
    if (fault == 0) return {};
    why = std::strerror(fault);
  }
  return mg::fail(kUnavailable, "cannot connect to {}: {}; is `./dev run` running, and is this an address it printed?",
                  url_.text, why);
}

mg::Result<void> Connection::start_tls(const Trust& trust, Deadline deadline) {
  tls_ = std::make_unique<Tls>();
  tls_->context = SSL_CTX_new(TLS_client_method());
  if (tls_->context == nullptr) return mg::fail(kUnavailable, "TLS: {}", tls_error());
  SSL_CTX_set_min_proto_version(tls_->context, TLS1_2_VERSION);
  SSL_CTX_set_mode(tls_->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(tls_->context, trust.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!trust.ca.empty()) {
    if (SSL_CTX_load_verify_locations(tls_->context, trust.ca.c_str(), nullptr) != 1) {
      return mg::fail(kInvalid, "--ca \"{}\" cannot be read as PEM: {}", trust.ca, tls_error());
    }
  } else {
    SSL_CTX_set_default_verify_paths(tls_->context);
  }
  SSL* const ssl = tls_->ssl = SSL_new(tls_->context);
  SSL_set_fd(ssl, fd_);
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), url_.host.c_str()) != 1) {  // Not an address but a name.
    SSL_set1_host(ssl, url_.host.c_str());
    SSL_set_tlsext_host_name(ssl, url_.host.c_str());
  }
  for (;;) {
    ERR_clear_error();
    const int done = SSL_connect(ssl);
    if (done == 1) return {};
    const int state = SSL_get_error(ssl, done);
    if (state == SSL_ERROR_WANT_READ || state == SSL_ERROR_WANT_WRITE) {
      const short events = state == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      if (auto ready = wait(events, deadline, "for the TLS handshake"); !ready) return ready;
      continue;
    }
    if (const long verdict = SSL_get_verify_result(ssl); !trust.insecure && verdict != X509_V_OK) {
      return mg::fail(kUnavailable,
                      "the certificate of {} is not trusted: {}; --ca FILE names who signed it, --insecure takes any",
                      url_.text, X509_verify_cert_error_string(verdict));
    }
    return mg::fail(kUnavailable, "TLS handshake with {} failed: {}; does this port speak TLS?", url_.text,
                    tls_error());
  }
}

mg::Result<void> Connection::upgrade(Deadline deadline) {
  ws::Nonce nonce;
  mg::SystemRandom().fill(nonce);
  if (auto sent = write(ws::make_upgrade({.host = url_.authority(), .target = url_.path}, nonce), deadline); !sent) {
    return sent;
  }
  for (;;) {
    const ws::UpgradeReply reply = ws::read_upgrade_reply(mg::as_bytes(in_), nonce);
    if (reply.state == ws::HandshakeState::kAccepted) {
      in_.erase(0, reply.consumed);
      return {};
    }
    if (reply.state == ws::HandshakeState::kRefused) {
      return mg::fail(kInvalid, "{} does not accept a WebSocket: {}{}; is this its ws:// port, without TLS unless wss?",
                      url_.text, reply.status != 0 ? fmt::format("HTTP status {}, ", reply.status) : "", reply.reason);
    }
    if (!end_.empty()) {
      return mg::fail(kUnavailable,
                      "{} closed the connection instead of answering as a WebSocket: {}; is this its "
                      "ws:// port?",
                      url_.text, end_);
    }
    if (auto ready = wait(POLLIN, deadline, "for the answer to the WebSocket upgrade"); !ready) return ready;
    receive();
  }
}

// ---- sending and receiving --------------------------------------------------------------------------------------

mg::Result<void> Connection::wait(short events, Deadline deadline, std::string_view what) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now());
    pollfd poll{.fd = fd_, .events = events, .revents = 0};
    const int ready = left.count() > 0 ? ::poll(&poll, 1, static_cast<int>(left.count())) : 0;
    if (ready > 0) return {};
    if (ready == 0) {
      return mg::fail(kTimeout, "{}: waited {} ms {}; is it overloaded, or not a gate?", url_.text, timeout_.count(),
                      what);
    }
    if (errno != EINTR) return mg::fail(kUnavailable, "{}: poll: {}", url_.text, std::strerror(errno));
  }
}

mg::Result<void> Connection::write(std::string_view octets, Deadline deadline) {
  while (!octets.empty()) {
    short events = POLLOUT;
    if (tls_ == nullptr) {
      const ssize_t put = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (put > 0) {
        octets.remove_prefix(static_cast<std::size_t>(put));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        return mg::fail(kUnavailable, "{}: cannot send: {}", url_.text, std::strerror(errno));
      }
    } else {
      std::size_t put = 0;
      ERR_clear_error();
      const int done = SSL_write_ex(tls_->ssl, octets.data(), octets.size(), &put);
      if (done == 1) {
        octets.remove_prefix(put);
        continue;
      }
      const int state = SSL_get_error(tls_->ssl, done);
      if (state != SSL_ERROR_WANT_READ && state != SSL_ERROR_WANT_WRITE) {
        return mg::fail(kUnavailable, "{}: cannot send: {}", url_.text, tls_error());
      }
      if (state == SSL_ERROR_WANT_READ) events = POLLIN;
    }
    if (auto ready = wait(events, deadline, "to send"); !ready) return ready;
  }
  return {};
}

void Connection::receive() {
  std::array<char, 65536> buffer;
  while (end_.empty()) {
    if (tls_ == nullptr) {
      const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (got > 0) {
        in_.append(buffer.data(), static_cast<std::size_t>(got));
      } else if (got == 0) {
        end_ = "end of stream";
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return;
      } else if (errno != EINTR) {
        end_ = std::strerror(errno);
      }
    } else {
      std::size_t got = 0;
      ERR_clear_error();
      const int done = SSL_read_ex(tls_->ssl, buffer.data(), buffer.size(), &got);
      const int state = done == 1 ? SSL_ERROR_NONE : SSL_get_error(tls_->ssl, done);
      if (state == SSL_ERROR_NONE) {
        in_.append(buffer.data(), got);
      } else if (state == SSL_ERROR_WANT_READ || state == SSL_ERROR_WANT_WRITE) {
        return;
      } else {
        end_ = state == SSL_ERROR_ZERO_RETURN ? "end of stream" : tls_error();
      }
    }
  }
}

void Connection::write_frame(ws::Opcode opcode, mg::Bytes payload) {
  const ws::MaskKey key = make_mask();
  // A failure to send shows when reading.
  (void)write(mg::as_text(ws::encode_control(opcode, payload, &key).bytes()), Steady::now() + timeout_);
}

mg::Result<void> Connection::send(const mg::codec::ClientHead& head, std::string_view body) {
  std::string packet(mg::codec::head_bytes<mg::codec::ClientHead>({}) + body.size(), '\0');
  mg::codec::encode_client(head, mg::as_bytes(body), {}, octets_of(packet));
  if (url_.ws) {
    const ws::MaskKey key = make_mask();
    std::array<std::byte, ws::kMaxHeaderBytes> header;
    const std::size_t size = ws::encode_masked_header(ws::Opcode::kBinary, packet.size(), key, header);
    ws::apply_mask(octets_of(packet), key);
    packet.insert(0, mg::as_text(mg::Bytes(header).first(size)));
  }
  return write(packet, Steady::now() + timeout_);
}

mg::Result<std::optional<Packet>> Connection::next() {
  auto packet = url_.ws ? next_ws() : next_tcp();
  if (packet && !*packet && !end_.empty()) return ended();
  return packet;
}

mg::Result<std::optional<Packet>> Connection::next_tcp() {
  const auto got = mg::codec::scan_server(mg::as_bytes(in_), {.max_payload_bytes = kMaxMessage});
  if (!got) return mg::fail(kInvalid, "{} sent no packet: {}; is this its tcp:// port?", url_.text, got.error().detail);
  if (!got->whole) return std::nullopt;
  Packet packet{got->head, std::string(mg::as_text(got->payload))};
  in_.erase(0, got->size);
  return packet;
}

mg::Result<std::optional<Packet>> Connection::next_ws() {
  for (;;) {
    const ws::FrameEvent event = parser_.next(octets_of(in_));
    switch (event.kind) {
      case ws::FrameKind::kNeedMore:
        in_.erase(0, event.consumed);
        return std::nullopt;
      case ws::FrameKind::kPing:
        write_frame(ws::Opcode::kPong, event.payload);
        break;
      case ws::FrameKind::kPong:
        break;
      case ws::FrameKind::kMessage: {
        const auto got = mg::codec::decode_server(event.payload, {.max_payload_bytes = kMaxMessage});
        if (!got) return mg::fail(kInvalid, "{} sent no packet: {}", url_.text, got.error().detail);
        Packet packet{got->head, std::string(mg::as_text(got->payload))};
        in_.erase(0, event.consumed);
        return packet;
      }
      case ws::FrameKind::kClose: {
        end_ = event.code == ws::close_code::kNone
                   ? "close frame without a code"
                   : fmt::format("code {} ({}){}{}", event.code, close_meaning(event.code),
                                 event.reason.empty() ? "" : ", reason ",
                                 event.reason.empty() ? std::string() : mg::quote(event.reason, 256));
        const ws::MaskKey key = make_mask();
        (void)write(mg::as_text(ws::encode_close(event.code, {}, &key).bytes()), Steady::now() + timeout_);
        return std::nullopt;
      }
      case ws::FrameKind::kError:
        return mg::fail(kInvalid, "{} broke the WebSocket protocol: {}", url_.text, event.reason);
    }
    in_.erase(0, event.consumed);
  }
}

std::unexpected<mg::Error> Connection::ended() {
  return mg::fail(kUnavailable, "{} closed the connection: {}", url_.text, end_);
}

void Connection::close() {
  if (!end_.empty()) return;
  const Deadline deadline = Steady::now() + kFarewell;
  if (url_.ws) {
    const ws::MaskKey key = make_mask();
    if (!write(mg::as_text(ws::encode_close(ws::close_code::kNormal, {}, &key).bytes()), deadline)) return;
  }
  if (tls_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(tls_->ssl);
  }
  ::shutdown(fd_, SHUT_WR);
  while (end_.empty()) {
    if (!wait(POLLIN, deadline, "")) return;
    receive();
  }
}

}  // namespace mgclient
