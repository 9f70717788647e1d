#include "report.h"

#include <iterator>
#include <utility>

#include "fmt/format.h"

namespace mgbench {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// 1234567 -> "1.23M"
std::string scaled(double value) {
  if (value >= 1e9) return fmt::format("{:.2f}G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.2f}M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.1f}k", value / 1e3);
  return fmt::format("{:.0f}", value);
}

const char* messages_are(Mode mode) {
  return mode == Mode::kChurn ? "cycles" : mode == Mode::kBroadcast ? "deliveries" : "messages";
}

std::string use_json(const ProcessUse& use) {
  return fmt::format(R"({{"cpu_s": {:.6f}, "rss_bytes": {}, "anonymous_bytes": {}, "descriptors": {}, "threads": {}}})",
                     use.cpu_s, use.rss_bytes, use.anonymous_bytes, use.descriptors, use.threads);
}

constexpr std::array<std::pair<const char*, double>, 4> kPercentiles{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}};

}  // namespace

std::uint64_t Result::failed() const {
  std::uint64_t sum = 0;
  for (const FirstFailure& one : failures) sum += one.count;
  return sum;
}

double Result::rss_per_connection() const {
  return open == 0 ? 0 : static_cast<double>(loaded.rss_bytes - before.rss_bytes) / static_cast<double>(open);
}

std::string to_table(const Result& result) {
  const Options& o = *result.options;
  std::string out;
  const auto row = [&out](std::string_view name, const std::string& value) {
    fmt::format_to(std::back_inserter(out), "  {:<12} {}\n", name, value);
  };
  fmt::format_to(std::back_inserter(out), "{} {}: {} connections", mode_name(o.mode), o.url.text, o.connections);
  if (o.mode == Mode::kEcho && o.open_loop())
    fmt::format_to(std::back_inserter(out), ", open loop {}/s", scaled(o.rate));
  if (o.mode == Mode::kEcho && !o.open_loop()) fmt::format_to(std::back_inserter(out), " x depth {}", o.depth);
  if (o.mode == Mode::kEcho || o.mode == Mode::kBroadcast) {
    fmt::format_to(std::back_inserter(out), ", payload {} octets", o.payload);
  }
  fmt::format_to(std::back_inserter(out), ", {} thread{}{}\n", o.threads, o.threads == 1 ? "" : "s",
                 result.interrupted ? ", INTERRUPTED" : "");
  if (o.mode != Mode::kChurn) row("connected", fmt::format("{} open, after {:.2f} s", result.open, result.connect_s));
  if (o.mode != Mode::kIdle) {
    row("rate", fmt::format("{}/s ({} {} in {:.2f} s)", scaled(static_cast<double>(result.messages) / result.seconds),
                            result.messages, messages_are(o.mode), result.seconds));
    std::string line;
    for (const auto& [name, part] : kPercentiles) {
      line += fmt::format("{} {:.1f}  ", name, result.latencies.percentile(part) / 1e3);
    }
    row("latency us", fmt::format("{}max {:.1f}", line, result.latencies.max() / 1e3));
    row("octets", fmt::format("{}B/s out, {}B/s in", scaled(static_cast<double>(result.bytes_out) / result.seconds),
                              scaled(static_cast<double>(result.bytes_in) / result.seconds)));
  } else {
    row("held", fmt::format("{:.2f} s", result.seconds));
  }
  row("client CPU",
      fmt::format("{:.3f} s ({:.0f} % of a core)", result.client_cpu_s, 100 * result.client_cpu_s / result.seconds));
  if (!o.pids.empty()) {
    std::string cpu =
        fmt::format("{:.3f} s ({:.0f} % of a core)", result.server_cpu_s, 100 * result.server_cpu_s / result.seconds);
    if (o.mode != Mode::kIdle) {
      const char* per = o.mode == Mode::kChurn ? "cycle" : o.mode == Mode::kBroadcast ? "recipient" : "message";
      cpu += fmt::format(", {:.3f} us per {}", result.per_message_us(result.server_cpu_s), per);
    }
    row("server CPU", cpu);
    const auto memory = [](const ProcessUse& use) {
      return fmt::format("{:.1f} MB, {} descriptors, {} threads", static_cast<double>(use.rss_bytes) / 1e6,
                         use.descriptors, use.threads);
    };
    row("RSS before", memory(result.before));
    row("RSS loaded", memory(result.loaded));
    if (o.mode == Mode::kIdle) {
      row("RSS held", memory(result.held));
      row("per client", fmt::format("{:.0f} octets", result.rss_per_connection()));
    }
    row("RSS after", memory(result.after));
  }
  row("errors", fmt::format("{}", result.failed()));
  for (std::size_t i = 0; i < kFailures; ++i) {
    const FirstFailure& one = result.failures[i];
    if (one.count == 0) continue;
    const auto failure = static_cast<Failure>(i);
    fmt::format_to(std::back_inserter(out), "    {:<10} {} (first: {})\n", failure_name(failure), one.count,
                   one.detail);
    if (const std::string_view hint = failure_hint(failure); !hint.empty()) {
      fmt::format_to(std::back_inserter(out), "    {:<10} {}\n", "", hint);
    }
  }
  return out;
}

std::string to_json(const Result& result) {
  const Options& o = *result.options;
  std::string latency;
  for (const auto& [name, part] : kPercentiles) {
    latency += fmt::format(R"("{}": {:.3f}, )", name, result.latencies.percentile(part) / 1e3);
  }
  latency += fmt::format(R"("max": {:.3f}, "mean": {:.3f}, "count": {})", result.latencies.max() / 1e3,
                         result.latencies.mean() / 1e3, result.latencies.count());
  std::string errors = fmt::format(R"("total": {})", result.failed());
  std::string details;
  for (std::size_t i = 0; i < kFailures; ++i) {
    const FirstFailure& one = result.failures[i];
    if (one.count == 0) continue;
    const char* name = failure_name(static_cast<Failure>(i));
    errors += fmt::format(R"(, "{}": {})", name, one.count);
    details += fmt::format(R"({}"{}": {})", details.empty() ? "" : ", ", name, quoted(one.detail));
  }
  std::string pids;
  for (const pid_t pid : o.pids) pids += fmt::format("{}{}", pids.empty() ? "" : ", ", pid);
  std::string out = fmt::format(
      R"({{"mode": "{}", "url": {}, "connections": {}, "depth": {}, "payload": {}, "threads": {}, "loop": "{}", )"
      R"("rate_wanted": {}, "seconds": {:.6f}, "messages": {}, "rate": {:.3f}, "latency_us": {{{}}}, )"
      R"("bytes_out": {}, "bytes_in": {}, "open": {}, "connect_s": {:.3f}, "broadcasts": {}, "interrupted": {}, )"
      R"("errors": {{{}}}, "details": {{{}}}, "client_cpu_s": {:.6f})",
      mode_name(o.mode), quoted(o.url.text), o.connections, o.depth, o.payload, o.threads,
      o.open_loop() ? "open" : "closed", o.rate, result.seconds, result.messages,
      result.seconds <= 0 ? 0 : static_cast<double>(result.messages) / result.seconds, latency, result.bytes_out,
      result.bytes_in, result.open, result.connect_s, result.broadcasts, result.interrupted, errors, details,
      result.client_cpu_s);
  if (!o.pids.empty()) {
    out += fmt::format(
        R"(, "server": {{"pids": [{}], "cpu_s": {:.6f}, "cpu_us_per_message": {:.6f}, "rss_per_connection_bytes": {:.1f}, )"
        R"("before": {}, "loaded": {}, "held": {}, "after": {}}})",
        pids, result.server_cpu_s, result.per_message_us(result.server_cpu_s),
        o.mode == Mode::kIdle ? result.rss_per_connection() : 0.0, use_json(result.before), use_json(result.loaded),
        use_json(result.held), use_json(result.after));
  }
  return out + "}";
}

}  // namespace mgbench
