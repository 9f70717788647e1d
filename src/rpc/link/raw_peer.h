// rpc/link/raw_peer.h -- for tests: a link's other side by hand, octet by octet.
//
//   RawPeer peer(RawPeer::connect(port));
//   peer.send(encode(hello));
//   std::vector<RawFrame> frames = peer.frames();       // what has come so far
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rpc/link/frames.h"

namespace mg::rpc::link {

struct RawFrame {
  Head head;
  std::string body;
};

inline std::string raw_frame(Type type, std::string_view body = {}, std::uint8_t flags = 0, std::uint16_t number = 0) {
  std::string made(kHeadSize, '\0');
  write_head(reinterpret_cast<std::byte*>(made.data()), {static_cast<std::uint32_t>(body.size()), type, flags, number});
  return made.append(body);
}
inline std::string raw_u32(std::initializer_list<std::uint32_t> values) {
  std::string made;
  for (const std::uint32_t value : values) {
    std::byte octets[4];
    put(octets, value);
    made.append(as_text(octets));
  }
  return made;
}
inline std::string raw_method(std::string_view handler, std::string_view method, std::uint16_t number) {
  std::string body;
  body.append(1, static_cast<char>(handler.size())).append(1, static_cast<char>(method.size()));
  body.append(handler).append(method).append("gate");
  return raw_frame(Type::kMethod, body, 0, number);
}
inline std::string raw_call(std::uint32_t call, std::uint16_t method, std::uint32_t meta, std::uint32_t deadline,
                            std::string_view message) {
  return raw_frame(Type::kCall, raw_u32({call, meta, deadline}).append(message), 0, method);
}
inline std::string raw_entry(std::string_view key, std::string_view value) {
  std::byte fields[6];
  put(fields, static_cast<std::uint16_t>(key.size()));
  put(fields + 2, static_cast<std::uint32_t>(value.size()));
  return std::string(as_text(fields)).append(key).append(value);
}

// A non-blocking socket. Threads: one.
class RawPeer {
 public:
  explicit RawPeer(int fd = -1) : fd_(fd) {
    const int on = 1;
    if (fd_ >= 0) ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  RawPeer(RawPeer&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)), closed_(other.closed_) {}
  RawPeer& operator=(RawPeer&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(in_, other.in_);
    std::swap(closed_, other.closed_);
    return *this;
  }
  ~RawPeer() { close(); }

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
  }
  static int connect(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return fd;
    ::close(fd);
    return -1;
  }

  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // False when the other side has closed.
  bool send(std::string_view octets) {
    return ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(octets.size());
  }
  void receive() {
    char octets[65536];
    for (;;) {
      const ssize_t got = ::recv(fd_, octets, sizeof octets, MSG_DONTWAIT);
      if (got > 0) {
        in_.append(octets, static_cast<std::size_t>(got));
        continue;
      }
      if (got == 0 || errno != EAGAIN) closed_ = true;
      return;
    }
  }
  bool closed() {
    receive();
    return closed_;
  }
  // Whole frames that have come and were not given out.
  std::vector<RawFrame> frames(std::size_t most = SIZE_MAX) {
    receive();
    std::vector<RawFrame> found;
    while (found.size() < most && in_.size() >= kHeadSize) {
      const Head head = read_head(reinterpret_cast<const std::byte*>(in_.data()));
      if (in_.size() - kHeadSize < head.size) break;
      found.push_back({head, in_.substr(kHeadSize, head.size)});
      in_.erase(0, kHeadSize + head.size);
    }
    return found;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::string in_;
  bool closed_ = false;
};

// Accepts connections by hand.
class RawListener {
 public:
  RawListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in at = RawPeer::loopback(0);
    socklen_t size = sizeof at;
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at);
    ::listen(fd_, 16);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }
  ~RawListener() { ::close(fd_); }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  std::uint16_t port() const { return port_; }
  // -1: nobody is there.
  int accept() { return ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

}  // namespace mg::rpc::link
