// utils/formula/builder.h -- writes code for what the parser reads.
//
//   Builder builder(options, variables, code, memory);
//   if (auto ok = Parser<Builder>(text, tokens, options.limits, builder, frames).parse(); ok) builder.finish();
//
// Values are kept back as long as they can be operands of an instruction: constants, variables, temporaries; at most
// one is in the accumulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mg/utils/formula/formula.h"
#include "utils/formula/code.h"
#include "utils/formula/lexer.h"
#include "utils/formula/parser.h"

namespace mg::formula::detail {

// A function of the language.
struct BuiltIn {
  std::string_view name;
  std::size_t arguments;
  Op op;  // kReturn: noerr.
  bool angle = false;
};
// Null: there is none of that name.
const BuiltIn* find_built_in(std::string_view name);
// Null: there is none of that name.
const double* find_constant(std::string_view name);

// Errors: kInvalid  a name that no variable can have; one that is used twice, is a constant or a function
Result<> check_options(const Options& options);

// The variables of a formula. The lexer asks which names beyond ASCII letters and digits there are.
class Variables final : public NameRule {
 public:
  // Lifetime: both outlive it. Names that are found are added to `names`, which is to hold those declared.
  Variables(const Options& options, std::vector<std::string>& names);
  bool is_name(std::string_view run) const override;

  // Its index, of one that `add` would add any. Less than 0: there is no such variable, and may not be.
  std::int64_t find(std::string_view name, bool add);

 private:
  void build_index();

  const Options& options_;
  std::vector<std::string>& names_;
  std::map<std::string, std::uint32_t, std::less<>> index_;  // When there are more than a few.
};

// What a builder works with; keep it to reuse the memory.
struct BuilderMemory {
  struct Value {
    enum class Kind : std::uint8_t { kConstant, kVariable, kTemporary, kAccumulator };
    Kind kind;
    double constant = 0;      // kConstant
    std::uint32_t index = 0;  // kVariable, kTemporary
  };
  struct Call {
    const BuiltIn* built_in = nullptr;         // Or:
    std::shared_ptr<const Function> function;  // of the user.
    std::uint32_t begin = 0;                   // Its first instruction.
    std::uint32_t first = 0;                   // Of its temporaries, or in `blocks`.
    std::uint32_t outer_shelter = 0;
  };
  std::vector<Value> values;
  std::vector<Call> calls;
  std::vector<std::uint32_t> blocks;  // Begun, of lazy calls that are open.
};

class Builder {
 public:
  // Lifetime: all outlive it. Requires: check_options(options), an empty code, its variables() apart.
  Builder(const Options& options, Variables& variables, Code& code, BuilderMemory& memory);

  void number(double value) { memory_.values.push_back({Value::Kind::kConstant, value, 0}); }
  bool name(std::string_view name, bool use);
  CallShape begin_call(std::string_view name, bool use);
  void end_argument();
  void end_call(std::size_t count);
  void negate();
  void binary(char op);
  std::string_view refusal() const { return refusal_; }

  // After all: the code is complete.
  void finish();

 private:
  using Value = BuilderMemory::Value;
  using Call = BuilderMemory::Call;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  std::uint32_t here() const { return static_cast<std::uint32_t>(code_.instructions.size()); }
  void push_accumulator();
  Value pop();
  Instruction with(Op op, const Value& operand);
  void emit(Instruction instruction);
  void free_accumulator();        // Its value becomes a temporary.
  void load(const Value& value);  // Into the accumulator. Requires: popped.
  void unary(Op op);
  void binary(Op op, Op swapped);
  void begin_block();

  const Options& options_;
  Variables& variables_;
  Code& code_;
  BuilderMemory& memory_;
  std::size_t in_accumulator_ = kNowhere;  // Which of the values.
  std::uint32_t temporaries_ = 0;          // Alive.
  std::uint32_t shelter_ = 0;              // 1 + the innermost open one.
  std::size_t lazy_depth_ = 0;
  std::string refusal_;
};

}  // namespace mg::formula::detail
