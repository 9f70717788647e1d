#include "utils/formula/chain.h"

#include <cmath>
#include <cstddef>
#include <limits>

#include "utils/formula/arithmetic.h"

namespace mg::formula::detail {
namespace {

// kPlain: a constant for which is_plain holds.
enum class From : std::uint8_t { kVariable, kConstant, kPlain, kTemporary };

template <From from>
double operand(const Link* at, const double* values, const double* temporaries) {
  if constexpr (from == From::kVariable) return values[at->index];
  if constexpr (from == From::kTemporary) return temporaries[at->index];
  return at->constant;
}

#define MG_NEXT(result) [[clang::musttail]] return at[1].step(at + 1, values, temporaries, (result))

double last(const Link*, const double*, double*, double acc) {
  return acc;
}

double give_up(const Link*, const double*, double*, double) {
  return std::numeric_limits<double>::quiet_NaN();
}

template <From from>
double load(const Link* at, const double* values, double* temporaries, double) {
  MG_NEXT((operand<from>(at, values, temporaries)));
}

double store(const Link* at, const double* values, double* temporaries, double acc) {
  temporaries[at->index] = acc;
  MG_NEXT(acc);
}

// What is rarely needed stands in functions of their own, so that the usual way saves no registers.
template <Op op, From from>
[[gnu::noinline]] double rare(const Link* at, const double* values, double* temporaries, double acc) {
  const double x = operand<from>(at, values, temporaries);
  double result = 0;
  switch (op) {
    case Op::kAdd:
      result = add_rare(acc, x);
      break;
    case Op::kSub:
      result = add_rare(acc, -x);
      break;
    case Op::kSubR:
      result = add_rare(x, -acc);
      break;
    case Op::kMul:
      result = multiply_rare(acc, x);
      break;
    case Op::kDiv:
      result = divide_rare(acc, x);
      break;
    case Op::kDivR:
      result = divide_rare(x, acc);
      break;
    default:
      result = apply_binary(op, acc, x);
      break;
  }
  if (result != result) [[unlikely]]
    return result;
  MG_NEXT(result);
}

// The sum of the texts is mostly that of the doubles: what follows goes on with it while the processor still checks.
template <Op op, From from, bool a_plain, bool b_plain>
[[gnu::noinline]] double texts(const Link* at, const double* values, double* temporaries, double acc) {
  const double x = operand<from>(at, values, temporaries);
  const Sum sum = sum_of_texts(op == Op::kSubR ? -acc : acc, op == Op::kSub ? -x : x, a_plain, b_plain);
  if (sum.low >= sum.value && sum.high <= sum.value) [[likely]]
    MG_NEXT(sum.value);
  if (sum.low == sum.high) {
    asm volatile("");  // A branch of its own: choosing between the values would wait for both.
    MG_NEXT(sum.low);
  }
  [[clang::musttail]] return rare<op, from>(at, values, temporaries, acc);
}

// Amounts in hundredths and the like, which most decimals in formulas are.
template <Op op, From from, bool a_plain, bool b_plain>
[[gnu::noinline]] double decimals(const Link* at, const double* values, double* temporaries, double acc) {
  const double x = operand<from>(at, values, temporaries);
  const double a = op == Op::kSubR ? -acc : acc;
  const double b = op == Op::kSub ? -x : x;
  double result = 0;
  if (a_plain ? add_decimals<true>(b, a, result) : add_decimals<b_plain>(a, b, result)) MG_NEXT(result);
  [[clang::musttail]] return texts<op, from, a_plain, b_plain>(at, values, temporaries, acc);
}

template <Op op, From from>
double sum(const Link* at, const double* values, double* temporaries, double acc) {
  const double x = operand<from>(at, values, temporaries);
  const double a = op == Op::kSubR ? -acc : acc;
  const double b = op == Op::kSub ? -x : x;
  const bool b_plain = from == From::kPlain || is_plain(b);
  if (is_plain(a)) {
    if (b_plain) MG_NEXT(a + b);
    [[clang::musttail]] return decimals<op, from, true, false>(at, values, temporaries, acc);
  }
  if (b_plain) [[clang::musttail]]
    return decimals<op, from, false, true>(at, values, temporaries, acc);
  [[clang::musttail]] return decimals<op, from, false, false>(at, values, temporaries, acc);
}

template <Op op, From from>
double product(const Link* at, const double* values, double* temporaries, double acc) {
  const double x = operand<from>(at, values, temporaries);
  const double result = op == Op::kMul ? acc * x : op == Op::kDiv ? acc / x : x / acc;
  const double size = std::abs(result);
  if (size >= std::numeric_limits<double>::min() && (op == Op::kMul || size <= std::numeric_limits<double>::max()))
      [[likely]]
    MG_NEXT(result);
  if (result == 0) MG_NEXT(result);
  [[clang::musttail]] return rare<op, from>(at, values, temporaries, acc);
}

// 1 + x/100, and the like: both links at once.
template <Op op>
double percentage(const Link* at, const double* values, double* temporaries, double acc) {
  const double by = at->constant;
  const double shifted = (op == Op::kSub ? -at[1].constant : at[1].constant) * by;
  const double a = op == Op::kSubR ? -acc : acc;
  if (is_percentage(a, shifted)) [[likely]]
    [[clang::musttail]] return at[2].step(at + 2, values, temporaries, (a + shifted) / by);
  [[clang::musttail]] return product<Op::kDiv, From::kPlain>(at, values, temporaries, acc);
}

template <Op op>
double one_argument(const Link* at, const double* values, double* temporaries, double acc) {
  const double result = apply_unary(op, acc);
  if (result != result) [[unlikely]]
    return result;
  MG_NEXT(result);
}

// Two and three links at once, which are common: a variable is loaded, or put before what waits in a temporary.
template <Link::Step then>
double load_and(const Link* at, const double* values, double* temporaries, double) {
  [[clang::musttail]] return then(at + 1, values, temporaries, values[at->index]);
}
template <Link::Step then>
double store_load_and(const Link* at, const double* values, double* temporaries, double acc) {
  temporaries[at->index] = acc;
  [[clang::musttail]] return then(at + 2, values, temporaries, values[at[1].index]);
}

#undef MG_NEXT

struct Steps {
  Link::Step alone;
  Link::Step after_load = nullptr;
  Link::Step after_store_load = nullptr;
};
template <Link::Step step>
constexpr Steps kSteps{step, load_and<step>, store_load_and<step>};

template <From from>
Steps steps_of(Op op) {
  switch (op) {
    case Op::kLoad:
      return {load<from>};
    case Op::kAdd:
      return kSteps<sum<Op::kAdd, from>>;
    case Op::kSub:
      return kSteps<sum<Op::kSub, from>>;
    case Op::kSubR:
      return kSteps<sum<Op::kSubR, from>>;
    case Op::kMul:
      return kSteps<product<Op::kMul, from>>;
    case Op::kDiv:
      return kSteps<product<Op::kDiv, from>>;
    case Op::kDivR:
      return kSteps<product<Op::kDivR, from>>;
    case Op::kMod:
      return {rare<Op::kMod, from>};
    case Op::kModR:
      return {rare<Op::kModR, from>};
    case Op::kPow:
      return {rare<Op::kPow, from>};
    case Op::kPowR:
      return {rare<Op::kPowR, from>};
    case Op::kMax:
      return {rare<Op::kMax, from>};
    default:
      return {rare<Op::kMin, from>};
  }
}

Steps steps_of_one(Op op) {
  switch (op) {
    case Op::kNegate:
      return {one_argument<Op::kNegate>};
    case Op::kSin:
      return {one_argument<Op::kSin>};
    case Op::kCos:
      return {one_argument<Op::kCos>};
    case Op::kTan:
      return {one_argument<Op::kTan>};
    case Op::kCot:
      return {one_argument<Op::kCot>};
    case Op::kSec:
      return {one_argument<Op::kSec>};
    case Op::kCsc:
      return {one_argument<Op::kCsc>};
    case Op::kAbs:
      return {one_argument<Op::kAbs>};
    case Op::kCeil:
      return {one_argument<Op::kCeil>};
    case Op::kFloor:
      return {one_argument<Op::kFloor>};
    case Op::kRound:
      return {one_argument<Op::kRound>};
    case Op::kSqrt:
      return {one_argument<Op::kSqrt>};
    case Op::kCbrt:
      return {one_argument<Op::kCbrt>};
    default:
      return {one_argument<Op::kRadians>};
  }
}

}  // namespace

bool begins_percentage(const Code& code, std::size_t at) {
  const Instruction& in = code.instructions[at];
  if (in.op != Op::kDiv || in.space != Space::kConstant) return false;
  const double by = code.constants[in.index];
  if (by != 10 && by != 100 && by != 1000) return false;
  const Instruction& then = code.instructions[at + 1];  // There is one: the last returns.
  return (then.op == Op::kAdd || then.op == Op::kSub || then.op == Op::kSubR) && then.space == Space::kConstant &&
         is_plain(code.constants[then.index]);
}

std::vector<Link> make_chain(const Code& code) {
  std::vector<Link> chain;
  if (!code.calls.empty() || !code.shelters.empty() || code.temporaries > kChainTemporaries) {
    chain.push_back({.step = give_up, .index = 0});
    return chain;
  }
  chain.reserve(code.instructions.size());
  for (std::size_t at = 0; at < code.instructions.size(); ++at) {
    const Instruction& in = code.instructions[at];
    Link link{};
    link.index = in.index;
    Steps steps{};
    if (in.op == Op::kReturn) {
      steps = {last};
    } else if (in.op == Op::kStore) {
      steps = {store};
    } else if (in.op >= Op::kNegate) {
      steps = steps_of_one(in.op);
    } else if (in.space == Space::kVariable) {
      steps = steps_of<From::kVariable>(in.op);
    } else if (in.space == Space::kTemporary) {
      steps = steps_of<From::kTemporary>(in.op);
    } else {
      link.constant = code.constants[in.index];
      steps = is_plain(link.constant) ? steps_of<From::kPlain>(in.op) : steps_of<From::kConstant>(in.op);
    }
    if (begins_percentage(code, at)) {
      const Op then = code.instructions[at + 1].op;
      steps = then == Op::kAdd   ? kSteps<percentage<Op::kAdd>>
              : then == Op::kSub ? kSteps<percentage<Op::kSub>>
                                 : kSteps<percentage<Op::kSubR>>;
    }
    link.step = steps.alone;
    // Those before stay as they are, and are passed over.
    if (steps.after_load != nullptr && at >= 1 && chain[at - 1].step == load<From::kVariable>) {
      chain[at - 1].step = steps.after_load;
      if (at >= 2 && chain[at - 2].step == store) chain[at - 2].step = steps.after_store_load;
    }
    chain.push_back(link);
  }
  return chain;
}

}  // namespace mg::formula::detail
