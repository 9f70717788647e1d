#include "rpc/link/caller.h"

#include <fmt/format.h>

#include "rpc/link/testing.h"

namespace mg::rpc::link {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class LinkCaller : public LinkTest {
 protected:
  // A caller whose node is the test itself.
  LinkNetwork& caller(const LinkOptions& with = options()) {
    caller_ = LinkNetwork::make(loops_, with).value();
    return *caller_;
  }
  ~LinkCaller() override {
    pass(seconds(2000));  // Every call ends at its deadline at the latest.
    for (const auto& out : calls_out_) EXPECT_TRUE(out->done);
    calls_out_.clear();
    routes_.clear();
  }
  Place by_hand() const { return {"127.0.0.1", listener_.port(), kEpoch}; }

  // The next connection of the caller.
  RawPeer accept() {
    int fd = -1;
    until([&] { return (fd = listener_.accept()) >= 0; });
    return RawPeer(fd);
  }
  static Welcome welcome() {
    return {.epoch = kEpoch,
            .time = 0,
            .max_calls = 100,
            .max_message = 1 << 20,
            .max_metas = 100,
            .max_meta_octets = kMaxMetaSize};
  }
  // The same after the handshake.
  RawPeer accept_link(const Welcome& with = welcome()) {
    RawPeer peer = accept();
    const RawFrame first = wait_frames(peer, 1)[0];
    EXPECT_EQ(first.head.type, Type::kHello);
    EXPECT_EQ(decode_hello(first.head, as_bytes(first.body))->node, "game-a");
    peer.send(encode(with));
    EXPECT_EQ(wait_frames(peer, 1)[0].head.type, Type::kPing);
    return peer;
  }
  static std::string reply(std::uint32_t call, std::string_view value) {
    return raw_frame(Type::kReply, raw_u32({call}) + text(value));
  }
  static std::uint32_t u32(const RawFrame& frame, std::size_t at) {
    return get<std::uint32_t>(reinterpret_cast<const std::byte*>(frame.body.data()) + at);
  }
  void wait_done(Out& out) {
    until([&] { return out.done.has_value(); });
  }

  static constexpr std::uint64_t kEpoch = 0x1234;
  RawListener listener_;
  std::unique_ptr<LinkNetwork> caller_;
};

TEST_F(LinkCaller, HasNoRouteToNodesWithoutALink) {
  LinkNetwork& network = caller();
  Node node = node_at(by_hand());
  EXPECT_TRUE(network.open(node, {"Test", "Echo"}, "gate", loop_));
  node.metadata[0].second = "127.0.0.1:80";
  EXPECT_FALSE(network.open(node, {"Test", "Echo"}, "gate", loop_));
  node.metadata.clear();
  EXPECT_FALSE(network.open(node, {"Test", "Echo"}, "gate", loop_));
  EXPECT_FALSE(network.open(node_at(by_hand()), {"Test", std::string(256, 'm')}, "gate", loop_));
}

TEST_F(LinkCaller, NamesMethodAndMetadataOnce) {
  Route& echo = route(caller(), by_hand());
  const Meta meta{{"Client-Id", "c1"}};
  Out& first = call(echo, "one", seconds(5), meta);
  RawPeer peer = accept_link();
  auto frames = wait_frames(peer, 3);
  EXPECT_EQ(frames[0].head.type, Type::kMeta);
  EXPECT_EQ(frames[1].head.type, Type::kMethod);
  EXPECT_EQ(frames[1].body, "\4\4TestEchogate");
  EXPECT_EQ(frames[2].head.type, Type::kCall);
  EXPECT_EQ(value(frames[2].body.substr(12)), "one");
  peer.send(reply(0, "ONE"));
  wait_done(first);
  ASSERT_TRUE(*first.done);
  EXPECT_EQ(first.out.value(), "ONE");
  call(echo, "two", seconds(5), *metas_.front());
  frames = wait_frames(peer, 1);
  EXPECT_EQ(frames[0].head.type, Type::kCall);
  EXPECT_EQ(u32(frames[0], 0), 0);
  EXPECT_EQ(u32(frames[0], 4), 0);
}

TEST_F(LinkCaller, DeadlinesAreOnTheLinksClock) {
  Route& echo = route(caller(), by_hand());
  call(echo, "x", milliseconds(1500));
  Welcome late = welcome();
  late.time = 0xFFFFFF00;
  RawPeer peer = accept_link(late);
  EXPECT_EQ(u32(wait_frames(peer, 2)[1], 8), 0xFFFFFF00 + 1500);
  // A pong that was quicker on its way tells more exactly what the clock is.
  clock_.advance(milliseconds(10));
  peer.send(raw_frame(Type::kPong, raw_u32({1, 0xFFFFFF00 + 40})));
  settle();
  call(echo, "x", milliseconds(1500));
  EXPECT_EQ(u32(wait_frames(peer, 1)[0], 8), 0xFFFFFF00 + 40 + 1500);
}

TEST_F(LinkCaller, ADeadlineEndsTheCallAndCancelsIt) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x", milliseconds(100));
  RawPeer peer = accept_link();
  wait_frames(peer, 2);
  pass(milliseconds(101));
  wait_done(out);
  EXPECT_EQ(out.error().code, code::kTimeout);
  const RawFrame cancel = wait_frames(peer, 1)[0];
  EXPECT_EQ(cancel.head.type, Type::kCancel);
  EXPECT_EQ(cancel.body, raw_u32({0}));
  // The number is in use until its answer.
  Out& next = call(echo, "y");
  EXPECT_EQ(u32(wait_frames(peer, 1)[0], 0), 1);
  peer.send(reply(0, "too late") + reply(1, "Y"));
  wait_done(next);
  EXPECT_EQ(next.out.value(), "Y");
  call(echo, "z");
  EXPECT_LE(u32(wait_frames(peer, 1)[0], 0), 1);
}

TEST_F(LinkCaller, ACallThatWaitsForTheConnectionEndsAtItsDeadline) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x", milliseconds(100));
  RawPeer peer = accept();
  pass(milliseconds(101));
  wait_done(out);
  EXPECT_EQ(out.error().code, code::kTimeout);
}

TEST_F(LinkCaller, CallsOverTheNodesLimitWaitInOrder) {
  Route& echo = route(caller(), by_hand());
  Welcome two = welcome();
  two.max_calls = 2;
  std::vector<Out*> outs;
  for (int i = 0; i < 4; ++i) outs.push_back(&call(echo, std::to_string(i)));
  RawPeer peer = accept_link(two);
  EXPECT_EQ(wait_frames(peer, 3).size(), 3);
  settle();
  EXPECT_TRUE(peer.frames().empty());
  peer.send(reply(1, "b"));
  const RawFrame third = wait_frames(peer, 1)[0];
  EXPECT_EQ(u32(third, 0), 1);
  EXPECT_EQ(value(third.body.substr(12)), "2");
  peer.send(reply(0, "a"));
  EXPECT_EQ(value(wait_frames(peer, 1)[0].body.substr(12)), "3");
  peer.send(reply(0, "d") + reply(1, "c"));
  for (Out* out : outs) wait_done(*out);
  EXPECT_EQ(outs[0]->out.value() + outs[1]->out.value() + outs[2]->out.value() + outs[3]->out.value(), "abcd");
}

TEST_F(LinkCaller, TooManyThatWaitFailAtOnce) {
  LinkOptions few = options();
  few.max_waiting = 2;
  Route& echo = route(caller(few), by_hand());
  Out& first = call(echo, "x");
  call(echo, "x");
  Out& third = called(echo, "x");
  EXPECT_EQ(third.error().code, code::kTooMany);
  EXPECT_THAT(third.error().detail, HasSubstr("did not run"));
  RawPeer peer = accept_link();
  wait_frames(peer, 3);
  peer.send(reply(0, "ok"));
  wait_done(first);
  EXPECT_TRUE(*first.done);
}

TEST_F(LinkCaller, CallsWaitWhileTheNodeTakesNothing) {
  LinkOptions narrow = options();
  narrow.max_output = 64 * 1024;
  narrow.max_waiting = 50;
  Route& echo = route(caller(narrow), by_hand());
  RawPeer peer = (call(echo, "first"), accept_link());
  wait_frames(peer, 2);
  std::vector<Out*> outs;
  const std::string large(500'000, 'x');
  while (outs.size() < 1000 && (outs.empty() || !outs.back()->done)) outs.push_back(&call(echo, large, seconds(1000)));
  ASSERT_TRUE(outs.back()->done);  // Output and queue are bounded.
  EXPECT_EQ(outs.back()->error().code, code::kTooMany);
  outs.pop_back();
  EXPECT_GE(outs.size(), 50);
  std::size_t answered = 0;
  until([&] {
    for (const RawFrame& frame : peer.frames()) {
      if (frame.head.type == Type::kCall) peer.send(reply(u32(frame, 0), "ok"));
    }
    answered = static_cast<std::size_t>(std::ranges::count_if(outs, [](Out* out) { return out->done.has_value(); }));
    return answered == outs.size();
  });
  for (Out* out : outs) EXPECT_TRUE(*out->done) << to_json(out->error());
}

TEST_F(LinkCaller, RequestsThatTheNodeDoesNotTakeAreNotSent) {
  Route& echo = route(caller(), by_hand());
  Out& first = call(echo, "x");
  Welcome small = welcome();
  small.max_message = 1024;
  RawPeer peer = accept_link(small);
  wait_frames(peer, 2);
  EXPECT_EQ(called(echo, std::string(1030, 'x')).error().code, code::kInvalid);
  EXPECT_EQ(called(echo, "x", seconds(5), Meta{{"k", std::string(70'000, 'v')}}).error().code, code::kInvalid);
  settle();
  EXPECT_TRUE(peer.frames().empty());
  peer.send(reply(0, "ok"));
  wait_done(first);
  EXPECT_TRUE(*first.done);
}

// ---- the end of a link ----------------------------------------------------------------------------------------------

TEST_F(LinkCaller, LossSaysWhichCallsMayHaveRun) {
  Route& echo = route(caller(), by_hand());
  Welcome one = welcome();
  one.max_calls = 1;
  Out& sent = call(echo, "sent");
  Out& waiting = call(echo, "waiting");
  {
    RawPeer peer = accept_link(one);
    wait_frames(peer, 2);
  }
  wait_done(sent);
  wait_done(waiting);
  EXPECT_EQ(sent.error().code, code::kServer);
  EXPECT_FALSE(is_not_run(sent.error()));
  EXPECT_THAT(sent.error().detail, HasSubstr("may have run"));
  EXPECT_TRUE(is_not_run(waiting.error()));
  EXPECT_THAT(waiting.error().detail, HasSubstr("did not run"));
  EXPECT_EQ(caller_->stats().lost, 1);
}

TEST_F(LinkCaller, TheNextCallAfterALossConnectsAgain) {
  Route& echo = route(caller(), by_hand());
  const Meta meta{{"Client-Id", "c1"}};
  call(echo, "x", seconds(5), meta);
  {
    RawPeer peer = accept_link();
    wait_frames(peer, 3);
  }
  until([&] { return calls_out_[0]->done.has_value(); });
  Out& next = call(echo, "y", seconds(5), *metas_[0]);
  RawPeer peer = accept_link();
  const auto frames = wait_frames(peer, 3);  // Names and metadata again.
  EXPECT_EQ(frames[0].head.type, Type::kMeta);
  EXPECT_EQ(frames[0].head.flags, kFromEmpty);
  EXPECT_EQ(frames[1].head.type, Type::kMethod);
  EXPECT_EQ(frames[1].head.number, 0);
  peer.send(reply(0, "Y"));
  wait_done(next);
  EXPECT_EQ(next.out.value(), "Y");
}

TEST_F(LinkCaller, UnreachableNodesAreTriedAgainAfterPausesThatGrow) {
  std::uint16_t port = 0;
  {
    port = RawListener().port();
  }
  Route& echo = route(caller(), {"127.0.0.1", port, kEpoch});
  int attempts = 0;
  milliseconds last{0}, before{0};
  for (milliseconds at{0}; at < seconds(12); at += milliseconds(10)) {
    Out& out = called(echo, "x");
    EXPECT_TRUE(is_not_run(out.error())) << to_json(out.error());
    if (out.error().detail.contains("not tried again")) {  // Within a pause.
      pass(milliseconds(10));
      continue;
    }
    ++attempts;
    EXPECT_LE(at - last, seconds(2) + milliseconds(10));
    EXPECT_GE(at - last + milliseconds(10), before);
    before = at - last;
    last = at;
    pass(milliseconds(10));
  }
  EXPECT_GE(attempts, 8);  // 50 ms, 100, 200, 400, 800, 1600, 2000 ...
  EXPECT_LE(attempts, 12);
}

TEST_F(LinkCaller, RefusalsFailCallsAsNotRun) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x");
  RawPeer peer = accept();
  wait_frames(peer, 1);
  peer.send(encode_text(Type::kRefuse, 2, "here is another node"));
  wait_done(out);
  EXPECT_TRUE(is_not_run(out.error()));
  EXPECT_THAT(out.error().detail, HasSubstr("here is another node"));
  EXPECT_EQ(caller_->stats().refused, 1);
}

TEST_F(LinkCaller, DoesNotTalkToAnotherIncarnation) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x");
  RawPeer peer = accept();
  wait_frames(peer, 1);
  Welcome other = welcome();
  other.epoch ^= 1;
  peer.send(encode(other));
  wait_done(out);
  EXPECT_TRUE(is_not_run(out.error()));
  wait_closed(peer);
  EXPECT_TRUE(peer.frames().empty());
}

TEST_F(LinkCaller, DoesNotTalkToWhoDoesNotKnowTheSecret) {
  const auto meet = [&](const std::function<void(RawPeer&)>& act) {
    Route& echo = route(caller(options("a secret of all nodes")), by_hand());
    Out& out = call(echo, "x");
    RawPeer peer = accept();
    EXPECT_EQ(wait_frames(peer, 1)[0].head.flags, kHasSecret);
    act(peer);
    wait_done(out);
    EXPECT_TRUE(is_not_run(out.error()));
    wait_closed(peer);
    calls_out_.clear();
    routes_.clear();
  };
  meet([](RawPeer& peer) { peer.send(encode(welcome())); });
  meet([&](RawPeer& peer) {
    peer.send(encode_challenge({}, kVersion));
    EXPECT_EQ(wait_frames(peer, 1)[0].head.type, Type::kProof);
    peer.send(encode(welcome()));
  });
}

TEST_F(LinkCaller, NodesThatDoNotAnswerTheHandshakeAreLeft) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x", seconds(60));
  RawPeer peer = accept();
  pass(seconds(6));
  wait_done(out);
  EXPECT_TRUE(is_not_run(out.error()));
}

TEST_F(LinkCaller, NodesThatFallSilentAreLeft) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x", seconds(60));
  RawPeer peer = accept_link();
  wait_frames(peer, 2);
  for (int i = 0; i < 10; ++i) pass(seconds(2));
  wait_done(out);
  EXPECT_EQ(out.error().code, code::kServer);
  EXPECT_THAT(out.error().detail, HasSubstr("nothing heard"));
}

TEST_F(LinkCaller, MakesNoCallsToANodeThatDrains) {
  Route& echo = route(caller(), by_hand());
  Out& running = call(echo, "x");
  RawPeer peer = accept_link();
  wait_frames(peer, 2);
  peer.send(raw_frame(Type::kDrain));
  settle();
  EXPECT_TRUE(is_not_run(called(echo, "y").error()));
  peer.send(reply(0, "X"));
  wait_done(running);
  EXPECT_EQ(running.out.value(), "X");
  wait_closed(peer);  // All answers are there.
  EXPECT_EQ(caller_->stats().lost, 0);
}

TEST_F(LinkCaller, ClosesALinkThatNoRouteLeadsOver) {
  Out& out = call(route(caller(), by_hand()), "x");
  RawPeer peer = accept_link();
  wait_frames(peer, 2);
  peer.send(reply(0, "X"));
  wait_done(out);
  routes_.clear();
  for (int i = 0; i < 20 && !peer.closed(); ++i) {
    for (const RawFrame& frame : peer.frames()) {
      if (frame.head.type == Type::kPing) peer.send(raw_frame(Type::kPong, raw_u32({u32(frame, 0), 0})));
    }
    pass(seconds(2));
  }
  wait_closed(peer);
  EXPECT_EQ(caller_->stats().lost, 0);
}

TEST_F(LinkCaller, TasksMayBeDestroyedAtAnyMoment) {
  Route& echo = route(caller(), by_hand());
  StringValue in, out;
  const Context context(Deadline::after(clock_, seconds(5)));
  const auto begin = [&](auto&& then) {
    bool done = false;
    loop_.post_always([&] {
      std::optional<Task<Result<void>>> task(echo.call(context, {&in, &out}));
      then(task);
      done = true;
    });
    until([&] { return done; });
  };
  begin([](auto& task) { task.reset(); });  // Before there is a connection.
  RawPeer peer = accept_link();
  EXPECT_TRUE(peer.frames().empty());
  begin([](auto& task) { task.reset(); });
  const auto frames = wait_frames(peer, 3);
  EXPECT_EQ(frames[1].head.type, Type::kCall);
  EXPECT_EQ(frames[2].head.type, Type::kCancel);
  peer.send(reply(0, "nobody waits"));
  settle();
  EXPECT_FALSE(peer.closed());
}

// ---- violations -----------------------------------------------------------------------------------------------------

struct Breach {
  const char* name;
  std::string octets;
};
std::vector<Breach> breaches() {
  std::string large(kHeadSize, '\0');
  write_head(reinterpret_cast<std::byte*>(large.data()), {17 * 1024 * 1024, Type::kReply, 0, 0});
  std::string large_failure(kHeadSize, '\0');
  write_head(reinterpret_cast<std::byte*>(large_failure.data()), {kMaxPlain + 1, Type::kFailure, 0, 0});
  const std::string sizes("\x01\x00\x01\x00", 4);
  return {
      {"UnknownType", raw_frame(static_cast<Type>(77))},
      {"Call", raw_call(0, 0, kNoMeta, 0, "")},
      {"SecondWelcome", encode(Welcome{})},
      {"ReplyTooLarge", large},
      {"FailureTooLarge", large_failure},
      {"ReplyTooShort", raw_frame(Type::kReply, "123")},
      {"ReplyWithFlags", raw_frame(Type::kReply, raw_u32({0}), 1)},
      {"ReplyToNoCall", raw_frame(Type::kReply, raw_u32({1}))},
      {"FailureToNoCall", raw_frame(Type::kFailure, raw_u32({1, 500, 0}))},
      {"FailureTooShort", raw_frame(Type::kFailure, raw_u32({0, 500}))},
      {"FailureWithUnknownFlags", raw_frame(Type::kFailure, raw_u32({0, 500, 0}), 2)},
      {"FailureTextsBeyondTheEnd", raw_frame(Type::kFailure, raw_u32({0, 500}) + sizes + "x")},
      {"PongOfAnotherNumber", raw_frame(Type::kPong, raw_u32({99, 0}))},
      {"PongOfAnotherSize", raw_frame(Type::kPong, raw_u32({1}))},
      {"DrainWithABody", raw_frame(Type::kDrain, "x")},
  };
}

class CallerViolation : public LinkCaller, public ::testing::WithParamInterface<Breach> {};

TEST_P(CallerViolation, IsCutAndTheCallMayHaveRun) {
  Route& echo = route(caller(), by_hand());
  Out& out = call(echo, "x");
  RawPeer peer = accept_link();
  wait_frames(peer, 2);
  peer.send(GetParam().octets);
  wait_done(out);
  EXPECT_EQ(out.error().code, code::kServer);
  EXPECT_THAT(out.error().detail, HasSubstr("may have run"));
  wait_closed(peer);
  EXPECT_EQ(caller_->stats().violations, 1);
  EXPECT_EQ(caller_->stats().lost, 1);
}

INSTANTIATE_TEST_SUITE_P(Link, CallerViolation, ::testing::ValuesIn(breaches()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(LinkCaller, HandshakesThatBreakTheRulesAreCut) {
  for (const std::string& first :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), raw_frame(Type::kReply, raw_u32({0})),
        encode(Welcome{.epoch = kEpoch}), raw_frame(Type::kWelcome, "x"), encode(Hello{.node = "game-a"})}) {
    Route& echo = route(caller(), by_hand());
    Out& out = call(echo, "x");
    RawPeer peer = accept();
    wait_frames(peer, 1);
    peer.send(first);
    wait_done(out);
    EXPECT_TRUE(is_not_run(out.error())) << to_json(out.error());
    EXPECT_EQ(caller_->stats().violations, 1);
    calls_out_.clear();
    routes_.clear();
  }
}

}  // namespace
}  // namespace mg::rpc::link
