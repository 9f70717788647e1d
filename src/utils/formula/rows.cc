// run_rows: each instruction over a block of rows, in loops that a compiler turns into vector instructions.
#include <algorithm>
#include <array>
#include <cmath>

#include "utils/formula/arithmetic.h"
#include "utils/formula/code.h"

namespace mg::formula::detail {
namespace {

using Row = std::array<double, kBlockRows>;

// add(). The first loop answers most tables; it has no branch.
void add_rows(const double* a, const double* b, double* sum, std::size_t count) {
  bool plain = true;
  for (std::size_t i = 0; i < count; ++i) {
    sum[i] = a[i] + b[i];
    plain &= is_plain(a[i]);
    plain &= is_plain(b[i]);
  }
  if (plain) return;
  for (std::size_t i = 0; i < count; ++i) sum[i] = add(a[i], b[i]);
}

void multiply_rows(const double* a, const double* b, double* product, std::size_t count) {
  bool good = true;
  for (std::size_t i = 0; i < count; ++i) {
    product[i] = a[i] * b[i];
    good &= is_normal_size(product[i]);
  }
  if (good) return;
  for (std::size_t i = 0; i < count; ++i) product[i] = multiply(a[i], b[i]);
}

void divide_rows(const double* a, const double* b, double* quotient, std::size_t count) {
  bool good = true;
  for (std::size_t i = 0; i < count; ++i) {
    quotient[i] = a[i] / b[i];
    good &= is_normal_size(quotient[i]);
  }
  if (good) return;
  for (std::size_t i = 0; i < count; ++i) quotient[i] = divide(a[i], b[i]);
}

void negate_rows(const double* a, double* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = -a[i];
}

}  // namespace

void run_rows(const Code& code, std::span<const double* const> columns, std::span<double> out, std::span<bool> failed) {
  const std::size_t count = out.size();
  std::array<Row, kBlockTemporaries> temporaries;  // Left as they are: each is written before it is read.
  Row acc;
  Row result;
  Row other;
  Row constant;
  std::ranges::fill(failed, false);
  for (const Instruction in : code.instructions) {
    const double* x = nullptr;
    const bool two = in.op == Op::kLoad || (in.op >= Op::kAdd && in.op < Op::kNegate);
    if (two) {
      switch (in.space) {
        case Space::kVariable:
          x = columns[in.index];
          break;
        case Space::kConstant:
          std::fill_n(constant.begin(), count, code.constants[in.index]);
          x = constant.data();
          break;
        case Space::kTemporary:
          x = temporaries[in.index].data();
          break;
      }
    }
    switch (in.op) {
      case Op::kLoad:
        std::copy_n(x, count, acc.begin());
        continue;
      case Op::kStore:
        std::copy_n(acc.begin(), count, temporaries[in.index].begin());
        continue;
      case Op::kReturn:
        std::copy_n(acc.begin(), count, out.begin());
        return;
      case Op::kAdd:
        add_rows(acc.data(), x, result.data(), count);
        break;
      case Op::kSub:
        negate_rows(x, other.data(), count);
        add_rows(acc.data(), other.data(), result.data(), count);
        break;
      case Op::kSubR:
        negate_rows(acc.data(), other.data(), count);
        add_rows(x, other.data(), result.data(), count);
        break;
      case Op::kMul:
        multiply_rows(acc.data(), x, result.data(), count);
        break;
      case Op::kDiv:
        divide_rows(acc.data(), x, result.data(), count);
        break;
      case Op::kDivR:
        divide_rows(x, acc.data(), result.data(), count);
        break;
      case Op::kAbs:
        for (std::size_t i = 0; i < count; ++i) result[i] = std::abs(acc[i]);
        break;
      case Op::kSqrt:
        for (std::size_t i = 0; i < count; ++i) result[i] = std::sqrt(acc[i]);
        break;
      default:
        if (two) {
          for (std::size_t i = 0; i < count; ++i) result[i] = apply_binary(in.op, acc[i], x[i]);
        } else {
          for (std::size_t i = 0; i < count; ++i) result[i] = apply_unary(in.op, acc[i]);
        }
        break;
    }
    bool any = false;
    for (std::size_t i = 0; i < count; ++i) any |= std::isnan(result[i]);
    if (any) {
      for (std::size_t i = 0; i < count; ++i) {
        failed[i] = failed[i] || is_fault(in.op, acc[i], two ? x[i] : 0, result[i]);
      }
    }
    std::copy_n(result.begin(), count, acc.begin());
  }
}

}  // namespace mg::formula::detail
