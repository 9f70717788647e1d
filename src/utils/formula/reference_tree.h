// utils/formula/reference_tree.h -- for tests: formulas as trees, computed by the plainest definitions.
//
//   const Outcome want = evaluate_tree("1 + x/3", options, {2.0});
//   // What the compiled program must give too: the value, or the text of the error.
//
// Shares the parser with the compiled program, and nothing of folding, instructions and shortcuts of arithmetic.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numbers>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/check.h"
#include "mg/base/error.h"
#include "mg/utils/formula/formula.h"
#include "utils/formula/arithmetic.h"
#include "utils/formula/builder.h"
#include "utils/formula/code.h"
#include "utils/formula/lexer.h"
#include "utils/formula/parser.h"

namespace mg::formula::testing {

struct Outcome {
  double value = 0;
  std::string error;          // Empty: there is a value.
  bool beyond_int64 = false;  // Some % had an operand that is no int64, where the original's result is chance.
  bool failed() const { return !error.empty(); }
};

struct Node {
  enum class Kind { kNumber, kVariable, kNegate, kBinary, kBuiltIn, kFunction };
  Kind kind;
  double number = 0;
  std::size_t variable = 0;
  char op = 0;
  const detail::BuiltIn* built_in = nullptr;
  std::shared_ptr<const detail::Function> function{};
  std::vector<std::unique_ptr<Node>> children{};
};

class TreeBuilder {
 public:
  TreeBuilder(const Options& options, detail::Variables& variables) : options_(options), variables_(variables) {}

  void number(double value) { push({.kind = Node::Kind::kNumber, .number = value}); }
  bool name(std::string_view name, bool use) {
    if (const double* constant = detail::find_constant(name)) {
      if (use) number(*constant);
      return true;
    }
    const auto index = variables_.find(name, use);
    if (index >= 0 && use) push({.kind = Node::Kind::kVariable, .variable = static_cast<std::size_t>(index)});
    return index >= 0;
  }
  detail::CallShape begin_call(std::string_view name, bool use) {
    Node node{.kind = Node::Kind::kBuiltIn, .built_in = detail::find_built_in(name)};
    detail::CallShape shape{.known = true};
    if (node.built_in != nullptr) {
      shape.arity = Arity::exactly(node.built_in->arguments);
    } else if (options_.functions != nullptr && (node.function = options_.functions->find(name))) {
      node.kind = Node::Kind::kFunction;
      shape.arity = node.function->arity;
    } else {
      return {};
    }
    if (use) calls_.push_back(std::move(node));
    return shape;
  }
  void end_argument() {}
  void end_call(std::size_t count) {
    Node node = std::move(calls_.back());
    calls_.pop_back();
    take(node, count);
    push(std::move(node));
  }
  void negate() {
    Node node{.kind = Node::Kind::kNegate};
    take(node, 1);
    push(std::move(node));
  }
  void binary(char op) {
    Node node{.kind = Node::Kind::kBinary, .op = op};
    take(node, 2);
    push(std::move(node));
  }
  std::string_view refusal() const { return {}; }

  const Node& root() const { return *stack_.back(); }

 private:
  void push(Node node) { stack_.push_back(std::make_unique<Node>(std::move(node))); }
  void take(Node& node, std::size_t count) {
    for (auto at = stack_.end() - static_cast<std::ptrdiff_t>(count); at != stack_.end(); ++at) {
      node.children.push_back(std::move(*at));
    }
    stack_.resize(stack_.size() - count);
  }

  const Options& options_;
  detail::Variables& variables_;
  std::vector<std::unique_ptr<Node>> stack_;
  std::vector<Node> calls_;
};

class TreeEvaluator {
 public:
  TreeEvaluator(const Options& options, std::span<const double> values) : options_(options), values_(values) {}

  Outcome run(const Node& root) {
    Outcome out;
    if (!visit(root, out.value)) out.error = error_;
    out.beyond_int64 = beyond_int64_;
    return out;
  }

 private:
  static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

  // The recursion of squaring, as the definition has it.
  static double square_up(double x, std::uint64_t times) {
    if (times == 0) return 1;
    const double half = square_up(x, times / 2);
    return times % 2 == 0 ? half * half : half * half * x;
  }

  double operate(char op, double a, double b) {
    switch (op) {
      case '+':
        return detail::add_exact(a, b);
      case '-':
        return detail::add_exact(a, -b);
      case '*':
        return detail::multiply_rare(a, b);
      case '/':
        return b == 0 ? kNan : detail::divide_rare(a, b);
      case '%':
        if (!(std::abs(a) < 0x1p63) || !(std::abs(b) < 0x1p63)) beyond_int64_ = true;
        if (std::isnan(a) || std::isinf(a) || !(std::abs(b) >= 1)) return kNan;
        return std::fmod(std::trunc(a), std::trunc(b)) + 0.0;
      default:
        break;
    }
    const double n = std::trunc(b);
    if (std::isnan(n)) return kNan;
    if (a == 0) return 0;
    if (std::abs(n) >= 0x1p63) return detail::power(a, n);
    const auto times = static_cast<std::uint64_t>(std::abs(n));
    return n < 0 ? 1 / square_up(a, times) : square_up(a, times);
  }

  bool fail(std::string text) {
    error_ = std::move(text);
    return false;
  }

  bool visit(const Node& node, double& value) {
    using detail::Op;
    double a = 0;
    double b = 0;
    switch (node.kind) {
      case Node::Kind::kNumber:
        value = node.number;
        return true;
      case Node::Kind::kVariable:
        value = values_[node.variable];
        return true;
      case Node::Kind::kNegate:
        if (!visit(*node.children[0], b)) return false;
        value = operate('-', 0, b);
        return !std::isnan(value) || fail(to_error(detail::fault_of('-', 0, b)).detail);
      case Node::Kind::kBinary:
        if (!visit(*node.children[0], a) || !visit(*node.children[1], b)) return false;
        value = operate(node.op, a, b);
        if (!std::isnan(value) || (node.op == '^' && !std::isnan(b))) return true;
        return fail(to_error(detail::fault_of(node.op, a, b)).detail);
      case Node::Kind::kBuiltIn:
        break;
      case Node::Kind::kFunction:
        return call(node, value);
    }
    if (!visit(*node.children[0], a)) {
      if (node.built_in->op != Op::kReturn) return false;
      value = 0;  // noerr
      return true;
    }
    if (node.built_in->op == Op::kReturn) {
      value = a;
    } else if (node.children.size() == 2) {
      if (!visit(*node.children[1], b)) return false;
      value = detail::apply_binary(node.built_in->op, a, b);
    } else {
      if (node.built_in->angle && options_.angle == Angle::kDegrees) a = a / 180 * std::numbers::pi;
      value = detail::apply_unary(node.built_in->op, a);
    }
    return true;
  }

  // Functions of the user with lazy arguments are known by their names here.
  bool call(const Node& node, double& value) {
    if (node.function->lazy) {
      if (node.function->name == "Seven") {
        value = 7;
        return true;
      }
      return visit(*node.children[0], value);  // first
    }
    std::vector<double> arguments(node.children.size());
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!visit(*node.children[i], arguments[i])) return false;
    }
    try {
      const auto got = node.function->values(arguments);
      if (!got) return fail(got.error().detail);
      value = *got;
    } catch (const std::exception& thrown) {
      return fail(thrown.what());
    }
    return true;
  }

  const Options& options_;
  std::span<const double> values_;
  std::string error_;
  bool beyond_int64_ = false;
};

// Requires: as many values as the formula has variables, if it has no error; fewer are followed by ones.
inline Outcome evaluate_tree(std::string_view text, const Options& options, std::vector<double> values = {}) {
  std::vector<std::string> names = options.variables;
  detail::Variables variables(options, names);
  std::vector<detail::Token> tokens;
  std::vector<detail::ParserFrame> frames;
  const bool plain = options.variables.empty() && !options.any_variable;
  if (const auto ok = detail::tokenize(text, plain ? nullptr : &variables, tokens); !ok) return {0, ok.error().detail};
  TreeBuilder builder(options, variables);
  detail::Parser<TreeBuilder> parser(text, tokens, options.limits, builder, frames);
  if (const auto ok = parser.parse(); !ok) return {0, ok.error().detail};
  values.resize(names.size(), 1);
  return TreeEvaluator(options, values).run(builder.root());
}

// The functions of the golden cases.
inline Functions golden_functions() {
  Functions functions;
  const auto added = [](const Result<>& ok) { check(ok.has_value(), "a function of the tests"); };
  added(functions.add("double", [](double x) { return x * 2; }));
  added(functions.add("percentage50", [](double x) { return x / 2; }));
  added(functions.add("avg3", [](double a, double b, double c) { return (a + b + c) / 3; }));
  added(functions.add_lazy("Seven", Arity::exactly(1), [](const Arguments&) { return 7.0; }));
  added(functions.add_lazy("first", Arity::exactly(2), [](const Arguments& arguments) { return arguments[0]; }));
  added(functions.add("boomErr", Arity::exactly(1), [](std::span<const double>) -> Result<double> {
    return mg::fail(code::kInvalid, "boom error");
  }));
  added(functions.add("boomStr", Arity::exactly(1),
                      [](std::span<const double>) -> Result<double> { throw std::runtime_error("boom text"); }));
  added(functions.add("under_score", [](double x) { return x + 1; }));
  return functions;
}

}  // namespace mg::formula::testing
