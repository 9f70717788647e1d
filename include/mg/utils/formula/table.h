// mg/utils/formula/table.h -- a table of named formulas, compiled and checked as a whole.
//
//   const formula::Row rows[] = {{"damage", "atk * (1 + crit/100) - def"}, {"price", "10 * 1.5^level"}};
//   Result<formula::Table> table = formula::Table::load(rows, {.any_variable = true});   // one error names all faults
//   Result<double> cost = table->find("price")->evaluate({3});
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"
#include "mg/utils/formula/formula.h"

namespace mg::formula {

// Shape: any name but "", used once in a table.
struct Row {
  std::string name;
  std::string text;
};

// What is wrong with a row.
struct Problem {
  std::size_t row = 0;  // Its index.
  std::string name;
  Error error;
};

// Every row that is not right, in their order; empty when all are. Compiles them all.
std::vector<Problem> find_problems(std::span<const Row> rows, const Options& options = {});

// Formulas by name. To load a changed table, make a new one: programs that were taken from the old one stay good.
// Threads: const-shared. Cost: find is one search in a map; keep the Program where speed counts.
class Table {
 public:
  Table() = default;

  // Errors: kInvalid  some rows are wrong: how many, then a paragraph for each, up to 50
  static Result<Table> load(std::span<const Row> rows, const Options& options = {});

  // nullptr: there is none of that name. Lifetime: the table's.
  const Program* find(std::string_view name) const;
  // Errors: kNotFound  no formula of that name; as Program::evaluate
  Result<double> evaluate(std::string_view name, std::span<const double> values = {}) const;

  // The names of all variables that any formula uses, sorted.
  std::vector<std::string> variables() const;
  // The names of the formulas that use a variable, sorted.
  std::vector<std::string> users_of(std::string_view variable) const;

  std::size_t size() const { return programs_.size(); }
  auto begin() const { return programs_.begin(); }  // Pairs of name and Program, by name.
  auto end() const { return programs_.end(); }

 private:
  std::map<std::string, Program, std::less<>> programs_;
};

}  // namespace mg::formula
