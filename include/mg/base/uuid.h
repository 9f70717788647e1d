// mg/base/uuid.h -- 16 octets that name one thing everywhere: clients, nodes, sessions.
//
//   Uuid id = Uuid::v4(random);
//   std::string text = id.text();                      // "3f0c9a52-7b1e-4d7a-9c55-0d6a3a1f2b4c"
//   if (auto same = Uuid::parse(text); same == id) ...
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mg/base/random.h"

namespace mg {

// A value: compare, copy, hash. Source: RFC 9562.
struct Uuid {
  static constexpr std::size_t kTextSize = 36;

  std::array<std::uint8_t, 16> octets{};  // In the order of the text.

  // 122 random bits.
  static Uuid v4(Random& random);

  // Reads the 36-character form, either case, any version. Errors: nothing for every other text.
  static std::optional<Uuid> parse(std::string_view text);

  // The 36-character form in lower case, without allocation; no zero after it.
  void write(std::span<char, kTextSize> out) const;
  std::string text() const;

  bool is_nil() const { return *this == Uuid{}; }

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace mg

template <>
struct std::hash<mg::Uuid> {
  std::size_t operator()(const mg::Uuid& id) const noexcept {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(id.octets.data()), id.octets.size()});
  }
};
