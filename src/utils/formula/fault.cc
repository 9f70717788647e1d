#include "utils/formula/fault.h"

#include "utils/formula/number_text.h"

namespace mg::formula::detail {

Error to_error(const Fault& fault) {
  const auto text = [](std::string detail) { return make_error(code::kInvalid, std::move(detail)); };
  switch (fault.kind) {
    case FaultKind::kDivisionByZero:
      return text(fmt::format("violation of arithmetic specification: a division by zero in ExprASTResult: [{}/{}]",
                              go_g(fault.left), go_g(fault.right)));
    case FaultKind::kModuloByZero:
      return text("runtime error: integer divide by zero");
    case FaultKind::kModuloInfinite:
      return text(fmt::format("an infinity has no remainder: [{}%{}]", go_g(fault.left), go_g(fault.right)));
    case FaultKind::kAddInfinities:
      return text("addition of infinities with opposite signs");
    case FaultKind::kSubInfinities:
      return text("subtraction of infinities with equal signs");
    case FaultKind::kMulZeroInfinity:
      return text("multiplication of zero with infinity");
    case FaultKind::kDivInfinities:
      return text("division of zero by zero or infinity by infinity");
    case FaultKind::kNan:
      return text(fmt::format("operand is not a number: [{}{}{}]", go_g(fault.left), fault.op, go_g(fault.right)));
    case FaultKind::kFunction:
    case FaultKind::kNone:
      break;
  }
  return text("formula failed");
}

}  // namespace mg::formula::detail
