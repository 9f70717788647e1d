#include "mg/utils/formula/formula.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "utils/formula/builder.h"
#include "utils/formula/code.h"
#include "utils/formula/lexer.h"
#include "utils/formula/parser.h"

namespace mg::formula {
namespace {

using namespace detail;

// What a compilation needs beside the code.
struct Memory {
  std::vector<Token> tokens;
  std::vector<ParserFrame> frames;
  BuilderMemory builder;
};

// Compiles into `code`, which is empty.
Result<> build(std::string_view text, const Options& options, Memory& memory, Code& code) {
  const Limits& limits = options.limits;
  if (text.size() > limits.max_length_bytes) {
    return fail(code::kInvalid, "formula is {} bytes long, the limit is {}", text.size(), limits.max_length_bytes);
  }
  if (!options.variables.empty()) {
    if (auto ok = check_options(options); !ok) return ok;
  }
  code.variables = options.variables;
  Variables variables(options, code.variables);
  const bool plain = options.variables.empty() && !options.any_variable;
  memory.tokens.clear();
  if (auto ok = tokenize(text, plain ? nullptr : &variables, memory.tokens); !ok) return ok;
  Builder builder(options, variables, code, memory.builder);
  if (auto ok = Parser<Builder>(text, memory.tokens, limits, builder, memory.frames).parse(); !ok) return ok;
  builder.finish();
  return {};
}

Result<double> run(const Code& code, std::span<const double> values) {
  Machine machine(code, values);
  const double value = machine.run();
  if (machine.failed()) [[unlikely]]
    return std::unexpected(machine.error());
  return value;
}

}  // namespace

const std::vector<std::string>& Program::variables() const {
  return code_->variables;
}

bool Program::uses(std::size_t index) const {
  return index < code_->used.size() && code_->used[index];
}

Result<double> Program::evaluate(std::span<const double> values) const {
  if (values.size() != code_->variables.size()) [[unlikely]] {
    return fail(code::kInvalid, "formula wants {} values, got {}", code_->variables.size(), values.size());
  }
  return run(*code_, values);
}

Result<Program> compile(std::string_view text, const Options& options) {
  Memory memory;
  auto code = std::make_shared<Code>();
  if (auto ok = build(text, options, memory, *code); !ok) return std::unexpected(std::move(ok.error()));
  return Program(std::move(code));
}

Result<double> evaluate(std::string_view text, const Options& options) {
  // Most formulas of a table are short: the memory of the last one does for the next. A function of the user may come
  // here again while its caller still runs.
  struct Room {
    Memory memory;
    Code code;
    bool busy = false;
  };
  thread_local Room room;
  constexpr std::size_t kLongText = 4096;
  if (room.busy || text.size() > kLongText) {
    const auto program = compile(text, options);
    return program ? program->evaluate() : Result<double>(std::unexpected(program.error()));
  }
  struct Busy {
    Busy() { room.busy = true; }
    ~Busy() {
      room.code.clear();
      room.busy = false;
    }
  } busy;
  if (auto ok = build(text, options, room.memory, room.code); !ok) return std::unexpected(std::move(ok.error()));
  if (!room.code.variables.empty()) {
    return fail(code::kInvalid, "formula wants {} values, got none", room.code.variables.size());
  }
  return run(room.code, {});
}

}  // namespace mg::formula
