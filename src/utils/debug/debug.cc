#include "mg/utils/debug/debug.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "mg/base/log.h"
#include "mg/base/units.h"

namespace mg::debug {

std::string indent_json(std::string_view json, std::size_t max_bytes) {
  constexpr std::size_t kMostIndent = 40;
  std::string out;
  std::size_t depth = 0;
  bool quoted = false;
  const auto line = [&] {
    out += '\n';
    out.append(2 * std::min(depth, kMostIndent), ' ');
  };
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (out.size() >= max_bytes) return out += fmt::format("... ({} octets more)", json.size() - i);
    const char c = json[i];
    if (quoted) {
      out += c;
      if (c == '\\' && i + 1 < json.size()) {
        out += json[++i];
      } else if (c == '"') {
        quoted = false;
      }
      continue;
    }
    const char next = i + 1 < json.size() ? json[i + 1] : '\0';
    switch (c) {
      case '"':
        quoted = true;
        out += c;
        break;
      case '{':
      case '[':
        out += c;
        if (next == '}' || next == ']') {
          out += json[++i];
          break;
        }
        ++depth;
        line();
        break;
      case '}':
      case ']':
        if (depth > 0) --depth;
        line();
        out += c;
        break;
      case ',':
        out += c;
        line();
        break;
      case ':':
        out += ": ";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::uint64_t resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

Profile::Profile(std::string what, const Clock& clock)
    : what_(std::move(what)),
      clock_(clock),
      begin_(clock.now()),
      logs_(log::enabled(log::Level::kDebug)),
      memory_(logs_ ? resident_bytes() : 0) {}

Profile::~Profile() {
  if (logs_) log::debug("{}", text());
}

std::string Profile::text() const {
  const std::uint64_t now = resident_bytes();
  const double more = static_cast<double>(static_cast<std::int64_t>(now - memory_)) / (1024 * 1024);
  return fmt::format("{}: {}, memory {:+.1f}MiB ({}MiB)", what_, format_duration(clock_.now() - begin_), more,
                     now / (1024 * 1024));
}

}  // namespace mg::debug
