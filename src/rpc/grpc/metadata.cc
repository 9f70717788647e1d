#include "rpc/grpc/metadata.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <vector>

#include "mg/base/uuid.h"
#include "mg/meta/header.h"

namespace mg::rpc::grpc {
namespace {

constexpr char kDeadlineHeader[] = "mg-deadline";
constexpr char kNodeHeader[] = "mg-node";
constexpr std::string_view kContentType = "application/grpc+proto";

std::string_view view(const ::grpc::string_ref& text) {
  return {text.data(), text.size()};
}

// What the library sends itself, or the transport just below.
bool is_reserved(std::string_view key) {
  return key.starts_with(':') || key.starts_with("grpc-") || key == "content-type" || key == "content-length" ||
         key == "user-agent" || key == "te" || key == "host" || key == "connection" || key == "timeout" ||
         key == "x-content-type" || key == kDeadlineHeader || key == kNodeHeader || key == "micro-trace-id" ||
         key == "micro-span-id";
}

}  // namespace

const std::string& this_machine() {
  static const std::string machine = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot;
    file >> boot;
    // Containers may have clocks of their own.
    std::error_code error;
    const std::string clock = std::filesystem::read_symlink("/proc/self/ns/time", error).string();
    return boot.empty() ? std::string(kNoMachine) : fmt::format("{:016x}", std::hash<std::string>()(boot + clock));
  }();
  return machine;
}

std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  // Go turns what is over 2^63 into a negative time, which has passed.
  if (value > most) return std::chrono::nanoseconds(-1);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(value));
}

Incoming read_headers(const std::multimap<::grpc::string_ref, ::grpc::string_ref>& headers, std::string_view host,
                      std::string_view remote) {
  Incoming in;
  std::vector<Meta::Entry> entries;
  entries.reserve(headers.size() + 2);
  bool content_type = false;
  for (const auto& [name, text] : headers) {
    const std::string_view key = view(name);
    const std::string_view value = view(text);
    if (key.starts_with("grpc-") || key.starts_with(':')) continue;
    if (key == "timeout") in.timeout = parse_timeout(value);
    if (key == kDeadlineHeader) {
      if (const auto at = parse_timeout(value)) in.deadline = std::chrono::steady_clock::time_point(*at);
      continue;
    }
    if (key == kNodeHeader) {
      in.node = value;
      continue;
    }
    if (key == "x-content-type") in.x_content_type = value;
    if (key == "micro-from-service") in.caller = value;
    if (key == "authorization") in.authorization = value;
    if (key == "micro-namespace") in.name_space = value;
    content_type = content_type || key == "content-type";
    entries.emplace_back(key, value);
  }
  if (!host.empty()) entries.emplace_back(":authority", host);
  if (!content_type) {
    const std::string_view said = in.x_content_type;
    entries.emplace_back("content-type", said.starts_with("application/grpc") ? said : "application/grpc");
  }
  in.meta = meta_from_headers(entries, remote);
  return in;
}

Result<void> write_headers(const Meta& meta, const Outgoing& outgoing, Random& random, ::grpc::ClientContext& out) {
  const auto& [caller, timeout, deadline, node] = outgoing;
  Result<void> done;
  std::string trace;
  meta.for_each([&](std::string_view key, std::string_view value) {
    if (!done) return;
    std::string header = header_key(key);
    if (header == "micro-trace-id") trace = value;
    if (is_reserved(header)) return;
    if (header == "micro-from-service" && !caller.empty()) return;  // That of whoever called us.
    if (done = check_header(header, value); !done) return;
    out.AddMetadata(header, std::string(value));
  });
  if (!done) return done;
  if (timeout) out.AddMetadata("timeout", std::to_string(timeout->count()));
  if (deadline) out.AddMetadata(kDeadlineHeader, std::to_string(deadline->time_since_epoch().count()));
  if (!node.empty() && check_header(kNodeHeader, node)) out.AddMetadata(kNodeHeader, std::string(node));
  out.AddMetadata("x-content-type", std::string(kContentType));
  if (!caller.empty()) {
    if (done = check_header("micro-from-service", caller); !done) return done;
    out.AddMetadata("micro-from-service", std::string(caller));
  }
  if (timeout) {
    if (trace.empty() || !check_header("micro-trace-id", trace)) trace = Uuid::v4(random).text();
    out.AddMetadata("micro-trace-id", trace);
    out.AddMetadata("micro-span-id", Uuid::v4(random).text());
  }
  return {};
}

}  // namespace mg::rpc::grpc
