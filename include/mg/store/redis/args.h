// mg/store/redis/args.h -- C++ values as arguments of commands, and structs as hashes and back.
//
//   Command command("HSET", "role:7");
//   add_flat(command, role);                              // name and value of each field that mg_fields names
//   Result<Role> back = from_hash<Role>(TextMap{{"level", "3"}});
//
// Names are Field::redis_name ("" leaves a field out), FieldRule::kOmitEmpty counts. Values: texts and octets as they
// are, numbers in decimals without exponent, bool as 1 or 0, times as RFC 3339 with nanoseconds, durations as
// nanoseconds, enumerations as their number; an optional without a value is left out; everything else as JSON.
#pragma once

#include <chrono>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mg/base/clock.h"
#include "mg/base/error.h"
#include "mg/store/redis/command.h"
#include "mg/store/redis/reply.h"
#include "mg/utils/dtype/convert.h"
#include "mg/utils/dtype/fields.h"
#include "mg/utils/dtype/parse.h"

namespace mg::redis {

// 2021-02-03T04:05:06.000000789Z; no fraction when it is 0.
std::string time_text(Clock::WallTime time);
// Errors: kInvalid  no RFC 3339
Result<Clock::WallTime> parse_time(std::string_view text);

namespace detail {
template <class T>
concept Direct = std::is_arithmetic_v<T> || mg::detail::TextLike<T> || mg::detail::OctetRange<T>;
template <class T>
inline constexpr bool kIsTime = false;
template <class D>
inline constexpr bool kIsTime<std::chrono::time_point<std::chrono::system_clock, D>> = true;
}  // namespace detail

// One argument.
template <class T>
void add_value(Command& command, const T& value) {
  if constexpr (detail::Direct<T>) {
    if constexpr (mg::detail::TextLike<T>) {
      command.add(std::string_view(value));
    } else if constexpr (mg::detail::OctetRange<T>) {
      command.add(Bytes(value));
    } else {
      command.add(value);
    }
  } else if constexpr (std::is_null_pointer_v<T>) {
    command.add("");
  } else if constexpr (std::is_enum_v<T>) {
    command.add(std::to_underlying(value));
  } else if constexpr (detail::kIsTime<T>) {
    command.add(time_text(value));
  } else if constexpr (dtype::detail::kIsDuration<T>) {
    command.add(std::chrono::duration_cast<std::chrono::nanoseconds>(value).count());
  } else if constexpr (mg::detail::kIsOptional<T>) {
    if (value) {
      add_value(command, *value);
    } else {
      command.add("");
    }
  } else if constexpr (std::same_as<T, dtype::Value>) {
    if (value.is_bool()) {
      command.add(value.as_bool());
    } else if (value.kind() == dtype::Kind::kDouble) {
      command.add(value.as_double());
    } else if (value.is_list() || value.is_dict()) {
      command.add(dtype::to_json(value));
    } else {
      command.add(dtype::parse<std::string>(value));
    }
  } else {
    command.add(dtype::to_json(value));
  }
}

// A struct's fields, a map's keys and values, a range's elements; anything else is one argument.
template <class T>
void add_flat(Command& command, const T& value) {
  if constexpr (Described<T>) {
    for_each_field<T>([&](const auto& field) {
      if (field.redis_name.empty()) return;
      const auto& member = value.*field.member;
      if (field.has(FieldRule::kOmitEmpty) && is_empty_field(member)) return;
      if constexpr (mg::detail::kIsOptional<std::remove_cvref_t<decltype(member)>>) {
        if (!member) return;
      }
      command.add(field.redis_name);
      add_value(command, member);
    });
  } else if constexpr (mg::detail::MapLike<T> || std::same_as<T, dtype::Dict>) {
    for (const auto& [key, item] : value) {
      command.add(key);
      add_value(command, item);
    }
  } else if constexpr (std::ranges::range<const T> && !detail::Direct<T>) {
    for (const auto& item : value) add_value(command, item);
  } else {
    add_value(command, value);
  }
}

namespace detail {

template <class T>
Result<void> read_value(const std::string& text, T& out) {
  if constexpr (dtype::Scalar<T>) {
    Result<T> got = dtype::read<T>(text);
    if (!got) return std::unexpected(std::move(got).error());
    out = *std::move(got);
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    if (auto done = read_value(text, number); !done) return done;
    out = static_cast<T>(number);
  } else if constexpr (mg::detail::OctetRange<T>) {
    const Bytes octets = as_bytes(text);
    out.assign(octets.begin(), octets.end());
  } else if constexpr (kIsTime<T>) {
    auto time = parse_time(text);
    if (!time) return std::unexpected(std::move(time).error());
    out = std::chrono::time_point_cast<typename T::duration>(*time);
  } else if constexpr (dtype::detail::kIsDuration<T>) {
    std::int64_t ns = 0;
    if (auto done = read_value(text, ns); !done) return done;
    out = std::chrono::duration_cast<T>(std::chrono::nanoseconds(ns));
  } else if constexpr (requires {
                         typename T::value_type;
                         out.emplace();
                       } && mg::detail::kIsOptional<T>) {
    return read_value(text, out.emplace());
  } else {
    auto got = dtype::from_json<T>(text);
    if (!got) return std::unexpected(std::move(got).error());
    out = *std::move(got);
  }
  return {};
}

}  // namespace detail

// The struct of a hash, as add_flat wrote it. Fields that the hash has not keep their defaults; others in the hash are
// passed over. Errors: kInvalid  `field "level": "x" is not a whole number`
template <Described T>
Result<T> from_hash(const TextMap& hash) {
  Result<T> out;
  Result<void> done;
  for_each_field<T>([&](const auto& field) {
    if (!done || field.redis_name.empty()) return;
    const auto found = hash.find(std::string(field.redis_name));
    if (found == hash.end()) return;
    done = detail::read_value(found->second, *out.*field.member);
    if (!done) done = fail(code::kInvalid, "field \"{}\": {}", field.redis_name, done.error().detail);
  });
  if (!done) return std::unexpected(std::move(done).error());
  return out;
}

}  // namespace mg::redis
