#include "mg/store/redis/command.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace mg::redis {

Command& Command::add(std::string_view text) {
  if (arguments_ == 0) {
    name_size_ = static_cast<std::uint8_t>(std::min(text.size(), sizeof text_));
    std::memcpy(text_, text.data(), name_size_);
  }
  ++arguments_;
  if (text.size() > kMaxArgument || body_.size() > 4 * kMaxArgument) {
    too_large_ = true;
    return *this;
  }
  const fmt::format_int size(text.size());
  body_.push_back('$');
  body_.append(size.data(), size.data() + size.size());
  body_.push_back('\r');
  body_.push_back('\n');
  body_.append(text.data(), text.data() + text.size());
  body_.push_back('\r');
  body_.push_back('\n');
  return *this;
}

Command& Command::add(double value) {
  if (!std::isfinite(value)) return add(std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
  std::array<char, 400> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr;
  return add(std::string_view(text.data(), static_cast<std::size_t>(end - text.data())));
}

Command& Command::then(const Command& next) {
  const fmt::format_int count(next.arguments_);
  body_.push_back('*');
  body_.append(count.data(), count.data() + count.size());
  body_.push_back('\r');
  body_.push_back('\n');
  body_.append(next.body_.data(), next.body_.data() + next.body_.size());
  too_large_ = too_large_ || next.too_large_;
  replies_ += next.replies_;
  return *this;
}

std::vector<std::string_view> Command::arguments() const {
  std::vector<std::string_view> out;
  std::string_view left(body_.data(), body_.size());
  while (out.size() < arguments_ && left.starts_with('$')) {
    std::size_t size = 0;
    const char* const end = std::from_chars(left.data() + 1, left.data() + left.size(), size).ptr;
    const auto head = static_cast<std::size_t>(end - left.data()) + 2;
    out.push_back(left.substr(head, size));
    left.remove_prefix(head + size + 2);
  }
  return out;
}

std::size_t Command::wire_size() const {
  return 3 + fmt::format_int(arguments_).size() + body_.size();
}

void Command::encode(std::byte* to) const {
  const fmt::format_int count(arguments_);
  *to++ = std::byte{'*'};
  std::memcpy(to, count.data(), count.size());
  to += count.size();
  *to++ = std::byte{'\r'};
  *to++ = std::byte{'\n'};
  std::memcpy(to, body_.data(), body_.size());
}

std::string Command::encoded() const {
  std::string out(wire_size(), '\0');
  encode(reinterpret_cast<std::byte*>(out.data()));
  return out;
}

}  // namespace mg::redis
