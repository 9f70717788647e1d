#include "utils/formula/builder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <set>
#include <utility>

#include "base/escape.h"

namespace mg::formula::detail {
namespace {

constexpr std::array kBuiltIns = {
    BuiltIn{"max", 2, Op::kMax},       BuiltIn{"min", 2, Op::kMin},       BuiltIn{"abs", 1, Op::kAbs},
    BuiltIn{"ceil", 1, Op::kCeil},     BuiltIn{"floor", 1, Op::kFloor},   BuiltIn{"round", 1, Op::kRound},
    BuiltIn{"sqrt", 1, Op::kSqrt},     BuiltIn{"cbrt", 1, Op::kCbrt},     BuiltIn{"noerr", 1, Op::kReturn},
    BuiltIn{"sin", 1, Op::kSin, true}, BuiltIn{"cos", 1, Op::kCos, true}, BuiltIn{"tan", 1, Op::kTan, true},
    BuiltIn{"cot", 1, Op::kCot, true}, BuiltIn{"sec", 1, Op::kSec, true}, BuiltIn{"csc", 1, Op::kCsc, true},
};

constexpr double kPi = std::numbers::pi;
constexpr std::size_t kFewNames = 8;

bool is_function(const Options& options, std::string_view name) {
  return find_built_in(name) != nullptr || (options.functions != nullptr && options.functions->find(name) != nullptr);
}

}  // namespace

const BuiltIn* find_built_in(std::string_view name) {
  const auto found = std::ranges::find(kBuiltIns, name, &BuiltIn::name);
  return found == kBuiltIns.end() ? nullptr : &*found;
}

const double* find_constant(std::string_view name) {
  return name == "pi" ? &kPi : nullptr;
}

Result<> check_options(const Options& options) {
  std::set<std::string_view> seen;
  for (const std::string& name : options.variables) {
    if (!is_variable_name(name)) {
      return fail(code::kInvalid, "variable {}: a name has letters, digits and _, and no digit first", quote(name));
    }
    if (find_constant(name) != nullptr) return fail(code::kInvalid, "variable \"{}\": the name is a constant's", name);
    if (is_function(options, name)) return fail(code::kInvalid, "variable \"{}\": the name is a function's", name);
    if (!seen.insert(name).second) return fail(code::kInvalid, "variable \"{}\" is declared twice", name);
  }
  return {};
}

Variables::Variables(const Options& options, std::vector<std::string>& names) : options_(options), names_(names) {
  if (names_.size() > kFewNames) build_index();
}

void Variables::build_index() {
  for (std::uint32_t i = 0; i < names_.size(); ++i) index_.emplace(names_[i], i);
}

bool Variables::is_name(std::string_view run) const {
  if (options_.any_variable && std::ranges::all_of(run, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    return true;
  }
  return index_.empty() ? std::ranges::find(names_, run) != names_.end() : index_.contains(run);
}

std::int64_t Variables::find(std::string_view name, bool add) {
  if (index_.empty()) {
    const auto found = std::ranges::find(names_, name);
    if (found != names_.end()) return found - names_.begin();
  } else if (const auto found = index_.find(name); found != index_.end()) {
    return found->second;
  }
  if (!options_.any_variable || is_function(options_, name)) return -1;
  const auto index = static_cast<std::uint32_t>(names_.size());
  if (!add) return index;
  names_.emplace_back(name);
  if (!index_.empty()) {
    index_.emplace(name, index);
  } else if (names_.size() > kFewNames) {
    build_index();
  }
  return index;
}

Builder::Builder(const Options& options, Variables& variables, Code& code, BuilderMemory& memory)
    : options_(options), variables_(variables), code_(code), memory_(memory) {
  memory_.values.clear();
  memory_.calls.clear();
  memory_.blocks.clear();
}

bool Builder::name(std::string_view name, bool use) {
  if (const double* constant = find_constant(name)) {
    if (use) number(*constant);
    return true;
  }
  const std::int64_t index = variables_.find(name, use);
  if (index < 0) return false;
  if (use) memory_.values.push_back({Value::Kind::kVariable, 0, static_cast<std::uint32_t>(index)});
  return true;
}

CallShape Builder::begin_call(std::string_view name, bool use) {
  Call call;
  CallShape shape{.known = true};
  if (const BuiltIn* built_in = find_built_in(name)) {
    call.built_in = built_in;
    shape.arity = Arity::exactly(built_in->arguments);
  } else if (options_.functions != nullptr && (call.function = options_.functions->find(name))) {
    shape.arity = call.function->arity;
  } else {
    return {};
  }
  if (!use) return shape;
  if (call.function) {
    free_accumulator();
    if (call.function->lazy) {
      if (++lazy_depth_ > options_.limits.max_lazy_depth) {
        refusal_ = fmt::format("calls of functions with lazy arguments are nested deeper than {}",
                               options_.limits.max_lazy_depth);
        return shape;
      }
      call.begin = here();
      emit({.op = Op::kLazyCall});
      call.first = static_cast<std::uint32_t>(memory_.blocks.size());
      call.outer_shelter = std::exchange(shelter_, 0);
      begin_block();
    } else {
      call.first = temporaries_;
    }
  } else if (call.built_in->op == Op::kReturn) {
    free_accumulator();
    call.begin = here();
    call.outer_shelter = shelter_;
    code_.shelters.push_back({here(), here()});
    shelter_ = static_cast<std::uint32_t>(code_.shelters.size());
  }
  memory_.calls.push_back(std::move(call));
  return shape;
}

void Builder::end_argument() {
  const Call& call = memory_.calls.back();
  if (!call.function) return;
  load(pop());
  push_accumulator();
  if (!call.function->lazy) {
    free_accumulator();
    return;
  }
  pop();
  emit({.op = Op::kReturn});
  begin_block();  // Of the next argument, if there is one.
}

void Builder::end_call(std::size_t count) {
  const Call call = std::move(memory_.calls.back());
  memory_.calls.pop_back();
  if (call.function) {
    CallSite site{.function = call.function, .count = static_cast<std::uint32_t>(count)};
    const auto index = static_cast<std::uint32_t>(code_.calls.size());
    if (call.function->lazy) {
      --lazy_depth_;
      shelter_ = call.outer_shelter;
      site.first = static_cast<std::uint32_t>(code_.blocks.size());
      site.after = here();
      const auto blocks = memory_.blocks.begin() + call.first;
      code_.blocks.insert(code_.blocks.end(), blocks, blocks + static_cast<std::ptrdiff_t>(count));
      memory_.blocks.resize(call.first);
      code_.instructions[call.begin].index = index;
    } else {
      for (std::size_t i = 0; i < count; ++i) pop();
      site.first = call.first;
      emit({.op = Op::kCall, .index = index});
    }
    code_.calls.push_back(std::move(site));
    push_accumulator();
    return;
  }
  const BuiltIn& built_in = *call.built_in;
  if (built_in.op == Op::kReturn) {
    if (here() == call.begin) {
      code_.shelters.pop_back();  // A constant or a variable alone: it cannot fail.
    } else {
      load(pop());
      push_accumulator();
      code_.shelters[shelter_ - 1].end = here();
    }
    shelter_ = call.outer_shelter;
  } else if (built_in.arguments == 2) {
    binary(built_in.op, built_in.op);
  } else {
    if (built_in.angle && options_.angle == Angle::kDegrees) unary(Op::kRadians);
    unary(built_in.op);
  }
}

void Builder::negate() {
  unary(Op::kNegate);
}

void Builder::binary(char op) {
  switch (op) {
    case '+':
      return binary(Op::kAdd, Op::kAdd);
    case '-':
      return binary(Op::kSub, Op::kSubR);
    case '*':
      return binary(Op::kMul, Op::kMul);
    case '/':
      return binary(Op::kDiv, Op::kDivR);
    case '%':
      return binary(Op::kMod, Op::kModR);
    default:
      return binary(Op::kPow, Op::kPowR);
  }
}

void Builder::finish() {
  load(pop());
  emit({.op = Op::kReturn});
  if (code_.shelters.empty()) {
    code_.shelter_of.clear();
  } else {
    code_.shelter_of.resize(code_.instructions.size());
  }
  code_.used.resize(code_.variables.size());
}

void Builder::push_accumulator() {
  in_accumulator_ = memory_.values.size();
  memory_.values.push_back({Value::Kind::kAccumulator});
}

Builder::Value Builder::pop() {
  const Value value = memory_.values.back();
  memory_.values.pop_back();
  if (value.kind == Value::Kind::kAccumulator) in_accumulator_ = kNowhere;
  if (value.kind == Value::Kind::kTemporary) temporaries_ = value.index;  // They are a stack as well.
  return value;
}

Instruction Builder::with(Op op, const Value& operand) {
  switch (operand.kind) {
    case Value::Kind::kConstant:
      code_.constants.push_back(operand.constant);
      return {.op = op, .space = Space::kConstant, .index = static_cast<std::uint32_t>(code_.constants.size() - 1)};
    case Value::Kind::kVariable:
      if (code_.used.size() <= operand.index) code_.used.resize(operand.index + 1);
      code_.used[operand.index] = true;
      return {.op = op, .space = Space::kVariable, .index = operand.index};
    case Value::Kind::kTemporary:
    case Value::Kind::kAccumulator:
      break;
  }
  return {.op = op, .space = Space::kTemporary, .index = operand.index};
}

void Builder::emit(Instruction instruction) {
  if (shelter_ != 0) {
    code_.shelter_of.resize(code_.instructions.size());
    code_.shelter_of.push_back(shelter_);
  }
  code_.instructions.push_back(instruction);
}

void Builder::free_accumulator() {
  if (in_accumulator_ == kNowhere) return;
  memory_.values[in_accumulator_] = {Value::Kind::kTemporary, 0, temporaries_};
  in_accumulator_ = kNowhere;
  emit({.op = Op::kStore, .space = Space::kTemporary, .index = temporaries_++});
  code_.temporaries = std::max(code_.temporaries, temporaries_);
}

void Builder::load(const Value& value) {
  if (value.kind == Value::Kind::kAccumulator) return;
  free_accumulator();
  emit(with(Op::kLoad, value));
}

void Builder::unary(Op op) {
  const Value value = pop();
  if (value.kind == Value::Kind::kConstant) {
    const double result = apply_unary(op, value.constant);
    if (!is_fault(op, value.constant, 0, result)) return number(result);
  }
  load(value);
  emit({.op = op});
  push_accumulator();
}

void Builder::binary(Op op, Op swapped) {
  const Value right = pop();
  const Value left = pop();
  if (left.kind == Value::Kind::kConstant && right.kind == Value::Kind::kConstant) {
    const double result = apply_binary(op, left.constant, right.constant);
    if (!is_fault(op, left.constant, right.constant, result)) return number(result);
  }
  if (right.kind == Value::Kind::kAccumulator) {
    Instruction instruction = with(swapped, left);
    instruction.swapped = swapped == op;
    emit(instruction);
  } else {
    load(left);
    emit(with(op, right));
  }
  push_accumulator();
}

void Builder::begin_block() {
  memory_.blocks.push_back(here());
}

}  // namespace mg::formula::detail
