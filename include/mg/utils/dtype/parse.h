// mg/utils/dtype/parse.h -- any scalar as another: forgiving (parse) or strict (read).
//
//   parse<std::int32_t>("x") == 0; parse<std::int32_t>(3e9) == 2147483647; parse_str(1e6) == "1e+06";
//   Result<int> level = read<int>("x");            // kInvalid `"x" is not a whole number`
//
// Takes texts, octets, bool, integers, floats, durations, enumerations, nullptr, optionals and Values.
#pragma once

#include <chrono>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mg/base/bytes.h"
#include "mg/base/error.h"
#include "mg/base/units.h"
#include "mg/utils/dtype/fields.h"
#include "mg/utils/dtype/number.h"
#include "mg/utils/dtype/value.h"

namespace mg::dtype {

template <class T>
concept Scalar = Integer<T> || std::same_as<T, bool> || std::same_as<T, float> || std::same_as<T, double> ||
                 std::same_as<T, std::string>;

// The value in Go's plain form (%v): "[1 2]", "map[a:1 b:<nil>]"; "" for null alone.
std::string plain_text(const Value& value);

namespace detail {

// The errors of read. `shown` is the input as a person would write it.
Error not_a(std::string_view kind, std::string shown);
Error out_of_range(std::string shown, std::string low, std::string high);
std::string shown(std::string_view text);
std::string shown(const Value& value);

template <class T>
inline constexpr std::string_view kKindOf = "a whole number";
template <>
inline constexpr std::string_view kKindOf<bool> = "true or false";
template <>
inline constexpr std::string_view kKindOf<std::string> = "a text";
template <std::floating_point T>
inline constexpr std::string_view kKindOf<T> = "a number";

template <class T>
Error range_error(std::string input) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::floating_point<T>) {
    return out_of_range(std::move(input), float_text(Limits::lowest()), float_text(Limits::max()));
  } else {
    return out_of_range(std::move(input), std::to_string(Limits::min()), std::to_string(Limits::max()));
  }
}

template <class T>
inline constexpr bool kIsDuration = false;
template <class R, class P>
inline constexpr bool kIsDuration<std::chrono::duration<R, P>> = true;

// Calls `use` with what a Value holds; lists, dictionaries as the Value.
template <class Use>
decltype(auto) visit(const Value& value, Use&& use) {
  switch (value.kind()) {
    case Kind::kNull:
      return use(nullptr);
    case Kind::kBool:
      return use(value.as_bool());
    case Kind::kInt:
      return use(value.as_int());
    case Kind::kUint:
      return use(value.as_uint());
    case Kind::kDouble:
      return use(value.as_double());
    case Kind::kText:
      return use(std::string_view(value.as_text()));
    default:
      return use(value);
  }
}

}  // namespace detail

// The nearest T to the input, never a fault:
//   text, octets  as scan (number.h): 0 for what is no T, the nearest limit for what is out of range
//   numbers       cut toward zero, the limits, 0 for NaN; a boolean is 1 or 0; not 0 (nor NaN) is true
//   to a text     floats as float_text; true, false; durations as 1.5s; lists and dictionaries as plain_text
//   the rest      0, false, ""
// Threads: shared. Cost: no allocation but for a text.
template <Scalar T, class From>
T parse(const From& input) {
  if constexpr (std::same_as<From, Value>) {
    if constexpr (std::same_as<T, std::string>) {
      return plain_text(input);
    } else {
      return detail::visit(input, [](const auto& held) -> T {
        if constexpr (std::same_as<std::remove_cvref_t<decltype(held)>, Value>) {
          return T{};
        } else {
          return parse<T>(held);
        }
      });
    }
  } else if constexpr (std::same_as<From, std::nullptr_t>) {
    return T{};
  } else if constexpr (mg::detail::kIsOptional<From>) {
    return input ? parse<T>(*input) : T{};
  } else if constexpr (mg::detail::TextLike<From>) {
    if constexpr (std::same_as<T, std::string>) {
      return std::string(std::string_view(input));
    } else {
      return scan<T>(std::string_view(input)).value;
    }
  } else if constexpr (mg::detail::OctetRange<From>) {
    return parse<T>(as_text(Bytes(input)));
  } else if constexpr (detail::kIsDuration<From>) {
    if constexpr (std::same_as<T, std::string>) {
      return format_duration(input);
    } else {
      return parse<T>(input.count());
    }
  } else if constexpr (std::is_enum_v<From>) {
    return parse<T>(std::to_underlying(input));
  } else {
    static_assert(std::is_arithmetic_v<From>, "no scalar");
    if constexpr (std::same_as<T, std::string>) {
      if constexpr (std::same_as<From, bool>) return input ? "true" : "false";
      if constexpr (std::floating_point<From>) return float_text(input);
      if constexpr (std::integral<From>) return std::to_string(input);
    } else if constexpr (std::same_as<T, bool>) {
      return input == input && input != From{};
    } else if constexpr (std::same_as<From, bool>) {
      return T(input);
    } else if constexpr (std::floating_point<T>) {
      return to_float<T>(input);
    } else {
      return to_integer<T>(input);
    }
  }
}

// The input as a T, or why it is none. As parse, but:
//   integers  from whole numbers in range alone; floats: finite and in range
//   bool      from a bool, a text of scan, 0 or 1
//   a text    from scalars
// Errors: kInvalid  naming the input, cut at 80 octets
template <Scalar T, class From>
Result<T> read(const From& input) {
  if constexpr (std::same_as<From, Value>) {
    return detail::visit(input, [](const auto& held) -> Result<T> {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(held)>, Value>) {
        return std::unexpected(detail::not_a(detail::kKindOf<T>, detail::shown(held)));
      } else {
        return read<T>(held);
      }
    });
  } else if constexpr (std::same_as<From, std::nullptr_t>) {
    return std::unexpected(detail::not_a(detail::kKindOf<T>, "null"));
  } else if constexpr (mg::detail::kIsOptional<From>) {
    return input ? read<T>(*input) : read<T>(nullptr);
  } else if constexpr (mg::detail::OctetRange<From>) {
    return read<T>(as_text(Bytes(input)));
  } else if constexpr (std::is_enum_v<From>) {
    return read<T>(std::to_underlying(input));
  } else if constexpr (std::same_as<T, std::string>) {
    return parse<std::string>(input);
  } else if constexpr (mg::detail::TextLike<From>) {
    const std::string_view text(input);
    const auto [value, fault] = scan<T>(text);
    if (fault == Fault::kNotANumber) return std::unexpected(detail::not_a(detail::kKindOf<T>, detail::shown(text)));
    if (fault == Fault::kRange) return std::unexpected(detail::range_error<T>(detail::shown(text)));
    if constexpr (std::floating_point<T>) {
      if (!std::isfinite(value)) return std::unexpected(detail::not_a("a finite number", detail::shown(text)));
    }
    return value;
  } else if constexpr (detail::kIsDuration<From>) {
    return read<T>(input.count());
  } else {
    if constexpr (std::same_as<From, bool> != std::same_as<T, bool>) {
      // Between bool and numbers: only what has a meaning in both.
      if (input == From{0}) return T{0};
      if (input == From{1}) return T{1};
      return std::unexpected(detail::not_a(detail::kKindOf<T>, parse<std::string>(input)));
    } else if constexpr (std::floating_point<From>) {
      if (!std::isfinite(input)) return std::unexpected(detail::not_a("a finite number", float_text(input)));
      if constexpr (Integer<T>) {
        if (std::trunc(input) != input) return std::unexpected(detail::not_a(detail::kKindOf<T>, float_text(input)));
        if (!fits<T>(input)) return std::unexpected(detail::range_error<T>(float_text(input)));
      }
    }
    const T value = parse<T>(input);
    if constexpr (std::floating_point<T>) {
      if (!std::isfinite(value)) return std::unexpected(detail::range_error<T>(parse<std::string>(input)));
    } else if constexpr (Integer<T> && Integer<From>) {
      if (!std::in_range<T>(input)) return std::unexpected(detail::range_error<T>(std::to_string(input)));
    }
    return value;
  }
}

}  // namespace mg::dtype
