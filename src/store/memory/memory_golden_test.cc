// The Go original's answers about the memory store (tests/golden/memory.json), and where we answer otherwise on
// purpose: what has expired is found nowhere, and looking at a record in its last moment does not make it live for
// ever; integers are clamped where Go's wrap, a boolean is 1 or 0, every number but 0 is true (as GoldenDtype).
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/src.hpp>
#include <charconv>
#include <map>
#include <string>

#include "base/golden.h"
#include "mg/store/memory/memory.h"

namespace mg::memory {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

json::array golden_cases() {
  const json::value file = json::parse(golden::text("memory.json"));
  EXPECT_FALSE(file.at("cases").as_array().empty()) << "memory.json";
  return file.at("cases").as_array();
}

std::string text_of(const json::value& value) {
  return std::string(value.as_string());
}

Value value_from(const json::object& input) {
  const std::string type = text_of(input.at("type"));
  if (type == "nil" || (input.contains("nil") && input.at("nil").as_bool() && type != "[]uint8")) return nullptr;
  if (input.contains("items")) {
    dtype::List items;
    for (const auto& item : input.at("items").as_array()) items.push_back(*value_from(item.as_object()).value());
    return items;
  }
  if (type == "[]uint8") {
    Octets octets;
    const std::string hex = text_of(input.at("hex"));
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      octets.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return octets;
  }
  if (type == "bool") return input.at("value").as_bool();
  if (type == "float64") return std::bit_cast<double>(std::stoull(text_of(input.at("bits")), nullptr, 16));
  if (type == "float32") {
    return std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(text_of(input.at("bits")), nullptr, 16)));
  }
  if (input.contains("json")) return *dtype::parse_json(text_of(input.at("json")));
  const std::string text = text_of(input.at("value"));
  if (type.starts_with("uint")) return std::stoull(text);
  if (type.starts_with("int")) return std::stoll(text);
  return text;
}

std::string error_text(const Error& error) {
  return fmt::format(R"({{"code":{},"status":"{}","detail":"{}"}})", error.code, error.status, error.detail);
}

// One sequence of steps: the store, and what a record's life should be.
class Sequence {
 public:
  explicit Sequence(const json::object& item) : id_(text_of(item.at("id"))) {}

  void run(const json::array& steps) {
    for (const auto& step : steps) {
      SCOPED_TRACE(fmt::format("{} step {}", id_, number_++));
      one(step.as_object());
    }
  }

 private:
  struct Life {
    Clock::TimePoint begin;
    Clock::Duration expiry{0};
  };
  bool expired(const std::string& key) const {
    const auto at = lives_.find(key);
    return at != lives_.end() && at->second.expiry.count() > 0 && clock_.now() - at->second.begin > at->second.expiry;
  }
  static std::vector<std::string> keys_of(const json::object& step) {
    std::vector<std::string> keys;
    for (const auto& key : step.at("keys").as_array()) keys.push_back(text_of(key));
    return keys;
  }

  // What Go answered, without what has expired.
  void expect_records(std::vector<Record> got, const json::object& step, bool sorted) {
    std::vector<const json::object*> want;
    for (const auto& record : step.at("records").as_array()) {
      if (!expired(text_of(record.at("key")))) want.push_back(&record.as_object());
    }
    if (sorted) std::ranges::sort(got, {}, &Record::key);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].key, text_of(want[i]->at("key")));
      EXPECT_EQ(got[i].value, value_from(want[i]->at("value").as_object()));
      EXPECT_EQ(got[i].expiry, milliseconds(want[i]->at("expiry_ms").to_number<std::int64_t>()));
    }
  }

  void put(const json::object& record) {
    const std::string key = text_of(record.at("key"));
    const auto* expiry = record.if_contains("expiry_ms");
    const milliseconds time(expiry ? expiry->to_number<std::int64_t>() : 0);
    lives_[key] = {clock_.now(), time};
    EXPECT_TRUE(store_.set(key, value_from(record.at("value").as_object()), time));
  }

  template <class T>
  void typed(const json::object& step) {
    const std::string key = text_of(step.at("key"));
    const auto got = store_.parse<T>(key);
    if (step.contains("error") || expired(key)) {
      ASSERT_FALSE(got);
      EXPECT_EQ(got.error().code, code::kNotFound);
      return;
    }
    ASSERT_TRUE(got);
    const auto raw = store_.get(key);
    if constexpr (std::same_as<T, bool>) {
      const bool number = raw->value() && raw->value()->is_number();
      EXPECT_EQ(*got, number ? raw->template parse<double>() != 0 : step.at("result").as_bool());
    } else {
      typed_integer(*got, *raw, text_of(step.at("result")));
    }
  }

  template <class T>
  void typed_integer(T got, const Value& raw, const std::string& go) {
    const auto wide = raw.parse<std::int64_t>();
    if (raw.value() && raw.value()->is_bool()) {
      EXPECT_EQ(got, raw.value()->as_bool() ? 1 : 0);
    } else if (wide == std::numeric_limits<std::int64_t>::max() && std::unsigned_integral<T>) {
      EXPECT_EQ(got,
                static_cast<T>(std::min<std::uint64_t>(raw.parse<std::uint64_t>(), std::numeric_limits<T>::max())));
    } else if (!std::in_range<T>(wide)) {
      EXPECT_EQ(got, wide < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max()) << "clamped, not " << go;
    } else {
      EXPECT_EQ(std::to_string(got), go);
    }
  }

  void one(const json::object& step) {
    const std::string op = text_of(step.at("op"));
    if (op == "sleep_ms") {
      clock_.advance(milliseconds(step.at("ms").to_number<std::int64_t>()));
    } else if (op == "set") {
      put(step);
    } else if (op == "write") {
      for (const auto& record : step.at("records").as_array()) put(record.as_object());
    } else if (op == "delete") {
      const auto keys = keys_of(step);
      store_.remove(keys);
      for (const auto& key : keys) lives_.erase(key);
    } else if (op == "get") {
      const auto got = store_.get(text_of(step.at("key")));
      if (step.contains("error")) {
        ASSERT_FALSE(got);
        EXPECT_EQ(error_text(got.error()), text_of(step.at("error")));
      } else if (expired(text_of(step.at("key")))) {
        EXPECT_FALSE(got);
      } else {
        ASSERT_TRUE(got);
        EXPECT_EQ(*got, value_from(step.at("result").as_object()));
      }
    } else if (op == "read") {
      const auto keys = keys_of(step);
      const auto got = store_.read(keys);
      if (step.contains("error")) {
        ASSERT_FALSE(got);
        EXPECT_EQ(error_text(got.error()), text_of(step.at("error")));
      } else if (std::ranges::any_of(keys, [&](const auto& key) { return expired(key); })) {
        EXPECT_FALSE(got);
      } else {
        ASSERT_TRUE(got);
        expect_records(*got, step, false);
      }
    } else if (op == "list") {
      expect_records(store_.list(), step, true);
    } else if (op == "new_record") {
      put(step);
    } else if (op == "check_state") {
      const std::vector<std::string> keys{text_of(step.at("key"))};
      const auto got = store_.read(keys);
      ASSERT_EQ(got.has_value(), step.at("result").as_bool() && !expired(keys[0]));
      if (got) {
        EXPECT_EQ(got->front().expiry, milliseconds(step.at("expiry_ms").to_number<std::int64_t>()));
      }
    } else if (op == "int") {
      typed<std::int64_t>(step);
    } else if (op == "int32") {
      typed<std::int32_t>(step);
    } else if (op == "int64") {
      typed<std::int64_t>(step);
    } else if (op == "uint32") {
      typed<std::uint32_t>(step);
    } else if (op == "uint64") {
      typed<std::uint64_t>(step);
    } else if (op == "bool") {
      typed<bool>(step);
    } else {
      ADD_FAILURE() << "unknown step " << op;
    }
  }

  std::string id_;
  int number_ = 0;
  ManualClock clock_;
  Store store_{{.clock = &clock_}};
  std::map<std::string, Life> lives_;
};

TEST(GoldenMemory, Steps) {
  for (const auto& item : golden_cases()) {
    Sequence sequence(item.as_object());
    sequence.run(item.at("steps").as_array());
  }
}

}  // namespace
}  // namespace mg::memory
