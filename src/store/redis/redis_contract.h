// store/redis/redis_contract.h -- what every redis::Redis does: one suite for a client of a server and for the twin.
//
//   INSTANTIATE_TEST_SUITE_P(Server, RedisContract, ::testing::Values(Backend{"Server", [] { return ...; }}), name);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "mg/store/redis/redis.h"
#include "runtime/testing.h"

namespace mg::redis {

// An empty database on a loop.
class RedisUnderTest {
 public:
  virtual ~RedisUnderTest() = default;
  virtual Loop& loop() = 0;
  virtual Redis& redis() = 0;
  // Another client of the same data.
  virtual Redis& other() = 0;
  // Lets keys' time go by.
  virtual void pass(std::chrono::milliseconds time) = 0;
};

struct RedisBackend {
  std::string name;
  std::function<std::unique_ptr<RedisUnderTest>()> make;
};

inline std::string redis_backend_name(const ::testing::TestParamInfo<RedisBackend>& info) {
  return info.param.name;
}

class RedisContract : public ::testing::TestWithParam<RedisBackend> {
 protected:
  // The value of a task that is to succeed.
  template <class T>
  T get(Task<Result<T>> task) {
    Result<T> got = mg::testing::await_on(under_->loop(), std::move(task));
    if (!got) {
      ADD_FAILURE() << to_json(got.error());
      if constexpr (!std::is_void_v<T>) return T{};
    }
    if constexpr (!std::is_void_v<T>) return *std::move(got);
  }
  // The error of one that is to fail.
  template <class T>
  Error error(Task<Result<T>> task) {
    Result<T> got = mg::testing::await_on(under_->loop(), std::move(task));
    EXPECT_FALSE(got);
    return got ? Error{} : got.error();
  }
  // What a command answers, as a text: 3, "x", (nil), [1 "a"], OK, !ERR …
  std::string run(std::initializer_list<std::string_view> arguments) {
    auto got = mg::testing::await_on(under_->loop(), r().command(Command(arguments)));
    if (!got) return "!" + got.error().detail;
    return shown(*got);
  }
  static std::string shown(const Reply& reply) {
    switch (reply.kind) {
      case Reply::Kind::kNull:
        return "(nil)";
      case Reply::Kind::kStatus:
        return reply.text;
      case Reply::Kind::kBulk:
        return "\"" + reply.text + "\"";
      case Reply::Kind::kInteger:
        return std::to_string(reply.integer);
      case Reply::Kind::kError:
        return "!" + reply.text;
      case Reply::Kind::kArray:
        break;
    }
    std::string out = "[";
    for (const auto& item : reply.items) out += (out.size() > 1 ? " " : "") + shown(item);
    return out + "]";
  }
  Redis& r() { return under_->redis(); }

  std::unique_ptr<RedisUnderTest> under_ = GetParam().make();
};

}  // namespace mg::redis
