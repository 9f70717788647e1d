// mg/utils/tool/slices.h -- what the Go original does with slices and std::ranges does not say in a word.
//
//   diff(all, used); intersect(a, b); merge(a, b); unique(v);       // all keep the order of the first
//   Result<std::vector<std::vector<int>>> pages = chunk(v, 20);
//   Result<std::vector<std::int64_t>> steps = range(1, 10, 3);      // 1 4 7 10
//
// For the rest: std::ranges::find, sort, transform, std::erase_if, std::accumulate.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "mg/base/error.h"

namespace mg::tool {

namespace detail {

template <class T>
concept Hashable = requires(const T& value) {
  { std::hash<T>{}(value) } -> std::convertible_to<std::size_t>;
};

// Members of a list: by hash, or one by one where there is none. NaN is never a member.
template <class T>
class Members {
 public:
  Members() = default;
  explicit Members(const std::vector<T>& list) {
    for (const auto& item : list) insert(item);
  }
  bool contains(const T& value) const {
    if constexpr (Hashable<T>) {
      return set_.contains(value);
    } else {
      return std::ranges::find(set_, value) != set_.end();
    }
  }
  // False: it is one already.
  bool insert(const T& value) {
    if constexpr (Hashable<T>) {
      return set_.insert(value).second;
    } else {
      if (contains(value)) return false;
      set_.push_back(value);
      return true;
    }
  }

 private:
  std::conditional_t<Hashable<T>, std::unordered_set<T>, std::vector<T>> set_;
};

}  // namespace detail

template <class T>
std::vector<T> merge(std::vector<T> a, const std::vector<T>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Those of `a` that are not in `b`. Cost: linear for types with std::hash.
template <class T>
std::vector<T> diff(const std::vector<T>& a, const std::vector<T>& b) {
  const detail::Members<T> members(b);
  std::vector<T> out;
  std::ranges::copy_if(a, std::back_inserter(out), [&](const T& value) { return !members.contains(value); });
  return out;
}

// Those of `a` that are in `b`, as often as in `a`.
template <class T>
std::vector<T> intersect(const std::vector<T>& a, const std::vector<T>& b) {
  const detail::Members<T> members(b);
  std::vector<T> out;
  std::ranges::copy_if(a, std::back_inserter(out), [&](const T& value) { return members.contains(value); });
  return out;
}

// Of equal ones the first.
template <class T>
std::vector<T> unique(const std::vector<T>& list) {
  detail::Members<T> seen;
  std::vector<T> out;
  std::ranges::copy_if(list, std::back_inserter(out), [&](const T& value) { return seen.insert(value); });
  return out;
}

// Parts of `size`, the last one with what is left; of an empty list one empty part.
// Errors: kInvalid  size is 0 and the list is not empty
template <class T>
Result<std::vector<std::vector<T>>> chunk(const std::vector<T>& list, std::size_t size) {
  std::vector<std::vector<T>> out;
  if (list.empty()) return out.emplace_back(), out;
  if (size == 0) return fail(code::kInvalid, "{} elements in parts of none", list.size());
  for (std::size_t begin = 0; begin < list.size(); begin += std::min(size, list.size() - begin)) {
    const auto first = list.begin() + static_cast<std::ptrdiff_t>(begin);
    out.emplace_back(first, first + static_cast<std::ptrdiff_t>(std::min(size, list.size() - begin)));
  }
  return out;
}

// first, first + step … up to last; nothing when first > last.
// Errors: kInvalid  step < 1, or more than `max_size` numbers
inline Result<std::vector<std::int64_t>> range(std::int64_t first, std::int64_t last, std::int64_t step = 1,
                                               std::size_t max_size = 10'000'000) {
  std::vector<std::int64_t> out;
  if (first > last) return out;
  if (step < 1) return fail(code::kInvalid, "a range from {} to {} by {} never ends", first, last, step);
  const std::uint64_t span = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
  const std::uint64_t steps = span / static_cast<std::uint64_t>(step);
  if (steps >= max_size)
    return fail(code::kInvalid, "a range from {} to {} has more than {} numbers", first, last, max_size);
  out.reserve(steps + 1);
  for (std::uint64_t i = 0; i <= steps; ++i) {
    out.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + i * static_cast<std::uint64_t>(step)));
  }
  return out;
}

// Appends `value` until there are `size`.
template <class T>
std::vector<T> pad(std::vector<T> list, std::size_t size, const T& value) {
  if (list.size() < size) list.resize(size, value);
  return list;
}

// Integers wrap around, defined, as in Go.
template <class T>
  requires std::is_arithmetic_v<T>
T sum(const std::vector<T>& list) {
  if constexpr (std::integral<T>) {
    std::make_unsigned_t<T> out = 0;
    for (const T value : list)
      out = static_cast<std::make_unsigned_t<T>>(out + static_cast<std::make_unsigned_t<T>>(value));
    return static_cast<T>(out);
  } else {
    T out = 0;
    for (const T value : list) out += value;
    return out;
  }
}

template <class T, class Rule>
std::vector<T> filter(const std::vector<T>& list, Rule rule) {
  std::vector<T> out;
  std::ranges::copy_if(list, std::back_inserter(out), std::ref(rule));
  return out;
}

// function(… function(function(start, v[0]), v[1]) …, v[n-1]).
template <class T, class U, class Function>
U reduce(const std::vector<T>& list, U start, Function function) {
  for (const T& value : list) start = function(std::move(start), value);
  return start;
}

}  // namespace mg::tool
