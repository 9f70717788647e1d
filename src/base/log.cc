#include "mg/base/log.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <vector>

#include "base/escape.h"

namespace mg::log {
namespace {

constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "fatal", "off"};

struct Levels {
  std::mutex mutex;  // docs/threads.md: "log levels"
  Level all = Level::kWarn;
  std::vector<std::pair<std::string, Level>> modules;  // Sorted by name.
};

// Never destroyed: threads may log until the process has ended.
Levels& levels_now() {
  static auto* const levels = new Levels;
  return *levels;
}

// The level of the longest name that `module` is or lies below.
Level level_of(const Levels& levels, std::string_view module) {
  Level found = levels.all;
  std::size_t longest = 0;
  for (const auto& [name, level] : levels.modules) {
    const bool fits = module.starts_with(name) && (module.size() == name.size() || module[name.size()] == '.');
    if (fits && name.size() >= longest) {
      longest = name.size();
      found = level;
    }
  }
  return found;
}

// Requires: the lock.
void changed() {
  const std::uint32_t next = detail::levels_version + 1;
  detail::levels_version = next >> 24 != 0 ? 1 : next;  // 24 bits of it are kept.
}

void put(Levels& levels, std::string_view module, Level level) {
  const auto at = std::ranges::lower_bound(levels.modules, module, {}, &std::pair<std::string, Level>::first);
  if (at != levels.modules.end() && at->first == module) {
    at->second = level;
  } else {
    levels.modules.emplace(at, module, level);
  }
}

std::string_view trim(std::string_view text) {
  const auto begin = std::min(text.find_first_not_of(' '), text.size());
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

}  // namespace

namespace detail {
constinit std::atomic<std::uint32_t> levels_version{1};
}

bool Module::look_up(Level level) const {
  Levels& levels = levels_now();
  const std::lock_guard lock(levels.mutex);
  const Level least = level_of(levels, name_);
  seen_ = detail::levels_version << 8 | static_cast<std::uint32_t>(least);
  return level >= least;
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
  Levels& levels = levels_now();
  const std::lock_guard lock(levels.mutex);
  levels.all = level;
  changed();
}

Level level() {
  Levels& levels = levels_now();
  const std::lock_guard lock(levels.mutex);
  return levels.all;
}

void set_level(std::string_view module, std::optional<Level> level) {
  Levels& levels = levels_now();
  const std::lock_guard lock(levels.mutex);
  if (level) {
    put(levels, module, *level);
  } else {
    std::erase_if(levels.modules, [&](const auto& known) { return known.first == module; });
  }
  changed();
}

Result<void> set_levels(std::string_view text) {
  Level all = Level::kInfo;
  Levels parsed;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const auto part = trim(text.substr(at, end - at));
    at = end + 1;
    if (part.empty()) continue;
    const auto equals = part.find('=');
    const auto level = parse_level(trim(equals == part.npos ? part : part.substr(equals + 1)));
    if (!level) {
      return fail(code::kInvalid, "{}: expected {}trace, debug, info, warn, error, fatal or off", quote(part),
                  equals == part.npos ? "" : "a module = ");
    }
    if (equals == part.npos) {
      all = *level;
    } else {
      put(parsed, trim(part.substr(0, equals)), *level);
    }
  }
  Levels& levels = levels_now();
  const std::lock_guard lock(levels.mutex);
  levels.all = all;
  levels.modules = std::move(parsed.modules);
  changed();
  return {};
}

std::string levels() {
  Levels& levels = levels_now();
  const std::lock_guard lock(levels.mutex);
  std::string out(level_name(levels.all));
  for (const auto& [name, level] : levels.modules) ((out += ',') += name) += fmt::format("={}", level_name(level));
  return out;
}

}  // namespace mg::log
