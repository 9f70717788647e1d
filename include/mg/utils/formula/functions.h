// mg/utils/formula/functions.h -- functions of one's own for formulas.
//
//   formula::Functions functions;
//   (void)functions.add("double", [](double x) { return 2 * x; });                       // double(6)
//   (void)functions.add("sum", Arity::at_least(1), [](std::span<const double> x) { ... });   // sum(1, 2, 3)
//   (void)functions.add_lazy("if", Arity::exactly(3), [](const Arguments& a) -> Result<double> {
//     auto test = a[0];                                                                   // Evaluated here, not
//     before. return !test ? test : a[*test != 0 ? 1 : 2];
//   });
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/error.h"

namespace mg::formula {

namespace detail {
struct Function;
struct LazyCall;
}  // namespace detail

// How many arguments a call may have. Requires: 1 <= least <= most; there are no functions without arguments.
struct Arity {
  static constexpr std::size_t kMany = std::numeric_limits<std::size_t>::max();
  std::size_t least = 1;
  std::size_t most = 1;

  static constexpr Arity exactly(std::size_t count) { return {count, count}; }
  static constexpr Arity at_least(std::size_t count) { return {count, kMany}; }
  static constexpr Arity between(std::size_t least, std::size_t most) { return {least, most}; }
};

// The arguments of a lazy call, computed when asked for, each time anew.
// Lifetime: that of the call.
class Arguments {
 public:
  std::size_t size() const;
  // Requires: index < size(). Errors: what the argument fails with.
  Result<double> operator[](std::size_t index) const;

  explicit Arguments(const detail::LazyCall& call) : call_(call) {}
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

 private:
  const detail::LazyCall& call_;
};

// A set of named functions; formulas are compiled with one (Options::functions).
// An Error that a function returns is that of the formula; one that it throws is turned into one. Inside noerr() both
// count as 0.
// Threads: const-shared; the functions themselves run wherever a formula is evaluated.
class Functions {
 public:
  using Values = std::function<Result<double>(std::span<const double>)>;
  using Lazy = std::function<Result<double>(const Arguments&)>;

  // Shape: a name is a letter, then letters and digits, all ASCII; others can be added but never be called.
  // Errors: kInvalid  the name is empty, or fewer arguments than one
  //         kExists   there is such a function, or it is built in
  Result<> add(std::string name, Arity arity, Values function);
  Result<> add_lazy(std::string name, Arity arity, Lazy function);

  // A function of doubles, its arity read off its parameters: double f(double), Result<double> f(double, double) ...
  template <class F>
  Result<> add(std::string name, F function) {
    return add_plain(std::move(name), std::function(std::move(function)));
  }

  // Null: there is none, built in ones not counted.
  std::shared_ptr<const detail::Function> find(std::string_view name) const;

 private:
  template <class R, class... Args>
  Result<> add_plain(std::string name, std::function<R(Args...)> function) {
    return add(std::move(name), Arity::exactly(sizeof...(Args)),
               [function = std::move(function)](std::span<const double> values) -> Result<double> {
                 return [&]<std::size_t... I>(std::index_sequence<I...>) -> Result<double> {
                   return function(values[I]...);
                 }(std::index_sequence_for<Args...>{});
               });
  }
  Result<> insert(std::string name, Arity arity, Values values, Lazy lazy);

  std::map<std::string, std::shared_ptr<const detail::Function>, std::less<>> functions_;
};

}  // namespace mg::formula
