#include "mg/codec/xor_guard.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "codec/crc32c.h"
#include "codec/test_util.h"
#include "mg/codec/session_codec.h"

namespace mg::codec {
namespace {

constexpr XorKey kKey{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

CodecOptions options_of(End end, std::uint64_t first, XorKey key = kKey) {
  CodecOptions options{.mix = {1, 2, 3}, .mix_size = 3};
  options.guard = [=] { return make_xor_guard(key, end, first); };
  return options;
}

// Two ends of one session.
struct Session {
  explicit Session(std::uint64_t client_first = 0, std::uint64_t server_first = 0, XorKey server_key = kKey)
      : client_options(options_of(End::kClient, client_first)),
        server_options(options_of(End::kServer, server_first, server_key)) {}

  std::string request(std::uint16_t serial, std::string_view payload) {
    Exact out(player.packet_bytes(payload.size()));
    EXPECT_TRUE(player.encode({.serial = serial, .cmd = 10001}, as_bytes(payload), out.octets()));
    return std::string(as_text(out.octets()));
  }
  // The payload that the gate reads out of it, or what it refuses it with.
  std::string receive(std::string_view packet) {
    Exact in(packet);
    const auto got = gate.decode(in.octets());
    return got ? std::string(as_text(got->payload)) : got.error().detail;
  }

  CodecOptions client_options, server_options;
  ClientCodec player{client_options};
  ServerCodec gate{server_options};
};

TEST(Crc32c, HasTheKnownValues) {
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8A9136AAu) << "RFC 3720 B.4";
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62A8AB43u);
  EXPECT_EQ(crc32c(as_bytes("456789"), crc32c(as_bytes("123"))), 0xE3069283u);
}

// Made with another program from the description in the header: for whoever writes a client.
TEST(XorGuard, WritesTheDescribedOctets) {
  Session session(0xFFFFFFFF, 0x12345678);
  EXPECT_EQ(to_hex(as_bytes(session.request(7, "hello"))), "ffffffff604e462177df46634bad579ec0234355f53b6123fe19");
  Exact reply(session.gate.packet_bytes(0));
  ASSERT_TRUE(session.gate.encode({.serial = 7, .cmd = 10001, .code = 404}, {}, reply.octets()));
  EXPECT_EQ(to_hex(reply.octets()), "12345678831a850ed6dae6509325773b6302ddae0bc544423d");
  const auto read = session.player.decode(reply.octets());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->head, (ServerHead{7, 10001, 404}));
}

TEST(XorGuard, CarriesEveryPayloadSizeAcrossTheNumberWrap) {
  Session session(0xFFFFFFF0);
  for (std::size_t length = 0; length < 100; ++length) {
    std::string payload(length, '\0');
    for (std::size_t i = 0; i < length; ++i) payload[i] = static_cast<char>(i * 7);
    EXPECT_EQ(session.receive(session.request(1, payload)), payload);
  }
}

TEST(XorGuard, StreamOctetByOctetIsTheSame) {
  Session session(5);
  std::string pending;
  for (const std::string_view payload : {"first", "", "the third, longer one"}) {
    const std::string packet = session.request(1, payload);
    std::size_t whole = 0;
    for (const char octet : packet) {
      pending += octet;
      Exact in(pending);
      const auto got = session.gate.scan(in.octets());
      ASSERT_TRUE(got);
      pending = as_text(in.octets());
      if (!got->whole) continue;
      ++whole;
      EXPECT_EQ(as_text(got->payload), payload);
      pending.erase(0, got->size);
    }
    EXPECT_EQ(whole, 1u);
    EXPECT_TRUE(pending.empty());
  }
}

TEST(XorGuard, AnyOctetChangedIsRefused) {
  const std::string packet = Session(9).request(3, "payload");
  for (std::size_t at = 0; at < packet.size(); ++at) {
    for (const char bit : {1, 16, -128}) {
      std::string changed = packet;
      changed[at] ^= bit;
      EXPECT_TRUE(Session().receive(changed).starts_with("msg ")) << at;
    }
  }
}

TEST(XorGuard, RepeatedAndReorderedPacketsAreRefusedLeftOutOnesAreNot) {
  Session session(100);
  const std::string one = session.request(1, "one"), two = session.request(2, "two"),
                    three = session.request(3, "three"), four = session.request(4, "four");
  EXPECT_EQ(session.receive(one), "one");
  EXPECT_EQ(session.receive(three), "three") << "two was dropped before it was sent";
  EXPECT_EQ(session.receive(two), "msg number error: 101 does not come after 102");

  Session again(100);
  EXPECT_EQ(again.receive(again.request(1, "one")), "one");
  EXPECT_EQ(again.receive(one), "msg number error: 100 does not come after 100");
}

TEST(XorGuard, AnotherKeyOrDirectionIsRefused) {
  XorKey other = kKey;
  other[15] ^= 1;
  Session session(1, 1, other);
  EXPECT_TRUE(session.receive(session.request(1, "x")).starts_with("msg head check error"));
  ClientCodec player(session.client_options);
  Exact in(Session(1).request(1, "abcdefghij"));
  EXPECT_FALSE(player.decode(in.octets())) << "a client's own packet sent back to it";
}

TEST(XorGuard, IsNotShared) {
  EXPECT_FALSE(Session().gate.shared_outbound());
}

}  // namespace
}  // namespace mg::codec
