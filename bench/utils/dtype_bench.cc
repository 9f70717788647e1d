// Conversions beside std::from_chars.
#include <charconv>
#include <random>
#include <string>
#include <vector>

#include "mg/utils/dtype/dtype.h"
#include "utils/bench_case.h"

namespace mg::bench {

void dtype_rows(Report& report) {
  std::mt19937_64 random(1);
  std::vector<std::string> whole;
  std::vector<std::string> floats;
  for (int i = 0; i < 1000; ++i) {
    whole.push_back(std::to_string(static_cast<std::int64_t>(random()) >> (random() % 60)));
    floats.push_back(fmt::format("{:.{}f}", static_cast<double>(random() % 1'000'000'000) / 1000, random() % 6 + 1));
  }
  const auto each = [](const std::vector<std::string>& texts, auto convert) {
    return [&texts, convert] {
      for (const std::string& text : texts) keep(convert(text));
    };
  };
  const auto from_chars = []<class T>(const std::string& text, T value) {
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  report.row({"dtype: parse int64", 1.3}, 1000,
             each(whole, [](const std::string& text) { return dtype::parse<std::int64_t>(text); }),
             each(whole, [=](const std::string& text) { return from_chars(text, std::int64_t{}); }));
  report.row({"dtype: read int64", 1.3}, 1000,
             each(whole, [](const std::string& text) { return dtype::read<std::int64_t>(text).value_or(0); }),
             each(whole, [=](const std::string& text) { return from_chars(text, std::int64_t{}); }));
  report.row({"dtype: parse double", 1.3}, 1000,
             each(floats, [](const std::string& text) { return dtype::parse<double>(text); }),
             each(floats, [=](const std::string& text) { return from_chars(text, double{}); }));
  report.row({"dtype: read double", 1.3}, 1000,
             each(floats, [](const std::string& text) { return dtype::read<double>(text).value_or(0); }),
             each(floats, [=](const std::string& text) { return from_chars(text, double{}); }));
}

}  // namespace mg::bench
