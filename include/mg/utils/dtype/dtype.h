// mg/utils/dtype/dtype.h -- conversions between types, all of them: parse.h, convert.h, lists, and the Go original's
// names.
//
//   parse_int("12") == 12; parse_str(1.5) == "1.5";
//   std::vector<int> ids = parse_slice<int>(value.at("ids"));             // what is no number is 0
//   Result<std::vector<int>> all = read_slice<int>(value.at("ids"));      // `element 2: "x" is not a whole number`
#pragma once

#include <concepts>
#include <cstdint>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/utils/dtype/convert.h"
#include "mg/utils/dtype/parse.h"

namespace mg::dtype {

namespace detail {

// The elements of a list: a Value's, or the range itself; nullptr when a Value is no list.
template <class From>
const auto* elements(const From& list) {
  if constexpr (std::same_as<From, Value>) {
    return list.is_list() ? &list.as_list() : nullptr;
  } else {
    static_assert(std::ranges::range<const From>, "no list");
    return &list;
  }
}

}  // namespace detail

// Each element by parse; empty when the input is no list (a text is none).
template <Scalar T, class From>
std::vector<T> parse_slice(const From& list) {
  std::vector<T> out;
  if constexpr (!mg::detail::TextLike<From>) {
    if (const auto* items = detail::elements(list)) {
      for (const auto& item : *items) out.push_back(parse<T>(item));
    }
  }
  return out;
}

// Each element by read.
// Errors: kInvalid  naming the element, or the input that is no list
template <Scalar T, class From>
Result<std::vector<T>> read_slice(const From& list) {
  std::vector<T> out;
  const auto* items = detail::elements(list);
  if constexpr (std::same_as<From, Value>) {
    if (items == nullptr) return std::unexpected(detail::not_a("a list", detail::shown(list)));
  }
  for (const auto& item : *items) {
    Result<T> got = read<T>(item);
    if (!got) return fail(code::kInvalid, "element {}: {}", out.size(), got.error().detail);
    out.push_back(*std::move(got));
  }
  return out;
}

std::int64_t parse_int(const auto& input) {
  return parse<std::int64_t>(input);
}
std::int32_t parse_int32(const auto& input) {
  return parse<std::int32_t>(input);
}
std::int64_t parse_int64(const auto& input) {
  return parse<std::int64_t>(input);
}
std::uint64_t parse_uint(const auto& input) {
  return parse<std::uint64_t>(input);
}
std::uint32_t parse_uint32(const auto& input) {
  return parse<std::uint32_t>(input);
}
std::uint64_t parse_uint64(const auto& input) {
  return parse<std::uint64_t>(input);
}
float parse_float32(const auto& input) {
  return parse<float>(input);
}
double parse_float64(const auto& input) {
  return parse<double>(input);
}
bool parse_bool(const auto& input) {
  return parse<bool>(input);
}
std::string parse_str(const auto& input) {
  return parse<std::string>(input);
}
std::vector<std::string> parse_str_slice(const auto& list) {
  return parse_slice<std::string>(list);
}

}  // namespace mg::dtype
