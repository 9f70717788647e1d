#include "mg/codec/session_codec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "codec/test_util.h"

namespace mg::codec {
namespace {

// Turns every octet around, mix octets too; two octets before the mix count packets, three after the payload repeat the
// first one and its number of calls. Refuses command 666 at its head, and payloads that begin with '!'.
class TestGuard final : public PacketGuard {
 public:
  explicit TestGuard(bool shared) : shared_(shared) {}
  GuardRoom room() const override { return {.head = 2, .trailer = 3}; }
  bool shared_outbound() const override { return shared_; }
  Result<void> outbound(MutableBytes head, MutableBytes payload, MutableBytes trailer) override {
    if (!payload.empty() && payload[0] == std::byte{'#'}) return fail(code::kInvalid, "not to be sent");
    head[0] = static_cast<std::byte>(shared_ ? 0 : out_++);
    head[1] = std::byte{0x5A};
    for (std::byte& octet : trailer) octet = head[0];
    turn(head.subspan(2));
    turn(payload);
    return {};
  }
  Result<void> inbound_head(MutableBytes head) override {
    ++heads_;
    turn(head.subspan(2));
    if (load<std::uint32_t>(head.data() + 5, std::endian::big) == 666)
      return fail(code::kForbidden, "the guard says no");
    return {};
  }
  Result<void> inbound_payload(Bytes head, MutableBytes payload, MutableBytes trailer) override {
    ++payloads_;
    EXPECT_EQ(heads_, payloads_) << "each head goes through the guard once";
    turn(payload);
    if (!payload.empty() && payload[0] == std::byte{'!'}) return fail(code::kForbidden, "the guard says no");
    for (const std::byte octet : trailer) {
      if (octet != head[0]) return fail(code::kInvalid, "trailer differs");
    }
    return {};
  }

 private:
  static void turn(MutableBytes octets) {
    for (std::byte& octet : octets) octet = ~octet;
  }
  bool shared_;
  std::uint8_t out_ = 0;
  int heads_ = 0, payloads_ = 0;
};

CodecOptions guarded(bool shared = false) {
  CodecOptions options{.mix = {0xAB}, .mix_size = 1, .max_payload_bytes = 100};
  options.guard = [shared] { return std::make_unique<TestGuard>(shared); };
  return options;
}

std::string encoded(ClientCodec& codec, const ClientHead& head, std::string_view payload) {
  Exact out(codec.packet_bytes(payload.size()));
  EXPECT_EQ(codec.encode(head, as_bytes(payload), out.octets()).value(), out.octets().size());
  return std::string(as_text(out.octets()));
}

TEST(SessionCodec, WithoutAGuardIsPlainFrames) {
  const CodecOptions options{.mix = {1, 2}, .mix_size = 2};
  ServerCodec gate(options);
  ClientCodec player(options);
  EXPECT_TRUE(gate.shared_outbound());
  EXPECT_LE(sizeof gate, 24u);
  const std::string request = encoded(player, {.serial = 1, .cmd = 2}, "abc");
  EXPECT_EQ(to_hex(as_bytes(request)), "010200010000000200000003616263");
  Exact in(request);
  const auto message = gate.decode(in.octets());
  ASSERT_TRUE(message);
  EXPECT_EQ(as_text(message->payload), "abc");
  const auto stream = gate.scan(in.octets());
  ASSERT_TRUE(stream && stream->whole);
  EXPECT_EQ(stream->head, (ClientHead{1, 2}));

  Exact reply(gate.packet_bytes(2));
  EXPECT_EQ(gate.payload_offset(), 16u);
  std::memcpy(reply.octets().data() + gate.payload_offset(), "ok", 2);
  EXPECT_EQ(gate.encode_in_place({.serial = 1, .cmd = 2, .code = 3}, 2, reply.octets()).value(), 18u);
  EXPECT_EQ(player.decode(reply.octets())->head, (ServerHead{1, 2, 3}));
}

TEST(SessionCodec, SerialsMustGrowWhenAsked) {
  const CodecOptions strict{.growing_serials = true};
  ClientCodec player(strict);
  const auto accepts = [&](std::vector<std::uint16_t> serials) {
    ServerCodec messages(strict), stream(strict);
    std::size_t taken = 0;
    for (const std::uint16_t serial : serials) {
      Exact in(encoded(player, {.serial = serial, .cmd = 1}, ""));
      const auto got = messages.decode(in.octets());
      EXPECT_EQ(got.has_value(), stream.scan(in.octets()).has_value());
      if (!got) {
        EXPECT_EQ(got.error().code, code::kInvalid);
        break;
      }
      ++taken;
    }
    return taken;
  };
  EXPECT_EQ(accepts({1, 2, 3, 10, 32777, 65535, 0, 1}), 8u) << "steps of 1 to 32767, round the end";
  EXPECT_EQ(accepts({65535, 0}), 2u) << "the first may be any";
  EXPECT_EQ(accepts({0, 1}), 2u);
  EXPECT_EQ(accepts({5, 5}), 1u) << "a repeat";
  EXPECT_EQ(accepts({5, 4}), 1u) << "back";
  EXPECT_EQ(accepts({5, 5 + 32767}), 2u);
  EXPECT_EQ(accepts({5, 5 + 32768}), 1u) << "half way round is neither";
  EXPECT_EQ(accepts({0, 65535}), 1u);
}

TEST(SessionCodec, SerialRuleIsForClientsOnly) {
  const CodecOptions strict{.growing_serials = true};
  ServerCodec gate(strict);
  ClientCodec player(strict);
  for (int push = 0; push < 3; ++push) {
    Exact out(gate.packet_bytes(0));
    ASSERT_TRUE(gate.encode({.serial = 0, .cmd = 9}, {}, out.octets()));
    EXPECT_TRUE(player.decode(out.octets())) << "pushes all have serial 0";
  }
}

TEST(SessionCodec, GuardSeesHeadAndPayloadBothWays) {
  const CodecOptions options = guarded();
  ClientCodec player(options);
  ServerCodec gate(options);
  EXPECT_FALSE(gate.shared_outbound());
  EXPECT_EQ(encoded(player, {.serial = 1, .cmd = 2}, "a"), hex("005a 54 fffe fffffffd fffffffe 9e 000000"));
  Exact second(encoded(player, {.serial = 2, .cmd = 2}, ""));
  EXPECT_EQ(to_hex(second.octets()), "015a54fffdfffffffdffffffff010101");
  const auto got = gate.decode(second.octets());
  ASSERT_TRUE(got);
  EXPECT_EQ(got->head, (ClientHead{2, 2}));
  EXPECT_EQ(got->size, 16u);

  Exact reply(gate.packet_bytes(5));
  std::memcpy(reply.octets().data() + gate.payload_offset(), "hello", 5);
  ASSERT_TRUE(gate.encode_in_place({.serial = 2, .cmd = 2}, 5, reply.octets()));
  const auto read = player.decode(reply.octets());
  ASSERT_TRUE(read);
  EXPECT_EQ(as_text(read->payload), "hello");
}

TEST(SessionCodec, GuardedStreamComesOutOfAnyPieces) {
  const CodecOptions options = guarded();
  for (std::size_t piece = 1; piece < 60; ++piece) {
    ClientCodec player(options);
    ServerCodec gate(options);
    std::string stream;
    for (std::uint16_t serial = 0; serial < 50; ++serial) {
      stream += encoded(player, {.serial = serial, .cmd = serial * 3u}, std::string(serial, 'a'));
    }
    std::string pending;  // What has arrived and is not taken; copied to an exact buffer that moves for each call.
    std::uint16_t next = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      pending += stream.substr(at, piece);
      for (;;) {
        Exact in(pending);
        const auto got = gate.scan(in.octets());
        ASSERT_TRUE(got) << got.error().detail;
        pending = as_text(in.octets());  // As the codec left it.
        if (!got->whole) {
          ASSERT_GT(got->size, pending.size());
          break;
        }
        ASSERT_EQ(got->head, (ClientHead{next, next * 3u}));
        ASSERT_EQ(as_text(got->payload), std::string(next, 'a'));
        ++next;
        pending.erase(0, got->size);
      }
    }
    EXPECT_EQ(next, 50);
    EXPECT_TRUE(pending.empty());
  }
}

TEST(SessionCodec, GuardedMessageCutAnywhereIsRefused) {
  const CodecOptions options = guarded();
  ClientCodec player(options);
  const std::string packet = encoded(player, {.serial = 1, .cmd = 2}, "payload");
  for (std::size_t cut = 0; cut < packet.size(); ++cut) {
    ServerCodec gate(options);
    Exact in(std::string_view(packet).substr(0, cut));
    const auto got = gate.decode(in.octets());
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().detail.starts_with(cut < 13 ? "msg head length error" : "msg data length error"))
        << got.error().detail;
  }
  ServerCodec gate(options);
  Exact longer(packet + "trailing");
  EXPECT_EQ(gate.decode(longer.octets())->size, packet.size()) << "octets after the trailer are ignored";
}

TEST(SessionCodec, GuardRefusesHeadsPayloadsAndOutput) {
  const CodecOptions options = guarded();
  ClientCodec player(options);
  {
    Exact in(encoded(player, {.serial = 1, .cmd = 666}, "later"));
    ServerCodec gate(options);
    const auto got = gate.scan(in.octets().first(13));
    ASSERT_FALSE(got) << "refused at the head, before the payload is there";
    EXPECT_EQ(got.error().code, code::kForbidden);
  }
  {
    Exact in(encoded(player, {.serial = 1, .cmd = 1}, "!no"));
    ServerCodec gate(options);
    EXPECT_EQ(gate.scan(in.octets()).error().detail, "the guard says no");
  }
  {
    std::string packet = encoded(player, {.serial = 1, .cmd = 1}, "x");
    packet.back() ^= 1;
    Exact in(packet);
    ServerCodec gate(options);
    EXPECT_EQ(gate.decode(in.octets()).error().detail, "trailer differs");
  }
  Exact out(player.packet_bytes(1));
  EXPECT_EQ(player.encode({}, as_bytes("#"), out.octets()).error().detail, "not to be sent");
}

TEST(SessionCodec, MixAndLimitHoldBehindAGuard) {
  const CodecOptions options = guarded();
  ClientCodec player(options);
  {
    std::string packet = encoded(player, {.serial = 1, .cmd = 1}, "x");
    packet[2] ^= 1;
    Exact in(packet);
    ServerCodec gate(options);
    EXPECT_TRUE(gate.scan(in.octets()).error().detail.starts_with("msg head check error"));
  }
  CodecOptions generous = options;
  generous.max_payload_bytes = 1000;
  ClientCodec talker(generous);
  Exact in(encoded(talker, {.serial = 1, .cmd = 1}, std::string(101, 'x')));
  ServerCodec gate(options);
  EXPECT_TRUE(gate.scan(in.octets().first(13)).error().detail.starts_with("msg data length error"));
}

TEST(SessionCodec, SharedGuardEncodesForAllSessions) {
  const CodecOptions options = guarded(true);
  ServerCodec one(options), two(options);
  EXPECT_TRUE(one.shared_outbound());
  for (ServerCodec* codec : {&one, &two}) {
    Exact out(codec->packet_bytes(1));
    ASSERT_TRUE(codec->encode({.cmd = 1}, as_bytes("x"), out.octets()));
    EXPECT_EQ(to_hex(out.octets()),
              "005a54fffffffffffeffffffff"
              "fffffffe87000000");
  }
}

TEST(SessionCodec, FactoryMayGiveSomeSessionsNoGuard) {
  CodecOptions options;
  options.guard = [] { return nullptr; };
  ServerCodec gate(options);
  EXPECT_TRUE(gate.shared_outbound());
  EXPECT_EQ(gate.packet_bytes(0), 14u);
}

TEST(SessionCodecDeathTest, RefusesOptionsThatAreNotValid) {
  const CodecOptions options{.mix_size = 5};
  EXPECT_DEATH(ServerCodec{options}, "codec options are not valid");
}

}  // namespace
}  // namespace mg::codec
