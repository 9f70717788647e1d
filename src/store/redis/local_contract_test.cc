// The twin does what the server does.
#include "mg/store/redis/local/local.h"
#include "store/redis/redis_contract.h"

namespace mg::redis {
namespace {

class TwinUnderTest final : public RedisUnderTest {
 public:
  Loop& loop() override { return loop_; }
  Redis& redis() override { return one_; }
  Redis& other() override { return other_; }
  void pass(std::chrono::milliseconds time) override {
    const auto end = std::chrono::steady_clock::now() + time;
    mg::testing::run_until(loop_, [&] { return std::chrono::steady_clock::now() > end; });
  }

 private:
  Loop loop_;
  LocalData data_;
  Local one_{loop_, data_};
  Local other_{loop_, data_};
};

INSTANTIATE_TEST_SUITE_P(Twin, RedisContract,
                         ::testing::Values(RedisBackend{"Twin", [] { return std::make_unique<TwinUnderTest>(); }}),
                         redis_backend_name);

}  // namespace
}  // namespace mg::redis
