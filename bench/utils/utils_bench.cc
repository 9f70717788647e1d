// The toolbox beside what it is measured against: one line of JSON for each row, read by bench/utils.py.
//   utils_bench [--quick] [--only WORD]
#include <CLI/CLI.hpp>
#include <iostream>

#include "utils/bench_case.h"

int main(int argc, char** argv) {
  CLI::App app("Benchmarks of the toolbox.");
  mg::bench::Settings settings;
  app.add_flag("--quick", settings.quick, "fewer and shorter runs");
  app.add_option("--only", settings.only, "only rows whose name has this in it");
  CLI11_PARSE(app, argc, argv);
  mg::bench::Report report(settings);
  mg::bench::formula_rows(report);
  mg::bench::dtype_rows(report);
  mg::bench::jwt_rows(report);
  mg::bench::multi_rows(report);
  mg::bench::log_rows(report);
}
