#include "mg/utils/formula/table.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/escape.h"

namespace mg::formula {
namespace {

// Compiles every row: `use(row, program)` for a good one, `refuse(problem)` for the others.
void compile_rows(std::span<const Row> rows, const Options& options, auto&& use, auto&& refuse) {
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto wrong = [&](Error error) { refuse(Problem{i, rows[i].name, std::move(error)}); };
    if (rows[i].name.empty()) {
      wrong(make_error(code::kInvalid, "the formula has no name"));
      continue;
    }
    const auto [first, is_new] = seen.emplace(rows[i].name, i);
    if (!is_new) {
      wrong(make_error(code::kInvalid, fmt::format("row {} has the same name", first->second)));
      continue;
    }
    auto program = compile(rows[i].text, options);
    if (!program) {
      wrong(std::move(program).error());
    } else {
      use(rows[i], *std::move(program));
    }
  }
}

}  // namespace

std::vector<Problem> find_problems(std::span<const Row> rows, const Options& options) {
  std::vector<Problem> problems;
  compile_rows(
      rows, options, [](const Row&, Program) {}, [&](Problem problem) { problems.push_back(std::move(problem)); });
  return problems;
}

Result<Table> Table::load(std::span<const Row> rows, const Options& options) {
  constexpr std::size_t kMostShown = 50;
  Table table;
  std::size_t count = 0;
  std::string list;
  compile_rows(
      rows, options, [&](const Row& row, Program program) { table.programs_.emplace(row.name, std::move(program)); },
      [&](const Problem& problem) {
        if (++count > kMostShown) return;
        list += fmt::format("\nrow {} {}: {}", problem.row, quote(problem.name), problem.error.detail);
      });
  if (count == 0) return table;
  if (count > kMostShown) list += fmt::format("\n… and {} more", count - kMostShown);
  return fail(code::kInvalid, "{} of {} formulas are wrong:{}", count, rows.size(), list);
}

const Program* Table::find(std::string_view name) const {
  const auto found = programs_.find(name);
  return found != programs_.end() ? &found->second : nullptr;
}

Result<double> Table::evaluate(std::string_view name, std::span<const double> values) const {
  const Program* const program = find(name);
  if (program == nullptr) return fail(code::kNotFound, "no formula {}", quote(name));
  return program->evaluate(values);
}

std::vector<std::string> Table::variables() const {
  std::set<std::string_view> names;
  for (const auto& [name, program] : programs_) {
    for (std::size_t i = 0; i < program.variables().size(); ++i) {
      if (program.uses(i)) names.insert(program.variables()[i]);
    }
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> Table::users_of(std::string_view variable) const {
  std::vector<std::string> out;
  for (const auto& [name, program] : programs_) {
    const auto at = std::ranges::find(program.variables(), variable);
    if (at != program.variables().end() && program.uses(static_cast<std::size_t>(at - program.variables().begin()))) {
      out.push_back(name);
    }
  }
  return out;
}

}  // namespace mg::formula
