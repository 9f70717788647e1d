#include "mg/utils/formula/formula.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "utils/formula/builder.h"
#include "utils/formula/chain.h"
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

[[gnu::noinline]] Result<double> refuse_count(const Code& code, std::size_t count) {
  return fail(code::kInvalid, "formula wants {} values, got {}", code.variables.size(), count);
}

[[gnu::noinline]] Result<double> run(const Code& code, std::span<const double> values) {
  Machine machine(code, values);
  const double value = machine.run();
  if (machine.failed()) [[unlikely]]
    return std::unexpected(machine.error());
  return value;
}

// As many as asked for, on the heap only when there are more than N.
template <class T, std::size_t N>
class SmallArray {
 public:
  explicit SmallArray(std::size_t size) : size_(size) {
    if (size > N) many_.resize(size);
  }
  std::span<T> span() { return {size_ > N ? many_.data() : few_.data(), size_}; }
  T& operator[](std::size_t i) { return span()[i]; }

 private:
  std::array<T, N> few_;
  std::vector<T> many_;
  std::size_t size_;
};

}  // namespace

const std::vector<std::string>& Program::variables() const {
  return code_->variables;
}

bool Program::uses(std::size_t index) const {
  return index < code_->used.size() && code_->used[index];
}

Result<double> Program::evaluate(std::span<const double> values) const {
  if (values.size() != code_->variables.size()) [[unlikely]]
    return refuse_count(*code_, values.size());
  const double value = run_chain(code_->chain, values.data());
  if (value == value) [[likely]]
    return value;
  return run(*code_, values);
}

Result<Batch> Program::evaluate_columns(std::span<const std::span<const double>> columns, std::span<double> out) const {
  const Code& code = *code_;
  if (columns.size() != code.variables.size()) {
    return fail(code::kInvalid, "formula wants {} columns, got {}", code.variables.size(), columns.size());
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].size() != out.size()) {
      return fail(code::kInvalid, "column `{}` has {} rows, the output {}", code.variables[i], columns[i].size(),
                  out.size());
    }
  }
  Batch batch;
  SmallArray<double, 16> row(columns.size());
  const auto failed_at = [&](std::size_t index) {
    out[index] = std::numeric_limits<double>::quiet_NaN();
    if (batch.failed++ != 0) return;
    // Once more for the error: a fault of a row is always the same.
    for (std::size_t i = 0; i < columns.size(); ++i) row[i] = columns[i][index];
    Machine machine(code, row.span());
    machine.run();
    batch.first_failed = index;
    batch.error = machine.error();
  };
  if (!runs_in_blocks(code)) {
    for (std::size_t index = 0; index < out.size(); ++index) {
      for (std::size_t i = 0; i < columns.size(); ++i) row[i] = columns[i][index];
      Machine machine(code, row.span());
      out[index] = machine.run();
      if (!machine.failed()) continue;
      out[index] = std::numeric_limits<double>::quiet_NaN();
      if (batch.failed++ != 0) continue;
      batch.first_failed = index;
      batch.error = machine.error();
    }
    return batch;
  }
  SmallArray<const double*, 16> starts(columns.size());
  std::array<bool, kBlockRows> failed;
  for (std::size_t begin = 0; begin < out.size(); begin += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, out.size() - begin);
    for (std::size_t i = 0; i < columns.size(); ++i) starts[i] = columns[i].data() + begin;
    const std::span flags(failed.data(), count);
    run_rows(code, starts.span(), out.subspan(begin, count), flags);
    if (std::ranges::find(flags, true) == flags.end()) continue;
    for (std::size_t i = 0; i < count; ++i) {
      if (flags[i]) failed_at(begin + i);
    }
  }
  return batch;
}

Result<std::shared_ptr<const Code>> detail::compile_code(std::string_view text, const Options& options) {
  Memory memory;
  auto code = std::make_shared<Code>();
  if (auto ok = build(text, options, memory, *code); !ok) return std::unexpected(std::move(ok.error()));
  code->chain = make_chain(*code);
  return code;
}

Result<Program> compile(std::string_view text, const Options& options) {
  auto code = compile_code(text, options);
  if (!code) return std::unexpected(std::move(code.error()));
  return Program(std::move(*code));
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
