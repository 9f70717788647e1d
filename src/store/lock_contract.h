// store/lock_contract.h -- what every lock::Backend does, and the locks on it.
//
//   INSTANTIATE_TEST_SUITE_P(Redis, LockContract, ::testing::Values(LockBackendKind{"Redis", [] { return ...; }}), …);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mg/store/lock.h"
#include "runtime/testing.h"

namespace mg::lock {

class BackendUnderTest {
 public:
  virtual ~BackendUnderTest() = default;
  virtual Loop& loop() = 0;
  virtual Backend& one() = 0;
  virtual Backend& other() = 0;            // As of another process.
  virtual bool listens() { return true; }  // Whether who waits is told by now when a lock is given up.
};

struct LockBackendKind {
  std::string name;
  std::function<std::unique_ptr<BackendUnderTest>()> make;
};

class LockContract : public ::testing::TestWithParam<LockBackendKind> {
 protected:
  template <class T>
  Result<T> wait(Task<Result<T>> task) {
    return mg::testing::await_on(under_->loop(), std::move(task));
  }
  template <class Done>
  bool until(Done done) {
    return mg::testing::run_until(under_->loop(), done);
  }
  Deadline soon() { return Deadline::after(under_->loop().clock(), std::chrono::seconds(10)); }
  ~LockContract() override {
    const auto drain = [](Locks& locks, Deadline deadline) -> Task<Result<void>> {
      co_await locks.drain(deadline);
      co_return Result<void>();
    };
    (void)wait(drain(locks_, soon()));
    (void)wait(drain(others_, soon()));
  }

  std::unique_ptr<BackendUnderTest> under_ = GetParam().make();
  Locks locks_{under_->loop(), under_->one()};
  Locks others_{under_->loop(), under_->other()};
};

}  // namespace mg::lock
