// Any formula that is one, over rows of any numbers: the instructions, the chain of functions and each way to run over
// columns agree to the bit in every row; the plain tree agrees in the first.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "utils/formula/chain.h"
#include "utils/formula/code.h"
#include "utils/formula/reference_tree.h"

namespace {

using namespace mg::formula::detail;
namespace formula = mg::formula;

constexpr std::size_t kColumns = 3;
constexpr std::size_t kMostRows = kBlockRows;

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

// The input, octet for octet; then zeros.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  std::uint8_t octet() { return at_ == end_ ? std::uint8_t{0} : *at_++; }
  std::uint64_t word(int octets) {
    std::uint64_t out = 0;
    while (octets-- > 0) out = out << 8 | octet();
    return out;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

void append_formula(Input& input, int depth, std::string& out) {
  static constexpr const char* kNames[] = {"a", "b", "c"};
  static constexpr const char* kNumbers[] = {"0",  "1",   "2",    "10",   "100",      "1000",  "0.5",    "0.1",
                                             "15", "0.3", "7.25", "1e22", "0.000001", "1e308", "1e-310", "123456.789"};
  static constexpr const char* kOperators[] = {"+", "-", "*", "/", "%", "^", "+", "-", "*", "/"};
  static constexpr const char* kFunctions[] = {"-", "abs", "ceil", "floor", "round", "sqrt", "cbrt", "sin"};
  const std::uint8_t octet = input.octet();
  switch (depth > 0 ? octet % 8 : octet % 2) {
    case 0:
      out += kNames[octet / 8 % std::size(kNames)];
      return;
    case 1:
      out += kNumbers[octet / 8 % std::size(kNumbers)];
      return;
    case 2:
      out += kFunctions[octet / 8 % std::size(kFunctions)];
      out += '(';
      append_formula(input, depth - 1, out);
      break;
    case 3:
      out += octet / 8 % 2 == 0 ? "max(" : "min(";
      append_formula(input, depth - 1, out);
      out += ',';
      append_formula(input, depth - 1, out);
      break;
    default:
      out += '(';
      append_formula(input, depth - 1, out);
      out += kOperators[octet / 8 % std::size(kOperators)];
      append_formula(input, depth - 1, out);
      break;
  }
  out += ')';
}

// Of one kind for most of a column, as tables are, so that the quick ways are taken, too.
void fill(Input& input, std::vector<double>& column) {
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr double kSpecial[] = {0.0,    -0.0,      1,          0.1,        -100,   0x1p39, 0x1p52, 1e-308,
                                        5e-324, kInfinity, -kInfinity, 1.7976e308, 0x1p63, 1e-22,  0.7,    NAN};
  static constexpr double kTens[] = {1, 10, 100, 1000};
  const std::uint8_t kind = input.octet();
  std::uint64_t state = input.word(4) | 1;
  for (double& x : column) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t random = state ^ state >> 29;
    const unsigned chosen = random % 16 == 0 ? kind / 8U : kind % 8U;  // Now and then another one.
    switch (chosen % 8) {
      case 0:
        x = static_cast<double>(static_cast<std::int64_t>(random >> 48) - 0x8000);
        break;
      case 1:
      case 2:
        x = (static_cast<double>(random >> 40) - 0x800000) / kTens[random >> 8 & 3];
        break;
      case 3:
        x = std::bit_cast<double>(random);
        break;
      case 4:
        x = std::ldexp(static_cast<double>(random >> 11), static_cast<int>(random & 127) - 110);
        break;
      case 5:
        x = std::nextafter(static_cast<double>(random >> 44) / 1000, (random & 1) != 0 ? kInfinity : -kInfinity);
        break;
      case 6:
        x = kSpecial[random >> 32 & 15];
        break;
      default:
        x = std::bit_cast<double>(input.word(8));
        break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::size_t rows = input.octet() % kMostRows + 1;
  std::vector<double> columns[kColumns];
  for (auto& column : columns) {
    column.resize(rows);
    fill(input, column);
  }
  std::string text;
  append_formula(input, 4, text);
  const formula::Options options{.variables = {"a", "b", "c"}};
  const auto code = compile_code(text, options);
  if (!code) std::abort();

  std::vector<double> want(rows);
  std::vector<char> failed(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const double values[] = {columns[0][i], columns[1][i], columns[2][i]};
    Machine machine(**code, values);
    want[i] = machine.run();
    failed[i] = machine.failed();
    if (i == 0) {
      const auto tree = formula::testing::evaluate_tree(text, options, {values, values + kColumns});
      if (tree.failed() != machine.failed()) std::abort();
      if (tree.failed() ? tree.error != machine.error().detail : !same(tree.value, want[0])) std::abort();
    }
    const double got = run_chain((*code)->chain, values);
    // It may give up, and does where there is a fault.
    if (failed[i] ? !std::isnan(got) : !std::isnan(got) && !same(got, want[i])) std::abort();
  }
  if (!runs_in_blocks(**code)) return 0;
  const double* const starts[] = {columns[0].data(), columns[1].data(), columns[2].data()};
  for (const RunRows run : ways_to_run_rows()) {
    std::vector<double> out(rows);
    std::array<bool, kMostRows> flags;
    run(**code, starts, out, std::span(flags).first(rows));
    for (std::size_t i = 0; i < rows; ++i) {
      if (flags[i] != (failed[i] != 0) || (!flags[i] && !same(out[i], want[i]))) std::abort();
    }
  }
  return 0;
}
