#include "engine.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "fmt/core.h"
#include "token.h"

namespace mgbench {
namespace {

constexpr int kMaxInProgress = 256;             // Connects at once: stays below any listen backlog.
constexpr std::size_t kMaxOutstanding = 32768;  // Of one connection: half the serials.
constexpr std::uint64_t kBurst = 512;           // Requests sent before replies are looked at.
constexpr std::int64_t kTickNs = 100'000'000;
constexpr std::int64_t kBroadcastTimeoutNs = 5'000'000'000;
constexpr std::int64_t kPauseNs = 200'000'000;  // Before a connection comes back.

std::uint64_t bump(std::atomic<std::uint64_t>& counter, std::int64_t by = 1) {
  // One writer: no locked instruction.
  const std::uint64_t value = counter.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(by);
  counter.store(value, std::memory_order_relaxed);
  return value;
}

std::string tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "connection closed";
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? fmt::format("error {:x}", code) : reason;
}

// Times of the requests that wait for a reply, oldest first.
class TimeRing {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void push(std::int64_t time) {
    if (size_ == times_.size()) grow();
    times_[(from_ + size_++) & (times_.size() - 1)] = time;
  }
  std::int64_t front() const { return times_[from_]; }
  std::int64_t pop() {
    const std::int64_t time = times_[from_];
    from_ = (from_ + 1) & (times_.size() - 1);
    --size_;
    return time;
  }
  void clear() { from_ = size_ = 0; }

 private:
  void grow() {
    std::vector<std::int64_t> bigger(times_.empty() ? 1 : times_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) bigger[i] = times_[(from_ + i) & (times_.size() - 1)];
    times_.swap(bigger);
    from_ = 0;
  }
  std::vector<std::int64_t> times_;
  std::size_t from_ = 0;
  std::size_t size_ = 0;
};

}  // namespace

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

const char* failure_name(Failure failure) {
  constexpr std::array<const char*, kFailures> kNames{"connect", "tls",      "upgrade",   "login", "timeout",
                                                      "closed",  "reset",    "protocol",  "code",  "order",
                                                      "payload", "not_sent", "unanswered"};
  return kNames[static_cast<std::size_t>(failure)];
}

const char* failure_hint(Failure failure) {
  switch (failure) {
    case Failure::kConnect:
      return "is the server running, and is this the address it printed? out of local ports: --sources N";
    case Failure::kTls:
      return "does this port speak TLS, and does --ca (if given) hold its issuer?";
    case Failure::kUpgrade:
      return "does this port speak WebSocket without TLS, and may this Host and Origin connect?";
    case Failure::kLogin:
      return "--token_secret (GAME_TOKEN_SECRET) must be the server's";
    case Failure::kTimeout:
      return "the server is too slow for this many connections at once: lower --ramp, or raise --timeout";
    case Failure::kClosed:
    case Failure::kReset:
      return "the server's log says why; its limits on connections, handshakes per address, messages and octets per "
             "client apply to a load generator too";
    case Failure::kProtocol:
      return "does this port speak the protocol of the URL's scheme?";
    case Failure::kCode:
      return "the server refused the command: is it the example game, and logged in?";
    case Failure::kNotSent:
      return "32768 requests of one connection are unanswered: --rate is above what the server can do";
    case Failure::kUnanswered:
      return "no reply came within --timeout after the load ended";
    default:
      return "";
  }
}

struct Engine::Connection {
  int fd = -1;
  State state = State::kClosed;
  std::uint32_t index = 0;
  std::uint16_t next_serial = 1;
  std::uint16_t expected = 1;
  std::array<char, kTagSize> tag{};
  SSL* ssl = nullptr;
  std::int64_t started_ns = 0;
  std::int64_t not_before_ns = 0;  // Of the next attempt.
  TimeRing sent;
  std::string in;     // The start of a packet that has not come whole.
  std::string out;    // What the socket did not take.
  std::string login;  // The packet; kept in churn mode only.
};

Engine::Engine(const Options& options, const Target& target, Control& control, std::uint32_t first, std::uint32_t count,
               std::uint32_t number)
    : options_(options), target_(target), control_(control), number_(number), connections_(count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    connections_[i].index = first + i;
    connections_[i].tag = make_tag(first + i);
    to_start_.push_back(&connections_[i]);
  }
  const std::string data = filler(options.payload);
  const std::string echo = message(1, data);
  echo_ = RequestTemplate(options.echo_cmd, echo, options.url.ws, echo.size() - data.size());
  chat_ = RequestTemplate(options.chat_cmd, message(2, data), options.url.ws);  // Field 1, the room: the lobby.
  if (options.open_loop()) interval_ns_ = 1e9 * options.threads / options.rate;
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_fd_, &event);
}

Engine::~Engine() {
  for (Connection& c : connections_) close(c, true);
  ::close(wake_fd_);
  ::close(epoll_);
}

void Engine::wake() {
  const std::uint64_t one = 1;
  if (::write(wake_fd_, &one, sizeof one) < 0) return;  // Full: it is awake.
}

void Engine::run() {
  prctl(PR_SET_TIMERSLACK, 1UL);  // An open loop is to send when it said it would.
  std::array<epoll_event, 256> events;
  ramp_from_ = next_tick_ = now_ns();
  for (;;) {
    now_ = now_ns();
    const Phase phase = control_.phase.load(std::memory_order_acquire);
    if (phase != phase_) change_phase(phase, now_);
    if (phase_ == Phase::kStop) return;
    start_due(now_);
    if (phase_ == Phase::kWarmup || phase_ == Phase::kMeasure) {
      if (options_.open_loop()) send_due(now_);
      if (options_.mode == Mode::kBroadcast && number_ == 0) broadcast_due(now_);
    }
    if (now_ >= next_tick_) tick(now_);
    const std::int64_t wait = std::max<std::int64_t>(0, next_wake(now_) - now_ns());
    const timespec timeout{wait / 1'000'000'000, wait % 1'000'000'000};
    const int count = epoll_pwait2(epoll_, events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      if (auto* c = static_cast<Connection*>(events[i].data.ptr); c != nullptr) {
        on_event(*c, events[i].events);
      } else {
        std::uint64_t ignored = 0;
        if (::read(wake_fd_, &ignored, sizeof ignored) < 0) continue;
      }
    }
  }
}

void Engine::change_phase(Phase phase, std::int64_t now) {
  const bool load_starts = phase_ == Phase::kConnect && (phase == Phase::kWarmup || phase == Phase::kMeasure);
  if (phase == Phase::kDrain && options_.open_loop()) {
    // What was due in the window is sent, however late this thread is.
    const std::int64_t until = control_.measure_until_ns.load(std::memory_order_relaxed);
    for (std::uint64_t before = scheduled_;; before = scheduled_) {
      send_due(until);
      if (scheduled_ - before < kBurst) break;
    }
  }
  if (phase == Phase::kDrain) counters_.draining.store(true, std::memory_order_release);
  phase_ = phase;
  if (load_starts && options_.mode == Mode::kEcho) {
    if (options_.open_loop()) {
      // Engines share the schedule: each starts a fraction of an interval after the one before.
      schedule_from_ = now + static_cast<std::int64_t>(interval_ns_ * number_ / options_.threads);
    } else {
      for (Connection& c : connections_) {
        if (c.state == State::kOpen) send_requests(c, options_.depth, now_ns());
      }
    }
  }
  if (phase == Phase::kLeave) {
    to_start_.clear();
    for (Connection& c : connections_) {
      if (c.state == State::kOpen) {
        leave(c);
      } else if (c.state != State::kClosed && c.state != State::kLeaving) {
        close(c, true);
      }
    }
  }
}

std::int64_t Engine::next_wake(std::int64_t now) const {
  std::int64_t at = next_tick_;
  const bool loading = phase_ == Phase::kWarmup || phase_ == Phase::kMeasure;
  if (!to_start_.empty() && in_progress_ < kMaxInProgress && phase_ <= Phase::kMeasure) {
    const double per_s = options_.ramp / options_.threads;
    at = per_s <= 0
             ? std::min(at, std::max(now, to_start_.front()->not_before_ns))
             : std::min(at, ramp_from_ + static_cast<std::int64_t>(static_cast<double>(ramp_started_) * 1e9 / per_s));
  }
  if (loading && options_.open_loop()) {
    at = std::min(at, schedule_from_ + static_cast<std::int64_t>(static_cast<double>(scheduled_) * interval_ns_));
  }
  if (loading && options_.mode == Mode::kBroadcast && number_ == 0) {
    at = std::min(at, next_broadcast_ > now ? next_broadcast_ : now + 1'000'000);
  }
  return at;
}

// ---- connecting -------------------------------------------------------------------------------------------------

void Engine::start_due(std::int64_t now) {
  if (phase_ != Phase::kConnect && !(phase_ <= Phase::kMeasure && comes_back())) return;
  const double per_s = options_.ramp / options_.threads;
  for (int burst = 0; burst < 64 && !to_start_.empty() && in_progress_ < kMaxInProgress; ++burst) {
    if (to_start_.front()->not_before_ns > now) return;
    if (per_s > 0) {
      const double due = static_cast<double>(now - ramp_from_) * per_s / 1e9;
      if (static_cast<double>(ramp_started_) > due) return;
      ++ramp_started_;
    }
    Connection& c = *to_start_.front();
    to_start_.pop_front();
    if (options_.mode == Mode::kChurn && control_.cycles_left.fetch_sub(1, std::memory_order_relaxed) <= 0) {
      if (++retired_ == connections_.size()) counters_.finished = true;
      continue;
    }
    start(c, now);
  }
}

void Engine::start(Connection& c, std::int64_t now) {
  c.state = State::kConnecting;
  c.started_ns = now;
  c.next_serial = c.expected = 1;
  ++in_progress_;
  c.fd = socket(target_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) return fail(c, Failure::kConnect, fmt::format("socket: {}", std::strerror(errno)));
  bump(counters_.alive);
  const int one = 1;
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (!target_.sources.empty()) {
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr = target_.sources[c.index % target_.sources.size()];
    setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c.fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) {
      return fail(c, Failure::kConnect, fmt::format("bind: {}", std::strerror(errno)));
    }
  }
  // Edge-triggered and registered once: a connection costs one epoll_ctl.
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET, .data = {.ptr = &c}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
  const auto* to = reinterpret_cast<const sockaddr*>(&target_.address);
  if (connect(c.fd, to, target_.address_size) != 0 && errno != EINPROGRESS) {
    return fail(c, Failure::kConnect, fmt::format("connect: {}", std::strerror(errno)));
  }
}

void Engine::tick(std::int64_t now) {
  next_tick_ = now + kTickNs;
  if (in_progress_ == 0 && leaving_ == 0 && !options_.reconnect) return;
  for (Connection& c : connections_) {
    if (c.state == State::kClosed) continue;
    if (c.state == State::kOpen) {
      if (options_.reconnect && !c.sent.empty() && now - c.sent.front() >= options_.timeout.count()) {
        fail(c, Failure::kUnanswered, fmt::format("serial {}: neither a reply nor a close in time", c.expected));
      }
      continue;
    }
    if (now - c.started_ns < options_.timeout.count()) continue;
    constexpr std::array<const char*, 8> kWhat{
        "",           "connecting", "in the TLS handshake",   "in the upgrade", "for the login's reply",
        "for a role", "",           "for the server to close"};
    fail(c, Failure::kTimeout,
         fmt::format("waited {} s {}", static_cast<double>(options_.timeout.count()) / 1e9,
                     kWhat[static_cast<std::size_t>(c.state)]));
  }
}

void Engine::connected(Connection& c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(c, Failure::kConnect, fmt::format("connect: {}", std::strerror(error)));
  if (target_.tls == nullptr) return transport_ready(c);
  c.ssl = SSL_new(target_.tls);
  SSL_set_fd(c.ssl, c.fd);
  if (in_addr_t ignored; inet_pton(AF_INET, options_.url.host.c_str(), &ignored) != 1) {
    SSL_set_tlsext_host_name(c.ssl, options_.url.host.c_str());
  }
  SSL_set_connect_state(c.ssl);
  c.state = State::kTls;
  step_tls(c);
}

void Engine::step_tls(Connection& c) {
  ERR_clear_error();
  const int result = SSL_do_handshake(c.ssl);
  if (result == 1) return transport_ready(c);
  const int error = SSL_get_error(c.ssl, result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
    fail(c, Failure::kTls, fmt::format("TLS handshake: {}", tls_error()));
  }
}

void Engine::transport_ready(Connection& c) {
  if (!options_.url.ws) return send_login(c);
  c.state = State::kUpgrade;
  write(c, upgrade_request(options_.url.authority(), options_.url.path));
}

void Engine::send_login(Connection& c) {
  c.state = State::kLogin;
  if (!options_.login) return logged_in(c);
  if (c.login.empty()) {
    const std::string token =
        make_token(options_.token_secret, fmt::format("{}{}", options_.account, c.index), target_.token_expiry_s);
    const RequestTemplate login(options_.login_cmd, message(1, token), options_.url.ws);
    c.login.resize(login.size());
    login.write(reinterpret_cast<std::byte*>(c.login.data()), 1, c.tag);
  }
  c.next_serial = 2;  // The login has serial 1.
  if (options_.mode == Mode::kChurn) return write(c, c.login);
  write(c, std::exchange(c.login, {}));
}

void Engine::logged_in(Connection& c) {
  c.state = State::kOpen;
  --in_progress_;
  bump(counters_.open);
  if (options_.mode != Mode::kChurn) {
    bump(counters_.settled);
    if (phase_ == Phase::kWarmup || phase_ == Phase::kMeasure) {  // It came back.
      if (!options_.open_loop()) send_requests(c, options_.depth, now_);
    }
    return;
  }
  latencies_.record(now_ - c.started_ns);
  leave(c);
}

// ---- input ------------------------------------------------------------------------------------------------------

void Engine::on_event(Connection& c, std::uint32_t events) {
  if (c.fd < 0) return;
  if (c.state == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connected(c);
    return;  // What arrives after this is a new edge.
  }
  if (c.state == State::kTls) {
    step_tls(c);
    if (c.fd < 0 || c.state == State::kTls) return;
  }
  if ((events & EPOLLOUT) != 0 && !c.out.empty()) flush(c);
  if (c.fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) {
    read(c, (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0);
  }
}

// `to_end`: the stream has ended, so a short read is not the last.
void Engine::read(Connection& c, bool to_end) {
  credits_ = 0;
  for (;;) {
    const std::size_t have = c.in.size();
    if (scratch_.size() - have < scratch_.size() / 2) scratch_.resize(scratch_.size() * 2);
    const std::size_t room = scratch_.size() - have;
    ssize_t got = 0;
    bool again = false;
    if (c.ssl == nullptr) {
      got = recv(c.fd, scratch_.data() + have, room, 0);
      again = got < 0 && (errno == EAGAIN || errno == EINTR);
    } else {
      ERR_clear_error();
      const int result =
          SSL_read(c.ssl, scratch_.data() + have, static_cast<int>(std::min<std::size_t>(room, 1 << 30)));
      const int error = SSL_get_error(c.ssl, result);
      again = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
      got = result > 0 ? result : error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
    }
    if (again) break;
    if (got <= 0) {
      if (c.state == State::kLeaving) {
        close(c, false);
        return cycle_ended(c, true);
      }
      if (got == 0)
        return fail(c, c.state == State::kLogin ? Failure::kLogin : Failure::kClosed, "closed by the server");
      return fail(c, Failure::kReset, c.ssl != nullptr ? tls_error() : std::strerror(errno));
    }
    now_ = now_ns();
    bump(counters_.bytes_in, got);
    const std::size_t all = have + static_cast<std::size_t>(got);
    if (have != 0) std::memcpy(scratch_.data(), c.in.data(), have);
    const std::size_t used = consume(c, {scratch_.data(), all});
    if (c.fd < 0) return;
    if (used != all) {
      c.in.assign(reinterpret_cast<const char*>(scratch_.data()) + used, all - used);
    } else if (have != 0) {
      c.in.clear();
    }
    // A short read: what comes later is a new edge.
    if (c.ssl == nullptr && !to_end && static_cast<std::size_t>(got) < room) break;
  }
  if (credits_ != 0) {
    const Phase phase = control_.phase.load(std::memory_order_relaxed);
    if (phase == Phase::kWarmup || phase == Phase::kMeasure) send_requests(c, credits_, now_);
    credits_ = 0;
  }
}

// Handles all that is whole at the front of `in`; returns the octets used. The connection may be closed after it.
std::size_t Engine::consume(Connection& c, std::span<const std::byte> in) {
  std::size_t used = 0;
  if (c.state == State::kUpgrade) {
    used = consume_upgrade(c, in);
    if (c.fd < 0 || c.state == State::kUpgrade) return used;
  }
  if (!options_.url.ws) {
    while (in.size() - used >= kServerHead) {
      const std::size_t size = kServerHead + load_head(in.data() + used).size;
      if (size > (std::size_t{1} << 30)) {
        fail(c, Failure::kProtocol, fmt::format("a packet of {} octets", size));
        return used;
      }
      if (in.size() - used < size) break;
      if (!on_packet(c, in.subspan(used, size))) return used;
      used += size;
    }
    return used;
  }
  while (used < in.size()) {
    const Frame frame = parse_frame(in.subspan(used));
    if (frame.state == Frame::State::kShort) break;
    if (frame.state == Frame::State::kBad) {
      fail(c, Failure::kProtocol, "a WebSocket frame that is masked, fragmented or has reserved bits");
      return used;
    }
    if (!on_frame(c, frame)) return used;
    used += frame.size;
  }
  return used;
}

std::size_t Engine::consume_upgrade(Connection& c, std::span<const std::byte> in) {
  const std::string_view text(reinterpret_cast<const char*>(in.data()), in.size());
  const std::size_t stop = text.find("\r\n\r\n");
  if (stop == text.npos) {
    if (text.size() > 16384) fail(c, Failure::kUpgrade, "no end of the response's head within 16 KiB");
    return 0;
  }
  const std::string_view status = text.substr(0, text.find("\r\n"));
  if (!status.starts_with("HTTP/1.1 101") || text.substr(0, stop).find(kUpgradeAccept) == text.npos) {
    fail(c, Failure::kUpgrade, fmt::format("upgrade refused: {}", status.substr(0, 100)));
    return 0;
  }
  send_login(c);
  return stop + 4;
}

// False when the connection is closed.
bool Engine::on_frame(Connection& c, const Frame& frame) {
  const std::string_view payload(reinterpret_cast<const char*>(frame.payload.data()), frame.payload.size());
  switch (frame.opcode) {
    case 2:
      return on_packet(c, frame.payload);
    case 8: {
      if (c.state == State::kLeaving) return true;  // The end of the stream follows.
      const auto code = payload.size() < 2
                            ? 0
                            : (static_cast<unsigned char>(payload[0]) << 8) | static_cast<unsigned char>(payload[1]);
      fail(c, c.state == State::kLogin ? Failure::kLogin : Failure::kClosed,
           fmt::format("closed by the server with {} {}", code, payload.size() > 2 ? payload.substr(2) : ""));
      return false;
    }
    case 9:
      write(c, control_frame(10, payload));
      return c.fd >= 0;
    case 10:
      return true;
    default:
      fail(c, Failure::kProtocol, fmt::format("a WebSocket frame with opcode {}", frame.opcode));
      return false;
  }
}

bool Engine::on_packet(Connection& c, std::span<const std::byte> packet) {
  if (packet.size() < kServerHead || packet.size() != kServerHead + load_head(packet.data()).size) {
    fail(c, Failure::kProtocol, fmt::format("a packet of {} octets that says another size", packet.size()));
    return false;
  }
  const ServerHead head = load_head(packet.data());
  if (c.state == State::kLeaving) return true;
  if (head.serial == 0) {
    if (options_.mode == Mode::kBroadcast && head.cmd != options_.push_cmd) return true;
    bump(counters_.pushes);
    const std::int64_t sent = control_.broadcast_sent_ns.load(std::memory_order_relaxed);
    if (sent >= control_.measure_from_ns.load(std::memory_order_relaxed)) latencies_.record(now_ - sent);
    return true;
  }
  if (c.state == State::kLogin || c.state == State::kEnter) return on_login(c, head);
  return on_reply(c, head, packet.subspan(kServerHead));
}

bool Engine::on_login(Connection& c, const ServerHead& head) {
  const bool creating = c.state == State::kEnter && head.serial == 2;
  // The account may have its role from an earlier run: then creating one more may be refused.
  if (head.serial != c.expected || (head.code != 0 && !creating)) {
    fail(c, Failure::kLogin,
         fmt::format("{} refused: code {}, serial {}", c.state == State::kLogin ? "login" : "role", head.code,
                     head.serial));
    return false;
  }
  ++c.expected;
  if (c.state == State::kLogin && options_.enters()) {
    c.state = State::kEnter;
    const RequestTemplate create(options_.create_cmd, message(1, fmt::format("{}{}", options_.account, c.index)),
                                 options_.url.ws);
    const RequestTemplate select(options_.select_cmd, "", options_.url.ws);
    std::vector<std::byte> both(create.size() + select.size());
    create.write(both.data(), 2, c.tag);
    select.write(both.data() + create.size(), 3, c.tag);
    c.next_serial = 4;
    write(c, both);
  } else if (c.expected == c.next_serial) {
    logged_in(c);
  }
  return c.fd >= 0;
}

bool Engine::on_reply(Connection& c, const ServerHead& head, std::span<const std::byte> body) {
  if (c.sent.empty() || head.serial != c.expected) {
    fail(c, Failure::kOrder, fmt::format("reply has serial {}, expected {}", head.serial, c.expected));
    return false;
  }
  const std::int64_t sent = c.sent.pop();
  bump(counters_.outstanding, -1);
  c.expected = c.expected == 0xFFFF ? 1 : c.expected + 1;
  if (head.code != 0) {
    note(Failure::kCode, fmt::format("reply to command {} has code {}", head.cmd, head.code));
  } else if (options_.mode == Mode::kEcho && !echo_.matches(body, c.tag)) {
    note(Failure::kPayload, fmt::format("the echo of {} octets came back as {} others", options_.payload, body.size()));
  }
  if (options_.mode == Mode::kBroadcast) return true;
  bump(counters_.done);
  ++credits_;
  if (options_.open_loop()) {
    // Every request that was due in the window counts, also when its reply comes after it.
    const Phase phase = control_.phase.load(std::memory_order_relaxed);
    if ((phase == Phase::kMeasure || phase == Phase::kDrain) &&
        sent >= control_.measure_from_ns.load(std::memory_order_relaxed)) {
      latencies_.record(now_ - sent);
    }
    credits_ = 0;
  } else if (control_.phase.load(std::memory_order_relaxed) == Phase::kMeasure) {
    latencies_.record(now_ - sent);
  }
  return true;
}

// ---- output -----------------------------------------------------------------------------------------------------

void Engine::send_requests(Connection& c, int count, std::int64_t stamp) {
  const RequestTemplate& what = options_.mode == Mode::kBroadcast ? chat_ : echo_;
  const std::size_t size = what.size() * static_cast<std::size_t>(count);
  if (batch_.size() < size) batch_.resize(size);
  for (int i = 0; i < count; ++i) {
    what.write(batch_.data() + what.size() * static_cast<std::size_t>(i), c.next_serial, c.tag);
    c.next_serial = c.next_serial == 0xFFFF ? 1 : c.next_serial + 1;
    c.sent.push(stamp);
  }
  bump(counters_.outstanding, count);
  write(c, std::span<const std::byte>(batch_.data(), size));
}

// Open loop: request k is due at schedule_from_ + k intervals, whatever the server does.
void Engine::send_due(std::int64_t now) {
  for (std::uint64_t burst = 0; burst < kBurst; ++burst) {
    const std::int64_t due = schedule_from_ + static_cast<std::int64_t>(static_cast<double>(scheduled_) * interval_ns_);
    if (due > now) return;
    ++scheduled_;
    Connection* c = nullptr;
    for (std::size_t tried = 0; tried < connections_.size() && c == nullptr; ++tried) {
      Connection& next = connections_[turn_++ % connections_.size()];
      if (next.state == State::kOpen) c = &next;
    }
    if (c == nullptr) return;
    if (c->sent.size() >= kMaxOutstanding) {
      note(Failure::kNotSent, fmt::format("connection {} waits for {} replies", c->index, c->sent.size()));
    } else {
      send_requests(*c, 1, due);
    }
  }
}

void Engine::broadcast_due(std::int64_t now) {
  if (now < next_broadcast_) return;
  const std::uint64_t got = control_.sum(&Counters::pushes);
  const std::uint64_t expected = control_.expected_pushes.load(std::memory_order_relaxed);
  if (got < expected) {
    const std::int64_t sent = control_.broadcast_sent_ns.load(std::memory_order_relaxed);
    if (now - sent < kBroadcastTimeoutNs) return;
    note(Failure::kUnanswered,
         fmt::format("{} of the pushes of a broadcast did not arrive within 5 s", expected - got));
    control_.expected_pushes.store(got, std::memory_order_relaxed);
  }
  for (Connection& c : connections_) {
    if (c.state != State::kOpen) continue;
    // The demo answers the chat command only if it fails, so a reply is taken but not waited for.
    bump(counters_.outstanding, -static_cast<std::int64_t>(c.sent.size()));
    c.sent.clear();
    c.expected = c.next_serial;
    const std::int64_t sent = now_ns();
    control_.broadcast_sent_ns.store(sent, std::memory_order_relaxed);
    control_.expected_pushes.fetch_add(control_.sum(&Counters::open), std::memory_order_relaxed);
    control_.broadcasts.fetch_add(1, std::memory_order_relaxed);
    next_broadcast_ = sent + options_.period.count();
    send_requests(c, 1, sent);
    return;
  }
}

// Sends what the transport takes at once; returns the rest. The connection is closed if that fails.
std::span<const std::byte> Engine::push_out(Connection& c, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t sent = 0;
    if (c.ssl == nullptr) {
      sent = ::send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return bytes;
    } else {
      ERR_clear_error();
      sent = SSL_write(c.ssl, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 30)));
      if (sent <= 0) {
        const int error = SSL_get_error(c.ssl, static_cast<int>(sent));
        if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) return bytes;
      }
    }
    if (sent <= 0) {
      if (c.state == State::kLeaving) {
        close(c, true);
        cycle_ended(c, true);
      } else {
        fail(c, Failure::kReset, fmt::format("send: {}", c.ssl != nullptr ? tls_error() : std::strerror(errno)));
      }
      return {};
    }
    bump(counters_.bytes_out, sent);
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return bytes;
}

void Engine::write(Connection& c, std::span<const std::byte> bytes) {
  if (c.fd < 0) return;
  const auto rest = c.out.empty() ? push_out(c, bytes) : bytes;
  if (!rest.empty()) c.out.append(reinterpret_cast<const char*>(rest.data()), rest.size());
}

void Engine::flush(Connection& c) {
  const auto rest = push_out(c, std::as_bytes(std::span(c.out.data(), c.out.size())));
  if (c.fd >= 0) c.out.erase(0, c.out.size() - rest.size());
}

// ---- the end of a connection ------------------------------------------------------------------------------------

void Engine::leave(Connection& c) {
  bump(counters_.open, -1);
  bump(counters_.outstanding, -static_cast<std::int64_t>(c.sent.size()));
  c.sent.clear();
  if (options_.leaving() == Leave::kReset) {
    close(c, true);
    return cycle_ended(c, true);
  }
  c.state = State::kLeaving;
  c.started_ns = now_;
  ++leaving_;
  if (options_.url.ws) {
    write(c, control_frame(8, "\x03\xE8"));  // The server closes after its answer.
  } else {
    if (c.ssl != nullptr) SSL_shutdown(c.ssl);
    shutdown(c.fd, SHUT_WR);
  }
}

void Engine::cycle_ended(Connection& c, bool well) {
  if (!comes_back() || phase_ > Phase::kMeasure) return;
  if (well) bump(counters_.done);
  if (options_.reconnect) c.not_before_ns = now_ + kPauseNs;
  to_start_.push_back(&c);
}

void Engine::note(Failure failure, std::string_view detail) {
  FirstFailure& at = failures_[static_cast<std::size_t>(failure)];
  if (at.count++ == 0) at.detail = detail;
  bump(counters_.failures);
}

void Engine::fail(Connection& c, Failure failure, std::string_view detail) {
  if (!fails_quietly()) note(failure, detail);
  if (c.state == State::kOpen) {
    bump(counters_.open, -1);
  } else if (c.state != State::kLeaving) {
    --in_progress_;
    bump(counters_.settled);
  }
  bump(counters_.outstanding, -static_cast<std::int64_t>(c.sent.size()));
  close(c, true);
  cycle_ended(c, false);
}

void Engine::close(Connection& c, bool reset) {
  if (c.state == State::kLeaving) --leaving_;
  c.state = State::kClosed;
  c.sent.clear();
  c.in.clear();
  c.out.clear();
  if (c.ssl != nullptr) {
    SSL_set_quiet_shutdown(c.ssl, 1);
    SSL_free(c.ssl);
    c.ssl = nullptr;
  }
  if (c.fd < 0) return;
  if (reset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(c.fd);
  c.fd = -1;
  bump(counters_.alive, -1);
}

}  // namespace mgbench
