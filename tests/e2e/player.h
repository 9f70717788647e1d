// tests/e2e/player.h -- a player on a plain blocking socket, tcp or ws, for tests of the gate.
//
//   Player player(Player::kWs, port);
//   player.say(7, 10005, "hello");
//   auto got = player.hear();                       // std::optional<Heard>; nothing: the connection has ended
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "agent/ws/framing.h"
#include "agent/ws/handshake.h"
#include "mg/codec/frame.h"

namespace mg::test {

inline constexpr auto kPatience = std::chrono::seconds(30);  // Far more than anything takes; a test that waits fails.

class Player {
 public:
  enum Transport { kTcp, kWs };
  struct Heard {
    codec::ServerHead head;
    std::string body;
  };

  Player(Transport transport, std::uint16_t port, int receive_buffer = 0) : transport_(transport) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) leave();
    if (fd_ >= 0 && transport_ == kWs) upgrade();
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;
  ~Player() { leave(); }

  void leave() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    leave();
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

  std::string packet(std::uint16_t serial, std::uint32_t cmd, std::string_view body) const {
    std::string octets(codec::head_bytes<codec::ClientHead>({}) + body.size(), '\0');
    codec::encode_client({.serial = serial, .cmd = cmd}, as_bytes(body), {},
                         std::as_writable_bytes(std::span(octets.data(), octets.size())));
    if (transport_ == kTcp) return octets;
    const agent::ws::MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    std::array<std::byte, agent::ws::kMaxHeaderBytes> header;
    const std::size_t size = agent::ws::encode_masked_header(agent::ws::Opcode::kBinary, octets.size(), key, header);
    agent::ws::apply_mask(std::as_writable_bytes(std::span(octets.data(), octets.size())), key);
    return std::string(as_text(Bytes(header).first(size))) + octets;
  }
  void say(std::uint16_t serial, std::uint32_t cmd, std::string_view body) { send(packet(serial, cmd, body)); }
  bool send(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t put = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      octets.remove_prefix(std::size_t(put));
    }
    return true;
  }

  // The next packet; over ws control frames are passed over (a close frame's code is kept).
  std::optional<Heard> hear() {
    for (;;) {
      if (transport_ == kTcp) {
        const auto got = codec::scan_server(as_bytes(in_), {});
        if (!got) return std::nullopt;
        if (got->whole) {
          Heard heard{got->head, std::string(as_text(got->payload))};
          in_.erase(0, got->size);
          return heard;
        }
      } else {
        const auto event = parser_.next(std::as_writable_bytes(std::span(in_.data(), in_.size())));
        if (event.kind == agent::ws::FrameKind::kMessage) {
          const auto got = codec::decode_server(event.payload, {});
          std::optional<Heard> heard;
          if (got) heard = Heard{got->head, std::string(as_text(got->payload))};
          in_.erase(0, event.consumed);
          return heard;
        }
        if (event.kind == agent::ws::FrameKind::kPing) ++pings_;
        if (event.kind == agent::ws::FrameKind::kClose) close_code_ = event.code;
        in_.erase(0, event.consumed);
        if (event.kind != agent::ws::FrameKind::kNeedMore && event.kind != agent::ws::FrameKind::kClose) continue;
      }
      if (!receive()) return std::nullopt;
    }
  }
  // The other side has closed or reset (whatever was still to be read is dropped).
  bool ended() {
    while (hear()) {
    }
    return !timed_out_;
  }
  std::uint16_t close_code() const { return close_code_; }
  int pings() const { return pings_; }

 private:
  bool receive() {
    if (fd_ < 0) return false;
    pollfd poll{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) <= 0) {
      timed_out_ = true;
      return false;
    }
    char buffer[65536];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    in_.append(buffer, std::size_t(got));
    return true;
  }
  void upgrade() {
    const agent::ws::Nonce nonce{};
    send(agent::ws::make_upgrade({.host = "localhost"}, nonce));
    for (;;) {
      const auto reply = agent::ws::read_upgrade_reply(as_bytes(in_), nonce);
      if (reply.state == agent::ws::HandshakeState::kAccepted) {
        in_.erase(0, reply.consumed);
        return;
      }
      if (reply.state == agent::ws::HandshakeState::kRefused || !receive()) {
        return leave();
      }
    }
  }

  Transport transport_;
  int fd_ = -1;
  std::string in_;
  agent::ws::FrameOptions frames_{.max_message_bytes = 64 * 1024 * 1024, .masked = false};
  agent::ws::FrameParser parser_{frames_};
  std::uint16_t close_code_ = 0;
  int pings_ = 0;
  bool timed_out_ = false;
};

}  // namespace mg::test
