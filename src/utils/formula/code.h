// utils/formula/code.h -- a compiled formula: instructions of a machine with one accumulator.
//
//   Machine machine(code, values);
//   double x = machine.run();
//   if (machine.failed()) return machine.error();
//
// "atk * (1 + crit/100) - def" is: load crit; / 100; + 1; * atk; - def. The other operand is a variable, a constant or
// a temporary: one of three arrays. A part that does not depend on variables is computed while compiling, unless it
// fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/utils/formula/formula.h"
#include "utils/formula/fault.h"

namespace mg::formula::detail {

// acc: the accumulator; x: the operand. Those with R have the operands the other way round.
enum class Op : std::uint8_t {
  kLoad,   // acc = x
  kStore,  // temporaries[index] = acc
  kAdd,    // acc = acc + x
  kSub,
  kSubR,  // acc = x - acc
  kMul,
  kDiv,
  kDivR,
  kMod,
  kModR,
  kPow,
  kPowR,
  kMax,
  kMin,
  kNegate,  // acc = 0 - acc
  kSin,
  kCos,
  kTan,
  kCot,
  kSec,
  kCsc,
  kAbs,
  kCeil,
  kFloor,
  kRound,
  kSqrt,
  kCbrt,
  kRadians,   // acc = acc degrees
  kCall,      // acc = calls[index] of temporaries
  kLazyCall,  // acc = calls[index] of blocks; goes on behind them
  kReturn,    // The end of the code, or of an argument of a lazy call.
};

enum class Space : std::uint8_t { kVariable, kConstant, kTemporary };

struct Instruction {
  Op op;
  Space space = Space::kConstant;
  bool swapped = false;  // x stands before acc in the text, which matters only to messages.
  std::uint32_t index = 0;
};

// A function of the user. One of both is set.
struct Function {
  std::string name;
  Arity arity;
  Functions::Values values;
  Functions::Lazy lazy;
};

struct CallSite {
  std::shared_ptr<const Function> function;
  std::uint32_t count = 0;
  std::uint32_t first = 0;  // Of its temporaries; of a lazy call, in `blocks`.
  std::uint32_t after = 0;  // Of a lazy call: the instruction behind it.
};

// noerr: a fault from `begin` to before `end` makes acc 0 and goes on at `end`.
struct Shelter {
  std::uint32_t begin;
  std::uint32_t end;
};

// One step of a chain (chain.h).
struct Link {
  using Step = double (*)(const Link* at, const double* values, double* temporaries, double acc);
  Step step;
  union {
    double constant;
    std::uint64_t index;  // Of a variable or temporary.
  };
};

struct Code {
  std::vector<Instruction> instructions;
  std::vector<double> constants;
  std::vector<CallSite> calls;
  std::vector<std::uint32_t> blocks;  // Where the arguments of lazy calls begin.
  std::vector<Shelter> shelters;
  std::vector<std::uint32_t> shelter_of;  // By instruction: 1 + the innermost, 0 none. Empty: there are no shelters.
  std::uint32_t temporaries = 0;          // That are alive at a time, at most.
  std::vector<std::string> variables;
  std::vector<bool> used;
  std::vector<Link> chain;  // make_chain, where it is to be run often.

  void clear();  // Keeps the memory.
};

// What compile() makes a Program of.
Result<std::shared_ptr<const Code>> compile_code(std::string_view text, const Options& options);

// acc op x. NaN may be a fault: is_fault says.
double apply_binary(Op op, double acc, double x);
double apply_unary(Op op, double acc);
bool is_fault(Op op, double acc, double x, double result);
Fault fault_of(Op op, double acc, double x);  // Requires: is_fault.

// One evaluation.
class Machine {
 public:
  // Lifetime: both outlive it. Requires: as many values as the code has variables.
  Machine(const Code& code, std::span<const double> values) : code_(code), values_(values.data()) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  double run();
  bool failed() const { return fault_.kind != FaultKind::kNone; }
  Error error();  // Takes it out. Requires: failed().

  // Argument `index` of a lazy call that is running. Errors: what it fails with.
  Result<double> argument(const CallSite& site, std::size_t index);

 private:
  double run_from(std::uint32_t begin);
  double call(const CallSite& site, bool lazy);

  const Code& code_;
  const double* values_;
  double* temporaries_ = nullptr;
  Fault fault_;
  std::unique_ptr<Error> error_;  // Of FaultKind::kFunction.
};

// A lazy call that is running: what Arguments looks at.
struct LazyCall {
  Machine& machine;
  const CallSite& site;
};

// As Machine, for up to kBlockRows rows at a time: sets failed[i] where row i has a fault.
// Requires: runs_in_blocks(code), as many columns as variables, columns, out and failed equally long.
inline constexpr std::size_t kBlockRows = 128;
inline constexpr std::uint32_t kBlockTemporaries = 16;
inline bool runs_in_blocks(const Code& code) {
  return code.calls.empty() && code.shelters.empty() && code.temporaries <= kBlockTemporaries;
}
void run_rows(const Code& code, std::span<const double* const> columns, std::span<double> out, std::span<bool> failed);

// The ways to do it that this processor has, the one that run_rows takes last: all give the same bits.
using RunRows = decltype(&run_rows);
std::span<const RunRows> ways_to_run_rows();

}  // namespace mg::formula::detail
