// mg/base/log.h -- lines of text for the operator, with fields; another thread writes them (mg/base/logging.h).
//
//   constinit log::Module agent_log("agent");                         // Or without a module: log::info(…)
//   agent_log.info("client {} from {} logged in", id, address);
//   agent_log.warn({{"client", id}, {"role", role}}, "late by {}", delay);   // … late by 3s client=7 role=9
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mg/base/error.h"

namespace mg::log {

enum class Level : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kFatal, kOff };

// "trace", "debug", "info", "warn", "error", "fatal", "off", any case. Errors: nothing for every other text.
std::optional<Level> parse_level(std::string_view text);
std::string_view level_name(Level level);

// Lines below the level of their module are not made. Threads: all of these are shared, at any time.
//
// Of every module that has no level of its own.
void set_level(Level level);
Level level();
// Of a module, and of those below it: "rpc" is of "rpc.link" too. Nothing: none of its own any more.
void set_level(std::string_view module, std::optional<Level> level);
// All at once: "info,agent=debug,rpc.link=trace". Errors: kInvalid  naming what is no level; nothing has changed then
Result<void> set_levels(std::string_view text);
std::string levels();

// One value by name, beside the text. Lifetime: texts are views.
class Field {
 public:
  enum class Kind : std::uint8_t { kText, kBool, kSigned, kUnsigned, kDouble };

  constexpr Field(std::string_view name, std::string_view value) : name_(name), text_(value), kind_(Kind::kText) {}
  constexpr Field(std::string_view name, const char* value) : Field(name, std::string_view(value)) {}
  Field(std::string_view name, const std::string& value) : Field(name, std::string_view(value)) {}
  constexpr Field(std::string_view name, bool value) : name_(name), bits_(value), kind_(Kind::kBool) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  constexpr Field(std::string_view name, T value)
      : name_(name),
        bits_(static_cast<std::uint64_t>(value)),
        kind_(std::is_signed_v<T> ? Kind::kSigned : Kind::kUnsigned) {}
  constexpr Field(std::string_view name, double value) : name_(name), number_(value), kind_(Kind::kDouble) {}

  std::string_view name() const { return name_; }
  Kind kind() const { return kind_; }
  std::string_view text() const { return text_; }
  std::uint64_t bits() const { return bits_; }
  double number() const { return number_; }

 private:
  std::string_view name_;
  std::string_view text_;
  std::uint64_t bits_ = 0;
  double number_ = 0;
  Kind kind_;
};

// A list of them, for the call.
class Fields {
 public:
  constexpr Fields(std::initializer_list<Field> list) : data_(list.begin()), size_(list.size()) {}
  constexpr Fields(const Field* data, std::size_t size) : data_(data), size_(size) {}
  constexpr const Field* begin() const { return data_; }
  constexpr const Field* end() const { return data_ + size_; }

 private:
  const Field* data_;
  std::size_t size_;
};

class Module;

namespace detail {
extern std::atomic<std::uint32_t> levels_version;  // Of the levels; never 0.
void write(const Module& module, Level level, Fields fields, fmt::string_view text, fmt::format_args args) noexcept;
}  // namespace detail

// One level of a module, called like a function: one line. Control characters, line ends and broken UTF-8 are shown as
// escapes, so that text from outside can neither forge a line nor steer a terminal.
// Threads: shared. Cost: two relaxed loads when the level is off. See mg/base/logging.h for what a line costs.
template <Level kLevel>
class Writer {
 public:
  explicit constexpr Writer(const Module& module) : module_(module) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  template <class... Args>
  void operator()(fmt::format_string<Args...> text, Args&&... args) const;
  template <class... Args>
  void operator()(Fields fields, fmt::format_string<Args...> text, Args&&... args) const;

 private:
  const Module& module_;
};

// A part of the program with a level of its own: an object for the life of the process.
class Module {
 public:
  // Shape: words with . between them, "" for none. Lifetime: the text is kept.
  explicit constexpr Module(const char* name) : name_(name) {}

  // Ask before work that only a log line needs.
  bool enabled(Level level) const {
    const std::uint32_t seen = seen_.load(std::memory_order_relaxed);
    if (seen >> 8 != detail::levels_version.load(std::memory_order_relaxed)) [[unlikely]]
      return look_up(level);
    return level >= static_cast<Level>(seen & 0xFF);
  }
  const char* name() const { return name_; }

  template <class... Args>
  void write(Level level, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(level)) [[unlikely]]
      detail::write(*this, level, {}, text, fmt::make_format_args(args...));
  }

 private:
  bool look_up(Level level) const;

  const char* const name_;
  mutable std::atomic<std::uint32_t> seen_{0};  // levels_version << 8 | the level then.

 public:
  const Writer<Level::kTrace> trace{*this};
  const Writer<Level::kDebug> debug{*this};
  const Writer<Level::kInfo> info{*this};
  const Writer<Level::kWarn> warn{*this};
  const Writer<Level::kError> error{*this};
  const Writer<Level::kFatal> fatal{*this};  // What the process cannot go on after; it does not end the process.
};

template <Level kLevel>
template <class... Args>
void Writer<kLevel>::operator()(fmt::format_string<Args...> text, Args&&... args) const {
  if (module_.enabled(kLevel)) [[unlikely]]
    detail::write(module_, kLevel, {}, text, fmt::make_format_args(args...));
}

template <Level kLevel>
template <class... Args>
void Writer<kLevel>::operator()(Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
  if (module_.enabled(kLevel)) [[unlikely]]
    detail::write(module_, kLevel, fields, text, fmt::make_format_args(args...));
}

// Lines of no module.
inline constinit Module main_module("");
inline constexpr const auto& trace = main_module.trace;
inline constexpr const auto& debug = main_module.debug;
inline constexpr const auto& info = main_module.info;
inline constexpr const auto& warn = main_module.warn;
inline constexpr const auto& error = main_module.error;
inline constexpr const auto& fatal = main_module.fatal;

inline bool enabled(Level level) {
  return main_module.enabled(level);
}
template <class... Args>
void write(Level level, fmt::format_string<Args...> text, Args&&... args) {
  main_module.write<Args...>(level, text, std::forward<Args>(args)...);
}

}  // namespace mg::log
