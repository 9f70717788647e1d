// What every rpc::Transport does with messages that are handed on unread; a test of an adapter includes this and names
// itself:
//
//   INSTANTIATE_TEST_SUITE_P(Local, ForwardContract, ::testing::Values(RpcBackend{...}), rpc_backend_name);
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/client.h"
#include "mg/rpc/forward.h"
#include "mg/runtime/event.h"
#include "rpc/rpc_backend.h"
#include "runtime/testing.h"
#include "src/rpc/forward_test.pb.h"

namespace mg::rpc {

class ForwardContract : public ::testing::TestWithParam<RpcBackend> {
 protected:
  using In = forward_test::In;
  using Out = forward_test::Out;

  // Commands of the handler below.
  enum : std::uint32_t { kEcho = 1, kLater, kHold, kFail, kFailLater, kThrow, kThrowLater, kNothing };

  struct Game {
    Task<Result<void>> protocol(const Context& context, const Forwarded& in, ForwardReply& out) {
      EXPECT_EQ(out.code, 0u);
      EXPECT_EQ(out.data, "");
      ++calls;
      player = context.own_meta().get("Client-Id");
      switch (in.cmd) {
        case kEcho:
          out.code = 7;
          out.data = in.data;
          return Result<void>();
        case kNothing:
          return Result<void>();
        case kFail:
          return fail(404, "no {}", in.data);
        case kThrow:
          throw std::runtime_error("boom");
        default:
          return later(in.cmd, std::string(in.data), out);
      }
    }
    Task<Result<void>> later(std::uint32_t cmd, std::string data, ForwardReply& out) {
      if (cmd == kHold) {
        held.emplace();
        co_await held->wait(*Loop::current(), Deadline::never());
      } else {
        co_await Loop::current()->yield();
      }
      if (cmd == kFailLater) co_return fail(404, "no {}", data);
      if (cmd == kThrowLater) throw std::runtime_error("late boom");
      out.code = 8;
      out.data = "later " + data;
      ++ended;
      co_return Result<void>();
    }
    // As it was before there were handlers that are handed octets.
    Result<void> plain(const Context&, const In& in, Out& out) {
      out.set_code(in.cmd());
      out.set_data("plain " + in.data());
      return {};
    }

    int calls = 0;
    int ended = 0;
    std::string player;
    std::optional<Completion<bool>> held;
  };

  ForwardContract() {
    EXPECT_TRUE(handlers_.add("Forward.Protocol", forward_handler<In, Out>(game_, &Game::protocol)));
    EXPECT_TRUE(handlers_.add("Forward.Plain", game_, &Game::plain));
    served_ = std::move(*testing::await_on(
        loop_, transports_.server->serve({.service = "game", .uuid = "a", .handlers = &handlers_, .observer = {}})));
    resolver_.set("game", {{"game-a", served_->address(), served_->metadata()}});
  }
  ~ForwardContract() override {
    EXPECT_TRUE(testing::await_on(loop_, served_->stop(Deadline::after(loop_.clock(), std::chrono::seconds(10)))));
  }

  // "code data", or the error as JSON.
  std::string forward(std::uint32_t cmd, std::string_view data, std::string_view endpoint = "Forward.Protocol",
                      Deadline deadline = Deadline::never()) {
    struct Run {
      static Task<Result<void>> one(Method method, Context context, Forwarded in, std::uint32_t& code,
                                    std::string& out) {
        co_return co_await method.forward<In, Out>(context, in, code, out);
      }
    };
    const Meta meta{{"Client-Id", "cid-1"}};
    std::uint32_t code = 99;
    std::string out = "of before";
    const Result<void> done = testing::await_on(
        loop_, Run::one(client_.method("game", endpoint), Context(meta, deadline), {cmd, data}, code, out));
    return done ? fmt::format("{} {}", code, out) : to_json(done.error());
  }
  template <class Request, class Reply>
  Result<void> call(const Request& in, Reply& out) {
    struct Run {
      static Task<Result<void>> one(Client& client, const Request& in, Reply& out) {
        co_return co_await client.call({.service = "game"}, "Forward.Protocol", Context(), in, out);
      }
    };
    return testing::await_on(loop_, Run::one(client_, in, out));
  }

  Loop loop_;
  Loop* loops_[1] = {&loop_};
  RpcTransports transports_ = GetParam().make(loops_);
  Game game_;
  Handlers handlers_;
  std::unique_ptr<Served> served_;
  ListResolver resolver_;
  SeededRandom random_{7};
  Client client_{{.name = "gate"}, loops_, resolver_, {transports_.client.get()}, random_};
};

TEST_P(ForwardContract, NumberAndOctetsGoThereAndBack) {
  EXPECT_EQ(forward(kEcho, "hello"), "7 hello");
  EXPECT_EQ(game_.player, "cid-1");
  EXPECT_EQ(forward(kEcho, ""), "7 ");
  const std::string octets("\0\xFF\x08\x12\0", 5);
  EXPECT_EQ(forward(kEcho, octets), "7 " + octets);
  EXPECT_EQ(forward(kNothing, "hello"), "0 ");
}

TEST_P(ForwardContract, HandlerMaySuspend) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(forward(kLater, std::to_string(i)), fmt::format("8 later {}", i));
}

TEST_P(ForwardContract, LargeMessagesPass) {
  const std::string text(3 << 20, 'x');
  EXPECT_EQ(forward(kEcho, text), "7 " + text);
  EXPECT_EQ(forward(kLater, text), "8 later " + text);
}

TEST_P(ForwardContract, CallersMayUseMessages) {
  In in;
  in.set_cmd(kEcho);
  in.set_data("hello");
  Out out;
  ASSERT_TRUE(call(in, out));
  EXPECT_EQ(out.code(), 7u);
  EXPECT_EQ(out.data(), "hello");
  in.set_cmd(kLater);
  out.Clear();
  ASSERT_TRUE(call(in, out));
  EXPECT_EQ(out.code(), 8u);
  EXPECT_EQ(out.data(), "later hello");
}

TEST_P(ForwardContract, HandlersMayUseMessages) {
  EXPECT_EQ(forward(5, "hello", "Forward.Plain"), "5 plain hello");
  EXPECT_EQ(forward(6, "again", "Forward.Plain"), "6 plain again");
}

TEST_P(ForwardContract, FieldsOfALaterVersionAreNoFault) {
  forward_test::LaterIn in;
  in.set_cmd(kEcho);
  in.set_data("hello");
  in.set_more("unknown here");
  forward_test::LaterOut out;
  ASSERT_TRUE(call(in, out));
  EXPECT_EQ(out.code(), 7u);
  EXPECT_EQ(out.data(), "hello");
}

TEST_P(ForwardContract, ErrorsAndExceptionsAreTheHandlers) {
  const std::string no = R"({"id":"a","code":404,"detail":"no role","status":"Not Found"})";
  EXPECT_EQ(forward(kFail, "role"), no);
  EXPECT_EQ(forward(kFailLater, "role"), no);
  const auto panic = [](std::string what) {
    return R"({"id":"go.micro.server","code":500,"detail":"panic recovered: )" + what +
           R"(","status":"Internal Server Error"})";
  };
  EXPECT_EQ(forward(kThrow, ""), panic("boom"));
  EXPECT_EQ(forward(kThrowLater, ""), panic("late boom"));
  EXPECT_EQ(forward(kEcho, "still there"), "7 still there");
}

TEST_P(ForwardContract, CallerThatGivesUpLeavesTheHandlerItsReply) {
  const std::string late =
      forward(kHold, "long", "Forward.Protocol", Deadline::after(loop_.clock(), std::chrono::milliseconds(50)));
  EXPECT_NE(late.find("408"), late.npos) << late;
  ASSERT_TRUE(game_.held);
  loop_.post_always([this] { game_.held->set(true); });
  EXPECT_TRUE(testing::run_until(loop_, [this] { return game_.ended == 1; }));
  EXPECT_EQ(forward(kEcho, "hello"), "7 hello");
}

TEST_P(ForwardContract, ManyAtOnceKeepTheirAnswers) {
  struct One {
    std::string in;
    std::uint32_t code = 0;
    std::string out;
    bool done = false;
  };
  struct Run {
    static Task<void> one(Method method, One& it) {
      const auto done = co_await method.forward<In, Out>(Context(), {kLater, it.in}, it.code, it.out);
      it.done = done.has_value();
    }
  };
  std::vector<One> all(100);
  loop_.post_always([&] {
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].in = std::string(i, 'x') + std::to_string(i);
      spawn(Run::one(client_.method("game", "Forward.Protocol"), all[i]));
    }
  });
  ASSERT_TRUE(testing::run_until(loop_, [&] {
    for (const One& one : all) {
      if (!one.done) return false;
    }
    return true;
  }));
  for (const One& one : all) EXPECT_EQ(one.out, "later " + one.in);
}

}  // namespace mg::rpc
