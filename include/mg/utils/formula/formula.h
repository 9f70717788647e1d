// mg/utils/formula/formula.h -- expressions as game designers write them in tables.
//
//   auto damage = formula::compile("atk * (1 + crit/100) - def", {.variables = {"atk", "crit", "def"}});
//   Result<double> dealt = damage->evaluate({120, 35, 40});       // 122; any number of times, from any thread
//   Result<double> once = formula::evaluate("max(2^3, 3+abs(-1)*6)");
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"
#include "mg/utils/formula/functions.h"

namespace mg::formula {

namespace detail {
struct Code;
}

// What the argument of sin cos tan cot sec csc is measured in.
enum class Angle { kRadians, kDegrees };

struct Limits {
  std::size_t max_length_bytes = 128 * 1024;  // Of the text.
  std::size_t max_depth = 10'000;             // Parentheses, calls and minus signs around one number.
  std::size_t max_lazy_depth = 64;            // Lazy calls around one another: each takes stack when evaluated.
};

struct Options {
  std::vector<std::string> variables{};  // Names, in the order of the values: letters, digits, `_`, UTF-8.
  bool any_variable = false;             // Other names of ASCII letters, digits and `_` become variables, in the order
                                         // of their first use, after those declared.
  const Functions* functions = nullptr;  // Needed while compiling only.
  Angle angle = Angle::kRadians;
  Limits limits{};
};

// How an evaluation over columns ended.
struct Batch {
  std::size_t failed = 0;        // Rows without a value: NaN in the output.
  std::size_t first_failed = 0;  // The first of them.
  Error error;                   // Its error.
};

// A compiled formula. Copies share it.
// Threads: shared; functions of the user run on the calling thread.
class Program {
 public:
  // The names that values are wanted for, in order: those declared, used or not, then those found (any_variable).
  const std::vector<std::string>& variables() const;
  // Whether the value of variables()[index] makes a difference; one that folding removed does not.
  bool uses(std::size_t index) const;

  // Errors: kInvalid  division by zero, infinity - infinity, an operand that is not a number, ..., and what functions
  // of
  //                   the user return; or not as many values as variables()
  // Cost: no allocation, unless it fails or more than 64 intermediate values wait at a time.
  Result<double> evaluate(std::span<const double> values = {}) const;
  Result<double> evaluate(std::initializer_list<double> values) const {
    return evaluate(std::span(values.begin(), values.size()));
  }

  // Row by row over columns: out[i] is the value for columns[0][i], columns[1][i], ...; NaN where it failed.
  // Requires: out overlaps no column. Errors: kInvalid  columns.size() or the length of one is not as wanted
  // Cost: no allocation, as above, up to 16 columns; in blocks of rows when there is no noerr and no function of the
  // user.
  Result<Batch> evaluate_columns(std::span<const std::span<const double>> columns, std::span<double> out) const;

  explicit Program(std::shared_ptr<const detail::Code> code) : code_(std::move(code)) {}

 private:
  std::shared_ptr<const detail::Code> code_;
};

// Grammar: numbers (1, 2.5, 1e-3, 1_000), pi, + - * / % ^, parentheses, unary minus, and the functions
// sin cos tan cot sec csc abs ceil floor round sqrt cbrt noerr (1 argument), max min (2).
// Unary minus binds closest, then ^, then * / %, then + -; all associate to the left: -2^2 is 4, 2^3^2 is 64.
// ^ and % cut to integers: the exponent, both operands. noerr(x) is 0 where x fails. An operator at the very end is
// ignored. + and - compute with the decimals that one sees: 0.1+0.2 is 0.3.
// Errors: kInvalid  no formula: what is wrong, then three lines that show where
// Source: the Go original's formula package.
Result<Program> compile(std::string_view text, const Options& options = {});

// Parses and computes at once. Requires: options name no variables. Errors: as compile and Program::evaluate.
Result<double> evaluate(std::string_view text, const Options& options = {});

}  // namespace mg::formula
