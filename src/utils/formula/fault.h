// utils/formula/fault.h -- why a formula has no value: a code and two operands, made an Error only when it leaves.
//
//   return to_error(Fault{FaultKind::kDivisionByZero, 1, 0});   // "... division by zero ...: [1/0]"
#pragma once

#include <cstdint>

#include "mg/base/error.h"

namespace mg::formula::detail {

enum class FaultKind : std::uint8_t {
  kNone,
  kDivisionByZero,
  kModuloByZero,
  kModuloInfinite,   // infinity % x
  kAddInfinities,    // inf + -inf
  kSubInfinities,    // inf - inf
  kMulZeroInfinity,  // 0 * inf
  kDivInfinities,    // inf / inf
  kNan,              // An operand is not a number (sqrt(-1) + 1).
  kFunction,         // A function of the user failed: the Error is kept beside.
};

struct Fault {
  FaultKind kind = FaultKind::kNone;
  char op = 0;
  double left = 0;
  double right = 0;
};

// Errors: kInvalid. The texts are the Go original's, but for operands that are not numbers.
Error to_error(const Fault& fault);

}  // namespace mg::formula::detail
