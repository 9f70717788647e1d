// utils/formula/parser.h -- the grammar: tokens to a stream of postfix events, without recursion.
//
//   Builder sink(...);   // Gets number(1), number(2), binary('+') for "1 + 2".
//   Result<> ok = Parser<Builder>(text, tokens, limits, sink, frames).parse();
//
// The shape is that of the Go original's recursive descent, quirks and errors included: it goes on after an error, the
// last one is told. Its calls are frames on a stack of our own, so that depth costs memory and never the stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mg/utils/formula/formula.h"
#include "utils/formula/lexer.h"

namespace mg::formula::detail {

// What begin_call says of a function.
struct CallShape {
  bool known = false;
  Arity arity{};
};

inline std::string arity_text(Arity arity) {
  if (arity.least == arity.most) return fmt::format("{}", arity.least);
  if (arity.most == Arity::kMany) return fmt::format("{} or more", arity.least);
  return fmt::format("{} to {}", arity.least, arity.most);
}

// A function of recursive descent that waits for what it called.
struct ParserFrame {
  enum class Kind : std::uint8_t {
    kExpression,   // One operand has come; operators follow.
    kOperators,    // An expression whose operators are being read.
    kMinus,        // Unary.
    kParenthesis,  // Waits for its expression.
    kCall,         // Waits for an argument.
    kRight,        // A binary operator waits for its right operand.
    kRightTail,    // ... for what binds closer than it, after that operand.
  };

  Kind kind;
  char op = 0;                  // kRight, kRightTail
  std::uint8_t floor = 0;       // Of the loop of operators: those that bind less end it.
  bool nothing = false;         // Its left operand is missing (an error has been told).
  std::uint32_t count = 0;      // kCall: arguments.
  const Token* name = nullptr;  // kCall
  Arity arity{};
};

// Sink, which after an error is only asked what it knows (`use` is false):
//   void number(double)                   a value
//   bool name(std::string_view, bool use)  the value of a constant or variable; false: there is none of that name
//   CallShape begin_call(std::string_view, bool use)
//   void end_argument()                   the last value is an argument of the innermost call
//   void end_call(std::size_t count)
//   void negate()                         0 - the last value
//   void binary(char op)                  of the last two values
//   std::string_view refusal()            why it can take no more; empty: it can
template <class Sink>
class Parser {
 public:
  // Lifetime: all outlive it. `frames` is for it alone, to reuse the memory.
  Parser(std::string_view text, const std::vector<Token>& tokens, const Limits& limits, Sink& sink,
         std::vector<ParserFrame>& frames)
      : text_(text), tokens_(tokens), limits_(limits), sink_(sink), frames_(frames) {
    frames_.clear();
  }

  Result<> parse() {
    if (tokens_.empty()) return fail(code::kInvalid, "empty token");
    run();
    if (error_.empty() && missing_comma_ != nullptr) {
      set_error(*missing_comma_, "want ',' or ')' but get {}", missing_comma_->view(text_));
    }
    if (!error_.empty()) return std::unexpected(make_error(code::kInvalid, error_ + caret_lines(text_, error_at_)));
    return {};
  }

 private:
  using Frame = ParserFrame;
  using Kind = ParserFrame::Kind;
  enum class Step : std::uint8_t { kExpression, kPrimary, kReturn, kLoop, kArgument, kStop };

  static int precedence(char op) {
    switch (op) {
      case '+':
      case '-':
        return 20;
      case '*':
      case '/':
      case '%':
        return 40;
      case '^':
        return 60;
      default:
        return -1;
    }
  }

  bool good() const { return error_.empty(); }
  const Token& current() const { return tokens_[current_]; }
  // The current token stays the last one when there is no next; index_ tells how often that was asked.
  bool next() {
    if (++index_ >= tokens_.size()) return false;
    current_ = index_;
    return true;
  }

  template <class... Args>
  void set_error(const Token& at, fmt::format_string<Args...> text, Args&&... args) {
    error_ = fmt::format(text, std::forward<Args>(args)...) + "\n";
    error_at_ = at.offset;
  }

  void number_error(std::string_view why) {
    const std::string text = number_text(current().view(text_));
    set_error(current(), "strconv.ParseFloat: parsing \"{}\": {}\nwant '(' or '0-9' but get '{}'", text, why, text);
  }

  void run() {
    Step step = Step::kExpression;
    while (step != Step::kStop) {
      switch (step) {
        case Step::kExpression:
          ++expressions_;
          frames_.push_back({Kind::kExpression});
          step = Step::kPrimary;
          break;
        case Step::kPrimary:
          step = primary();
          break;
        case Step::kReturn:
          step = returned();
          break;
        case Step::kLoop:
          step = loop();
          break;
        case Step::kArgument:
          step = argument();
          break;
        case Step::kStop:
          break;
      }
    }
  }

  // Opens a level; kStop if that is one too many.
  Step open(Frame frame, Step then) {
    if (++depth_ > limits_.max_depth) {
      set_error(current(), "nested deeper than {} levels", limits_.max_depth);
      return Step::kStop;
    }
    frames_.push_back(frame);
    return then;
  }

  Step give(bool nothing) {
    nothing_ = nothing;
    return Step::kReturn;
  }

  Step primary() {
    const Token& token = current();
    switch (token.kind) {
      case TokenKind::kName:
        return name(token);
      case TokenKind::kNumber:
        return number(token);
      case TokenKind::kComma:
        set_error(token, "want '(' or '0-9' but get ,");
        return give(true);
      case TokenKind::kOperator:
        break;
    }
    if (token.symbol == '(') {
      if (!next()) {
        set_error(token, "want '0-9' but nothing at all");
        return give(true);
      }
      return open({Kind::kParenthesis}, Step::kExpression);
    }
    if (token.symbol == '-') {
      if (!next()) {
        set_error(token, "want '0-9' but get '-'");
        return give(true);
      }
      return open({Kind::kMinus}, Step::kPrimary);
    }
    number_error("invalid syntax");
    return give(false);
  }

  Step number(const Token& token) {
    double value = 0;
    switch (read_number(token.view(text_), value)) {
      case NumberStatus::kSyntax:
        number_error("invalid syntax");
        return give(false);
      case NumberStatus::kRange:
        number_error("value out of range");
        return give(false);
      case NumberStatus::kOk:
        break;
    }
    if (good()) sink_.number(value);
    next();
    return give(false);
  }

  Step name(const Token& token) {
    next();
    if (current().symbol != '(') {
      if (!sink_.name(token.view(text_), good())) {
        set_error(current(), "const `{}` is undefined", token.view(text_));
      }
      return give(false);
    }
    const CallShape shape = sink_.begin_call(token.view(text_), good());
    if (!shape.known) {
      set_error(current(), "function `{}` is undefined", token.view(text_));
      return give(false);
    }
    if (!sink_.refusal().empty()) {
      set_error(token, "{}", sink_.refusal());
      return Step::kStop;
    }
    next();  // At the end of the text the parenthesis stays, and is told as an operand that is missing.
    return open({.kind = Kind::kCall, .name = &token, .arity = shape.arity}, Step::kExpression);
  }

  // An operand or expression is complete: what waits for it?
  Step returned() {
    if (frames_.empty()) return Step::kStop;
    Frame& frame = frames_.back();
    switch (frame.kind) {
      case Kind::kExpression:
        frame.kind = Kind::kOperators;
        frame.nothing = nothing_;
        return Step::kLoop;
      case Kind::kOperators:
        break;  // Ends in loop().
      case Kind::kMinus:
        if (good()) sink_.negate();
        close();
        return give(false);
      case Kind::kParenthesis:
        close();
        if (nothing_) return give(true);
        if (current().symbol != ')') {
          set_error(current(), "want ')' but get {}", shown(current()));
          return give(true);
        }
        next();
        return give(false);
      case Kind::kCall:
        ++frame.count;
        if (good()) sink_.end_argument();
        return Step::kArgument;
      case Kind::kRight: {
        if (nothing_) {
          frames_.pop_back();
          return end_operators(true);
        }
        const int here = precedence(frame.op);
        if (precedence(current().symbol) > here) {
          frame.kind = Kind::kRightTail;
          frames_.push_back({.kind = Kind::kOperators, .floor = static_cast<std::uint8_t>(here + 1)});
          return Step::kLoop;
        }
        return apply();
      }
      case Kind::kRightTail:
        if (nothing_) {
          frames_.pop_back();
          return end_operators(true);
        }
        return apply();
    }
    return Step::kStop;
  }

  // A binary operator has both operands: back to the loop that read it.
  Step apply() {
    const char op = frames_.back().op;
    frames_.pop_back();
    frames_.back().nothing = false;
    if (good()) sink_.binary(op);
    return Step::kLoop;
  }

  // Operators after an operand, of those that bind at least as the frame's floor.
  Step loop() {
    const Frame& frame = frames_.back();
    const int here = precedence(current().symbol);
    if (here < static_cast<int>(frame.floor)) return end_operators(frame.nothing);
    const char op = current().symbol;
    if (!next()) return end_operators(frame.nothing);  // "1+" is 1.
    frames_.push_back({.kind = Kind::kRight, .op = op});
    return Step::kPrimary;
  }

  // The innermost loop of operators ends, with what it has.
  Step end_operators(bool nothing) {
    const bool whole = frames_.back().floor == 0;  // Of an expression, and not of a right operand.
    frames_.pop_back();
    if (whole && --expressions_ == 0 && index_ != tokens_.size() && good()) {
      set_error(current(), "bad expression, reaching the end or missing the operator");
    }
    return give(nothing);
  }

  // After an argument: the next one, or the end of the call.
  Step argument() {
    Frame& frame = frames_.back();
    while (current().symbol != ')') {
      const Token& separator = current();
      if (!next()) break;
      // The original takes any token for the comma; we tell, but only if nothing else is wrong.
      if (separator.kind != TokenKind::kComma && missing_comma_ == nullptr) missing_comma_ = &separator;
      if (current().kind == TokenKind::kComma) continue;
      return Step::kExpression;
    }
    if (frame.count < frame.arity.least || frame.count > frame.arity.most) {
      set_error(current(), "wrong way calling function `{}`, parameters want {} but get {}", frame.name->view(text_),
                arity_text(frame.arity), frame.count);
    }
    if (good()) sink_.end_call(frame.count);
    next();
    close();
    return give(false);
  }

  void close() {
    frames_.pop_back();
    --depth_;
  }

  std::string shown(const Token& token) const {
    return token.kind == TokenKind::kNumber ? number_text(token.view(text_)) : std::string(token.view(text_));
  }

  std::string_view text_;
  const std::vector<Token>& tokens_;
  const Limits& limits_;
  Sink& sink_;
  std::vector<Frame>& frames_;

  std::size_t index_ = 0;    // How far next() has gone, past the end too.
  std::size_t current_ = 0;  // min(index_, last token)
  std::size_t depth_ = 0;
  std::size_t expressions_ = 0;  // Open.
  bool nothing_ = false;         // What returns is no operand.

  std::string error_;  // The last one; empty: none.
  std::size_t error_at_ = 0;
  const Token* missing_comma_ = nullptr;
};

}  // namespace mg::formula::detail
