// mg/store/redis/command.h -- one command with its arguments, already in the form in which it is sent.
//
//   Command set("SET", key, value, "PX", 1500);         // texts, octets, numbers, bool as 1 or 0
//   Command del("DEL"); del.add_all(keys);
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/bytes.h"

namespace mg::redis {

// Cost: no allocation for up to 500 octets in all.
class Command {
 public:
  static constexpr std::size_t kMaxArgument = 512 * 1024 * 1024;  // As the server has it.

  Command() = default;
  explicit Command(std::string_view name) { add(name); }
  template <class... A>
    requires(sizeof...(A) > 0)
  explicit Command(std::string_view name, const A&... arguments) {
    add(name);
    (add(arguments), ...);
  }
  // command({"GET", "k"})
  Command(std::initializer_list<std::string_view> arguments) { add_all(arguments); }
  Command(Command&&) = default;
  Command& operator=(Command&&) = default;

  Command& add(std::string_view text);
  Command& add(const char* text) { return add(std::string_view(text)); }
  Command& add(const std::string& text) { return add(std::string_view(text)); }
  Command& add(Bytes octets) { return add(as_text(octets)); }
  Command& add(bool value) { return add(value ? "1" : "0"); }
  Command& add(std::nullptr_t) { return add(""); }
  // Without an exponent, so that it reads back as it is: 0.1, 100000000000000000000, inf.
  Command& add(double value);
  Command& add(float value) { return add(static_cast<double>(value)); }
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  Command& add(T value) {
    const fmt::format_int text(value);
    return add(std::string_view(text.data(), text.size()));
  }
  template <class A, class B>
  Command& add(const std::pair<A, B>& pair) {
    return add(pair.first).add(pair.second);
  }
  // Nothing when there is no value.
  template <class T>
  Command& add(const std::optional<T>& value) {
    return value ? add(*value) : *this;
  }
  // Each element of a range; a map's keys and values.
  template <std::ranges::input_range R>
  Command& add_all(const R& range) {
    for (const auto& item : range) add(item);
    return *this;
  }

  // Another command that goes with this one, nothing between them; the reply of the last is the reply of all, unless
  // one before it was refused.
  Command& then(const Command& next);

  // How many arguments, the name included (of the first, when there are several).
  std::size_t size() const { return arguments_; }
  std::size_t replies() const { return replies_; }
  // An argument was larger than kMaxArgument; it cannot be sent.
  bool too_large() const { return too_large_; }
  // "SET", for messages and to know which it is. Lifetime: until it changes.
  std::string_view name() const { return {text_, name_size_}; }
  // Its arguments, the name first. Lifetime: until it changes.
  std::vector<std::string_view> arguments() const;

  // The octets to send: *2 $3 GET $1 k, with CRLFs. Cost: of encode(), a copy into `to`.
  std::size_t wire_size() const;
  void encode(std::byte* to) const;
  std::string encoded() const;

 private:
  fmt::basic_memory_buffer<char, 448> body_;  // The arguments of all, as they are sent; of the first without "*2".
  char text_[24] = {};                        // The name, cut.
  std::uint8_t name_size_ = 0;
  bool too_large_ = false;
  std::uint32_t arguments_ = 0;
  std::uint32_t replies_ = 1;
};

}  // namespace mg::redis
