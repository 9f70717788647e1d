#include "mg/base/logging.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "base/escape.h"
#include "base/log_line.h"
#include "base/log_output.h"
#include "base/log_queue.h"
#include "base/log_repeats.h"
#include "mg/base/check.h"

namespace mg::log {
namespace {

using namespace std::chrono_literals;

// The process's Logging, and how many threads are using it at this moment: the destructor waits for those.
constinit std::atomic<Logging::Impl*> current{nullptr};
constinit std::atomic<int> users{0};

// An output, and what is on its way there.
struct Sink {
  Sink(std::unique_ptr<Output> to, Format form, bool colours) : output(std::move(to)), format(form), colour(colours) {}

  // False: not all of it was written. `lines` counts when it was not.
  bool write(std::string& text, bool count) {
    const bool repair = broken && !text.empty();  // What the last failure left must not run into this line.
    if (repair) text.insert(0, 1, '\n');
    const std::size_t written = output->put(text);
    if (written != 0) broken = text[written - 1] != '\n';
    const auto rest = std::string_view(text).substr(written);
    if (count) lost += static_cast<std::uint64_t>(std::ranges::count(rest, '\n')) - (repair && written == 0);
    return rest.empty();
  }

  const std::unique_ptr<Output> output;
  const Format format;
  const bool colour;
  std::string buffer;
  std::atomic<std::uint64_t> lost{0};
  std::uint64_t reported = 0;
  bool broken = false;  // It ends in the middle of a line.
};

// The thread of the log takes no signal that is meant for the program.
void set_up_thread() {
  sigset_t all;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  pthread_setname_np(pthread_self(), "mg-log");
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Formats the text and behind it the fields into `octets`.
LineHead make_line(LineBuffer& octets, const Module& module, Level level, Clock::WallTime time, std::size_t limit,
                   Fields fields, fmt::string_view text, fmt::format_args args) {
  fmt::vformat_to(fmt::appender(octets), text, args);  // Whole: the bounded one copies every line once more.
  const std::size_t whole = octets.size();
  octets.resize(std::min(whole, limit));
  const auto text_bytes = static_cast<std::uint32_t>(octets.size());
  encode_fields(fields, octets, limit);
  return {.time = time,
          .module = module.name(),
          .left_out = whole - text_bytes,
          .text_bytes = text_bytes,
          .fields_bytes = static_cast<std::uint32_t>(octets.size()) - text_bytes,
          .level = level};
}

Line line_of(const LineHead& head, const LineBuffer& octets) {
  return {head, {octets.data(), head.text_bytes}, {octets.data() + head.text_bytes, head.fields_bytes}};
}

void write_plainly(const Line& line) {
  std::string text;
  append_line(text, line, Format::kText, false, LoggingOptions().max_line_bytes);
  std::string_view rest = text;
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
        queue_(std::max<std::size_t>(options.queue_bytes, 2 * std::size_t{options.max_line_bytes} + 1024)),
        repeats_(options.max_repeats) {
    const Format format =
        options.format.value_or(environment("GAME_LOG_FORMAT") == "json" ? Format::kJson : Format::kText);
    LogFileOptions file = options.file;
    if (file.path.empty()) file.path = environment("GAME_LOG_FILE");
    if (options.fd >= 0) {
      const bool colour = options.colour.value_or(isatty(options.fd) == 1 && std::getenv("NO_COLOR") == nullptr);
      auto output = std::make_unique<FdOutput>(options.fd, file.path.empty() ? 0ms : 100ms);
      fd_output_ = output.get();
      sinks_.push_back(std::make_unique<Sink>(std::move(output), format, colour && format == Format::kText));
    }
    if (!file.path.empty()) {
      auto output = std::make_unique<FileOutput>(file, clock_);
      file_output_ = output.get();
      sinks_.push_back(std::make_unique<Sink>(std::move(output), file.format.value_or(format), false));
    }
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error& e) {
      // Nobody could be told of anything from here on.
      std::fprintf(stderr, "logging: no thread: %s\n", e.what());
      std::_Exit(1);
    }
  }

  ~Impl() {
    if (fd_output_ != nullptr) fd_output_->close_by(system_clock().now() + 1s);
    queue_.close();
    thread_.join();
  }

  void write(const Module& module, Level level, Fields fields, fmt::string_view text, fmt::format_args args) {
    const auto time = clock_.wall();
    if (level >= Level::kInfo) {
      const bool waiting = repeats_.waiting();
      if (!repeats_.pass({text.data(), text.size()}, module.name(), second_of(time))) {
        if (!waiting) queue_.wake();
        return;
      }
    }
    LineBuffer octets;
    const LineHead head = make_line(octets, module, level, time, max_line_bytes_, fields, text, args);
    queue_.push(head, {octets.data(), octets.size()});
  }

  std::uint64_t dropped() const {
    std::uint64_t sum = queue_.dropped();
    for (const auto& sink : sinks_) sum += sink->lost;
    return sum;
  }
  std::uint64_t repeats() const { return repeats_.total(); }

 private:
  static std::uint32_t second_of(Clock::WallTime time) {
    return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
  }

  // The thread.
  void work() {
    set_up_thread();
    std::string batch;
    while (true) {
      try {
        const bool more = queue_.take(batch, repeats_.waiting() ? 1s : 1h);
        if (!more) break;
        Line line;
        for (std::string_view rest = batch; next_line(rest, line);) add(line);
        flush();
        report_repeats(second_of(clock_.wall()));
      } catch (...) {  // No memory. What was in hand is lost; the next lines may fare better.
        for (auto& sink : sinks_) sink->buffer.clear();
      }
    }
    try {
      report_repeats(second_of(clock_.wall()) + 1);
      flush();
    } catch (...) {  // As above.
    }
  }

  void add(const Line& line) {
    for (auto& sink : sinks_) append_line(sink->buffer, line, sink->format, sink->colour, max_line_bytes_);
  }

  void flush() {
    const std::uint64_t overruns = queue_.dropped();
    for (auto& sink : sinks_) {
      report_lost(*sink, overruns);
      if (sink->buffer.empty()) continue;
      sink->write(sink->buffer, true);
      sink->buffer.clear();
      report_lost(*sink, overruns);
    }
    if (file_output_ != nullptr && fd_output_ != nullptr && file_output_->problem() != file_problem_) {
      file_problem_ = file_output_->problem();
      if (!file_problem_.empty())
        say(*sinks_.front(), fmt::format("the log file cannot be written: {}", file_problem_));
    }
  }

  // Says how many lines are missing, when that has changed.
  void report_lost(Sink& sink, std::uint64_t overruns) {
    const std::uint64_t all = overruns + sink.lost;
    if (all == sink.reported) return;
    if (say(sink, fmt::format("{} log lines were dropped: the output was too slow or failed", all - sink.reported))) {
      sink.reported = all;
    }
  }

  void report_repeats(std::uint32_t second) {
    repeats_.report(second, [&](const char* module, std::string_view text, std::uint64_t count) {
      const std::string words = fmt::format("{} lines like {} were left out", count, quote(text));
      for (auto& sink : sinks_) say(*sink, words, module);
    });
  }

  // A line of the log's own, at once. False: it could not be written.
  bool say(Sink& sink, std::string_view words, const char* module = "") {
    const LineHead head{.time = clock_.wall(),
                        .module = module,
                        .left_out = 0,
                        .text_bytes = static_cast<std::uint32_t>(words.size()),
                        .fields_bytes = 0,
                        .level = Level::kWarn};
    std::string text;
    append_line(text, {head, words, {}}, sink.format, sink.colour, words.size() * 6);
    return sink.write(text, false);
  }

  const Clock& clock_;
  const std::size_t max_line_bytes_;
  LineQueue queue_;
  Repeats repeats_;
  std::vector<std::unique_ptr<Sink>> sinks_;
  FdOutput* fd_output_ = nullptr;
  FileOutput* file_output_ = nullptr;
  std::string file_problem_;
  std::thread thread_;
};

namespace detail {

void write(const Module& module, Level level, Fields fields, fmt::string_view text, fmt::format_args args) noexcept {
  if (level >= Level::kOff) return;
  ++users;
  try {
    if (Logging::Impl* logging = current) {
      logging->write(module, level, fields, text, args);
    } else if (module.enabled(level)) {  // It may have been enabled by a Logging that is gone.
      LineBuffer octets;
      const auto head =
          make_line(octets, module, level, system_clock().wall(), LoggingOptions().max_line_bytes, fields, text, args);
      write_plainly(line_of(head, octets));
    }
  } catch (...) {
    // No memory, or a formatter of the caller's threw. A log line is not worth the caller's work.
  }
  --users;
}

}  // namespace detail

Logging::Logging(LoggingOptions options) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  impl_ = std::make_unique<Impl>(options);
  check(current.exchange(impl_.get()) == nullptr, "there is a Logging already");
  const std::string_view wanted = options.level ? level_name(*options.level) : environment("GAME_LOG_LEVEL");
  if (const auto set = set_levels(wanted); !set) {
    (void)set_levels("info");
    warn("GAME_LOG_LEVEL is {}; info is used", set.error().detail);
  }
  if (const auto format = environment("GAME_LOG_FORMAT"); !format.empty() && format != "json" && format != "text") {
    warn("GAME_LOG_FORMAT is {}: expected text or json; text is used", quote(format));
  }
}

Logging::~Logging() {
  (void)set_levels("warn");
  current = nullptr;
  while (users != 0) std::this_thread::yield();
}

std::uint64_t Logging::dropped() const {
  return impl_->dropped();
}

std::uint64_t Logging::repeats() const {
  return impl_->repeats();
}

}  // namespace mg::log
