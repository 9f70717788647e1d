// bench/utils/bench_case.h -- one row of the toolbox's benchmark: ours and the yardstick, measured in turns.
//
//   report.row({"parse int", 1.3}, 1000, [] { ... 1000 times }, [] { ... });
//   keep(result);                        // The compiler must compute it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mg::bench {

template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

struct Settings {
  bool quick = false;
  std::string only;
};

struct RowName {
  std::string_view name;
  double bar = 0;  // Of the ratio of times, or of the nanoseconds when there is no yardstick; 0: none.
};

class Report {
 public:
  explicit Report(Settings settings) : settings_(std::move(settings)) {}

  bool wanted(std::string_view name) const { return name.find(settings_.only) != name.npos; }

  // Each function does its work `count` times. Prints nanoseconds for one.
  void row(const RowName& name, std::size_t count, const std::function<void()>& ours,
           const std::function<void()>& yardstick = nullptr) {
    if (!wanted(name.name)) return;
    const int rounds = settings_.quick ? 5 : 15;
    std::vector<double> us;
    std::vector<double> them;
    for (int i = -1; i < rounds; ++i) {  // The first round only warms up.
      const double mine = once(ours, count);
      const double other = yardstick ? once(yardstick, count) : 0;
      if (i < 0) continue;
      us.push_back(mine);
      if (yardstick) them.push_back(other);
    }
    print(name, "ns", us, them);
  }
  // What was measured otherwise: `measure` gives one value. The first round only warms up.
  void figure(const RowName& name, std::string_view unit, const std::function<double()>& measure) {
    if (!wanted(name.name)) return;
    std::vector<double> values;
    measure();
    for (int i = 0; i < (settings_.quick ? 3 : 15); ++i) values.push_back(measure());
    print(name, unit, values, {});
  }

 private:
  double once(const std::function<void()>& work, std::size_t count) const {
    using Clock = std::chrono::steady_clock;
    const auto enough = std::chrono::milliseconds(settings_.quick ? 10 : 40);
    const auto begin = Clock::now();
    std::size_t times = 0;
    do {
      work();
      ++times;
    } while (Clock::now() - begin < enough);
    return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / static_cast<double>(times * count);
  }
  static void print(const RowName& name, std::string_view unit, const std::vector<double>& us,
                    const std::vector<double>& them) {
    std::printf(R"({"name":"%.*s","unit":"%.*s","bar":%g,"values":)", static_cast<int>(name.name.size()),
                name.name.data(), static_cast<int>(unit.size()), unit.data(), name.bar);
    print(us);
    std::printf(R"(,"yardstick":)");
    print(them);
    std::printf("}\n");
    std::fflush(stdout);
  }
  static void print(const std::vector<double>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) std::printf("%c%.5g", i == 0 ? '[' : ',', values[i]);
    std::printf(values.empty() ? "[]" : "]");
  }

  Settings settings_;
};

void formula_rows(Report& report);
void dtype_rows(Report& report);
void jwt_rows(Report& report);
void log_rows(Report& report);
void multi_rows(Report& report);

}  // namespace mg::bench
