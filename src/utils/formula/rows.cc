// run_rows: each instruction over a block of rows, in loops that a compiler turns into vector instructions.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "utils/formula/arithmetic.h"
#include "utils/formula/chain.h"
#include "utils/formula/code.h"

namespace mg::formula::detail {
namespace {

using Row = std::array<double, kBlockRows>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// As text_rest(), of 0 too, and without a branch.
[[gnu::always_inline]] inline double rest_of_any(double x, bool& known) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t index = text_scale_index(bits);
  const bool inside = index < kTextScales.size();
  bool good = inside;
  const double rest = text_rest<true>(bits, kTextScales[inside ? index : 0], good);
  good |= x == 0;
  known &= good;
  return inside ? rest : 0.0;
}

[[gnu::always_inline]] inline bool any_nan(const double* x, std::size_t count) {
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) any |= std::isnan(x[i]);
  return any;
}

// What follows returns whether some row is NaN. The first loop answers most tables.

// Where the texts' sum is not decided: NaN.
template <int kLanes, bool a_plain, bool b_plain>
[[gnu::always_inline]] inline void add_texts(const double* a, const double* b, double* __restrict sum,
                                             std::size_t count) {
#pragma clang loop vectorize_width(kLanes)
  for (std::size_t i = 0; i < count; ++i) {
    bool good = true;
    const double rest_a = a_plain ? 0 : rest_of_any(a[i], good);
    const double rest_b = b_plain ? 0 : rest_of_any(b[i], good);
    const Sum got = sum_with_rests(a[i], b[i], rest_a, rest_b);
    good &= got.low == got.high;
    const double result = got.low == 0 ? got.value : got.low;  // -0 + -0, too.
    sum[i] = good ? result : kNan;
  }
}

template <int kLanes>
[[gnu::always_inline]] inline bool add_rows(const double* a, const double* b, double* __restrict sum,
                                            std::size_t count) {
  bool a_plain = true;
  bool b_plain = true;
  for (std::size_t i = 0; i < count; ++i) {
    sum[i] = a[i] + b[i];
    a_plain &= is_plain(a[i]);
    b_plain &= is_plain(b[i]);
  }
  if (a_plain && b_plain) return false;
  if (b_plain) {
    add_texts<kLanes, false, true>(a, b, sum, count);
  } else if (a_plain) {
    add_texts<kLanes, true, false>(a, b, sum, count);
  } else {
    add_texts<kLanes, false, false>(a, b, sum, count);
  }
  if (!any_nan(sum, count)) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isnan(sum[i])) sum[i] = add_rare(a[i], b[i]);
  }
  return any_nan(sum, count);
}

[[gnu::always_inline]] inline bool multiply_rows(const double* a, const double* b, double* __restrict product,
                                                 std::size_t count) {
  bool good = true;
  for (std::size_t i = 0; i < count; ++i) {
    product[i] = a[i] * b[i];
    good &= is_product_exact(product[i]);
  }
  if (good) return false;
  for (std::size_t i = 0; i < count; ++i) product[i] = multiply(a[i], b[i]);
  return any_nan(product, count);
}

[[gnu::always_inline]] inline bool divide_rows(const double* a, const double* b, double* __restrict quotient,
                                               std::size_t count) {
  bool good = true;
  for (std::size_t i = 0; i < count; ++i) {
    quotient[i] = a[i] / b[i];
    good &= is_quotient_exact(quotient[i]);
  }
  if (good) return false;
  for (std::size_t i = 0; i < count; ++i) quotient[i] = divide(a[i], b[i]);
  return any_nan(quotient, count);
}

// (acc / by) and then + or - `other`, as percentage() of chain.cc. False: some row is not of its kind.
[[gnu::always_inline]] inline bool percentage_rows(const double* acc, double by, double other, bool negative,
                                                   double* __restrict out, std::size_t count) {
  bool good = true;
  for (std::size_t i = 0; i < count; ++i) {
    const double a = negative ? -acc[i] : acc[i];
    out[i] = (a + other * by) / by;
    good &= is_percentage(a, other * by);
  }
  return good;
}

template <int kLanes>
[[gnu::always_inline]] inline void run_block(const Code& code, std::span<const double* const> columns,
                                             std::span<double> out, std::span<bool> failed) {
  const std::size_t count = out.size();
  std::array<Row, kBlockTemporaries> temporaries;  // Left as they are: each is written before it is read.
  Row rows[2];
  Row other;
  Row constant;
  const double* acc = rows[0].data();
  double* result = rows[1].data();  // Never where acc is.
  const auto next_result = [&] {
    acc = result;
    result = result == rows[0].data() ? rows[1].data() : rows[0].data();
  };
  std::ranges::fill(failed, false);
  for (std::size_t at = 0;; ++at) {
    const Instruction in = code.instructions[at];
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
    bool has_nan = true;
    switch (in.op) {
      case Op::kLoad:
        std::copy_n(x, count, result);
        next_result();
        continue;
      case Op::kStore:
        std::copy_n(acc, count, temporaries[in.index].begin());
        continue;
      case Op::kReturn:
        std::copy_n(acc, count, out.begin());
        return;
      case Op::kAdd:
        has_nan = add_rows<kLanes>(acc, x, result, count);
        break;
      case Op::kSub:
        for (std::size_t i = 0; i < count; ++i) other[i] = -x[i];
        has_nan = add_rows<kLanes>(acc, other.data(), result, count);
        break;
      case Op::kSubR:
        for (std::size_t i = 0; i < count; ++i) other[i] = -acc[i];
        has_nan = add_rows<kLanes>(x, other.data(), result, count);
        break;
      case Op::kMul:
        has_nan = multiply_rows(acc, x, result, count);
        break;
      case Op::kDiv:
        if (begins_percentage(code, at)) {
          const Instruction& then = code.instructions[at + 1];
          const double then_x = code.constants[then.index];
          if (percentage_rows(acc, constant[0], then.op == Op::kSub ? -then_x : then_x, then.op == Op::kSubR, result,
                              count)) {
            ++at;
            has_nan = false;
            break;
          }
        }
        has_nan = divide_rows(acc, x, result, count);
        break;
      case Op::kDivR:
        has_nan = divide_rows(x, acc, result, count);
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
    if (has_nan && any_nan(result, count)) {
      for (std::size_t i = 0; i < count; ++i) {
        failed[i] = failed[i] || is_fault(in.op, acc[i], two ? x[i] : 0, result[i]);
      }
    }
    next_result();
  }
}

// The same for processors with more lanes. No instruction of theirs rounds otherwise: multiplications and additions
// are not fused here (module.cmake).
void run_anywhere(const Code& code, std::span<const double* const> columns, std::span<double> out,
                  std::span<bool> failed) {
  run_block<1>(code, columns, out, failed);
}
#ifdef __x86_64__
[[gnu::target("arch=x86-64-v3")]] void run_on_v3(const Code& code, std::span<const double* const> columns,
                                                 std::span<double> out, std::span<bool> failed) {
  run_block<4>(code, columns, out, failed);
}
[[gnu::target("arch=x86-64-v4")]] void run_on_v4(const Code& code, std::span<const double* const> columns,
                                                 std::span<double> out, std::span<bool> failed) {
  run_block<8>(code, columns, out, failed);
}
std::size_t count_ways() {
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("fma") && __builtin_cpu_supports("lzcnt");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? 3 : v3 ? 2 : 1;
}
constexpr std::array<RunRows, 3> kRunRows{run_anywhere, run_on_v3, run_on_v4};
#else
std::size_t count_ways() {
  return 1;
}
constexpr std::array<RunRows, 1> kRunRows{run_anywhere};
#endif

}  // namespace

std::span<const RunRows> ways_to_run_rows() {
  static const std::size_t kCount = count_ways();
  return std::span(kRunRows).first(kCount);
}

void run_rows(const Code& code, std::span<const double* const> columns, std::span<double> out, std::span<bool> failed) {
  ways_to_run_rows().back()(code, columns, out, failed);
}

}  // namespace mg::formula::detail
