#include "mg/codec/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec/test_util.h"

namespace mg::codec {
namespace {

CodecOptions with_mix(std::vector<std::uint8_t> mix, std::endian endian = std::endian::big) {
  CodecOptions options{.endian = endian};
  EXPECT_TRUE(options.set_mix(mix));
  return options;
}

std::vector<CodecOptions> every_shape() {
  std::vector<CodecOptions> shapes;
  for (const std::endian endian : {std::endian::big, std::endian::little}) {
    for (const auto& mix : std::vector<std::vector<std::uint8_t>>{{}, {7}, {0, 255}, {1, 2, 3}, {1, 2, 3, 4}}) {
      shapes.push_back(with_mix(mix, endian));
    }
  }
  return shapes;
}

template <PacketHead Head>
Head some_head() {
  Head head{.serial = 0x1234, .cmd = 0x89ABCDEF};
  if constexpr (std::same_as<Head, ServerHead>) head.code = 0x01020304;
  return head;
}

template <class Head>
class Frame : public testing::Test {};
using Heads = testing::Types<ClientHead, ServerHead>;
TYPED_TEST_SUITE(Frame, Heads);

TEST(CodecOptions, RefusesMoreThanFourMixOctets) {
  CodecOptions options;
  EXPECT_TRUE(options.set_mix(std::vector<std::uint8_t>{1, 2, 3, 4}));
  const auto refused = options.set_mix(std::vector<std::uint8_t>{1, 2, 3, 4, 5});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail, "5 mix octets: at most 4 may stand before a head");
  EXPECT_EQ(options.mix_size, 4) << "a refused mix changes nothing";
  EXPECT_TRUE(options.validate());
  options.mix_size = 5;
  EXPECT_FALSE(options.validate());
}

TEST(Encode, WritesTheCapturedPackets) {
  Exact request(13), reply(24);
  EXPECT_EQ(encode_client({.serial = 1, .cmd = 1}, as_bytes("abc"), {}, request.octets()), 13u);
  EXPECT_EQ(to_hex(request.octets()), "00010000000100000003616263");
  const CodecOptions mixed = with_mix({1, 2, 3, 4});
  EXPECT_EQ(encode_server({.serial = 1, .cmd = 1}, as_bytes("re:abc"), mixed, reply.octets()), 24u);
  EXPECT_EQ(to_hex(reply.octets()), "01020304000100000001000000000000000672653a616263");
}

TEST(EncodeDeathTest, RefusesABufferThatIsTooSmall) {
  Exact out(12);
  EXPECT_DEATH(encode_client({}, as_bytes("abc"), {}, out.octets()), "packet does not fit its buffer");
}

TYPED_TEST(Frame, ComesBackAsItWasWritten) {
  for (const CodecOptions& options : every_shape()) {
    for (const std::size_t length : {0u, 1u, 2u, 63u, 64u, 65u, 70000u}) {
      const std::string payload(length, 'x');
      Exact packet(head_bytes<TypeParam>(options) + length);
      const auto head = some_head<TypeParam>();
      ASSERT_EQ(encode(head, as_bytes(payload), options, packet.octets()), packet.octets().size());
      const auto got = decode<TypeParam>(packet.octets(), options);
      ASSERT_TRUE(got);
      EXPECT_EQ(got->head, head);
      EXPECT_EQ(as_text(got->payload), payload);
      EXPECT_EQ(got->size, packet.octets().size());
      if (length > 0) {
        EXPECT_EQ(got->payload.data(), packet.octets().data() + head_bytes<TypeParam>(options)) << "no copy";
      }
    }
  }
}

TYPED_TEST(Frame, CutAnywhereIsRefusedAsAMessageAndWaitedForInAStream) {
  for (const CodecOptions& options : every_shape()) {
    const std::size_t head_size = head_bytes<TypeParam>(options), size = head_size + 21;
    Exact packet(size);
    encode(some_head<TypeParam>(), as_bytes("twenty-one octets ..."), options, packet.octets());
    for (std::size_t cut = 0; cut < size; ++cut) {
      Exact front(packet.octets().first(cut));
      const auto message = decode<TypeParam>(front.octets(), options);
      ASSERT_FALSE(message) << cut;
      EXPECT_TRUE(
          message.error().detail.starts_with(cut < head_size ? "msg head length error" : "msg data length error"));
      const auto stream = scan<TypeParam>(front.octets(), options);
      ASSERT_TRUE(stream) << cut;
      EXPECT_FALSE(stream->whole);
      EXPECT_EQ(stream->size, cut < head_size ? head_size : size);
    }
  }
}

TYPED_TEST(Frame, WrongMixIsRefusedWithItsFirstWrongOctet) {
  for (const CodecOptions& options : every_shape()) {
    const std::size_t size = head_bytes<TypeParam>(options);
    for (std::size_t wrong = 0; wrong < options.mix_size; ++wrong) {
      Exact packet(size);
      encode(some_head<TypeParam>(), {}, options, packet.octets());
      packet.octets()[wrong] ^= std::byte{0x40};
      for (std::size_t count = 0; count <= size; ++count) {
        Exact front(packet.octets().first(count));
        EXPECT_EQ(scan<TypeParam>(front.octets(), options).has_value(), count <= wrong);
      }
      EXPECT_EQ(decode<TypeParam>(packet.octets(), options).error().detail,
                "msg head check error: the mix octets are not the configured ones");
    }
  }
}

TYPED_TEST(Frame, MissingMixIsRefused) {
  Exact packet(TypeParam::kBytes + 8);
  encode(some_head<TypeParam>(), as_bytes("12345678"), {}, packet.octets());
  for (const CodecOptions& options : every_shape()) {
    if (options.mix_size == 0) continue;
    EXPECT_FALSE(decode<TypeParam>(packet.octets(), options));
    EXPECT_FALSE(scan<TypeParam>(packet.octets(), options));
  }
}

TYPED_TEST(Frame, SizeOverTheLimitIsRefusedAtTheHead) {
  for (CodecOptions options : every_shape()) {
    for (const std::uint32_t limit : {0u, 1u, 1024u * 1024u, 0x7FFFFFFFu, 0xFFFFFFFEu}) {
      options.max_payload_bytes = limit;
      for (const std::uint32_t stated :
           {limit, limit + 1, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFF1u, 0xFFFFFFF5u, 0xFFFFFFFFu}) {
        Exact head(head_bytes<TypeParam>(options));
        encode_head(some_head<TypeParam>(), stated, options, head.octets().data());
        const auto got = scan<TypeParam>(head.octets(), options);
        ASSERT_EQ(got.has_value(), stated <= limit) << stated << " of " << limit;
        if (got) {
          EXPECT_EQ(got->whole, stated == 0);
          EXPECT_EQ(got->size, head.octets().size() + stated) << "no wrap";
        }
        EXPECT_EQ(decode<TypeParam>(head.octets(), options).has_value(), stated == 0)
            << "a size without any data is refused";
      }
    }
  }
}

TYPED_TEST(Frame, OctetsAfterAMessageAreIgnored) {
  const std::string trailing = "trailing";
  Exact in(TypeParam::kBytes + 3 + trailing.size());
  const std::size_t size = encode(some_head<TypeParam>(), as_bytes("abc"), {}, in.octets());
  std::memcpy(in.octets().data() + size, trailing.data(), trailing.size());
  const auto got = decode<TypeParam>(in.octets(), {});
  ASSERT_TRUE(got);
  EXPECT_EQ(as_text(got->payload), "abc");
  EXPECT_EQ(got->size, size);
}

TYPED_TEST(Frame, ManyPacketsInOneReadComeOutInOrder) {
  const CodecOptions options = with_mix({9, 8});
  std::string stream;
  for (std::uint16_t serial = 0; serial < 1000; ++serial) {
    TypeParam head{.serial = serial, .cmd = serial * 7u};
    Exact packet(head_bytes<TypeParam>(options) + serial % 5);
    encode(head, as_bytes(std::string(serial % 5, 'p')), options, packet.octets());
    stream += as_text(packet.octets());
  }
  Exact in(stream);
  Bytes rest = in.octets();
  for (std::uint16_t serial = 0; serial < 1000; ++serial) {
    const auto got = scan<TypeParam>(rest, options);
    ASSERT_TRUE(got && got->whole);
    EXPECT_EQ(got->head.serial, serial);
    EXPECT_EQ(got->payload.size(), serial % 5u);
    rest = rest.subspan(got->size);
  }
  EXPECT_TRUE(rest.empty());
  const auto none = scan<TypeParam>(rest, options);
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->whole);
}

}  // namespace
}  // namespace mg::codec
