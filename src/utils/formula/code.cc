#include "utils/formula/code.h"

#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <numbers>
#include <optional>
#include <utility>

#include "utils/formula/arithmetic.h"
#include "utils/formula/elementary.h"

namespace mg::formula::detail {

void Code::clear() {
  instructions.clear();
  constants.clear();
  calls.clear();
  blocks.clear();
  shelters.clear();
  shelter_of.clear();
  temporaries = 0;
  variables.clear();
  used.clear();
}

double apply_binary(Op op, double acc, double x) {
  switch (op) {
    case Op::kAdd:
      return add(acc, x);
    case Op::kSub:
      return subtract(acc, x);
    case Op::kSubR:
      return subtract(x, acc);
    case Op::kMul:
      return multiply(acc, x);
    case Op::kDiv:
      return divide(acc, x);
    case Op::kDivR:
      return divide(x, acc);
    case Op::kMod:
      return modulo(acc, x);
    case Op::kModR:
      return modulo(x, acc);
    case Op::kPow:
      return power(acc, x);
    case Op::kPowR:
      return power(x, acc);
    case Op::kMax:
      return maximum(acc, x);
    default:
      return minimum(acc, x);
  }
}

double apply_unary(Op op, double acc) {
  switch (op) {
    case Op::kNegate:
      return subtract(0, acc);
    case Op::kSin:
      return sine(acc);
    case Op::kCos:
      return cosine(acc);
    case Op::kTan:
      return tangent(acc);
    case Op::kCot:
      return 1 / tangent(acc);
    case Op::kSec:
      return 1 / cosine(acc);
    case Op::kCsc:
      return 1 / sine(acc);
    case Op::kAbs:
      return std::abs(acc);
    case Op::kCeil:
      return std::ceil(acc);
    case Op::kFloor:
      return std::floor(acc);
    case Op::kRound:
      return std::round(acc);
    case Op::kSqrt:
      return std::sqrt(acc);
    case Op::kCbrt:
      return cube_root(acc);
    default:
      return acc / 180 * std::numbers::pi;  // kRadians
  }
}

bool is_fault(Op op, double acc, double x, double result) {
  if (!std::isnan(result)) return false;
  switch (op) {
    case Op::kAdd:
    case Op::kSub:
    case Op::kSubR:
    case Op::kMul:
    case Op::kDiv:
    case Op::kDivR:
    case Op::kMod:
    case Op::kModR:
    case Op::kNegate:
      return true;
    case Op::kPow:
      return power_faults(x);
    case Op::kPowR:
      return power_faults(acc);
    default:
      return false;
  }
}

Fault fault_of(Op op, double acc, double x) {
  switch (op) {
    case Op::kAdd:
      return fault_of('+', acc, x);
    case Op::kSub:
      return fault_of('-', acc, x);
    case Op::kSubR:
      return fault_of('-', x, acc);
    case Op::kMul:
      return fault_of('*', acc, x);
    case Op::kDiv:
      return fault_of('/', acc, x);
    case Op::kDivR:
      return fault_of('/', x, acc);
    case Op::kMod:
      return fault_of('%', acc, x);
    case Op::kModR:
      return fault_of('%', x, acc);
    case Op::kPow:
      return fault_of('^', acc, x);
    case Op::kPowR:
      return fault_of('^', x, acc);
    default:
      return fault_of('-', 0, acc);  // kNegate
  }
}

double Machine::run() {
  constexpr std::size_t kInline = 64;
  if (code_.temporaries <= kInline) [[likely]] {
    double room[kInline];
    temporaries_ = room;
    return run_from(0);
  }
  std::vector<double> room(code_.temporaries);
  temporaries_ = room.data();
  return run_from(0);
}

double Machine::run_from(std::uint32_t begin) {
  const Instruction* const first = code_.instructions.data();
  const Instruction* at = first + begin;
  const double* const spaces[] = {values_, code_.constants.data(), temporaries_};
  double acc = 0;
  for (;; ++at) {
    const Instruction in = *at;
    const auto x = [&] { return spaces[static_cast<std::size_t>(in.space)][in.index]; };
    double result = 0;
    switch (in.op) {
      case Op::kLoad:
        acc = x();
        continue;
      case Op::kStore:
        temporaries_[in.index] = acc;
        continue;
      case Op::kReturn:
        return acc;
      case Op::kAdd:
        result = add(acc, x());
        break;
      case Op::kSub:
        result = subtract(acc, x());
        break;
      case Op::kSubR:
        result = subtract(x(), acc);
        break;
      case Op::kMul:
        result = multiply(acc, x());
        break;
      case Op::kDiv:
        result = divide(acc, x());
        break;
      case Op::kDivR:
        result = divide(x(), acc);
        break;
      case Op::kMod:
        result = modulo(acc, x());
        break;
      case Op::kModR:
        result = modulo(x(), acc);
        break;
      case Op::kPow:
        result = power(acc, x());
        break;
      case Op::kPowR:
        result = power(x(), acc);
        break;
      case Op::kMax:
        acc = maximum(acc, x());
        continue;
      case Op::kMin:
        acc = minimum(acc, x());
        continue;
      case Op::kAbs:
        acc = std::abs(acc);
        continue;
      case Op::kSqrt:
        acc = std::sqrt(acc);
        continue;
      case Op::kNegate:
        result = subtract(0, acc);
        break;
      case Op::kCall:
      case Op::kLazyCall: {
        const CallSite& site = code_.calls[in.index];
        acc = call(site, in.op == Op::kLazyCall);
        result = std::numeric_limits<double>::quiet_NaN();
        if (failed()) [[unlikely]]
          break;
        if (in.op == Op::kLazyCall) at = first + site.after - 1;
        continue;
      }
      default:
        acc = apply_unary(in.op, acc);
        continue;
    }
    if (result == result) [[likely]] {  // Not NaN.
      acc = result;
      continue;
    }
    if (!failed() && !is_fault(in.op, acc, in.op < Op::kNegate ? x() : 0, result)) {
      acc = result;
      continue;
    }
    if (!failed()) {
      fault_ = fault_of(in.op, acc, in.op < Op::kNegate ? x() : 0);
      if (in.swapped) std::swap(fault_.left, fault_.right);
    }
    // To the end of the innermost noerr around, if there is one.
    const std::uint32_t shelter = code_.shelter_of.empty() ? 0 : code_.shelter_of[static_cast<std::size_t>(at - first)];
    if (shelter == 0) return 0;
    fault_.kind = FaultKind::kNone;
    error_.reset();
    acc = 0;
    at = first + code_.shelters[shelter - 1].end - 1;
  }
}

double Machine::call(const CallSite& site, bool lazy) {
  std::optional<Result<double>> result;
  try {
    if (lazy) {
      const LazyCall lazy_call{*this, site};
      result = site.function->lazy(Arguments(lazy_call));
    } else {
      result = site.function->values(std::span<const double>(temporaries_ + site.first, site.count));
    }
  } catch (const std::exception& thrown) {
    result = fail(code::kUnknown, "{}", thrown.what());
  } catch (...) {
    result = fail(code::kUnknown, "function `{}` threw", site.function->name);
  }
  if (*result) return **result;
  fault_.kind = FaultKind::kFunction;
  error_ = std::make_unique<Error>(std::move(result->error()));
  return 0;
}

Error Machine::error() {
  return error_ ? std::move(*error_) : to_error(fault_);
}

Result<double> Machine::argument(const CallSite& site, std::size_t index) {
  const double value = run_from(code_.blocks[site.first + index]);
  if (!failed()) return value;
  auto failure = std::unexpected(error());
  fault_ = {};
  error_.reset();
  return failure;
}

}  // namespace mg::formula::detail
