#include "rpc/grpc/debug.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

#include "mg/base/check.h"
#include "mg/base/random.h"
#include "mg/base/uuid.h"
#include "rpc_wire.pb.h"

namespace mg::rpc::grpc {
namespace {

constexpr std::int64_t kMaxLines = 1000;  // Of the log, one request.

std::uint64_t seconds(Clock::WallTime time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

// Octets of memory in use.
std::uint64_t resident() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t pages = 0;
  file >> total >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t threads() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    if (word != "Threads:") continue;
    std::uint64_t count = 0;
    file >> count;
    return count;
  }
  return 0;
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

Debug::Debug(std::span<Loop* const> loops, decltype(GrpcOptions::log) log)
    : log_(std::move(log)), clock_(loops[0]->clock()), started_(clock_.wall()), loops_(loops.size()) {
  SystemRandom seed;
  for (std::size_t i = 0; i < loops.size(); ++i) {
    loops_[i].loop = loops[i];
    loops_[i].random = std::make_unique<SeededRandom>(seed.next());
  }
  add_handlers();
}

void Debug::note(std::size_t loop, const Meta& meta, std::string_view name, Clock::WallTime started,
                 Clock::Duration took, bool failed) {
  requests_.fetch_add(1, std::memory_order_relaxed);
  if (failed) errors_.fetch_add(1, std::memory_order_relaxed);
  const std::string_view trace = meta.get("Micro-Trace-Id");
  const std::string_view parent = meta.get("Micro-Span-Id");
  if (!is_id(trace) || name.starts_with("Debug.")) return;
  PerLoop& own = loops_[loop];
  if (own.seen.size() < kSpans) own.seen.emplace_back();
  Seen& seen = own.seen[own.next];
  own.next = (own.next + 1) % kSpans;
  seen.trace = trace;
  seen.parent = is_id(parent) ? parent : std::string_view();
  seen.id = Uuid::v4(*own.random).text();
  seen.name = name;
  seen.started = started;
  seen.took = took;
}

void Debug::add_handlers() {
  const auto add = [this](std::string_view name, auto fn) {
    check(handlers_.add(name, std::move(fn)).has_value(), "rpc::grpc: a Debug method twice");
  };
  add("Debug.Health", [](const Context&, const wire::HealthRequest&, wire::HealthResponse& out) -> Result<void> {
    out.set_status("ok");
    return {};
  });
  add("Debug.Stats", [this](const Context&, const wire::StatsRequest&, wire::StatsResponse& out) -> Result<void> {
    const Clock::WallTime now = clock_.wall();
    out.set_timestamp(seconds(now));
    out.set_started(seconds(started_));
    out.set_uptime(now > started_ ? seconds(now) - seconds(started_) : 0);
    out.set_memory(resident());
    out.set_threads(threads());
    out.set_requests(requests_.load(std::memory_order_relaxed));
    out.set_errors(errors_.load(std::memory_order_relaxed));
    return {};
  });
  struct Run {
    // Goes from loop to loop for what each has seen.
    static Task<Result<void>> trace(Debug& debug, const wire::TraceRequest& in, wire::TraceResponse& out) {
      for (PerLoop& own : debug.loops_) {
        co_await own.loop->resume_here();
        for (std::size_t i = 0; i < own.seen.size(); ++i) {
          const Seen& seen = own.seen[(own.next + i) % own.seen.size()];  // Oldest first.
          if (!in.id().empty() && in.id() != seen.trace) continue;
          wire::Span& span = *out.add_spans();
          span.set_trace(seen.trace);
          span.set_id(seen.id);
          span.set_parent(seen.parent);
          span.set_name(seen.name);
          span.set_started(static_cast<std::uint64_t>(seen.started.time_since_epoch().count()));
          span.set_duration(static_cast<std::uint64_t>(seen.took.count()));
          span.set_type(wire::INBOUND);
        }
      }
      co_return Result<void>();
    }
    static Task<Result<void>> log(Debug& debug, Stream<wire::LogRequest, wire::Record> stream) {
      wire::LogRequest in;
      Result<bool> got = co_await stream.read(in);
      if (!got) co_return std::unexpected(got.error());
      if (!*got || !debug.log_) co_return Result<void>();
      const std::int64_t count = in.count() > 0 ? std::min(in.count(), kMaxLines) : kMaxLines;
      for (LogLine& line : debug.log_(in.since(), count)) {
        wire::Record record;
        record.set_timestamp(line.timestamp);
        record.set_message(std::move(line.message));
        if (auto done = co_await stream.write(record); !done) co_return done;
      }
      co_return Result<void>();
    }
  };
  add("Debug.Trace", [this](const Context&, const wire::TraceRequest& in, wire::TraceResponse& out) {
    return Run::trace(*this, in, out);
  });
  add("Debug.Cache",
      [](const Context&, const wire::CacheRequest&, wire::CacheResponse&) -> Result<void> { return {}; });
  add("Debug.Log",
      [this](const Context&, Stream<wire::LogRequest, wire::Record> stream) { return Run::log(*this, stream); });
}

}  // namespace mg::rpc::grpc
