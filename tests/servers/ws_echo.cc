// ws_echo: a WebSocket echo server on the framing of agent/ws alone, for conformance suites: text and binary, messages
// up to 64 MiB, permessage-deflate with --deflate. One thread per connection, blocking sockets.
//
//   ws_echo [--deflate]      prints ws://127.0.0.1:PORT, then `ready`; ends on SIGTERM
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/ws/framing.h"
#include "agent/ws/handshake.h"
#include "mg/base/bytes.h"

namespace {

using namespace mg;
using namespace mg::agent;

const ws::FrameOptions kFrames{
    .max_message_bytes = 64 * 1024 * 1024, .max_fragments = 1 << 20, .accept_text = true, .masked = true};

// One connection, from the handshake to its end.
class Connection {
 public:
  Connection(int socket, const ws::HandshakeOptions& options) : socket_(socket), options_(options), parser_(kFrames) {
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void run() {
    if (!handshake()) return;
    std::size_t needed = 1;
    while (unread().size() >= needed || receive(needed - unread().size())) {
      const ws::FrameEvent event = parser_.next(unread());
      const bool goes_on = handle(event);
      begin_ += event.consumed;
      if (!goes_on) return finish();
      needed = event.kind == ws::FrameKind::kNeedMore ? event.needed : 1;
      if (event.kind != ws::FrameKind::kNeedMore && unread().empty() && !flush()) return;
    }
  }

 private:
  MutableBytes unread() { return MutableBytes(buffer_).subspan(begin_, end_ - begin_); }

  // Receives at least one octet; keeps room for `missing` more. What is to be sent goes out before waiting.
  bool receive(std::size_t missing) {
    if (!flush()) return false;
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    const std::size_t room = std::max<std::size_t>(missing, 64 * 1024);
    if (buffer_.size() < end_ + room) buffer_.resize(end_ + room);
    const ssize_t got = recv(socket_, buffer_.data() + end_, buffer_.size() - end_, 0);
    if (got <= 0) return false;
    end_ += static_cast<std::size_t>(got);
    return true;
  }

  bool handshake() {
    for (;;) {
      const ws::Upgrade upgrade = ws::read_upgrade(unread(), options_);
      put(as_bytes(upgrade.response));
      if (upgrade.state == ws::HandshakeState::kRefused) {
        finish();
        return false;
      }
      if (upgrade.state == ws::HandshakeState::kAccepted) {
        begin_ += upgrade.consumed;
        if (upgrade.deflate) {
          parser_.use_deflate(*upgrade.deflate);
          deflater_.emplace(upgrade.deflate->server_max_window_bits, upgrade.deflate->server_no_context_takeover);
        }
        return flush();
      }
      if (!receive(1)) return false;
    }
  }

  // False when the connection is to end.
  bool handle(const ws::FrameEvent& event) {
    switch (event.kind) {
      case ws::FrameKind::kMessage: {
        Bytes message = event.payload;
        std::vector<std::byte> compressed;
        if (deflater_) {
          if (!deflater_->compress(message, compressed)) return false;
          message = compressed;
        }
        std::array<std::byte, ws::kMaxServerHeaderBytes> header;
        put(Bytes(header).first(ws::encode_header(event.opcode, message.size(), header, true, deflater_.has_value())));
        put(message);
        return true;
      }
      case ws::FrameKind::kPing:
        put(ws::encode_control(ws::Opcode::kPong, event.payload).bytes());
        return true;
      case ws::FrameKind::kClose:
      case ws::FrameKind::kError:
        put(ws::encode_close(event.code, event.kind == ws::FrameKind::kError ? event.reason : "").bytes());
        return false;
      case ws::FrameKind::kPong:
      case ws::FrameKind::kNeedMore:
        return true;
    }
    return false;
  }

  void put(Bytes octets) { out_.insert(out_.end(), octets.begin(), octets.end()); }

  bool flush() {
    for (std::size_t sent = 0; sent < out_.size();) {
      const ssize_t got = send(socket_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
      if (got <= 0) return false;
      sent += static_cast<std::size_t>(got);
    }
    out_.clear();
    if (out_.capacity() > 1024 * 1024) out_.shrink_to_fit();
    return true;
  }

  // Sends what is left, FIN, and reads until the peer ends, for two seconds at most: unread octets would turn the end
  // into a RST that overtakes the close frame.
  void finish() {
    if (!flush()) return;
    shutdown(socket_, SHUT_WR);
    const timeval two_seconds{.tv_sec = 2, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &two_seconds, sizeof two_seconds);
    std::byte ignored[4096];
    for (int rounds = 0; rounds < 16 * 1024 && recv(socket_, ignored, sizeof ignored, 0) > 0; ++rounds) {
    }
  }

  const int socket_;
  const ws::HandshakeOptions& options_;
  ws::FrameParser parser_;
  std::optional<ws::Deflater> deflater_;
  std::vector<std::byte> buffer_;  // Octets begin_..end_ are unread.
  std::size_t begin_ = 0, end_ = 0;
  std::vector<std::byte> out_;
};

int serve(const ws::HandshakeOptions& options) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || bind(listener, generic, size) != 0 || listen(listener, 128) != 0 ||
      getsockname(listener, generic, &size) != 0) {
    std::perror("ws_echo: listen");
    return 1;
  }
  std::printf("ws://127.0.0.1:%d\nready\n", ntohs(address.sin_port));
  std::fflush(stdout);
  for (;;) {
    const int socket = accept(listener, nullptr, nullptr);
    if (socket < 0) continue;
    std::thread([socket, &options] { std::make_unique<Connection>(socket, options)->run(); }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  static ws::HandshakeOptions options;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--deflate") {
      options.deflate.enabled = true;
    } else {
      std::fprintf(stderr, "ws_echo: unknown argument %s\n", argv[i]);
      return 2;
    }
  }
  options.origins = {"*"};
  std::signal(SIGTERM, [](int) { _exit(0); });
  return serve(options);
}
