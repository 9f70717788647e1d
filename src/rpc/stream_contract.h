// What every rpc::Transport that carries streams does; a test of an adapter includes this and names itself:
//
//   INSTANTIATE_TEST_SUITE_P(Local, StreamContract, ::testing::Values(RpcBackend{...}), rpc_backend_name);
#pragma once

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/client.h"
#include "mg/runtime/event.h"
#include "rpc/rpc_backend.h"
#include "runtime/testing.h"

namespace mg::rpc {

// One node with handlers of streams, and a client. Whoever derives from it calls start().
class StreamFixture : public ::testing::Test {
 protected:
  using StringValue = google::protobuf::StringValue;
  using In = Stream<StringValue, StringValue>;
  using Caller = CallerStream<StringValue, StringValue>;

  StreamFixture() {
    const auto add = [&](std::string_view name, auto fn) { EXPECT_TRUE(handlers_.add(name, std::move(fn))); };
    add("Test.Echo", [](const Context&, In stream) { return echo(stream); });
    add("Test.Count", [](const Context&, In stream) { return count(stream); });
    add("Test.Fail", [](const Context&, In stream) { return fail_after_one(stream); });
    add("Test.Flood", [this](const Context&, In stream) { return flood(*this, stream); });
    add("Test.Unary", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
      out.set_value(in.value());
      return {};
    });
  }
  void start(RpcTransports transports) {
    transports_ = std::move(transports);
    served_ = std::move(*testing::await_on(
        loop_, transports_.server->serve({.service = "game", .uuid = "a", .handlers = &handlers_, .observer = {}})));
    resolver_.set("game", {{"game-a", served_->address(), served_->metadata()}});
    client_.emplace(ClientOptions{.name = "gate"}, loops_, resolver_, std::vector<Transport*>{transports_.client.get()},
                    random_);
  }
  ~StreamFixture() override {
    EXPECT_TRUE(testing::await_on(loop_, served_->stop(Deadline::after(loop_.clock(), std::chrono::seconds(10)))));
  }

  static Task<Result<void>> echo(In stream) {
    StringValue message;
    while (true) {
      const Result<bool> more = co_await stream.read(message);
      if (!more) co_return std::unexpected(more.error());
      if (!*more) co_return Result<void>();
      if (auto done = co_await stream.write(message); !done) co_return done;
    }
  }
  // One request, many answers.
  static Task<Result<void>> count(In stream) {
    StringValue message;
    if (const auto got = co_await stream.read(message); !got || !*got) co_return fail(code::kInvalid, "no request");
    const int most = std::atoi(message.value().c_str());
    for (int i = 0; i < most; ++i) {
      message.set_value(std::to_string(i));
      if (auto done = co_await stream.write(message); !done) co_return done;
    }
    co_return Result<void>();
  }
  static Task<Result<void>> fail_after_one(In stream) {
    StringValue message;
    message.set_value("one");
    if (auto done = co_await stream.write(message); !done) co_return done;
    co_return fail(403, "not you");
  }
  static Task<Result<void>> flood(StreamFixture& self, In stream) {
    StringValue message;
    message.set_value(std::string(64 * 1024, 'x'));
    Result<void> done;
    while (done) {
      done = co_await stream.write(message);
      if (done) ++self.written_;
    }
    self.flood_ended_ = done.error().detail;
    co_return done;
  }

  Result<Caller> open(std::string_view endpoint, Deadline deadline = Deadline::never()) {
    struct Run {
      static Task<Result<std::unique_ptr<CallerStreamEnd>>> open(Client& client, std::string endpoint,
                                                                 Deadline deadline) {
        co_return co_await client.open_stream({.service = "game"}, endpoint, Context(deadline));
      }
    };
    auto end = testing::await_on(loop_, Run::open(*client_, std::string(endpoint), deadline));
    if (!end) return std::unexpected(end.error());
    return Caller(std::move(*end));
  }
  Result<void> write(Caller& stream, std::string text) {
    StringValue message;
    message.set_value(std::move(text));
    return testing::await_on(loop_, stream.write(message));
  }
  // The message, "end", or the error as JSON.
  std::string read(Caller& stream) {
    StringValue message;
    const Result<bool> got = testing::await_on(loop_, stream.read(message));
    if (!got) return to_json(got.error());
    return *got ? message.value() : "end";
  }
  Deadline in(Clock::Duration time) { return Deadline::after(loop_.clock(), time); }

  Loop loop_;
  Loop* loops_[1] = {&loop_};
  Handlers handlers_;
  RpcTransports transports_;
  std::unique_ptr<Served> served_;
  ListResolver resolver_;
  SeededRandom random_{7};
  std::optional<Client> client_;
  int written_ = 0;
  std::string flood_ended_;
};

class StreamContract : public StreamFixture, public ::testing::WithParamInterface<RpcBackend> {
 protected:
  StreamContract() { start(GetParam().make(loops_)); }
};

TEST_P(StreamContract, MessagesGoBothWaysInOrder) {
  auto stream = open("Test.Echo");
  ASSERT_TRUE(stream);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(write(*stream, std::to_string(i)));
    if (i % 2 == 1) {
      EXPECT_EQ(read(*stream), std::to_string(i - 1));
      EXPECT_EQ(read(*stream), std::to_string(i));
    }
  }
  stream->close_writes();
  EXPECT_EQ(read(*stream), "end");
  EXPECT_EQ(read(*stream), "end");
}

TEST_P(StreamContract, OneRequestMayHaveManyAnswers) {
  auto stream = open("Test.Count");
  ASSERT_TRUE(write(*stream, "100"));
  stream->close_writes();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(read(*stream), std::to_string(i));
  EXPECT_EQ(read(*stream), "end");
}

TEST_P(StreamContract, TheHandlersErrorEndsIt) {
  auto stream = open("Test.Fail");
  EXPECT_EQ(read(*stream), "one");
  EXPECT_EQ(read(*stream), R"({"id":"a","code":403,"detail":"not you","status":"Forbidden"})");
  EXPECT_FALSE(write(*stream, "more"));
}

TEST_P(StreamContract, UnknownNamesAreErrors) {
  auto stream = open("Test.Nope");
  EXPECT_THAT(stream ? read(*stream) : to_json(stream.error()), ::testing::HasSubstr("unknown service Test.Nope"));
}

TEST_P(StreamContract, ItsDeadlineEndsIt) {
  auto stream = open("Test.Echo", in(std::chrono::milliseconds(50)));
  EXPECT_THAT(read(*stream), ::testing::HasSubstr(R"("code":408)"));
  EXPECT_FALSE(write(*stream, "more"));
}

TEST_P(StreamContract, AWriterIsHeldBackAndHearsThatItsReaderIsGone) {
  {
    auto stream = open("Test.Flood");
    EXPECT_EQ(read(*stream).size(), 64 * 1024);
    // Written and not read: it comes to a stop.
    int before = -1;
    while (before != written_) {
      before = written_;
      testing::await_on(loop_, [](Loop& loop) -> Task<int> {
        co_await loop.sleep_for(std::chrono::milliseconds(50));
        co_return 0;
      }(loop_));
    }
    EXPECT_LT(written_, 1000);
    EXPECT_EQ(flood_ended_, "");
  }
  ASSERT_TRUE(testing::run_until(loop_, [&] { return !flood_ended_.empty(); }));
  EXPECT_EQ(flood_ended_, "the caller of the stream is gone");
}

TEST_P(StreamContract, ManyThatAreGivenUpLeaveNothingBehind) {
  for (int i = 0; i < 200; ++i) {
    auto stream = open(i % 2 == 0 ? "Test.Echo" : "Test.Count");
    ASSERT_TRUE(stream);
    if (i % 3 == 0) continue;
    (void)write(*stream, "7");
    if (i % 5 == 0) (void)read(*stream);
  }
}

}  // namespace mg::rpc
