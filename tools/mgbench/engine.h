// engine.h -- one thread of load: its connections, their protocol, and what it counted.
//
//   Control control;                                 // shared by all engines and the coordinator
//   Engine engine(options, target, share, control);
//   std::thread t([&] { engine.run(); });            // until control.set_phase(Phase::kStop)
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.h"
#include "options.h"
#include "packet.h"

namespace mgbench {

// What the load is to do now; set by the coordinator.
enum class Phase : std::uint8_t {
  kConnect,  // connect and log in
  kWarmup,   // load, not recorded
  kMeasure,  // load, recorded; churn: all of it
  kDrain,    // nothing new; wait for what is under way
  kLeave,    // close all
  kStop
};

enum class Failure : std::uint8_t {
  kConnect,
  kTls,
  kUpgrade,
  kLogin,
  kTimeout,
  kClosed,
  kReset,
  kProtocol,
  kCode,
  kOrder,
  kPayload,
  kNotSent,
  kUnanswered
};
inline constexpr std::size_t kFailures = 13;
const char* failure_name(Failure failure);
// What a person can do about it; empty when nothing general can be said.
const char* failure_hint(Failure failure);

// Written by one engine, read by all. Threads: shared.
struct alignas(64) Counters {
  std::atomic<std::uint64_t> settled{0};      // Connections opened or failed since the start.
  std::atomic<std::uint64_t> open{0};         // Logged in now.
  std::atomic<std::uint64_t> alive{0};        // With a socket.
  std::atomic<std::uint64_t> done{0};         // Replies; churn: cycles ended well.
  std::atomic<std::uint64_t> outstanding{0};  // Requests without a reply.
  std::atomic<std::uint64_t> pushes{0};
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<bool> finished{false};  // Churn: no cycle left to do.
  std::atomic<bool> draining{false};  // It has seen Phase::kDrain: all that was due is on its way.
};

struct Control {
  std::atomic<Phase> phase{Phase::kConnect};
  std::atomic<std::int64_t> measure_from_ns{std::numeric_limits<std::int64_t>::max()};
  std::atomic<std::int64_t> measure_until_ns{0};
  std::atomic<std::int64_t> cycles_left{0};
  std::atomic<std::uint64_t> broadcasts{0};        // Sent.
  std::atomic<std::uint64_t> expected_pushes{0};   // Of all broadcasts so far, less what was given up.
  std::atomic<std::int64_t> broadcast_sent_ns{0};  // The latest.
  std::vector<const Counters*> counters;           // Of every engine, complete before the first thread starts.

  std::uint64_t sum(std::atomic<std::uint64_t> Counters::* what) const {
    std::uint64_t total = 0;
    for (const Counters* one : counters) total += (one->*what).load(std::memory_order_relaxed);
    return total;
  }
};

// Where to connect; resolved once.
struct Target {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  SSL_CTX* tls = nullptr;
  std::vector<in_addr> sources;  // Bound to in turn; empty: the kernel chooses.
  std::int64_t token_expiry_s = 0;
};

struct FirstFailure {
  std::uint64_t count = 0;
  std::string detail;
};

// Threads: loop (the one that calls run); counters() is shared, the rest after that thread was joined.
class Engine {
 public:
  // Requires: `options`, `target`, `control` outlive the engine. Connections are numbered from `first`.
  Engine(const Options& options, const Target& target, Control& control, std::uint32_t first, std::uint32_t count,
         std::uint32_t number);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void run();
  void wake();  // After a change of phase. Threads: shared.

  const Counters& counters() const { return counters_; }
  const Histogram& latencies() const { return latencies_; }
  const std::array<FirstFailure, kFailures>& failures() const { return failures_; }

 private:
  enum class State : std::uint8_t { kClosed, kConnecting, kTls, kUpgrade, kLogin, kEnter, kOpen, kLeaving };
  struct Connection;

  void change_phase(Phase phase, std::int64_t now);
  std::int64_t next_wake(std::int64_t now) const;
  void start_due(std::int64_t now);
  void start(Connection& c, std::int64_t now);
  void tick(std::int64_t now);

  void on_event(Connection& c, std::uint32_t events);
  void connected(Connection& c);
  void step_tls(Connection& c);
  void transport_ready(Connection& c);
  void send_login(Connection& c);
  void read(Connection& c, bool to_end);
  std::size_t consume(Connection& c, std::span<const std::byte> in);
  std::size_t consume_upgrade(Connection& c, std::span<const std::byte> in);
  bool on_frame(Connection& c, const Frame& frame);
  bool on_packet(Connection& c, std::span<const std::byte> packet);
  bool on_reply(Connection& c, const ServerHead& head, std::span<const std::byte> body);
  bool on_login(Connection& c, const ServerHead& head);
  void logged_in(Connection& c);

  void send_requests(Connection& c, int count, std::int64_t stamp);
  void send_due(std::int64_t now);
  void broadcast_due(std::int64_t now);
  void write(Connection& c, std::span<const std::byte> bytes);
  void write(Connection& c, std::string_view text) { write(c, std::as_bytes(std::span(text.data(), text.size()))); }
  void flush(Connection& c);
  std::span<const std::byte> push_out(Connection& c, std::span<const std::byte> bytes);

  void leave(Connection& c);
  void note(Failure failure, std::string_view detail);
  void fail(Connection& c, Failure failure, std::string_view detail);
  void close(Connection& c, bool reset);
  void cycle_ended(Connection& c, bool well);
  bool fails_quietly() const { return phase_ == Phase::kLeave || phase_ == Phase::kStop; }
  bool comes_back() const { return options_.mode == Mode::kChurn || options_.reconnect; }

  const Options& options_;
  const Target& target_;
  Control& control_;
  std::uint32_t number_;
  int epoll_ = -1;
  int wake_fd_ = -1;
  Phase phase_ = Phase::kConnect;
  Counters counters_;
  Histogram latencies_;
  std::array<FirstFailure, kFailures> failures_;

  std::vector<Connection> connections_;
  std::deque<Connection*> to_start_;
  int in_progress_ = 0;  // Started, not logged in yet.
  int leaving_ = 0;
  std::size_t retired_ = 0;  // Churn: connections that found no cycle left.
  std::int64_t ramp_from_ = 0;
  std::uint64_t ramp_started_ = 0;

  RequestTemplate echo_;
  RequestTemplate chat_;
  std::vector<std::byte> scratch_ = std::vector<std::byte>(1 << 18);
  std::vector<std::byte> batch_;
  int credits_ = 0;  // Replies of the read under way.
  std::int64_t now_ = 0;
  std::int64_t next_tick_ = 0;

  double interval_ns_ = 0;  // Open loop.
  std::int64_t schedule_from_ = 0;
  std::uint64_t scheduled_ = 0;
  std::size_t turn_ = 0;
  std::int64_t next_broadcast_ = 0;
};

std::int64_t now_ns();

}  // namespace mgbench
