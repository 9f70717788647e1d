#include "mg/registry/etcd/etcd_registry.h"

#include <atomic>
#include <thread>

#include "mg/runtime/runtime.h"
#include "registry/registry_contract.h"
#include "tests/support/server.h"

namespace mg::registry::etcd {
namespace {

using mg::testing::run_program;
using mg::testing::Server;

constexpr auto kSoon = std::chrono::seconds(15);

// One for all tests that do not harm it; each has keys of its own there.
Server& shared_etcd() {
  static Server server = Server::etcd();
  return server;
}
std::string own_prefix() {
  static int number = 0;
  return "/test" + std::to_string(++number) + "/micro/registry/";
}

std::shared_ptr<EtcdRegistry> connect_now(EtcdOptions options, Loop& loop) {
  auto made = connect(std::move(options), loop);
  EXPECT_TRUE(made) << to_json(made.error());
  const auto ready = testing::await_on(loop, (*made)->ready(Deadline::after(loop.clock(), kSoon)));
  EXPECT_TRUE(ready) << to_json(ready.error());
  EXPECT_TRUE(testing::run_until(loop, [&] { return (*made)->stats().connected; }));
  return *made;
}

class EtcdUnderTest final : public RegistryUnderTest {
 public:
  Loop& loop() override { return loop_; }
  Registry& one() override { return *one_; }
  Registry& other() override { return *other_; }
  void pass(Clock::Duration time) override {
    const auto end = std::chrono::steady_clock::now() + time;
    testing::run_until(loop_, [&] { return std::chrono::steady_clock::now() > end; });
  }

 private:
  const std::string prefix_ = own_prefix();
  Loop loop_;
  std::shared_ptr<EtcdRegistry> one_ = connect_now({.endpoints = {shared_etcd().address()}, .prefix = prefix_}, loop_);
  std::shared_ptr<EtcdRegistry> other_ =
      connect_now({.endpoints = {shared_etcd().address()}, .prefix = prefix_}, loop_);
};

INSTANTIATE_TEST_SUITE_P(Etcd, RegistryContract,
                         ::testing::Values(RegistryBackend{"Etcd", [] { return std::make_unique<EtcdUnderTest>(); }}),
                         registry_backend_name);

}  // namespace
}  // namespace mg::registry::etcd
