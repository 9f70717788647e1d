// mg/utils/color/color.h -- colours on terminals: whether there are any, and a theme of styles for {fmt}.
//
//   color::Painter paint(STDOUT_FILENO);                        // Off when not a terminal, or with NO_COLOR
//   fmt::print("{}\n", paint(color::kSuccess, "ready"));
//   fmt::print("{}\n", paint(fmt::fg(fmt::color::gold) | fmt::emphasis::bold, "level {}", 7));
#pragma once

#include <fmt/color.h>

#include <string>
#include <utility>

namespace mg::color {

// Whether output to a descriptor should be coloured: FORCE_COLOR is set (not to 0), or it is a terminal other than
// `dumb` and NO_COLOR is not set. Source: no-color.org.
bool wanted(int fd);

// The theme.
inline constexpr fmt::text_style kSuccess = fmt::fg(fmt::terminal_color::green);
inline constexpr fmt::text_style kInfo = fmt::fg(fmt::terminal_color::cyan);
inline constexpr fmt::text_style kWarning = fmt::fg(fmt::terminal_color::yellow);
inline constexpr fmt::text_style kError = fmt::fg(fmt::terminal_color::red);
inline constexpr fmt::text_style kFatal = fmt::fg(fmt::terminal_color::red) | fmt::emphasis::bold;
inline constexpr fmt::text_style kNote = fmt::fg(fmt::terminal_color::bright_black);
inline constexpr fmt::text_style kTitle = fmt::emphasis::bold;

// Makes coloured texts, or plain ones where colours are off. Texts from users must be escaped first, as ever.
// Threads: const-shared.
class Painter {
 public:
  explicit Painter(int fd) : on_(wanted(fd)) {}
  explicit constexpr Painter(bool on) : on_(on) {}

  template <class... Args>
  std::string operator()(fmt::text_style style, fmt::format_string<Args...> text, Args&&... args) const {
    std::string plain = fmt::format(text, std::forward<Args>(args)...);
    return on_ ? fmt::format(style, "{}", plain) : plain;
  }
  bool on() const { return on_; }

 private:
  bool on_;
};

}  // namespace mg::color
