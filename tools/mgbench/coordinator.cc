#include "coordinator.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "engine.h"
#include "fmt/core.h"

namespace mgbench {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) {
  interrupted = 1;
}

double own_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::string resolve(const Options& options, Target& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(options.url.host.c_str(), options.url.port.c_str(), &hints, &found);
  if (error != 0) return fmt::format("cannot resolve the host of {}: {}", options.url.text, gai_strerror(error));
  target.address_size = found->ai_addrlen;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&target.address);
  const bool loopback = v4->sin_family == AF_INET && (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  int sources = options.sources;
  // One address pair has some 28,000 local ports; politely closed connections hold theirs for a minute.
  if (sources == 0) sources = options.mode == Mode::kChurn ? 32 : 1 + options.connections / 10000;
  if (!loopback || sources <= 1) return {};
  for (int i = 0; i < sources; ++i) target.sources.push_back({htonl(0x7F000001U + static_cast<std::uint32_t>(i))});
  return {};
}

std::string prepare_tls(const Options& options, Target& target) {
  if (!options.url.tls) return {};
  target.tls = SSL_CTX_new(TLS_client_method());
  if (target.tls == nullptr) return "cannot start TLS";
  SSL_CTX_set_mode(target.tls,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(target.tls, SSL_SESS_CACHE_OFF);
  if (options.ca.empty()) return {};
  SSL_CTX_set_verify(target.tls, SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(target.tls, options.ca.c_str(), nullptr) != 1) {
    return fmt::format("--ca {}: not a PEM file with certificates", options.ca);
  }
  return {};
}

// What is sampled at both edges of the window.
struct Edge {
  std::int64_t time_ns = 0;
  double server_cpu_s = 0;
  double client_cpu_s = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t broadcasts = 0;
};

class Run {
 public:
  Run(const Options& options, Result& result) : options_(options), result_(result) {}

  ~Run() {
    set_phase(Phase::kStop);
    for (std::thread& thread : threads_) thread.join();
    engines_.clear();
    SSL_CTX_free(target_.tls);
  }

  std::string go() {
    result_.options = &options_;
    if (std::string error = prepare(); !error.empty()) return error;
    result_.before = result_.loaded = result_.held = observe(options_.pids);
    control_.cycles_left = static_cast<std::int64_t>(options_.cycles);
    const std::int64_t begin = now_ns();
    start_ = begin;
    const bool churn = options_.mode == Mode::kChurn;
    if (churn) set_phase(Phase::kMeasure);
    const Edge at_start = edge();
    for (const auto& engine : engines_) threads_.emplace_back([&engine] { engine->run(); });
    if (churn) {
      wait("churn", [this] { return all_finished(); });
      conclude(at_start, edge());
    } else {
      const auto wanted = static_cast<std::uint64_t>(options_.connections);
      wait("connect", [this, wanted] { return control_.sum(&Counters::settled) >= wanted; });
      result_.connect_s = static_cast<double>(now_ns() - begin) / 1e9;
      if (some_left() && interrupted == 0) measure();
    }
    end();
    return {};
  }

 private:
  std::string prepare() {
    if (std::string error = check_pids(options_.pids); !error.empty()) return error;
    if (std::string error = raise_descriptor_limit(options_.connections + 64); !error.empty()) return error;
    if (std::string error = resolve(options_, target_); !error.empty()) return error;
    if (std::string error = prepare_tls(options_, target_); !error.empty()) return error;
    target_.token_expiry_s = static_cast<std::int64_t>(time(nullptr)) + 24 * 3600;
    std::uint32_t first = 0;
    for (int i = 0; i < options_.threads; ++i) {
      const auto count =
          static_cast<std::uint32_t>((options_.connections - static_cast<int>(first)) / (options_.threads - i));
      engines_.push_back(
          std::make_unique<Engine>(options_, target_, control_, first, count, static_cast<std::uint32_t>(i)));
      control_.counters.push_back(&engines_.back()->counters());
      first += count;
    }
    return {};
  }

  void measure() {
    if (options_.mode == Mode::kIdle) {
      sleep_for(std::chrono::milliseconds(300));  // Let the last replies and timers settle.
      result_.loaded = observe(options_.pids);
      const Edge from = edge();
      set_phase(Phase::kMeasure);
      hold("idle", options_.duration);
      const Edge to = edge();
      result_.held = observe(options_.pids);
      return conclude(from, to);
    }
    set_phase(Phase::kWarmup);
    hold("warm-up", options_.warmup);
    const bool broadcast = options_.mode == Mode::kBroadcast;
    if (broadcast) settle();  // Whole broadcasts only in the window: waiting costs no CPU.
    control_.measure_from_ns.store(now_ns(), std::memory_order_relaxed);
    set_phase(Phase::kMeasure);
    const Edge from = edge();
    hold("measure", options_.duration);
    if (broadcast) settle();
    control_.measure_until_ns.store(now_ns(), std::memory_order_relaxed);
    const Edge to = edge();
    conclude(from, to);
    result_.loaded = observe(options_.pids);
    if (!broadcast) settle();
  }

  // Nothing new; until what is under way has come back, or --timeout.
  void settle() {
    set_phase(Phase::kDrain);
    const std::int64_t until = now_ns() + options_.timeout.count();
    wait("drain", [this, until] { return quiet() || now_ns() > until; });
    if (quiet() || interrupted != 0) return;
    FirstFailure& at = result_.failures[static_cast<std::size_t>(Failure::kUnanswered)];
    at.count += options_.mode == Mode::kBroadcast ? 1 : control_.sum(&Counters::outstanding);
    at.detail = fmt::format("{:.1f} s after the load ended", static_cast<double>(options_.timeout.count()) / 1e9);
  }

  bool quiet() const {
    for (const Counters* one : control_.counters) {
      if (!one->draining.load(std::memory_order_acquire)) return false;
    }
    if (options_.mode != Mode::kBroadcast) return control_.sum(&Counters::outstanding) == 0;
    return control_.sum(&Counters::pushes) >= control_.expected_pushes.load(std::memory_order_relaxed);
  }

  void conclude(const Edge& from, const Edge& to) {
    result_.seconds = static_cast<double>(to.time_ns - from.time_ns) / 1e9;
    result_.messages = to.messages - from.messages;
    result_.bytes_in = to.bytes_in - from.bytes_in;
    result_.bytes_out = to.bytes_out - from.bytes_out;
    result_.broadcasts = to.broadcasts - from.broadcasts;
    result_.server_cpu_s = to.server_cpu_s - from.server_cpu_s;
    result_.client_cpu_s = to.client_cpu_s - from.client_cpu_s;
    result_.open = control_.sum(&Counters::open);
  }

  void end() {
    set_phase(Phase::kLeave);
    const std::int64_t until = now_ns() + 2'000'000'000;
    wait("leave", [this, until] { return control_.sum(&Counters::alive) == 0 || now_ns() > until; }, true);
    set_phase(Phase::kStop);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    result_.interrupted = interrupted != 0;
    for (const auto& engine : engines_) {
      result_.latencies.merge(engine->latencies());
      for (std::size_t i = 0; i < kFailures; ++i) {
        FirstFailure& to = result_.failures[i];
        const FirstFailure& one = engine->failures()[i];
        if (to.count == 0) to.detail = one.detail;
        to.count += one.count;
      }
    }
    if (options_.pids.empty()) return;
    // The server may need a moment to see that they left.
    for (int i = 0; i < 40; ++i) {
      result_.after = observe(options_.pids);
      if (result_.after.descriptors <= result_.before.descriptors) break;
      sleep_for(std::chrono::milliseconds(50));
    }
  }

  Edge edge() const {
    return {.time_ns = now_ns(),
            .server_cpu_s = cpu_seconds(options_.pids),
            .client_cpu_s = own_cpu_seconds(),
            .messages = control_.sum(options_.mode == Mode::kBroadcast ? &Counters::pushes : &Counters::done),
            .bytes_in = control_.sum(&Counters::bytes_in),
            .bytes_out = control_.sum(&Counters::bytes_out),
            .broadcasts = control_.broadcasts.load(std::memory_order_relaxed)};
  }

  bool some_left() const { return options_.reconnect || control_.sum(&Counters::open) != 0; }

  bool all_finished() const {
    for (const Counters* one : control_.counters) {
      if (!one->finished.load(std::memory_order_relaxed)) return false;
    }
    return true;
  }

  void set_phase(Phase phase) {
    control_.phase.store(phase, std::memory_order_release);
    for (const auto& engine : engines_) engine->wake();
  }

  static void sleep_for(std::chrono::nanoseconds time) {
    const timespec span{time.count() / 1'000'000'000, time.count() % 1'000'000'000};
    nanosleep(&span, nullptr);  // Shorter after a signal, which is what is wanted.
  }

  void hold(const char* what, std::chrono::nanoseconds time) {
    const std::int64_t until = now_ns() + time.count();
    while (interrupted == 0 && some_left()) {
      const std::int64_t now = now_ns();
      progress(what, now);
      if (now >= until) return;
      sleep_for(std::chrono::nanoseconds(std::min(until - now, std::max<std::int64_t>(next_progress_ - now, 1))));
    }
  }

  void wait(const char* what, const std::function<bool()>& done, bool also_interrupted = false) {
    while (!done() && (interrupted == 0 || also_interrupted)) {
      progress(what, now_ns());
      sleep_for(std::chrono::milliseconds(2));
    }
  }

  // One line per second.
  void progress(const char* what, std::int64_t now) {
    if (next_progress_ == 0) {
      next_progress_ = now + 1'000'000'000;
      last_time_ = now;
    }
    if (now < next_progress_) return;
    next_progress_ += 1'000'000'000;
    const std::uint64_t done = edge().messages;
    const double rate = static_cast<double>(done - last_done_) * 1e9 / static_cast<double>(now - last_time_);
    last_done_ = done;
    last_time_ = now;
    if (options_.quiet) return;
    fmt::print(stderr, "[{:6.1f} s] {:<8} open {:<6} {:>9.0f}/s  errors {}\n", static_cast<double>(now - start_) / 1e9,
               what, control_.sum(&Counters::open), rate, control_.sum(&Counters::failures));
  }

  const Options& options_;
  Result& result_;
  Target target_;
  Control control_;
  std::vector<std::unique_ptr<Engine>> engines_;
  std::vector<std::thread> threads_;
  std::int64_t start_ = 0;
  std::int64_t next_progress_ = 0;
  std::int64_t last_time_ = 0;
  std::uint64_t last_done_ = 0;
};

}  // namespace

std::string run(const Options& options, Result& result) {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return Run(options, result).go();
}

}  // namespace mgbench
