#include "rpc/link/node.h"

#include <fmt/format.h>

#include "rpc/link/testing.h"

namespace mg::rpc::link {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kSoon = 5000;  // A deadline in ms of the link's clock.

class LinkNode : public LinkTest {
 protected:
  // The REFUSE a HELLO gets, 0 for none.
  int refusal(const Hello& hello) {
    RawPeer peer = connect();
    peer.send(encode(hello));
    const auto frames = wait_frames(peer, 1);
    if (frames[0].head.type != Type::kRefuse) return 0;
    wait_closed(peer);
    return frames[0].head.number;
  }
  Error failure(const RawFrame& frame) {
    EXPECT_EQ(frame.head.type, Type::kFailure);
    const auto* const body = reinterpret_cast<const std::byte*>(frame.body.data());
    const std::size_t id = get<std::uint16_t>(body + 8);
    const std::size_t status = get<std::uint16_t>(body + 10);
    return {.id = frame.body.substr(12, id),
            .code = static_cast<std::int32_t>(get<std::uint32_t>(body + 4)),
            .detail = frame.body.substr(12 + id + status),
            .status = frame.body.substr(12 + id, status)};
  }
  std::uint32_t number(const RawFrame& frame) {
    return get<std::uint32_t>(reinterpret_cast<const std::byte*>(frame.body.data()));
  }
};

// ---- handshake ------------------------------------------------------------------------------------------------------

TEST_F(LinkNode, WelcomesWhoKnowsItsIdAndEpoch) {
  serve();
  clock_.advance(milliseconds(40));
  RawPeer peer = connect();
  peer.send(encode(hello()));
  const RawFrame frame = wait_frames(peer, 1)[0];
  const auto welcome = decode_welcome(frame.head, as_bytes(frame.body));
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->epoch, place_.epoch);
  EXPECT_EQ(welcome->version, 1);
  EXPECT_EQ(welcome->proof, Proof{});
  EXPECT_EQ(network_->stats().opened, 1);
}

TEST_F(LinkNode, RefusesOtherVersionsIdsEpochsAndSecrets) {
  serve();
  Hello newer = hello(), older = hello(), both = hello(), other = hello(), restarted = hello(), secret = hello();
  newer.oldest = newer.newest = 2;
  older.oldest = older.newest = 0;
  both.newest = 9;
  other.node = "game-b";
  restarted.epoch ^= 1;
  secret.has_secret = true;
  EXPECT_EQ(refusal(newer), 1);
  EXPECT_EQ(refusal(older), 1);
  EXPECT_EQ(refusal(both), 0);
  EXPECT_EQ(refusal(other), 2);
  EXPECT_EQ(refusal(restarted), 2);
  EXPECT_EQ(refusal(secret), 3);
  EXPECT_EQ(network_->stats().refused, 5);
  EXPECT_EQ(network_->stats().violations, 0);
}

TEST_F(LinkNode, AsksForTheSecretAndProvesThatItKnowsIt) {
  const std::string secret = "a secret of all nodes";
  serve(options(secret));
  EXPECT_EQ(refusal(hello()), 3);
  const auto prove = [&](std::string_view with) {
    RawPeer peer = connect();
    Hello mine = hello();
    mine.has_secret = true;
    mine.nonce[0] = std::byte{7};
    peer.send(encode(mine));
    const RawFrame challenge = wait_frames(peer, 1)[0];
    EXPECT_EQ(challenge.head.type, Type::kChallenge);
    const std::string asked = raw_frame(Type::kChallenge, challenge.body, 0, challenge.head.number);
    peer.send(encode_proof(caller_proof(with, encode(mine), asked)));
    const RawFrame answer = wait_frames(peer, 1)[0];
    if (answer.head.type == Type::kRefuse) return static_cast<int>(answer.head.number);
    const auto welcome = decode_welcome(answer.head, as_bytes(answer.body));
    EXPECT_TRUE(equal(node_proof(with, encode(mine), asked, encode(*welcome)), welcome->proof));
    return 0;
  };
  EXPECT_EQ(prove(secret), 0);
  EXPECT_EQ(prove("another secret of nodes"), 3);
}

TEST_F(LinkNode, TakesNoCallBeforeTheProof) {
  serve(options("a secret of all nodes"));
  RawPeer peer = connect();
  Hello mine = hello();
  mine.has_secret = true;
  peer.send(encode(mine) + raw_method("Test", "Echo", 0) + raw_call(0, 0, kNoMeta, kSoon, text("x")));
  wait_closed(peer);
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(network_->stats().violations, 1);
}

TEST_F(LinkNode, ClosesWithoutAWordOnOtherPrograms) {
  serve();
  for (const std::string& first :
       {std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string(4096, '\0'),
        raw_frame(Type::kCall, "xxxxxxxxxxxx"), raw_frame(Type::kHello, std::string(500, 'h'))}) {
    RawPeer peer = connect();
    peer.send(first);
    wait_closed(peer);
    EXPECT_TRUE(peer.frames().empty());
  }
}

TEST_F(LinkNode, EndsHandshakesThatTakeTooLong) {
  serve();
  RawPeer silent = connect();
  RawPeer slow = connect();
  slow.send(encode(hello()).substr(0, 20));
  settle();
  pass(seconds(4));
  EXPECT_FALSE(silent.closed());
  pass(seconds(2));
  wait_closed(silent);
  wait_closed(slow);
  EXPECT_EQ(network_->stats().refused, 2);
}

TEST_F(LinkNode, RefusesMoreLinksThanItsLimit) {
  LinkOptions two = options();
  two.max_links = 2;
  serve(two);
  RawPeer first = join();
  RawPeer second = join();
  EXPECT_EQ(refusal(hello()), 4);
  first.close();
  settle();
  RawPeer third = join();
}

TEST_F(LinkNode, ThoseWhoOnlyConnectTakeNoPlaceOfALink) {
  LinkOptions two = options();
  two.max_links = 2;
  serve(two);
  RawPeer idle[3] = {connect(), connect(), connect()};
  settle();
  RawPeer link = join();
  RawPeer more = connect();  // The fifth connection.
  wait_closed(more);
  EXPECT_TRUE(more.frames().empty());
  EXPECT_FALSE(link.closed());
}

// ---- calls ----------------------------------------------------------------------------------------------------------

TEST_F(LinkNode, AnswersCallsWithTheirNumbers) {
  serve();
  RawPeer peer = join();
  peer.send(raw_frame(Type::kMeta, raw_u32({0}) + raw_entry("Client-Id", "c1"), kFromEmpty) +
            raw_call(9, 0, 0, kSoon, text("nine")) + raw_call(3, 0, kNoMeta, kSoon, text("three")));
  const auto frames = wait_frames(peer, 2);
  EXPECT_EQ(frames[0].head.type, Type::kReply);
  EXPECT_EQ(number(frames[0]), 9);
  EXPECT_EQ(value(frames[0].body.substr(4)), "nine");
  EXPECT_EQ(number(frames[1]), 3);
  EXPECT_EQ(seen_.size(), 0);
  peer.send(raw_call(9, 0, 0, kSoon, text("again")));
  EXPECT_EQ(value(wait_frames(peer, 1)[0].body.substr(4)), "again");
  EXPECT_EQ(seen_.get("Client-Id"), "c1");
}

TEST_F(LinkNode, AnswersUnknownMethodsAndBadMessagesAndGoesOn) {
  serve();
  RawPeer peer = join();
  peer.send(raw_method("Test", "Nope", 3) + raw_method("", "", 4) + raw_call(0, 3, kNoMeta, kSoon, text("x")) +
            raw_call(1, 4, kNoMeta, kSoon, text("x")) + raw_call(2, 0, kNoMeta, kSoon, "\xff\xff\xff") +
            raw_call(3, 0, kNoMeta, kSoon, text("fine")));
  const auto frames = wait_frames(peer, 4);
  EXPECT_EQ(failure(frames[0]).detail, "unknown service Test.Nope");
  EXPECT_EQ(failure(frames[1]).code, 500);
  EXPECT_EQ(failure(frames[2]).code, 500);
  EXPECT_EQ(value(frames[3].body.substr(4)), "fine");
}

TEST_F(LinkNode, DoesNotRunCallsAfterTheirDeadline) {
  serve();
  RawPeer peer = join();
  clock_.advance(milliseconds(100));
  peer.send(raw_call(0, 0, kNoMeta, 100, text("late")) + raw_call(1, 0, kNoMeta, 0, text("later")) +
            raw_call(2, 0, kNoMeta, 0xFFFFFFFF, text("a moment before the start")));
  for (const RawFrame& frame : wait_frames(peer, 3)) EXPECT_EQ(failure(frame).code, code::kTimeout);
  EXPECT_EQ(calls_, 0);
  peer.send(raw_call(0, 0, kNoMeta, 101, text("just in time")));
  EXPECT_EQ(wait_frames(peer, 1)[0].head.type, Type::kReply);
}

TEST_F(LinkNode, ItsClockMayWrapAround) {
  serve();
  RawPeer peer = join();
  // 2^32 ms less a second, in steps that keep the link.
  for (std::uint64_t ms = 0; ms < (1ULL << 32) - 1000;) {
    const std::uint64_t step = std::min<std::uint64_t>((1ULL << 32) - 1000 - ms, 1ULL << 31);
    clock_.advance(milliseconds(step));
    ms += step;
  }
  peer.send(raw_call(0, 0, kNoMeta, 4000, text("in five seconds")));
  const RawFrame frame = wait_frames(peer, 1)[0];
  EXPECT_EQ(frame.head.type, Type::kReply);
}

TEST_F(LinkNode, CancelFreesTheNumberAtOnceAndDropsTheReply) {
  serve();
  RawPeer peer = join();
  peer.send(raw_call(5, 1, kNoMeta, kSoon, text("first")));
  until([&] { return held_.size() == 1; });
  peer.send(raw_frame(Type::kCancel, raw_u32({5})) + raw_call(5, 1, kNoMeta, kSoon, text("second")));
  const auto cancelled = wait_frames(peer, 1);
  EXPECT_EQ(failure(cancelled[0]).code, code::kTimeout);
  until([&] { return held_.size() == 2; });
  release();
  settle();
  EXPECT_TRUE(peer.frames().empty());
  release();
  const auto frames = wait_frames(peer, 1);
  EXPECT_EQ(number(frames[0]), 5);
  EXPECT_EQ(value(frames[0].body.substr(4)), "held second");
  // Answered already: it means nothing.
  peer.send(raw_frame(Type::kCancel, raw_u32({5})) + raw_frame(Type::kPing, raw_u32({1})));
  EXPECT_EQ(wait_frames(peer, 1)[0].head.type, Type::kPong);
}

TEST_F(LinkNode, BoundsTheCallsThatRunWithThoseGivenUp) {
  LinkOptions few = options();
  few.max_calls = 2;
  serve(few);
  RawPeer peer = join();
  for (int round = 0; round < 2; ++round) {
    peer.send(raw_call(0, 1, kNoMeta, kSoon, text("x")) + raw_call(1, 1, kNoMeta, kSoon, text("x")) +
              raw_frame(Type::kCancel, raw_u32({0})) + raw_frame(Type::kCancel, raw_u32({1})));
    wait_frames(peer, 2);
  }
  EXPECT_EQ(held_.size(), 4);
  peer.send(raw_call(0, 1, kNoMeta, kSoon, text("x")));
  EXPECT_EQ(failure(wait_frames(peer, 1)[0]).code, code::kTooMany);
  release();
  peer.send(raw_call(0, 1, kNoMeta, kSoon, text("x")));
  until([&] { return held_.size() == 4; });
}

TEST_F(LinkNode, RepliesThatTheirCallerDoesNotTakeAreErrors) {
  serve();
  RawPeer peer = connect();
  Hello small = hello();
  small.max_message = 100;
  peer.send(encode(small) + raw_method("Test", "Large", 0));
  wait_frames(peer, 1);
  peer.send(raw_call(0, 0, kNoMeta, kSoon, text("90")) + raw_call(1, 0, kNoMeta, kSoon, text("101")));
  const auto frames = wait_frames(peer, 2);
  EXPECT_EQ(frames[0].head.type, Type::kReply);
  EXPECT_EQ(failure(frames[1]).code, 500);
}

TEST_F(LinkNode, ReadsNoMoreWhileItsOutputIsFull) {
  LinkOptions narrow = options();
  narrow.max_output = 64 * 1024;
  serve(narrow);
  RawPeer peer = join();
  constexpr int kSmall = 128 * 1024;
  ::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVBUF, &kSmall, sizeof kSmall);
  // Replies of 16 MiB in all to requests of some kilobytes, from a peer that does not read.
  constexpr std::uint32_t kCalls = 250;
  std::string requests;
  for (std::uint32_t i = 0; i < kCalls; ++i) requests += raw_call(i, 2, kNoMeta, kSoon, text("65536"));
  peer.send(requests);
  for (int i = 0; i < 1000; ++i) loop_.poll();
  EXPECT_EQ(network_->stats().lost, 0);
  std::size_t replies = 0;
  until([&] {
    for (const RawFrame& frame : peer.frames()) {
      EXPECT_EQ(frame.head.type, Type::kReply);
      ++replies;
    }
    return replies == kCalls || peer.closed();
  });
  EXPECT_EQ(replies, kCalls);
}

TEST_F(LinkNode, CutsWhoTakesNothingAndAsksOn) {
  LinkOptions narrow = options();
  narrow.max_output = 4096;
  serve(narrow);
  RawPeer peer = join();
  // Held calls end all at once, so that their replies cannot wait for room.
  for (std::uint32_t i = 0; i < 100; ++i) {
    peer.send(raw_call(i, 1, kNoMeta, kSoon, text(std::string(100'000, 'x'))));
    until([&] { return held_.size() == i + 1; });
  }
  while (!held_.empty()) release();
  wait_closed(peer);
  until([&] { return network_->stats().lost == 1; });
}

// ---- liveness -------------------------------------------------------------------------------------------------------

TEST_F(LinkNode, TellsItsClockToWhoPings) {
  serve();
  RawPeer peer = join();
  pass(milliseconds(1234));
  peer.send(raw_frame(Type::kPing, raw_u32({77})));
  EXPECT_EQ(wait_frames(peer, 1)[0].body, raw_u32({77, 1234}));
}

TEST_F(LinkNode, ClosesLinksItHearsNothingFrom) {
  serve();
  RawPeer silent = join();
  RawPeer alive = join();
  for (int second = 0; second < 20; second += 2) {
    alive.send(raw_frame(Type::kPing, raw_u32({1})));
    settle();
    pass(seconds(2));
  }
  wait_closed(silent);
  EXPECT_FALSE(alive.closed());
}

TEST_F(LinkNode, AProcessThatStoodStillDoesNotBlameItsPeers) {
  serve();
  RawPeer peer = join();
  pass(seconds(60));  // One turn: nobody ran.
  EXPECT_FALSE(peer.closed());
}

// ---- stopping -------------------------------------------------------------------------------------------------------

TEST_F(LinkNode, DrainsBeforeItStops) {
  serve();
  RawPeer peer = join();
  peer.send(raw_call(0, 1, kNoMeta, kSoon, text("x")));
  until([&] { return held_.size() == 1; });
  std::optional<Result<void>> stopped;
  struct Run {
    static Task<void> stop(Served& served, Deadline deadline, std::optional<Result<void>>& out) {
      out = co_await served.stop(deadline);
    }
  };
  loop_.post_always([&] { spawn(Run::stop(*served_, Deadline::after(clock_, seconds(10)), stopped)); });
  EXPECT_EQ(wait_frames(peer, 1)[0].head.type, Type::kDrain);
  peer.send(raw_call(1, 0, kNoMeta, kSoon, text("too late")));
  const RawFrame refused = wait_frames(peer, 1)[0];
  EXPECT_EQ(refused.head.flags, kDidNotRun);
  EXPECT_EQ(failure(refused).code, code::kUnavailable);
  EXPECT_EQ(calls_, 1);
  release();
  EXPECT_EQ(value(wait_frames(peer, 1)[0].body.substr(4)), "held x");
  until([&] {
    clock_.advance(milliseconds(50));
    return stopped.has_value();
  });
  EXPECT_TRUE(*stopped);
  served_.reset();
  wait_closed(peer);
  EXPECT_LT(RawPeer::connect(place_.port), 0);
}

TEST_F(LinkNode, AnotherIncarnationHasAnotherEpoch) {
  serve();
  const std::uint64_t before = place_.epoch;
  stop();
  serve();
  EXPECT_NE(place_.epoch, before);
}

// ---- violations -----------------------------------------------------------------------------------------------------

struct Breach {
  const char* name;
  std::string octets;
};
std::vector<Breach> breaches() {
  const std::string message = "\n\1x";
  const auto method = [](std::string body, std::uint16_t number = 3) {
    return raw_frame(Type::kMethod, body, 0, number);
  };
  std::string too_large(kHeadSize, '\0');
  write_head(reinterpret_cast<std::byte*>(too_large.data()), {17 * 1024 * 1024, Type::kCall, 0, 0});
  std::string large_ping(kHeadSize, '\0');
  write_head(reinterpret_cast<std::byte*>(large_ping.data()), {kMaxPlain + 1, Type::kPing, 0, 0});
  return {
      {"UnknownType", raw_frame(static_cast<Type>(99))},
      {"SecondHello", raw_frame(Type::kHello, std::string(80, 'h'))},
      {"Reply", raw_frame(Type::kReply, raw_u32({0}))},
      {"Pong", raw_frame(Type::kPong, raw_u32({0, 0}))},
      {"Drain", raw_frame(Type::kDrain)},
      {"CallTooLarge", too_large},
      {"PingTooLarge", large_ping},
      {"PingOfAnotherSize", raw_frame(Type::kPing, "12345")},
      {"PingWithFlags", raw_frame(Type::kPing, raw_u32({1}), 1)},
      {"PingWithNumber", raw_frame(Type::kPing, raw_u32({1}), 0, 1)},
      {"CancelOfAnotherSize", raw_frame(Type::kCancel, "123")},
      {"CancelOutOfRange", raw_frame(Type::kCancel, raw_u32({1 << 20}))},
      {"CallTooShort", raw_frame(Type::kCall, std::string(11, 'c'))},
      {"CallWithFlags", raw_frame(Type::kCall, raw_u32({0, kNoMeta, kSoon}) + message, 1)},
      {"CallOfNoMethod", raw_call(0, 3, kNoMeta, kSoon, message)},
      {"CallOfNoMeta", raw_call(0, 0, 0, kSoon, message)},
      {"CallNumberOutOfRange", raw_call(65536, 0, kNoMeta, kSoon, message)},
      {"CallNumberInUse", raw_call(0, 1, kNoMeta, kSoon, message) + raw_call(0, 1, kNoMeta, kSoon, message)},
      {"MethodNotTheNext", method("\4\4TestEcho", 4)},
      {"MethodAgain", method("\4\4TestEcho", 2)},
      {"MethodTooShort", method("\4")},
      {"MethodNameBeyondTheEnd", method("\4\x50TestEcho")},
      {"MethodCallerTooLong", method("\4\4TestEcho" + std::string(256, 'c'))},
      {"MethodWithFlags", raw_frame(Type::kMethod, "\4\4TestEcho", 1, 3)},
      {"MetaTooShort", raw_frame(Type::kMeta, "123", kFromEmpty)},
      {"MetaWithNumber", raw_frame(Type::kMeta, raw_u32({0}), kFromEmpty, 1)},
      {"MetaNotTheNext", raw_frame(Type::kMeta, raw_u32({1}), kFromEmpty)},
      {"MetaChangesNothing", raw_frame(Type::kMeta, raw_u32({0}) + raw_entry("a", "b"))},
      {"MetaEntryBeyondTheEnd", raw_frame(Type::kMeta, raw_u32({0}) + "\xff\xff\xff\xff\xff\x7fkey", kFromEmpty)},
      {"MetaTooLarge", raw_frame(Type::kMeta, raw_u32({0}) + raw_entry("a", std::string(66'000, 'm')), kFromEmpty)},
  };
}

class LinkViolation : public LinkNode, public ::testing::WithParamInterface<Breach> {};

TEST_P(LinkViolation, IsCutAndNobodyElseIs) {
  serve();
  RawPeer good = join();
  RawPeer bad = join();
  const std::uint64_t before = network_->stats().violations;
  bad.send(GetParam().octets + raw_call(7, 0, kNoMeta, kSoon, text("after it")));
  std::vector<RawFrame> frames;
  until([&] {
    for (RawFrame& frame : bad.frames()) frames.push_back(std::move(frame));
    return bad.closed();
  });
  // Unless the reset of the connection came first, its last frame says why.
  if (!frames.empty()) {
    EXPECT_EQ(frames.back().head.type, Type::kBye);
    EXPECT_FALSE(frames.back().body.empty());
  }
  EXPECT_EQ(network_->stats().violations, before + 1);
  EXPECT_EQ(network_->stats().lost, 1);
  const int calls = calls_;
  good.send(raw_call(0, 0, kNoMeta, kSoon, text("still here")));
  EXPECT_EQ(value(wait_frames(good, 1)[0].body.substr(4)), "still here");
  EXPECT_EQ(calls_, calls + 1);
}

INSTANTIATE_TEST_SUITE_P(Link, LinkViolation, ::testing::ValuesIn(breaches()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(LinkNode, BoundsMetadataAndItsNumbers) {
  LinkOptions few = options();
  few.max_metas = 2;
  few.max_meta_octets = kMaxMetaSize;
  serve(few);
  const auto meta = [](std::uint32_t number, std::size_t octets) {
    return raw_frame(Type::kMeta, raw_u32({number}) + raw_entry("k", std::string(octets, 'v')), kFromEmpty);
  };
  RawPeer numbers = join();
  numbers.send(meta(0, 1) + meta(1, 1) + meta(2, 1));
  wait_closed(numbers);
  RawPeer octets = join();
  octets.send(meta(0, 40'000) + meta(1, 40'000));
  wait_closed(octets);
  RawPeer fine = join();
  fine.send(meta(0, 40'000) + meta(0, 10) + meta(1, 40'000) + raw_frame(Type::kPing, raw_u32({1})));
  EXPECT_EQ(wait_frames(fine, 1)[0].head.type, Type::kPong);
}

TEST_F(LinkNode, FramesMayComeOctetByOctet) {
  serve();
  RawPeer peer = connect();
  const std::string all = encode(hello()) + raw_method("Test", "Echo", 0) +
                          raw_frame(Type::kMeta, raw_u32({0}) + raw_entry("a", "b"), kFromEmpty) +
                          raw_call(0, 0, 0, kSoon, text("slowly"));
  for (const char octet : all) {
    peer.send({&octet, 1});
    loop_.poll();
  }
  const auto frames = wait_frames(peer, 2);
  EXPECT_EQ(value(frames[1].body.substr(4)), "slowly");
  EXPECT_EQ(seen_.get("a"), "b");
}

TEST_F(LinkNode, CallersMayVanishAtAnyMoment) {
  serve();
  const std::string all = encode(hello()) + raw_method("Test", "Hold", 0) +
                          raw_frame(Type::kMeta, raw_u32({0}) + raw_entry("a", "b"), kFromEmpty) +
                          raw_call(0, 0, 0, kSoon, text("x")) + raw_frame(Type::kCancel, raw_u32({0}));
  for (std::size_t size = 0; size <= all.size(); size += 3) {
    RawPeer peer = connect();
    peer.send(all.substr(0, size));
    settle();
    peer.close();
  }
  settle();
  while (!held_.empty()) release();
  RawPeer peer = join();
  peer.send(raw_call(0, 0, kNoMeta, kSoon, text("fine")));
  EXPECT_EQ(value(wait_frames(peer, 1)[0].body.substr(4)), "fine");
}

}  // namespace
}  // namespace mg::rpc::link
