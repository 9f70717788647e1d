#include "mg/utils/formula/formula.h"

#include <gmock/gmock.h>
#include <pthread.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>
#include <random>
#include <thread>

#include "base/allocation_counter.h"
#include "mg/utils/formula/table.h"
#include "utils/formula/code.h"
#include "utils/formula/reference_tree.h"

namespace mg::formula {
namespace {

using mg::testing::allocations;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

// On a thread with a stack of 256 KiB (what `ulimit -s 256` gives).
void on_a_small_stack(std::function<void()> body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* argument) -> void* {
                  (*static_cast<std::function<void()>*>(argument))();
                  return nullptr;
                },
                &body),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Formula, ComputesWithVariables) {
  const auto damage = compile("atk * (1 + crit/100) - def", {.variables = {"atk", "crit", "def"}});
  ASSERT_TRUE(damage) << damage.error().detail;
  EXPECT_EQ(*damage->evaluate({120, 35, 40}), 122);
  EXPECT_EQ(*damage->evaluate({100, 0, 0}), 100);
  EXPECT_THAT(damage->variables(), ElementsAre("atk", "crit", "def"));
}

TEST(Formula, FindsItsVariablesInTheOrderOfUse) {
  const auto got = compile("b + a*b + c_1", {.variables = {"z"}, .any_variable = true});
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_THAT(got->variables(), ElementsAre("z", "b", "a", "c_1"));
  EXPECT_FALSE(got->uses(0));
  EXPECT_TRUE(got->uses(3));
  EXPECT_FALSE(got->uses(4));
  EXPECT_EQ(*got->evaluate({0, 2, 3, 4}), 12);
}

TEST(Formula, NamesMayBeUtf8) {
  const auto got = compile("攻击 * 2 - 防御", {.variables = {"攻击", "防御"}});
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(*got->evaluate({10, 5}), 15);
}

TEST(Formula, WantsAsManyValuesAsVariables) {
  const auto got = compile("a+b", {.any_variable = true});
  EXPECT_EQ(got->evaluate({1}).error().code, code::kInvalid);
  EXPECT_THAT(got->evaluate({1, 2, 3}).error().detail, HasSubstr("2 values, got 3"));
  EXPECT_EQ(*got->evaluate({1, 2}), 3);
}

TEST(Formula, NamesThatCannotBeVariablesAreRefused) {
  for (const char* name : {"", "1a", "pi", "sin", "max", "a b", "a-b", "\xff"}) {
    EXPECT_FALSE(compile("1", {.variables = {name}})) << name;
  }
  EXPECT_FALSE(compile("1", {.variables = {"a", "a"}}));
  EXPECT_FALSE(compile("x")) << "no variables were declared";
  EXPECT_FALSE(compile("max", {.any_variable = true})) << "a function is no variable";
  EXPECT_FALSE(compile("a(1)", {.any_variable = true})) << "a variable is no function";
}

TEST(Formula, ErrorsPointToThePlace) {
  const auto got = compile("1 + 2 * foo(3)");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, code::kInvalid);
  const std::string& text = got.error().detail;
  EXPECT_THAT(text, HasSubstr("foo"));
  EXPECT_THAT(text, HasSubstr("\n1 + 2 * foo(3)\n           ^\n"));
}

TEST(Formula, ConstantsAreFolded) {
  const auto got = compile("x * (2^10 + max(3, 4) - sin(0)) + 0*5", {.any_variable = true});
  ASSERT_TRUE(got);
  EXPECT_EQ(*got->evaluate({2}), 2056);
  EXPECT_FALSE(compile("noerr(1/0)", {}).value().evaluate().value());
  // What fails does so when evaluated, not before.
  const auto failing = compile("x + 1/0", {.any_variable = true});
  ASSERT_TRUE(failing);
  EXPECT_THAT(failing->evaluate({1}).error().detail, HasSubstr("division by zero"));
}

TEST(Formula, EvaluatesWithoutAllocation) {
  Functions functions;
  ASSERT_TRUE(functions.add("twice", [](double x) { return 2 * x; }));
  const auto got = compile("atk * (1 + crit/100) - def + noerr(1/def) + twice(sqrt(atk)) + 0.1*atk^3 % 7",
                           {.any_variable = true, .functions = &functions});
  ASSERT_TRUE(got) << got.error().detail;
  const double values[] = {120, 35, 40};
  std::vector<double> columns[3];
  for (auto& column : columns) column.assign(1000, 7.25);
  const std::span<const double> spans[] = {columns[0], columns[1], columns[2]};
  std::vector<double> out(1000);
  double sum = 0;
  const std::size_t before = allocations();
  for (int i = 0; i < 100; ++i) sum += *got->evaluate(values);
  const auto batch = got->evaluate_columns(spans, out);
  const std::size_t after = allocations();
  EXPECT_EQ(after, before);
  EXPECT_EQ(batch->failed, 0u);
  EXPECT_GT(sum, 0);
}

TEST(Formula, EvaluatesOnceWithoutAllocationInTheSteadyState) {
  double sum = 0;
  for (int i = 0; i < 3; ++i) sum += *evaluate("max(2^3, 3+abs(-1)*6)");
  const std::size_t before = allocations();
  for (int i = 0; i < 10; ++i) sum += *evaluate("max(2^3, 3+abs(-1)*6)");
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(sum, 13 * 9);
}

// Each way to run over columns that this processor has, with and without wide vector instructions, and for row counts
// that fill no vector.
void expect_same_in_all_ways(std::string_view text, const Options& options,
                             const std::vector<std::vector<double>>& columns, std::span<const double> want) {
  const auto code = detail::compile_code(text, options);
  ASSERT_TRUE(code);
  if (!detail::runs_in_blocks(**code)) return;
  std::size_t way = 0;
  for (const detail::RunRows run : detail::ways_to_run_rows()) {
    ++way;
    for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{61}, detail::kBlockRows}) {
      for (const std::size_t begin : {std::size_t{0}, std::size_t{500}}) {
        const double* const starts[] = {&columns[0][begin], &columns[1][begin], &columns[2][begin]};
        std::array<double, detail::kBlockRows> out;
        std::array<bool, detail::kBlockRows> failed;
        run(**code, starts, std::span(out).first(count), std::span(failed).first(count));
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_TRUE(same(failed[i] ? NAN : out[i], want[begin + i]))
              << text << " of row " << begin + i << " of " << count << ", way " << way << ": " << out[i];
        }
      }
    }
  }
}

// Rows one at a time, in blocks and as a tree give the same bits.
TEST(Formula, ColumnsAgreeWithRows) {
  const std::vector<std::string> formulas = {"a*(1+b/100)-c",
                                             "a/b",
                                             "a%b + c",
                                             "a^b",
                                             "noerr(a/b)+c",
                                             "max(a,b)-min(b,c)",
                                             "-a-(b-(c-(a*b)))",
                                             "sqrt(a)",
                                             "a-b-c",
                                             "abs(a)+ceil(b)",
                                             "0-a",
                                             "1/(a-b)",
                                             "(a+b)*(a-c)/(b+c)-1",
                                             "round(a)",
                                             "sin(a)*cos(b)+tan(c)",
                                             "5",
                                             "a",
                                             "2*3+c*0.1",
                                             "1-b/100",
                                             "a*(2.5+b/1000)+c/10-0.125",
                                             "(a-b)/100-3+c",
                                             "(a*b+c)*(b*c+a)-(c*a+b)*(a*a+b*b)"};
  std::mt19937_64 random(7);
  constexpr std::size_t kRows = 1000;
  std::vector<std::vector<double>> columns(3, std::vector<double>(kRows));
  const double special[] = {0.0,    -0.0,   1,        -1,        0.1, 1e308,
                            -1e308, 5e-324, INFINITY, -INFINITY, NAN, 0.30000000000000004};
  for (int round = 0; round < 4; ++round) {
    for (auto& column : columns) {
      for (auto& x : column) {
        switch ((static_cast<std::size_t>(round) + (random() % 8 == 0 ? 3u : 0u)) % 4) {
          case 0:
            x = static_cast<double>(random() % 2000) - 1000;
            break;
          case 1:
            x = (static_cast<double>(random() % 2'000'000) - 1'000'000) / 1000;
            break;
          case 2:
            x = std::ldexp(static_cast<double>(random()), -40 - static_cast<int>(random() % 60));
            break;
          default:
            x = special[random() % std::size(special)];
        }
      }
    }
    const std::span<const double> spans[] = {columns[0], columns[1], columns[2]};
    for (const auto& text : formulas) {
      const Options options{.variables = {"a", "b", "c"}};
      const auto program = compile(text, options);
      ASSERT_TRUE(program) << program.error().detail;
      std::vector<double> out(kRows);
      const auto batch = program->evaluate_columns(spans, out);
      ASSERT_TRUE(batch);
      std::size_t failed = 0;
      for (std::size_t i = 0; i < kRows; ++i) {
        const double row[] = {columns[0][i], columns[1][i], columns[2][i]};
        const auto one = program->evaluate(row);
        ASSERT_TRUE(same(one.value_or(NAN), out[i]))
            << text << " of " << row[0] << ' ' << row[1] << ' ' << row[2] << ": " << one.value_or(NAN) << " " << out[i];
        if (i % 16 == 0) {
          const auto tree = testing::evaluate_tree(text, options, {row[0], row[1], row[2]});
          ASSERT_EQ(tree.failed(), !one) << text;
          if (one) ASSERT_TRUE(same(*one, tree.value)) << text << ' ' << row[0] << ' ' << row[1] << ' ' << row[2];
        }
        if (!one && failed++ == 0) {
          EXPECT_EQ(batch->first_failed, i) << text;
          EXPECT_EQ(batch->error.detail, one.error().detail);
        }
      }
      EXPECT_EQ(batch->failed, failed) << text;
      expect_same_in_all_ways(text, options, columns, out);
    }
  }
}

TEST(Formula, ColumnsMustBeAsManyAndAsLong) {
  const auto program = compile("a+b", {.any_variable = true});
  const std::vector<double> two{1, 2};
  const std::vector<double> three{1, 2, 3};
  std::vector<double> out(2);
  const std::span<const double> one_column[] = {two};
  EXPECT_EQ(program->evaluate_columns(one_column, out).error().code, code::kInvalid);
  const std::span<const double> uneven[] = {two, three};
  EXPECT_THAT(program->evaluate_columns(uneven, out).error().detail, HasSubstr("`b` has 3 rows"));
  const std::span<const double> good[] = {two, two};
  ASSERT_TRUE(program->evaluate_columns(good, out));
  EXPECT_THAT(out, ElementsAre(2, 4));
  const std::span<const double> empty[] = {{}, {}};
  EXPECT_TRUE(program->evaluate_columns(empty, {}));
}

TEST(Formula, FaultsAreErrorsNeverAValue) {
  for (const char* text : {"1/0", "0/0", "5%0", "(1e308*10)-(1e308*10)", "0*(1e308*10)", "sqrt(0-1)+1"}) {
    const auto got = evaluate(text);
    EXPECT_FALSE(got) << text;
    EXPECT_EQ(*evaluate("noerr(" + std::string(text) + ")"), 0) << text;
  }
  EXPECT_TRUE(std::isinf(*evaluate("1e308*10")));
  EXPECT_TRUE(std::isnan(*evaluate("sqrt(0-1)")));
  for (const char* text : {"noerr()", "sin", "sin()", "sin(1,2)", "max(1)", "max(1,2,3)", "foo(1)", "1+foo", "", " ",
                           "max(1 2)", "2 3", "(", ")", "()", "1,2", "+1"}) {
    EXPECT_FALSE(evaluate(text)) << text;
  }
  EXPECT_DOUBLE_EQ(*evaluate("2^-1"), 0.5);
  EXPECT_EQ(*evaluate("0^-1"), 0);
}

TEST(Formula, DepthAndLengthAreBoundedOnASmallStack) {
  on_a_small_stack([] {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(evaluate(repeat("(", 100'000)).error().detail, HasSubstr("deep"));
    EXPECT_THAT(evaluate(repeat("-", 100'000) + "1").error().detail, HasSubstr("deep"));
    EXPECT_THAT(evaluate(repeat("sin(", 25'000)).error().detail, HasSubstr("deep"));
    EXPECT_EQ(*evaluate("1" + repeat("^1", 50'000)), 1);
    EXPECT_EQ(*evaluate("0" + repeat("+1", 50'000)), 50'000);
    EXPECT_FALSE(evaluate(std::string(1 << 20, '1')));
    EXPECT_EQ(*evaluate(repeat("(", 5'000) + "7" + repeat(")", 5'000)), 7);
    // All of it, under sanitizers, takes a fraction of this.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  });
}

TEST(Formula, LazyCallsInOneAnotherAreBoundedOnASmallStack) {
  Functions functions;
  ASSERT_TRUE(functions.add_lazy("id", Arity::exactly(1), [](const Arguments& a) { return a[0]; }));
  on_a_small_stack([&] {
    const Options options{.functions = &functions};
    EXPECT_EQ(*evaluate(repeat("id(", 16) + "7" + repeat(")", 16), options), 7);
    EXPECT_FALSE(evaluate(repeat("id(", 1000) + "7" + repeat(")", 1000), options));
  });
}

TEST(Formula, LazyFunctionsChooseWhatIsComputed) {
  Functions functions;
  ASSERT_TRUE(functions.add_lazy("if", Arity::exactly(3), [](const Arguments& a) -> Result<double> {
    const auto test = a[0];
    return !test ? test : a[*test != 0 ? 1 : 2];
  }));
  const auto got = compile("if(x, 10/x, 0-1)", {.any_variable = true, .functions = &functions});
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(*got->evaluate({4}), 2.5);
  EXPECT_EQ(*got->evaluate({0}), -1);
}

TEST(Formula, FunctionsThatThrowOrComeBackAreFine) {
  Functions functions;
  ASSERT_TRUE(functions.add("boom", [](double) -> double { throw std::runtime_error("no powder"); }));
  ASSERT_TRUE(functions.add("odd", [](double) -> double { throw 7; }));
  ASSERT_TRUE(functions.add("again", [](double x) { return evaluate("1+1").value_or(0) + x; }));
  const Options options{.functions = &functions};
  EXPECT_THAT(evaluate("1+boom(1)", options).error().detail, HasSubstr("no powder"));
  EXPECT_FALSE(evaluate("odd(1)", options));
  EXPECT_EQ(*evaluate("noerr(boom(1))+1", options), 1);
  EXPECT_EQ(*evaluate("again(3)*2", options), 10);
}

TEST(Formula, ProgramsAreSharedByThreads) {
  const auto program = compile("a*(1+b/100)-c+noerr(1/(a-a))", {.variables = {"a", "b", "c"}});
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        if (*program->evaluate({100.0 + t, 50, 10}) != (100.0 + t) * 1.5 - 10) ++wrong;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(FormulaTable, LoadsAndFinds) {
  const Row rows[] = {{"damage", "atk * (1 + crit/100) - def"}, {"price", "10 * 2^level"}, {"one", "1"}};
  const auto table = Table::load(rows, {.any_variable = true});
  ASSERT_TRUE(table) << table.error().detail;
  EXPECT_EQ(table->size(), 3u);
  const double level[] = {3};
  EXPECT_EQ(*table->evaluate("price", level), 80);
  EXPECT_EQ(table->find("nothing"), nullptr);
  EXPECT_EQ(table->evaluate("nothing").error().code, code::kNotFound);
  EXPECT_THAT(table->variables(), ElementsAre("atk", "crit", "def", "level"));
  EXPECT_THAT(table->users_of("level"), ElementsAre("price"));
}

TEST(FormulaTable, OneErrorNamesEveryFault) {
  const Row rows[] = {{"good", "1+x"}, {"bad", "1+"}, {"worse", "(1"}, {"good", "2"}, {"", "3"}, {"typo", "mx(1,2)"}};
  const Options options{.variables = {"x"}};
  const auto problems = find_problems(rows, options);
  ASSERT_EQ(problems.size(), 4u) << "an operator at the end is ignored, as ever";
  EXPECT_EQ(problems[0].row, 2u);
  EXPECT_EQ(problems[1].name, "good");
  const auto table = Table::load(rows, options);
  ASSERT_FALSE(table);
  const std::string& text = table.error().detail;
  EXPECT_THAT(text, HasSubstr("4 of 6 formulas are wrong"));
  for (const char* part : {"row 2 \"worse\"", "row 3 \"good\": row 0 has the same name", "row 4", "row 5 \"typo\""}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(FormulaTable, TheListOfFaultsIsBounded) {
  std::vector<Row> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back({fmt::format("f{}", i), "1+*"});
  const auto table = Table::load(rows);
  ASSERT_FALSE(table);
  EXPECT_THAT(table.error().detail, HasSubstr("and 950 more"));
}

}  // namespace
}  // namespace mg::formula
