// Any text as a formula: the compiled program, its evaluation over columns and the plain tree agree to the bit, or fail
// alike.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "mg/utils/formula/formula.h"
#include "utils/formula/reference_tree.h"

namespace {

namespace formula = mg::formula;

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

const formula::Functions kFunctions = formula::testing::golden_functions();

void compare(std::string_view text, const formula::Options& options, const double (&numbers)[3]) {
  const auto tree = formula::testing::evaluate_tree(text, options, {numbers, numbers + 3});
  const auto program = formula::compile(text, options);
  if (!program) {
    if (!tree.failed() || tree.error != program.error().detail) std::abort();
    return;
  }
  std::vector<double> values(numbers, numbers + 3);
  values.resize(program->variables().size(), 1);
  const auto got = program->evaluate(values);
  if (got.has_value() == tree.failed()) std::abort();
  if (got ? !same(*got, tree.value) : got.error().detail != tree.error) std::abort();
  if (values.empty()) {
    const auto once = formula::evaluate(text, options);
    if (once.has_value() != got.has_value() || (got && !same(*got, *once))) std::abort();
  }
  std::vector<std::span<const double>> columns;
  for (const double& value : values) columns.emplace_back(&value, 1);
  double out[1];
  const auto batch = program->evaluate_columns(columns, out);
  if (!batch || (batch->failed == 0) != got.has_value() || !same(out[0], got.value_or(NAN))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 25) return 0;
  double numbers[3];
  std::memcpy(numbers, data, sizeof numbers);
  const auto angle = data[24] % 2 == 0 ? formula::Angle::kRadians : formula::Angle::kDegrees;
  const std::string_view text(reinterpret_cast<const char*>(data + 25), size - 25);
  const formula::Limits limits{.max_length_bytes = 4096, .max_depth = 500};
  compare(text, {.variables = {"a", "b", "c"}, .functions = &kFunctions, .angle = angle, .limits = limits}, numbers);
  compare(text, {.any_variable = true, .functions = &kFunctions, .angle = angle, .limits = limits}, numbers);
  compare(text, {.limits = limits}, numbers);
  return 0;
}
