// Formulas beside muParser (a compiled expression, its variables bound by address).
#include <muParser.h>

#include <array>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "mg/utils/formula/formula.h"
#include "utils/bench_case.h"

namespace mg::bench {
namespace {

constexpr std::size_t kRows = 1024;
struct Expression {
  std::string_view name;
  const char* text;
  double scale;  // Values are whole numbers times this.
};
constexpr Expression kExpressions[] = {
    {"formula: damage, whole numbers", "atk * (1 + crit/100) - def", 1},
    {"formula: damage, hundredths", "atk * (1 + crit/100) - def", 0.01},
    {"formula: long, whole numbers", "(atk*3 + def*2 + crit) * (atk - def) / (crit + 7) - atk*def*0.5 + 12", 1},
};

}  // namespace

void formula_rows(Report& report) {
  for (const auto& [name, text, scale] : kExpressions) {
    const auto program = formula::compile(text, {.variables = {"atk", "crit", "def"}});
    if (!program) std::abort();
    std::vector<std::array<double, 3>> rows(kRows);
    std::vector<double> columns[3];
    for (std::size_t i = 0; i < kRows; ++i) {
      rows[i] = {static_cast<double>(i * 7919 % 5000) * scale, static_cast<double>(i * 31 % 100) * scale,
                 static_cast<double>(i * 613 % 900) * scale};
      for (std::size_t c = 0; c < 3; ++c) columns[c].push_back(rows[i][c]);
    }
    double variables[3];
    mu::Parser parser;
    parser.DefineVar("atk", &variables[0]);
    parser.DefineVar("crit", &variables[1]);
    parser.DefineVar("def", &variables[2]);
    parser.SetExpr(text);
    const auto theirs = [&] {
      double sum = 0;
      for (const auto& row : rows) {
        std::copy(row.begin(), row.end(), variables);
        sum += parser.Eval();
      }
      keep(sum);
    };
    report.row(
        {name, 1 / 1.5}, kRows,
        [&] {
          double sum = 0;
          for (const auto& row : rows) sum += *program->evaluate(row);
          keep(sum);
        },
        theirs);
    std::vector<double> out(kRows);
    const std::span<const double> spans[] = {columns[0], columns[1], columns[2]};
    report.row(
        {std::string(name) + ", columns", 1 / 1.5}, kRows,
        [&] {
          if (!program->evaluate_columns(spans, out)) std::abort();
          keep(out);
        },
        theirs);
  }
  // The Go engine takes 2.6 µs for the first and more for longer ones on the machine of docs/performance.md.
  static constexpr std::string_view kOnce[] = {"max(2^3, 3+abs(-1)*6)", "1.5*(3+4)/2-7%4", "((1+2)*(3+4)-5)/2^3"};
  report.row(
      {"formula: parse and compute once", 0}, std::size(kOnce),
      [] {
        for (const auto text : kOnce) keep(formula::evaluate(text).value_or(0));
      },
      [] {
        for (const char* text : {"max(2^3, 3+abs(-1)*6)", "1.5*(3+4)/2-7", "((1+2)*(3+4)-5)/2^3"}) {
          mu::Parser parser;
          parser.SetExpr(text);
          keep(parser.Eval());
        }
      });
}

}  // namespace mg::bench
