#include "rpc/link/frames.h"

#include <gtest/gtest.h>

#include "rpc/link/advertise.h"
#include "rpc/link/raw_peer.h"

namespace mg::rpc::link {
namespace {

struct Parts {
  Head head;
  Bytes body;
};
Parts parts(const std::string& frame) {
  const Bytes octets = as_bytes(frame);
  return {read_head(octets.data()), octets.subspan(kHeadSize)};
}

TEST(Handshake, HelloComesBackAsItWas) {
  Hello hello{.has_secret = true, .epoch = 0x1122334455667788, .instance = 9, .max_message = 77, .node = "game-a"};
  hello.nonce[3] = std::byte{5};
  const std::string frame = encode(hello);
  const auto [head, body] = parts(frame);
  EXPECT_EQ(head.size, body.size());
  const auto got = decode_hello(head, body);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->has_secret);
  EXPECT_EQ(got->epoch, hello.epoch);
  EXPECT_EQ(got->nonce, hello.nonce);
  EXPECT_EQ(got->max_message, 77);
  EXPECT_EQ(got->node, "game-a");
}

TEST(Handshake, WelcomeComesBackAsItWas) {
  const Welcome welcome{.epoch = 3,
                        .time = 4,
                        .max_calls = 5,
                        .max_message = 6,
                        .max_metas = 7,
                        .max_meta_octets = kMaxMetaSize,
                        .proof = {}};
  const std::string frame = encode(welcome);
  const auto [head, body] = parts(frame);
  const auto got = decode_welcome(head, body);
  ASSERT_TRUE(got);
  EXPECT_EQ(encode(*got), frame);
}

TEST(Handshake, EveryShorterFrameIsRefused) {
  const std::string hello = encode(Hello{.node = "g"});
  for (std::size_t size = 0; size + 1 < hello.size() - kHeadSize; ++size) {
    const auto [head, body] = parts(hello);
    EXPECT_FALSE(decode_hello(head, body.first(size))) << size;
  }
  const std::string welcome = encode(Welcome{.max_calls = 1, .max_metas = 1, .max_meta_octets = kMaxMetaSize});
  for (std::size_t size = 0; size < welcome.size() - kHeadSize; ++size) {
    const auto [head, body] = parts(welcome);
    EXPECT_FALSE(decode_welcome(head, body.first(size))) << size;
  }
  std::string wrong = hello;
  wrong[kHeadSize] = 'x';
  const auto [head, body] = parts(wrong);
  EXPECT_FALSE(decode_hello(head, body));
}

TEST(Proofs, DependOnEverything) {
  const std::string secret = "0123456789abcdef";
  const std::string welcome = encode(Welcome{});
  const Proof caller = caller_proof(secret, "hello", "challenge");
  EXPECT_TRUE(equal(caller, caller_proof(secret, "hello", "challenge")));
  EXPECT_FALSE(equal(caller, caller_proof("0123456789abcdeg", "hello", "challenge")));
  EXPECT_FALSE(equal(caller, caller_proof(secret, "hellO", "challenge")));
  EXPECT_FALSE(equal(caller, caller_proof(secret, "hello", "challengE")));
  EXPECT_FALSE(equal(caller, node_proof(secret, "hello", "challenge", welcome)));
  EXPECT_FALSE(equal(node_proof(secret, "h", "c", encode(Welcome{.max_calls = 1})),
                     node_proof(secret, "h", "c", encode(Welcome{.max_calls = 2}))));
  Proof some{};
  some[0] = std::byte{1};
  EXPECT_EQ(node_proof(secret, "h", "c", encode(Welcome{.proof = some})),
            node_proof(secret, "h", "c", encode(Welcome{})));
}

TEST(Place, IsWhatTheRegistryIsTold) {
  for (const Place& place : {Place{"10.0.0.7", 41733, 0x5f3a9c0d11e2b704}, Place{"fd00::2", 1, 7}}) {
    const auto got = decode_place(encode(place));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->ip, place.ip);
    EXPECT_EQ(got->port, place.port);
    EXPECT_EQ(got->epoch, place.epoch);
  }
  EXPECT_EQ(encode(Place{"fd00::2", 80, 7}), "[fd00::2]:80;0000000000000007");
  for (const char* text :
       {"", ";", "1.2.3.4:5", "1.2.3.4:5;7", "1.2.3.4;0000000000000007", "a.b:5;0000000000000007",
        "1.2.3.4:0;0000000000000007", "1.2.3.4:65536;0000000000000007", "fd00::2:5;0000000000000007",
        "1.2.3.4:5;000000000000000g", "1.2.3.4:5;00000000000000077", "1.2.3.4:+5;0000000000000007"}) {
    EXPECT_FALSE(decode_place(text)) << text;
  }
}

TEST(Advertise, IsTheGivenIpOrTheOneThatIsListenedAt) {
  EXPECT_EQ(advertised_ip("10.1.2.3", "127.0.0.1:5").value(), "10.1.2.3");
  EXPECT_EQ(advertised_ip("[fd00::1]", "127.0.0.1:5").value(), "fd00::1");
  EXPECT_EQ(advertised_ip("", "127.0.0.1:5").value(), "127.0.0.1");
  EXPECT_EQ(advertised_ip("", "[::1]:5").value(), "::1");
  EXPECT_FALSE(advertised_ip("", ":5").value().empty());
  EXPECT_FALSE(advertised_ip("game.example", ":5"));
}

TEST(TakeFrames, CutsWhereverTheOctetsAreSplit) {
  const std::string all = raw_frame(Type::kPing, "1234") + raw_frame(Type::kDrain) + raw_frame(Type::kBye, "text");
  const auto any = [](const Head&) { return std::size_t{100}; };
  for (std::size_t size = 0; size <= all.size(); ++size) {
    std::string seen;
    std::size_t want = 0;
    const auto take = [&](std::string_view octets) {
      return take_frames(
          as_bytes(octets), &want, any,
          [&](const Head& head, const std::byte* body) {
            seen += text_at(body, head.size);
            seen += '|';
            return true;
          },
          [](const Head&) { ADD_FAILURE(); });
    };
    const std::size_t used = take(std::string_view(all).substr(0, size));
    EXPECT_LE(used, size);
    EXPECT_EQ(used + take(std::string_view(all).substr(used)), all.size());
    EXPECT_EQ(seen, "1234||text|");
  }
}

TEST(TakeFrames, TellsOfAFrameThatIsTooLargeBeforeItsBody) {
  const std::string head = raw_frame(Type::kPing, std::string(101, 'x')).substr(0, kHeadSize);
  std::size_t want = 0;
  bool told = false;
  EXPECT_EQ(take_frames(
                as_bytes(head), &want, [](const Head&) { return std::size_t{100}; },
                [](const Head&, const std::byte*) { return true; }, [&](const Head&) { told = true; }),
            0);
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace mg::rpc::link
