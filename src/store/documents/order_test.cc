#include "mg/store/documents/order.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "mg/store/documents/bson.h"

namespace mg::documents {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Each group is equal within, and less than those after it.
std::vector<Array> ladder() {
  return {{MinKey()},
          {nullptr},
          {std::numeric_limits<double>::quiet_NaN()},
          {-kInfinity},
          {-1e300},
          {kMin, -0x1p63},
          {kMin + 1},
          {-1.5},
          {-1, -1.0, std::int64_t{-1}},
          {-5e-324},
          {0, 0.0, -0.0},
          {0.5},
          {1, 1.0},
          {std::int64_t{1} << 53, 0x1p53},
          {(std::int64_t{1} << 53) + 1},
          {(std::int64_t{1} << 53) + 2, 0x1p53 + 2},
          {kMax - 513},
          {kMax - 1},
          {kMax},
          {0x1p63},
          {kInfinity},
          {Decimal{}},
          {""},
          {std::string("\0", 1)},
          {std::string("\0a", 2)},
          {"a"},
          {std::string("a\0", 2)},
          {"ab"},
          {"b"},
          {"\xC3\xA9"},
          {Document{}},
          {Document{{"a", 1}}},
          {Document{{"a", 1}, {"b", 1}}},
          {Document{{"b", 0}}},
          {Document{{"a", "x"}}},
          {Value(Array{})},
          {Value(Array{1})},
          {Value(Array{1, 1})},
          {Value(Array{2})},
          {Value(Array{"a"})},
          {Binary{}},
          {Binary{.octets = {std::byte{9}}}},
          {Binary{.octets = {std::byte{1}, std::byte{1}}}},
          {ObjectId{}},
          {ObjectId::make()},
          {false},
          {true},
          {Date(std::chrono::milliseconds(-1))},
          {Date(std::chrono::milliseconds(0))},
          {Date(std::chrono::milliseconds(kMax))},
          {Timestamp{1}},
          {Regex{std::string("a\0i", 3)}},
          {MaxKey()}};
}

int sign(int n) {
  return n < 0 ? -1 : static_cast<int>(n > 0);
}

TEST(Order, ValuesAndTheirKeysCompareAlike) {
  const auto steps = ladder();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const int expected = i < k ? -1 : static_cast<int>(i > k);
      for (const Value& a : steps[i]) {
        for (const Value& b : steps[k]) {
          EXPECT_EQ(sign(compare(a, b)), expected) << to_json(a) << " " << to_json(b);
          std::string left, right;
          append_key(left, a);
          append_key(right, b);
          EXPECT_EQ(sign(left.compare(right)), expected) << to_json(a) << " " << to_json(b);
          EXPECT_FALSE(i != k && (left.starts_with(right) || right.starts_with(left)))
              << to_json(a) << " " << to_json(b);
          std::string left_down, right_down;
          append_key(left_down, a, true);
          append_key(right_down, b, true);
          EXPECT_EQ(sign(left_down.compare(right_down)), -expected);
        }
      }
    }
  }
}

}  // namespace
}  // namespace mg::documents
