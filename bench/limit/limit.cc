// limit: what the kernel allows. A server of the client packets (bench/README.md) with nothing in it that a game
// needs: one thread, level-triggered epoll, one recv and one send per connection and event.
//
//   limit echo --tcp 0 --ws 0        prints tcp://127.0.0.1:PORT, ws://127.0.0.1:PORT, ready
//   limit relay --tcp 0              a gate that forwards over one TCP connection to an echo process of its own
//   limit echo --report              also prints the CPU of each broadcast (command 10006) on stderr
//
// It parses no protobuf, keeps no order, arms no timer and trusts its peers: a yardstick, not a server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fmt/core.h"
#include "mg/base/bytes.h"

namespace {

using mg::load;
using mg::store;

constexpr auto kBig = std::endian::big;
constexpr std::size_t kClientHead = 10;  // serial:u16 cmd:u32 size:u32
constexpr std::size_t kServerHead = 14;  // serial:u16 cmd:u32 code:u32 size:u32
constexpr std::size_t kLinkHead = 12;    // size:u32 connection:u32 generation:u32, before a whole packet
constexpr std::uint32_t kLogin = 10001;
constexpr std::uint32_t kChat = 10006;
constexpr std::uint32_t kChatPush = 20001;
constexpr std::size_t kMaxPacket = 16 << 20;
constexpr std::size_t kBad = ~std::size_t{0};

[[noreturn]] void die(std::string_view what) {
  fmt::print(stderr, "limit: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

// Octets to be sent; grows, never shrinks, so that the steady state does not allocate.
class Buffer {
 public:
  std::byte* grow(std::size_t count) {
    if (octets_.size() < size_ + count) octets_.resize(std::max(octets_.size() * 2, size_ + count));
    std::byte* at = octets_.data() + size_;
    size_ += count;
    return at;
  }
  void append(mg::Bytes bytes) {
    if (!bytes.empty()) std::memcpy(grow(bytes.size()), bytes.data(), bytes.size());
  }
  void clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  mg::Bytes bytes() const { return {octets_.data(), size_}; }

 private:
  std::vector<std::byte> octets_ = std::vector<std::byte>(1 << 16);
  std::size_t size_ = 0;
};

enum class Kind : std::uint8_t { kTcp, kHandshake, kWs, kUplink, kDownlink };

struct Endpoint {
  int fd = -1;
  Kind kind = Kind::kTcp;
  bool listens = false;
  bool blocked = false;  // `out` waits for EPOLLOUT.
  std::uint32_t generation = 0;
  std::string in;   // The start of a packet that has not come whole.
  std::string out;  // What the socket did not take.
};

bool is_client(const Endpoint& end) {
  return !end.listens && (end.kind == Kind::kTcp || end.kind == Kind::kWs);
}

std::size_t ws_head_size(std::size_t payload) {
  return payload < 126 ? 2 : payload < 65536 ? 4 : 10;
}

void put_ws_head(std::byte* at, std::size_t payload) {
  at[0] = std::byte{0x82};
  if (payload < 126) {
    at[1] = static_cast<std::byte>(payload);
  } else if (payload < 65536) {
    at[1] = std::byte{126};
    store<std::uint16_t>(at + 2, static_cast<std::uint16_t>(payload), kBig);
  } else {
    at[1] = std::byte{127};
    store<std::uint64_t>(at + 2, payload, kBig);
  }
}

void unmask(std::byte* data, std::size_t size, const std::byte* key) {
  std::uint32_t key32;
  std::memcpy(&key32, key, 4);
  const std::uint64_t key64 = key32 | static_cast<std::uint64_t>(key32) << 32;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, data + i, 8);
    word ^= key64;
    std::memcpy(data + i, &word, 8);
  }
  for (; i < size; ++i) data[i] ^= key[i & 3];
}

void append_packet(Buffer& out, bool ws, std::uint16_t serial, std::uint32_t cmd, mg::Bytes body) {
  const std::size_t size = kServerHead + body.size();
  const std::size_t ws_head = ws ? ws_head_size(size) : 0;
  std::byte* at = out.grow(ws_head + size);
  if (ws) put_ws_head(at, size);
  at += ws_head;
  store<std::uint16_t>(at, serial, kBig);
  store<std::uint32_t>(at + 2, cmd, kBig);
  store<std::uint32_t>(at + 6, 0, kBig);
  store<std::uint32_t>(at + 10, static_cast<std::uint32_t>(body.size()), kBig);
  if (!body.empty()) std::memcpy(at + kServerHead, body.data(), body.size());
}

// The key's answer of RFC 6455 section 4.2.2.
std::string accept_key(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> encoded;
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

class Server {
 public:
  explicit Server(bool report) : report_(report), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die("epoll_create1");
  }

  void listen(int fd, Kind kind) {
    Endpoint& end = add(fd, kind);
    end.listens = true;
  }
  void uplink(int fd) { uplink_ = &add(fd, Kind::kUplink); }

  [[noreturn]] void run() {
    std::array<epoll_event, 512> events;
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      if (count < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < count; ++i) {
        // An endpoint is deleted in its own event only, so the pointers of one batch stay good.
        auto& end = *static_cast<Endpoint*>(events[i].data.ptr);
        if (end.listens) {
          accept_all(end);
          continue;
        }
        if (end.blocked && (events[i].events & EPOLLOUT) != 0) drain(end);
        if ((events[i].events & ~std::uint32_t{EPOLLOUT}) != 0) read(end);
      }
      if (uplink_ != nullptr && !link_out_.empty()) {
        send(*uplink_, link_out_.bytes());
        link_out_.clear();
      }
    }
  }

 private:
  Endpoint& add(int fd, Kind kind) {
    const auto index = static_cast<std::size_t>(fd);
    if (ends_.size() <= index) ends_.resize(index + 1);
    auto& end = ends_[index] = std::make_unique<Endpoint>();
    end->fd = fd;
    end->kind = kind;
    end->generation = ++generation_;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = end.get()}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    return *end;
  }

  void accept_all(const Endpoint& listener) {
    for (;;) {
      const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == ECONNABORTED || errno == EINTR) continue;
        if (errno == EMFILE || errno == ENFILE) die("accept: raise `ulimit -n`");
        return;
      }
      const int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      add(fd, listener.kind);
    }
  }

  void close(Endpoint& end) {
    if (end.kind == Kind::kUplink || end.kind == Kind::kDownlink) std::exit(1);  // The other half is gone.
    const auto index = static_cast<std::size_t>(end.fd);
    ::close(end.fd);
    ends_[index].reset();
  }

  void read(Endpoint& end) {
    if (end.in.size() == scratch_.size()) scratch_.resize(scratch_.size() * 2);
    std::size_t have = end.in.size();
    if (have != 0) std::memcpy(scratch_.data(), end.in.data(), have);
    const ssize_t got = recv(end.fd, scratch_.data() + have, scratch_.size() - have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return close(end);
    have += static_cast<std::size_t>(got);
    const std::size_t used = consume(end, {scratch_.data(), have});
    if (used == kBad) {
      out_.clear();
      return close(end);
    }
    if (used != have) {
      end.in.assign(reinterpret_cast<const char*>(scratch_.data()) + used, have - used);
    } else if (!end.in.empty()) {
      end.in.clear();
    }
    if (!out_.empty()) {
      send(*out_end_, out_.bytes());
      out_.clear();
    }
  }

  // Handles every whole packet at the front of `in`; returns the octets used, or kBad.
  std::size_t consume(Endpoint& end, mg::MutableBytes in) {
    out_end_ = &end;
    switch (end.kind) {
      case Kind::kTcp:
        return consume_tcp(end, in);
      case Kind::kHandshake:
        return consume_handshake(end, in);
      case Kind::kWs:
        return consume_ws(end, in);
      case Kind::kUplink:
        return consume_link(in, [this](std::uint32_t fd, std::uint32_t generation, mg::Bytes packet) {
          return on_link_reply(fd, generation, packet);
        });
      case Kind::kDownlink:
        return consume_link(in, [this](std::uint32_t fd, std::uint32_t generation, mg::Bytes packet) {
          return on_link_request(fd, generation, packet);
        });
    }
    return kBad;
  }

  std::size_t consume_tcp(Endpoint& end, mg::MutableBytes in) {
    std::size_t used = 0;
    while (in.size() - used >= kClientHead) {
      const std::byte* at = in.data() + used;
      const std::size_t size = kClientHead + load<std::uint32_t>(at + 6, kBig);
      if (size > kMaxPacket) return kBad;
      if (in.size() - used < size) break;
      on_packet(end, {at, size});
      used += size;
    }
    return used;
  }

  std::size_t consume_ws(Endpoint& end, mg::MutableBytes in) {
    std::size_t used = 0;
    while (in.size() - used >= 6) {
      std::byte* at = in.data() + used;
      const auto first = std::to_integer<unsigned>(at[0]);
      const auto second = std::to_integer<unsigned>(at[1]);
      std::size_t size = second & 0x7F;
      std::size_t head = 6;
      if ((second & 0x80) == 0) return kBad;
      if (size == 126) {
        head = 8;
        if (in.size() - used < head) break;
        size = load<std::uint16_t>(at + 2, kBig);
      } else if (size == 127) {
        head = 14;
        if (in.size() - used < head) break;
        size = load<std::uint64_t>(at + 2, kBig);
      }
      if (size > kMaxPacket) return kBad;
      if (in.size() - used < head + size) break;
      unmask(at + head, size, at + head - 4);
      const mg::Bytes payload{at + head, size};
      used += head + size;
      if (first == 0x82) {
        if (size < kClientHead || size != kClientHead + load<std::uint32_t>(payload.data() + 6, kBig)) return kBad;
        on_packet(end, payload);
      } else if (first == 0x89 && size < 126) {
        std::byte* pong = out_.grow(2 + size);
        pong[0] = std::byte{0x8A};
        pong[1] = static_cast<std::byte>(size);
        if (size != 0) std::memcpy(pong + 2, payload.data(), size);
      } else if (first == 0x88) {
        const std::array<std::byte, 4> bye{std::byte{0x88}, std::byte{2}, std::byte{3}, std::byte{0xE8}};
        out_.append(bye);
        send(end, out_.bytes());
        out_.clear();
        return kBad;
      } else if (first != 0x8A) {
        return kBad;  // Fragments and text: not what a load generator sends.
      }
    }
    return used;
  }

  std::size_t consume_handshake(Endpoint& end, mg::MutableBytes in) {
    const std::string_view text = mg::as_text(in);
    const std::size_t stop = text.find("\r\n\r\n");
    if (stop == text.npos) return in.size() > 8192 ? kBad : 0;
    std::string lower(text.substr(0, stop + 2));
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    constexpr std::string_view kName = "\r\nsec-websocket-key:";
    const std::size_t name = lower.find(kName);
    if (name == lower.npos) return kBad;
    const std::size_t from = text.find_first_not_of(' ', name + kName.size());
    const std::string_view key = text.substr(from, text.find("\r\n", from) - from);
    const std::string reply = fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        "{}\r\n\r\n",
        accept_key(key));
    out_.append(mg::as_bytes(reply));
    end.kind = Kind::kWs;
    const std::size_t used = consume_ws(end, in.subspan(stop + 4));
    return used == kBad ? kBad : stop + 4 + used;
  }

  template <class OnPacket>
  std::size_t consume_link(mg::MutableBytes in, OnPacket on_packet) {
    std::size_t used = 0;
    while (in.size() - used >= kLinkHead) {
      const std::byte* at = in.data() + used;
      const std::size_t size = load<std::uint32_t>(at, kBig);
      if (in.size() - used < kLinkHead + size) break;
      on_packet(load<std::uint32_t>(at + 4, kBig), load<std::uint32_t>(at + 8, kBig), mg::Bytes(at + kLinkHead, size));
      used += kLinkHead + size;
    }
    return used;
  }

  void on_packet(Endpoint& end, mg::Bytes packet) {
    const auto cmd = load<std::uint32_t>(packet.data() + 2, kBig);
    if (cmd == kChat) return broadcast(packet.subspan(kClientHead));
    if (uplink_ != nullptr) {
      std::byte* at = link_out_.grow(kLinkHead + packet.size());
      store<std::uint32_t>(at, static_cast<std::uint32_t>(packet.size()), kBig);
      store<std::uint32_t>(at + 4, static_cast<std::uint32_t>(end.fd), kBig);
      store<std::uint32_t>(at + 8, end.generation, kBig);
      std::memcpy(at + kLinkHead, packet.data(), packet.size());
      return;
    }
    const auto serial = load<std::uint16_t>(packet.data(), kBig);
    append_packet(out_, end.kind == Kind::kWs, serial, cmd, cmd == kLogin ? mg::Bytes{} : packet.subspan(kClientHead));
  }

  // The echo process of a relay: answers into the link.
  void on_link_request(std::uint32_t fd, std::uint32_t generation, mg::Bytes packet) {
    const auto serial = load<std::uint16_t>(packet.data(), kBig);
    const auto cmd = load<std::uint32_t>(packet.data() + 2, kBig);
    const mg::Bytes body = cmd == kLogin ? mg::Bytes{} : packet.subspan(kClientHead);
    std::byte* at = out_.grow(kLinkHead);
    store<std::uint32_t>(at, static_cast<std::uint32_t>(kServerHead + body.size()), kBig);
    store<std::uint32_t>(at + 4, fd, kBig);
    store<std::uint32_t>(at + 8, generation, kBig);
    append_packet(out_, false, serial, cmd, body);
  }

  // The gate of a relay: replies come in the order of the requests, so those of one recv stand side by side and one
  // send per client and event needs no list of touched clients.
  void on_link_reply(std::uint32_t fd, std::uint32_t generation, mg::Bytes packet) {
    Endpoint* end = fd < ends_.size() ? ends_[fd].get() : nullptr;
    if (end == nullptr || end->generation != generation) return;
    if (end != out_end_ && !out_.empty()) {
      send(*out_end_, out_.bytes());
      out_.clear();
    }
    out_end_ = end;
    if (end->kind == Kind::kWs) put_ws_head(out_.grow(ws_head_size(packet.size())), packet.size());
    out_.append(packet);
  }

  // One packet encoded once per transport, and a bare loop of send.
  void broadcast(mg::Bytes body) {
    timespec from{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    Buffer tcp;
    append_packet(tcp, false, 0, kChatPush, body);
    Buffer ws;
    append_packet(ws, true, 0, kChatPush, body);
    std::size_t recipients = 0;
    for (const auto& end : ends_) {
      if (end == nullptr || !is_client(*end)) continue;
      send(*end, end->kind == Kind::kWs ? ws.bytes() : tcp.bytes());
      ++recipients;
    }
    if (!report_) return;
    timespec to{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    const double us =
        static_cast<double>(to.tv_sec - from.tv_sec) * 1e6 + static_cast<double>(to.tv_nsec - from.tv_nsec) / 1e3;
    fmt::print(stderr, "broadcast: {} recipients, {:.0f} us CPU, {:.2f} us each\n", recipients, us,
               us / static_cast<double>(std::max<std::size_t>(recipients, 1)));
  }

  void send(Endpoint& end, mg::Bytes bytes) {
    std::size_t sent = 0;
    if (!end.blocked) {
      const ssize_t got = ::send(end.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (got < 0 && errno != EAGAIN) {
        ::shutdown(end.fd, SHUT_RDWR);  // Its own event closes it.
        return;
      }
      sent = got < 0 ? 0 : static_cast<std::size_t>(got);
    }
    if (sent == bytes.size()) return;
    end.out.append(mg::as_text(bytes.subspan(sent)));
    if (!end.blocked) watch(end, true);
  }

  void drain(Endpoint& end) {
    const ssize_t got = ::send(end.fd, end.out.data(), end.out.size(), MSG_NOSIGNAL);
    if (got > 0) end.out.erase(0, static_cast<std::size_t>(got));
    if (end.out.empty()) watch(end, false);
  }

  // A client that does not read is not read from either; a link always is, or both halves could wait for each other.
  void watch(Endpoint& end, bool blocked) {
    end.blocked = blocked;
    const bool link = end.kind == Kind::kUplink || end.kind == Kind::kDownlink;
    epoll_event event{
        .events = (blocked ? std::uint32_t{EPOLLOUT} : 0U) | (!blocked || link ? std::uint32_t{EPOLLIN} : 0U),
        .data = {.ptr = &end}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, end.fd, &event);
  }

  bool report_;
  int epoll_;
  std::vector<std::unique_ptr<Endpoint>> ends_;  // By descriptor.
  std::uint32_t generation_ = 0;
  Endpoint* uplink_ = nullptr;
  Endpoint* out_end_ = nullptr;  // Whose octets `out_` holds.
  Buffer out_;
  Buffer link_out_;
  std::vector<std::byte> scratch_ = std::vector<std::byte>(1 << 18);
};

int listen_on(std::string_view scheme, int port, bool print) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    die(fmt::format("listen on 127.0.0.1:{}", port));
  }
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  if (print) fmt::print("{}://127.0.0.1:{}\n", scheme, ntohs(address.sin_port));
  return fd;
}

// Starts the echo process of a relay; returns the gate's end of the link and the process.
std::pair<int, pid_t> start_echo() {
  const int listener = listen_on("link", 0, false);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) std::_Exit(1);
    Server server(false);
    server.listen(listener, Kind::kDownlink);
    server.run();
  }
  close(listener);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) die("connect to the echo process");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl");
  return {fd, child};
}

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli{"limit: a plain epoll server of the client packets, the yardstick of the benchmarks"};
  int tcp = -1;
  int ws = -1;
  bool report = false;
  cli.require_subcommand(1);
  cli.add_option("--tcp", tcp, "listen for TCP on this port of 127.0.0.1 (0: any)")->check(CLI::Range(0, 65535));
  cli.add_option("--ws", ws, "listen for WebSocket on this port of 127.0.0.1 (0: any)")->check(CLI::Range(0, 65535));
  cli.add_flag("--report", report, "print the CPU of each broadcast on stderr");
  cli.add_subcommand("echo", "one process that answers")->fallthrough();
  const auto* relay = cli.add_subcommand("relay", "a gate before an echo process")->fallthrough();
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : 2;
  }
  if (tcp < 0 && ws < 0) tcp = ws = 0;

  raise_descriptor_limit();
  std::optional<std::pair<int, pid_t>> link;
  if (relay->parsed()) link = start_echo();
  Server server(report);
  if (link) {
    server.uplink(link->first);
    fmt::print("pids {},{}\n", getpid(), link->second);
  }
  if (tcp >= 0) server.listen(listen_on("tcp", tcp, true), Kind::kTcp);
  if (ws >= 0) server.listen(listen_on("ws", ws, true), Kind::kHandshake);
  fmt::print("ready\n");
  std::fflush(stdout);
  server.run();
}
