// Calls in the steady state take no memory from the heap.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/allocation_counter.h"
#include "mg/protocol/router.h"
#include "mg/runtime/loop.h"
#include "src/protocol/router_test.pb.h"

namespace mg::protocol {
namespace {

using test::Cancel;
using test::Tree;
using testing::allocations;

class Handler {
 public:
  explicit Handler(Loop& loop) : loop_(loop) {}
  Result<void> Plain_1(AgentMeta&, const Cancel& request, Cancel& reply) {
    reply.set_name(request.name());
    reply.set_nodeid(request.nodeid());
    return {};
  }
  Task<Result<void>> Ready_2(AgentMeta&, const Cancel& request, Cancel& reply) {
    reply.set_name(request.name());
    return Result<void>();
  }
  Result<void> Tree_3(AgentMeta&, const Tree& request, Tree& reply) {
    reply.mutable_numbers()->CopyFrom(request.numbers());
    reply.mutable_texts()->CopyFrom(request.texts());
    for (const Tree& child : request.children()) reply.add_children()->set_name(child.name());
    return {};
  }
  Task<Result<void>> Coroutine_4(AgentMeta&, const Cancel& request, Cancel& reply) {
    reply.set_name(request.name());
    co_return Result<void>();
  }
  Task<Result<void>> Waiting_5(AgentMeta&, const Cancel& request, Cancel& reply) {
    co_await loop_.yield();
    reply.set_name(request.name());
    co_return Result<void>();
  }
  using Routes = protocol::Routes<&Handler::Plain_1, &Handler::Ready_2, &Handler::Tree_3, &Handler::Coroutine_4,
                                  &Handler::Waiting_5>;

 private:
  Loop& loop_;
};

class RouterAllocationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    router_.add_route(handler_);
    ASSERT_TRUE(router_.start());
    Cancel cancel;
    cancel.set_name(std::string(64, 'n'));
    cancel.set_nodeid("short");
    cancel_ = cancel.SerializeAsString();
    Tree tree;
    for (int i = 0; i < 20; ++i) {
      tree.add_numbers(i);
      tree.add_texts(std::string(50, 't'));
      tree.add_children()->set_name(std::string(40, 'c'));
    }
    tree_ = tree.SerializeAsString();
  }

  // Blocks taken by 1000 calls after some to warm up. Ready calls are looked at without a coroutine of the test's own.
  std::uint64_t measure_ready(std::uint32_t cmd, std::string_view body) {
    const auto once = [&] {
      reply_.clear();
      auto task = router_.call(meta_, cmd, body, reply_);
      if (!task.ready()) std::abort();
      if (!std::move(task).operator co_await().await_resume()) std::abort();
    };
    for (int i = 0; i < 200; ++i) once();
    const auto before = allocations();
    for (int i = 0; i < 1000; ++i) once();
    return allocations() - before;
  }
  std::uint64_t measure_awaited(std::uint32_t cmd, std::string_view body) {
    std::uint64_t taken = ~0ull;
    const auto run = [](RouterAllocationTest& t, std::uint32_t c, std::string_view b, std::uint64_t& n) -> Task<void> {
      std::uint64_t before = 0;
      for (int i = 0; i < 1200; ++i) {
        if (i == 200) before = allocations();
        t.reply_.clear();
        if (!co_await t.router_.call(t.meta_, c, b, t.reply_)) std::abort();
      }
      n = allocations() - before;
    };
    spawn(run(*this, cmd, body, taken));
    while (loop_.poll()) {
    }
    return taken;
  }

  Loop loop_;
  Handler handler_{loop_};
  Router router_;
  AgentMeta meta_{"gate", "n", "c"};
  std::string cancel_, tree_, reply_;
};

TEST_F(RouterAllocationTest, TheCounterCounts) {
  const auto before = allocations();
  const auto text = std::make_unique<std::string>(100, 'x');
  EXPECT_GE(allocations(), before + 2);
}

TEST_F(RouterAllocationTest, PlainHandlersTakeNothing) {
  EXPECT_EQ(measure_ready(1, cancel_), 0u);
  EXPECT_EQ(measure_ready(3, tree_), 0u);
}

TEST_F(RouterAllocationTest, ReadyTasksTakeNothing) {
  EXPECT_EQ(measure_ready(2, cancel_), 0u);
}

TEST_F(RouterAllocationTest, CoroutineHandlersTakeNothingWhereFramesArePooled) {
  const std::uint64_t started = measure_awaited(4, cancel_), waited = measure_awaited(5, cancel_);
  if (testing::kPooledFrames) {
    EXPECT_EQ(started, 0u);
    EXPECT_EQ(waited, 0u);
  } else {
    EXPECT_LE(started, 2000u) << "the handler's frame and the router's";
    EXPECT_LE(waited, 2000u);
  }
}

}  // namespace
}  // namespace mg::protocol
