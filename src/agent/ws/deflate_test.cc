#include "agent/ws/deflate.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "agent/ws/ws_test_util.h"

namespace mg::agent::ws {
namespace {

using ::testing::ElementsAre;

const FrameOptions kGame;
const FrameOptions kEcho{.accept_text = true};
constexpr Shape kRsv1{.rsv = 4};
constexpr Shape kRsv1Open{.fin = false, .rsv = 4};
constexpr Shape kOpen{.fin = false};

std::string octets(std::initializer_list<int> list) {
  std::string out;
  for (int i : list) out += static_cast<char>(i);
  return out;
}

std::string compressed(Deflater& deflater, const std::string& message) {
  std::vector<std::byte> out;
  EXPECT_TRUE(deflater.compress(as_bytes(message), out));
  return std::string(as_text(out));
}
std::string compressed(const std::string& message, std::uint8_t bits = 15) {
  Deflater deflater(bits, true);
  return compressed(deflater, message);
}

std::vector<Seen> read(const std::string& in, const FrameOptions& options = kGame, const DeflateParams& params = {},
                       std::vector<std::size_t> pieces = {}) {
  FrameParser parser(options);
  parser.use_deflate(params);
  return read_all(parser, in, std::move(pieces));
}

// Text that compresses, with matches near and far.
std::string prose(std::size_t size) {
  std::string out;
  for (std::uint32_t i = 1; out.size() < size; i = i * 1103515245 + 12345) {
    out += "player " + std::to_string(i >> 20) + (i % 3 == 0 ? " moves to " : " waits at ") + std::to_string(i % 77);
  }
  out.resize(size);
  return out;
}

TEST(NegotiateDeflate, TakesTheFirstOfferItCanServe) {
  struct Case {
    std::string offer;
    std::string answer;  // Empty: declined.
  };
  const DeflateOptions options{.enabled = true, .no_context_takeover = false};
  const Case cases[] = {
      {"permessage-deflate", "permessage-deflate"},
      {"permessage-deflate; client_max_window_bits", "permessage-deflate"},
      {"permessage-deflate;client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"},
      {"permessage-deflate ; server_max_window_bits = 9", "permessage-deflate; server_max_window_bits=9"},
      {"permessage-deflate; server_max_window_bits=\"12\"", "permessage-deflate; server_max_window_bits=12"},
      {"permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"},
      {"permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"},
      {"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
       "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
      {"x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"},
      {", ,permessage-deflate", "permessage-deflate"},
      {"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_no_context_takeover",
       "permessage-deflate; server_no_context_takeover"},
      {"", ""},
      {"x-webkit-deflate-frame", ""},
      {"permessage-deflate; server_max_window_bits", ""},
      {"permessage-deflate; server_max_window_bits=", ""},
      {"permessage-deflate; server_max_window_bits=7", ""},
      {"permessage-deflate; server_max_window_bits=16", ""},
      {"permessage-deflate; server_max_window_bits=09", ""},
      {"permessage-deflate; server_max_window_bits=+9", ""},
      {"permessage-deflate; server_max_window_bits=9x", ""},
      {"permessage-deflate; server_max_window_bits=99999999999999999999", ""},
      {"permessage-deflate; server_max_window_bits=\"9", ""},
      {"permessage-deflate; client_max_window_bits=0", ""},
      {"permessage-deflate; client_max_window_bits=abc", ""},
      {"permessage-deflate; server_no_context_takeover=1", ""},
      {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
      {"permessage-deflate; client_max_window_bits; client_max_window_bits", ""},
      {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", ""},
      {"permessage-deflate; unknown", ""},
      {"permessage-deflate;", ""},
      {"permessage-deflate x", ""},
      {"permessage-deflate; =5", ""},
      {"Permessage-Deflate", ""},
      {";", ""},
      {std::string(20, ',') + "permessage-deflate", ""},
      {"permessage-deflate" + std::string(100, ';'), ""},
  };
  for (const Case& c : cases) {
    std::string answer;
    EXPECT_EQ(negotiate_deflate(c.offer, options, answer).has_value(), !c.answer.empty()) << c.offer;
    EXPECT_EQ(answer, c.answer) << c.offer;
  }
  std::string answer;
  EXPECT_EQ(negotiate_deflate("permessage-deflate", {}, answer), std::nullopt) << "off by default";
}

TEST(NegotiateDeflate, AsksForNoHistoryAndSmallerWindowsWhenConfigured) {
  const DeflateOptions options{.enabled = true, .server_max_window_bits = 11, .client_max_window_bits = 10};
  std::string answer;
  const auto params = negotiate_deflate(offer_deflate(), options, answer);
  EXPECT_EQ(answer,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; "
            "client_max_window_bits=10");
  const DeflateParams wanted{true, true, 11, 10};
  EXPECT_EQ(params, wanted);
  EXPECT_EQ(accept_deflate(answer), wanted);
  // A client that did not let us choose its window keeps it.
  EXPECT_EQ(negotiate_deflate("permessage-deflate", options, answer)->client_max_window_bits, 15);
}

TEST(AcceptDeflate, RefusesWhatWasNotOffered) {
  EXPECT_EQ(accept_deflate("permessage-deflate"), DeflateParams{});
  for (const char* bad :
       {"", "x-other", "permessage-deflate, permessage-deflate", "permessage-deflate; x",
        "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=16"}) {
    EXPECT_EQ(accept_deflate(bad), std::nullopt) << bad;
  }
}

// The examples of RFC 7692 section 7.2.3.
TEST(CompressedFrames, ReadTheExamplesOfTheRfc) {
  const std::string hello = octets({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00});
  EXPECT_THAT(read(frame(2, hello, kRsv1)), ElementsAre(message("Hello")));
  EXPECT_THAT(read(frame(2, hello.substr(0, 3), kRsv1Open) + frame(9, "x") + frame(0, hello.substr(3))),
              ElementsAre(ping("x"), message("Hello")));
  EXPECT_THAT(read(frame(2, hello, kRsv1) + frame(2, octets({0xf2, 0x00, 0x11, 0x00, 0x00}), kRsv1)),
              ElementsAre(message("Hello"), message("Hello")));
  EXPECT_THAT(read(frame(2, octets({0, 5, 0, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0}), kRsv1)),
              ElementsAre(message("Hello")));
  EXPECT_THAT(read(frame(2, octets({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}), kRsv1)),
              ElementsAre(message("Hello")));
  EXPECT_THAT(read(frame(2, octets({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), kRsv1)), ElementsAre(message("Hello")));
  EXPECT_THAT(read(frame(2, octets({0xf2, 0x48, 0x05, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0}), kRsv1)),
              ElementsAre(message("Hello")));
  EXPECT_THAT(read(frame(2, octets({0}), kRsv1) + frame(2, "plain")), ElementsAre(message(""), message("plain")));
}

TEST(CompressedFrames, KeepTheHistoryAfterAFinalBlock) {
  const std::string final_hello = octets({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00});
  const std::string again = octets({0xf2, 0x00, 0x11, 0x00, 0x00});
  EXPECT_THAT(read(frame(2, final_hello, kRsv1) + frame(2, again, kRsv1)),
              ElementsAre(message("Hello"), message("Hello")));
}

TEST(CompressedFrames, RoundTripAtEachWindowWithAndWithoutHistory) {
  for (int bits = 8; bits <= 15; ++bits) {
    for (bool no_takeover : {false, true}) {
      const auto window = static_cast<std::uint8_t>(bits);
      Deflater deflater(window, no_takeover);
      const DeflateParams params{no_takeover, no_takeover, window, window};
      std::string in;
      std::vector<Seen> expected;
      for (std::size_t size : {0, 1, 5, 64, 0, 700, 40000, 3, 120000, 64}) {
        const std::string text = prose(size);
        in += frame(2, compressed(deflater, text), kRsv1);
        expected.push_back(message(text));
      }
      EXPECT_EQ(read(in, kGame, params), expected) << bits;
      EXPECT_EQ(read(in, kGame, params, {1000}), expected) << bits;
    }
  }
}

TEST(CompressedFrames, ReadTheSameHoweverFragmentedAndCut) {
  const std::string text = prose(600);
  const std::string packed = compressed(text);
  for (std::size_t cut = 0; cut <= packed.size(); ++cut) {
    const std::string in =
        frame(2, packed.substr(0, cut), kRsv1Open) + frame(0, "", kOpen) + frame(0, packed.substr(cut));
    EXPECT_THAT(read(in), ElementsAre(message(text))) << cut;
    EXPECT_THAT(read(in, kGame, {}, {1}), ElementsAre(message(text))) << cut;
  }
}

TEST(CompressedFrames, AreRefusedWhereRsv1MayNotBe) {
  const std::string packed = compressed("Hello");
  FrameParser parser(kGame);
  EXPECT_THAT(read_all(parser, frame(2, packed, kRsv1)), ElementsAre(error(1002))) << "not agreed";
  EXPECT_THAT(read(frame(9, "", kRsv1)), ElementsAre(error(1002)));
  EXPECT_THAT(read(frame(8, "", kRsv1)), ElementsAre(error(1002)));
  EXPECT_THAT(read(frame(2, packed.substr(0, 2), kRsv1Open) + frame(0, packed.substr(2), kRsv1)),
              ElementsAre(error(1002)));
  EXPECT_THAT(read(frame(2, "a", kOpen) + frame(0, packed, kRsv1)), ElementsAre(error(1002)));
  EXPECT_THAT(read(frame(2, packed, {.rsv = 6})), ElementsAre(error(1002)));
  EXPECT_THAT(read(frame(1, packed, kRsv1)), ElementsAre(error(1003)));
}

TEST(CompressedFrames, AreRefusedWhenBroken) {
  EXPECT_THAT(read(frame(2, "not deflate at all", kRsv1)), ElementsAre(error(1007)));
  EXPECT_THAT(read(frame(2, octets({0xFF, 0xFF, 0xFF}), kRsv1)), ElementsAre(error(1007)));
  EXPECT_THAT(read(frame(2, octets({0, 5, 0, 0, 0, 'H'}), kRsv1)), ElementsAre(error(1007)));
  const std::string packed = compressed(prose(3000));
  for (std::size_t size = 1; size + 1 < packed.size(); ++size) {
    ASSERT_THAT(read(frame(2, packed.substr(0, size), kRsv1)), ElementsAre(error(1007))) << size;
  }
  // A match that reaches back further than the window agreed on.
  const std::string noise = [] {
    std::string out;
    for (std::uint32_t i = 1; out.size() < 4000; i = i * 1103515245 + 12345) out += static_cast<char>(i >> 24);
    return out;
  }();
  Deflater deflater(15, false);
  const std::string near = frame(2, compressed(deflater, noise), kRsv1);
  const std::string far = near + frame(2, compressed(deflater, noise), kRsv1);
  EXPECT_THAT(read(far), ElementsAre(message(noise), message(noise)));
  EXPECT_THAT(read(far, kGame, {.client_max_window_bits = 10}), ElementsAre(message(noise), error(1007)));
}

TEST(CompressedFrames, HoldTheMessageLimitAfterDecompression) {
  const FrameOptions options{.max_message_bytes = 1000};
  EXPECT_THAT(read(frame(2, compressed(std::string(999, 'a')), kRsv1), options),
              ElementsAre(message(std::string(999, 'a'))));
  EXPECT_THAT(read(frame(2, compressed(std::string(1000, 'a')), kRsv1), options),
              ElementsAre(message(std::string(1000, 'a'))));
  EXPECT_THAT(read(frame(2, compressed(std::string(1001, 'a')), kRsv1), options), ElementsAre(error(1009)));
  EXPECT_THAT(read(frame(2, compressed(""), kRsv1) + frame(2, compressed("a"), kRsv1), {.max_message_bytes = 1}),
              ElementsAre(message(""), message("a")));
  EXPECT_THAT(read(frame(2, std::string(1065, '\0'), kRsv1), options), ElementsAre(error(1009))) << "at the header";
}

TEST(CompressedFrames, ABombIsRefusedWithBoundedMemory) {
  const std::string bomb = compressed(std::string(256 << 20, '\0'));  // About 1.1 MiB at this level.
  const FrameOptions options{.max_message_bytes = 2 << 20};
  ASSERT_LT(bomb.size(), options.max_message_bytes);
  std::vector<std::byte> out;
  Inflater inflater(15, true);
  EXPECT_EQ(inflater.feed(as_bytes(bomb), true, options.max_message_bytes, out), Inflater::Status::kTooBig);
  EXPECT_LE(out.capacity(), 4U << 20);
  FrameParser parser(options);
  parser.use_deflate({});
  EXPECT_THAT(read_all(parser, frame(2, bomb, kRsv1), {}, 4 << 20), ElementsAre(error(1009)));
  EXPECT_EQ(parser.heap_bytes(), 0U);
  // In pieces too.
  FrameParser pieces(options);
  pieces.use_deflate({});
  EXPECT_THAT(read_all(pieces, frame(2, bomb.substr(0, 900), kRsv1Open) + frame(0, bomb.substr(900, 20000), kOpen)),
              ElementsAre(error(1009)));
}

TEST(CompressedFrames, ManyFinalBlocksCostLinearTime) {
  std::string in;
  for (int i = 0; i < 300000; ++i) in += octets({0x03, 0x00});  // An empty final block each.
  std::vector<std::byte> out;
  Inflater inflater(15, false);
  EXPECT_EQ(inflater.feed(as_bytes(compressed(prose(60000))), true, 1 << 20, out), Inflater::Status::kOk);
  EXPECT_EQ(inflater.feed(as_bytes(in), true, 1 << 20, out), Inflater::Status::kOk);
  EXPECT_EQ(out.size(), 60000U);
}

TEST(CompressedFrames, ManySmallPiecesCostLinearTime) {
  const std::string packed = compressed(prose(1 << 20));
  std::string in = frame(2, packed.substr(0, packed.size() - 10000), kRsv1Open);
  for (std::size_t i = packed.size() - 10000; i < packed.size(); ++i) in += frame(0, packed.substr(i, 1), kOpen);
  EXPECT_THAT(read(in + frame(0, "")), ElementsAre(message(prose(1 << 20))));
}

TEST(CompressedFrames, HoldTextToUtf8) {
  const std::string good = "gr\xC3\xBC\xC3\x9F dich \xE2\x82\xAC";
  EXPECT_THAT(read(frame(1, compressed(good), kRsv1), kEcho), ElementsAre(message(good, 1)));
  EXPECT_THAT(read(frame(1, compressed("\xED\xA0\x80"), kRsv1), kEcho), ElementsAre(error(1007)));
  EXPECT_THAT(read(frame(1, compressed("cut \xE2\x82"), kRsv1) + frame(1, ""), kEcho), ElementsAre(error(1007)));
  EXPECT_THAT(read(frame(2, compressed("\xED\xA0\x80"), kRsv1), kEcho), ElementsAre(message("\xED\xA0\x80")));
}

TEST(CompressedFrames, HoldNoMemoryBetweenMessagesWithoutHistory) {
  for (bool no_takeover : {false, true}) {
    FrameParser parser(kGame);
    parser.use_deflate({.client_no_context_takeover = no_takeover});
    const std::size_t idle = parser.heap_bytes();
    EXPECT_LT(idle, 256U);
    EXPECT_THAT(read_all(parser, frame(2, compressed(prose(5000)), kRsv1)), ElementsAre(message(prose(5000))));
    if (no_takeover) {
      EXPECT_EQ(parser.heap_bytes(), idle);
    } else {
      EXPECT_GT(parser.heap_bytes(), 32768U);
    }
  }
}

TEST(Deflater, WithoutHistoryConnectionsShareAStateAndNotTheirData) {
  EXPECT_LE(sizeof(Deflater), 16U);
  Deflater first(15, true);
  Deflater second(15, true);
  Deflater third(15, true, 9);
  const std::string once = compressed(first, prose(500));
  EXPECT_EQ(compressed(second, prose(500)), once);
  EXPECT_THAT(read(frame(2, compressed(third, prose(500)), kRsv1)), ElementsAre(message(prose(500))));
  EXPECT_EQ(compressed(first, prose(500)), once);

  Deflater history(15, false);
  EXPECT_EQ(compressed(history, prose(500)), once);
  EXPECT_LT(compressed(history, prose(500)).size(), once.size() / 4);
}

TEST(Deflater, ServesAClientThatReads) {
  const FrameOptions options{.masked = false};
  FrameParser client(options);
  client.use_deflate({.server_no_context_takeover = true, .server_max_window_bits = 9});
  Deflater deflater(9, true);
  EXPECT_THAT(read_all(client, frame(2, compressed(deflater, prose(2000)), {.rsv = 4, .masked = false})),
              ElementsAre(message(prose(2000))));
  EXPECT_LT(compressed(prose(2000)).size(), 1000U);
}

}  // namespace
}  // namespace mg::agent::ws
