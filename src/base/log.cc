#include "mg/base/log.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <string>
#include <thread>

#include "base/escape.h"
#include "mg/base/check.h"

namespace mg::log {
namespace {

constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "fatal", "off"};
constexpr std::string_view kColours[] = {"\x1b[90m", "\x1b[90m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1;31m", ""};

// The process's Logging, and how many threads are using it at this moment: the destructor waits for those.
constinit std::atomic<Logging::Impl*> current{nullptr};
constinit std::atomic<int> users{0};

// 2024-05-01T12:00:00.123Z warn  text
void append_line(std::string& out, Clock::WallTime time, Level level, std::string_view text, bool colour) {
  namespace chrono = std::chrono;
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const auto ms = chrono::floor<chrono::milliseconds>(time - day).count();
  const auto name = kNames[static_cast<std::size_t>(level)];
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z ", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), ms / 3600000, ms / 60000 % 60,
                 ms / 1000 % 60, ms % 1000);
  if (colour) out += kColours[static_cast<std::size_t>(level)];
  out += name;
  if (colour) out += "\x1b[0m";
  out.append(6 - name.size(), ' ');
  out += text;
  out += '\n';
}

// Where spdlog's thread hands the lines to. Only that thread calls log(); close_by() and lost() are for others too.
class FdSink final : public spdlog::sinks::sink {
 public:
  FdSink(int fd, bool colour) : fd_(fd), colour_(colour) {}

  void watch(spdlog::details::thread_pool& pool) { pool_ = &pool; }
  void close_by(Clock::TimePoint time) { close_by_ = time; }
  std::uint64_t lost() const { return lost_; }

  void log(const spdlog::details::log_msg& message) override {
    report(pool_->overrun_counter() + lost_, message.time);
    line_.clear();
    append_line(line_, message.time, static_cast<Level>(message.level),
                {message.payload.data(), message.payload.size()}, colour_);
    if (!put(line_)) ++lost_;
  }

  // Says how many lines are missing, when that has changed.
  void report(std::uint64_t dropped, Clock::WallTime time) {
    if (dropped == reported_) return;
    line_.clear();
    append_line(line_, time, Level::kWarn,
                fmt::format("{} log lines were dropped: the output was too slow or failed", dropped - reported_),
                colour_);
    if (put(line_)) reported_ = dropped;
  }

  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  // False when the line could not be written whole.
  bool put(std::string_view data) {
    if (broken_line_) {  // What the last failure left must not run into this line.
      if (!put_all("\n")) return false;
      broken_line_ = false;
    }
    const std::size_t size = data.size();
    if (put_all(data)) return true;
    broken_line_ = data.size() < size;
    return false;
  }

  // Takes what was written off the front of `data`.
  bool put_all(std::string_view&& data) { return put_all(data); }
  bool put_all(std::string_view& data) {
    while (!data.empty()) {
      // A pipe that polls as writable takes a page without blocking, so the thread waits only where it can give up.
      pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
      const bool last_try = system_clock().now() >= close_by_.load();
      if (poll(&ready, 1, last_try ? 0 : 50) == 0) {
        if (last_try) return false;
        continue;
      }
      const ssize_t n = ::write(fd_, data.data(), std::min<std::size_t>(data.size(), 4096));
      if (n < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        return false;
      }
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  const int fd_;
  const bool colour_;
  spdlog::details::thread_pool* pool_ = nullptr;
  std::atomic<Clock::TimePoint> close_by_{Clock::TimePoint::max()};
  std::atomic<std::uint64_t> lost_{0};
  std::uint64_t reported_ = 0;
  bool broken_line_ = false;
  std::string line_;
};

// The thread of the log takes no signal that is meant for the program.
void set_up_thread() {
  sigset_t all;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  pthread_setname_np(pthread_self(), "mg-log");
}

// The formatted, escaped and cut text of one line.
std::string render(fmt::string_view text, fmt::format_args args, std::size_t limit) {
  fmt::basic_memory_buffer<char, 1024> raw;
  const auto result = fmt::vformat_to_n(fmt::appender(raw), limit + 1, text, args);
  std::string line;
  line.reserve(std::min(raw.size() + 16, limit));
  const std::size_t shown = append_escaped(line, {raw.data(), raw.size()}, limit);
  if (shown < result.size) fmt::format_to(std::back_inserter(line), "... ({} octets more)", result.size - shown);
  return line;
}

void write_plainly(Level level, std::string_view text) {
  std::string line;
  append_line(line, system_clock().wall(), level, text, false);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

class Logging::Impl {
 public:
  explicit Impl(const LoggingOptions& options)
      : clock_(options.clock != nullptr ? *options.clock : system_clock()),
        max_line_bytes_(options.max_line_bytes),
        sink_(std::make_shared<FdSink>(
            options.fd, options.colour.value_or(isatty(options.fd) == 1 && std::getenv("NO_COLOR") == nullptr))),
        pool_(std::make_shared<spdlog::details::thread_pool>(std::max(options.queue_lines, 1u), 1, set_up_thread)),
        logger_(
            std::make_shared<spdlog::async_logger>("", sink_, pool_, spdlog::async_overflow_policy::overrun_oldest)) {
    sink_->watch(*pool_);
    logger_->set_level(spdlog::level::trace);
  }

  ~Impl() {
    sink_->close_by(system_clock().now() + std::chrono::seconds(1));
    const std::uint64_t overruns = pool_->overrun_counter();
    pool_.reset();  // Writes what is queued and joins its thread.
    sink_->report(overruns + sink_->lost(), clock_.wall());
  }

  void write(Level level, fmt::string_view text, fmt::format_args args) {
    const std::string line = render(text, args, max_line_bytes_);
    logger_->log(std::chrono::time_point_cast<spdlog::log_clock::duration>(clock_.wall()), {},
                 static_cast<spdlog::level::level_enum>(level), {line.data(), line.size()});
  }

  std::uint64_t dropped() const { return pool_->overrun_counter() + sink_->lost(); }

 private:
  const Clock& clock_;
  const std::size_t max_line_bytes_;
  std::shared_ptr<FdSink> sink_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

namespace detail {

constinit std::atomic<Level> least_level{Level::kWarn};

void write(Level level, fmt::string_view text, fmt::format_args args) noexcept {
  if (level >= Level::kOff) return;
  ++users;
  try {
    if (Logging::Impl* logging = current) {
      logging->write(level, text, args);
    } else {
      write_plainly(level, render(text, args, LoggingOptions().max_line_bytes));
    }
  } catch (...) {
    // No memory, or a formatter of the caller's threw. A log line is not worth the caller's work.
  }
  --users;
}

}  // namespace detail

Logging::Logging(LoggingOptions options) {
  const char* from_environment = std::getenv("GAME_LOG_LEVEL");
  std::optional<Level> wanted = options.level;
  if (!wanted && from_environment != nullptr) wanted = parse_level(from_environment);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  impl_ = std::make_unique<Impl>(options);
  check(current.exchange(impl_.get()) == nullptr, "there is a Logging already");
  set_level(wanted.value_or(Level::kInfo));
  if (!wanted && from_environment != nullptr && *from_environment != '\0') {
    warn("GAME_LOG_LEVEL is \"{}\": expected trace, debug, info, warn, error, fatal or off; info is used",
         std::string_view(from_environment).substr(0, 80));
  }
}

Logging::~Logging() {
  set_level(Level::kWarn);
  current = nullptr;
  while (users != 0) std::this_thread::yield();
}

std::uint64_t Logging::dropped() const {
  return impl_->dropped();
}

std::optional<Level> parse_level(std::string_view text) {
  auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (std::ranges::equal(text, kNames[i], same)) return static_cast<Level>(i);
  }
  return std::nullopt;
}

std::string_view level_name(Level level) {
  return kNames[static_cast<std::size_t>(level)];
}

void set_level(Level level) {
  detail::least_level = level;
}
Level level() {
  return detail::least_level;
}

}  // namespace mg::log
