// rpc/link/testing.h -- for tests: nodes, callers and peers by hand, on one loop whose clock is the test's.
//
//   class LinkNode : public LinkTest {};
//   TEST_F(LinkNode, AnswersPings) { serve(); RawPeer peer = join(); ... until([&] { return ...; }); }
#pragma once

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/link/link.h"
#include "mg/runtime/event.h"
#include "rpc/link/raw_peer.h"
#include "runtime/testing.h"

namespace mg::rpc::link {

class LinkTest : public ::testing::Test {
 protected:
  using StringValue = google::protobuf::StringValue;

  LinkTest() {
    const auto add = [this](std::string_view name, auto fn) { EXPECT_TRUE(handlers_.add(name, std::move(fn))); };
    add("Test.Echo", [this](const Context& context, const StringValue& in, StringValue& out) -> Result<void> {
      ++calls_;
      seen_ = context.meta();
      out.set_value(in.value());
      return {};
    });
    add("Test.Large", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
      out.set_value(std::string(std::stoul(in.value()), 'x'));
      return {};
    });
    add("Test.Hold", [this](const Context&, const StringValue& in, StringValue& out) { return hold(*this, in, out); });
  }
  ~LinkTest() override {
    while (!held_.empty()) release();
    stop();
    calls_out_.clear();
    routes_.clear();
  }

  static LinkOptions options(std::string secret = {}) {
    LinkOptions made;
    made.listen = "127.0.0.1:0";
    made.secret = std::move(secret);
    return made;
  }

  // ---- a node ------------------------------------------------------------------------------------------------

  void serve(const LinkOptions& with = options()) {
    network_ = LinkNetwork::make(loops_, with).value();
    served_ = testing::await_on(
                  loop_, network_->serve({.service = "game", .uuid = "a", .handlers = &handlers_, .observer = {}}))
                  .value();
    place_ = decode_place(served_->metadata().front().second).value();
  }
  void stop() {
    if (!served_) return;
    EXPECT_TRUE(stop_within(std::chrono::seconds(10)));
    served_.reset();
  }
  // The clock goes on, or what waits for a pause would not end.
  Result<void> stop_within(Clock::Duration time) {
    std::optional<Result<void>> done;
    struct Run {
      static Task<void> stop(Served& served, Deadline deadline, std::optional<Result<void>>& out) {
        out = co_await served.stop(deadline);
      }
    };
    loop_.post_always([&] { spawn(Run::stop(*served_, Deadline::after(clock_, time), done)); });
    until([&] {
      clock_.advance(std::chrono::milliseconds(50));
      return done.has_value();
    });
    return *done;
  }
  void release() {
    Completion<bool>* const one = held_.front();
    held_.erase(held_.begin());
    one->set(true);
  }

  Hello hello() const { return {.epoch = place_.epoch, .max_message = 1 << 20, .node = "game-a"}; }
  RawPeer connect() const { return RawPeer(RawPeer::connect(place_.port)); }
  // A peer after its handshake, with Test.Echo as method 0, Test.Hold as 1 and Test.Large as 2.
  RawPeer join() {
    RawPeer peer = connect();
    peer.send(encode(hello()));
    const auto frames = wait_frames(peer, 1);
    EXPECT_EQ(frames.at(0).head.type, Type::kWelcome);
    peer.send(raw_method("Test", "Echo", 0) + raw_method("Test", "Hold", 1) + raw_method("Test", "Large", 2));
    return peer;
  }
  // The next `count` frames.
  std::vector<RawFrame> wait_frames(RawPeer& peer, std::size_t count) {
    std::vector<RawFrame> all;
    until([&] {
      for (RawFrame& frame : peer.frames(count - all.size())) all.push_back(std::move(frame));
      return all.size() == count || peer.closed();
    });
    EXPECT_EQ(all.size(), count);
    all.resize(count, {.head = {}, .body = std::string(16, '\0')});
    return all;
  }
  void wait_closed(RawPeer& peer) {
    until([&] { return peer.closed(); });
  }
  static std::string text(std::string_view value) {
    StringValue message;
    message.set_value(std::string(value));
    return message.SerializeAsString();
  }
  static std::string value(std::string_view message) {
    StringValue parsed;
    EXPECT_TRUE(parsed.ParseFromString(std::string(message)));
    return parsed.value();
  }

  // ---- callers -----------------------------------------------------------------------------------------------

  struct Out {
    StringValue in;
    StringValue out;
    std::optional<Task<Result<void>>> task;
    std::optional<Result<void>> done;

    const Error& error() const { return done->error(); }
  };
  static Node node_at(const Place& place) {
    return {.id = "game-a", .address = "", .metadata = {{std::string(LinkNetwork::kMetadataKey), encode(place)}}};
  }
  Route& route(LinkNetwork& from, const Place& place, std::string_view method = "Echo") {
    routes_.push_back(from.open(node_at(place), {"Test", method}, "gate", loop_));
    EXPECT_TRUE(routes_.back());
    return *routes_.back();
  }
  // Begins on the loop.
  Out& call(Route& to, std::string text, Clock::Duration patience = std::chrono::seconds(5), const Meta& meta = {}) {
    calls_out_.push_back(std::make_unique<Out>());
    Out& out = *calls_out_.back();
    out.in.set_value(std::move(text));
    struct Run {
      static Task<void> wait(Route& to, Context context, Out& out) {
        out.done = co_await to.call(context, {&out.in, &out.out});
      }
    };
    metas_.push_back(std::make_unique<Meta>(meta));
    const Context context(*metas_.back(), Deadline::after(clock_, patience));
    loop_.post_always([&to, context, &out] { spawn(Run::wait(to, context, out)); });
    loop_.poll();
    return out;
  }
  Out& called(Route& to, std::string text, Clock::Duration patience = std::chrono::seconds(5), const Meta& meta = {}) {
    Out& out = call(to, std::move(text), patience, meta);
    until([&] { return out.done.has_value(); });
    return out;
  }

  template <class Done>
  void until(Done done) {
    ASSERT_TRUE(testing::run_until(loop_, std::move(done)));
  }
  // Enough turns for whatever is on its way on this machine to come.
  void settle() {
    for (int i = 0; i < 200; ++i) loop_.poll();
  }
  void pass(Clock::Duration time) {
    clock_.advance(time);
    settle();
  }

  ManualClock clock_;
  Loop loop_{{.clock = &clock_}};
  Loop* loops_[1] = {&loop_};
  Handlers handlers_;
  int calls_ = 0;
  Meta seen_;
  std::vector<Completion<bool>*> held_;
  std::unique_ptr<LinkNetwork> network_;
  std::unique_ptr<Served> served_;
  Place place_;
  std::vector<std::unique_ptr<Meta>> metas_;
  std::vector<std::unique_ptr<Out>> calls_out_;
  std::vector<std::unique_ptr<Route>> routes_;

 private:
  static Task<Result<void>> hold(LinkTest& test, const StringValue& in, StringValue& out) {
    ++test.calls_;
    Completion<bool> released;
    test.held_.push_back(&released);
    co_await released.wait(*Loop::current(), Deadline::never());
    out.set_value("held " + in.value());
    co_return Result<void>();
  }
};

}  // namespace mg::rpc::link
