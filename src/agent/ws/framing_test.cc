#include "agent/ws/framing.h"

#include <gmock/gmock.h>

#include "agent/ws/ws_test_util.h"

namespace mg::agent::ws {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const FrameOptions kGame;
const FrameOptions kEcho{.accept_text = true};

std::string octets(std::initializer_list<int> list) {
  std::string out;
  for (int i : list) out += static_cast<char>(i);
  return out;
}

TEST(FrameParser, YieldsMessagesPingsAndPongsHoweverTheOctetsAreCut) {
  const std::string in = frame(2, "hello") + frame(9, "ping") + frame(10, "") + frame(2, "") +
                         frame(2, std::string(126, 'x')) + frame(2, "a", {.fin = false}) + frame(9, "mid") +
                         frame(0, "b", {.fin = false}) + frame(0, "c") + frame(2, "z");
  EXPECT_THAT(read_every_way(kGame, in),
              ElementsAre(message("hello"), ping("ping"), pong(""), message(""), message(std::string(126, 'x')),
                          ping("mid"), message("abc"), message("z")));
}

TEST(FrameParser, UnmasksInPlaceAndYieldsAViewOfTheBuffer) {
  FrameParser parser(kGame);
  std::string in = frame(2, "hello");
  const FrameEvent event = parser.next(std::as_writable_bytes(std::span(in)));
  EXPECT_EQ(event.kind, FrameKind::kMessage);
  EXPECT_EQ(as_text(event.payload), "hello");
  EXPECT_EQ(static_cast<void*>(event.payload.data()), in.data() + 6);
  EXPECT_EQ(event.consumed, in.size());
  EXPECT_EQ(parser.heap_bytes(), 0U);
}

TEST(FrameParser, TellsHowManyOctetsItNeeds) {
  FrameParser parser(kGame);
  std::string in = frame(2, std::string(1000, 'x'));
  auto needed = [&](std::size_t have) {
    const FrameEvent event = parser.next(std::as_writable_bytes(std::span(in)).first(have));
    EXPECT_EQ(event.kind, FrameKind::kNeedMore);
    return event.needed;
  };
  EXPECT_EQ(needed(0), 2U);
  EXPECT_EQ(needed(1), 2U);
  EXPECT_EQ(needed(2), 8U);
  EXPECT_EQ(needed(4), 1008U);
  EXPECT_EQ(needed(700), 1008U);
}

TEST(FrameParser, ReadsAllLengthForms) {
  for (std::size_t size : {0, 1, 125, 126, 127, 65535, 65536, 70000}) {
    const std::string payload(size, 'p');
    FrameParser parser(kGame);
    EXPECT_THAT(read_all(parser, frame(2, payload) + frame(2, "next")), ElementsAre(message(payload), message("next")));
    FrameParser pieces(kGame);
    EXPECT_THAT(read_all(pieces, frame(2, payload), {3, 7, 1000}), ElementsAre(message(payload)));
  }
}

// The rules that a frame's first octets can break: the answer comes as soon as the octet that breaks it is there.
TEST(FrameParser, RefusesBadHeadersAtOnce) {
  struct Case {
    const char* what;
    std::string in;
    int code;
  };
  std::vector<Case> cases = {
      {"unmasked", frame(2, "x", {.masked = false}), 1002},
      {"unmasked ping", frame(9, "x", {.masked = false}), 1002},
      {"length 5 in 16 bits", frame(2, "12345", {.length_octets = 2}), 1002},
      {"length 5 in 64 bits", frame(2, "12345", {.length_octets = 8}), 1002},
      {"length 65535 in 64 bits", octets({0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}), 1002},
      {"length 125 in 16 bits", octets({0x82, 0xFE, 0, 125}), 1002},
      {"top bit", octets({0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}), 1002},
      {"all ones", octets({0x82, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255}), 1002},
      {"2^63-1", octets({0x82, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255}), 1009},
      {"2^62", octets({0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0}), 1009},
      {"2^32-1", octets({0x82, 0xFF, 0, 0, 0, 0, 255, 255, 255, 255}), 1009},
      {"1 MiB + 1", octets({0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1}), 1009},
      {"stray continuation", octets({0x80}), 1002},
      {"stray open continuation", octets({0x00}), 1002},
      {"text", octets({0x81}), 1003},
      {"text in fragments", octets({0x01}), 1003},
      {"ping of 126", octets({0x89, 0xFE}), 1002},
      {"close of 64-bit length", octets({0x88, 0xFF}), 1002},
      {"ping in fragments", octets({0x09}), 1002},
      {"close in fragments", octets({0x08}), 1002},
      {"interleaved binary", frame(2, "a", {.fin = false}) + octets({0x82}), 1002},
      {"interleaved open binary", frame(2, "a", {.fin = false}) + octets({0x02}), 1002},
      {"interleaved text", frame(2, "a", {.fin = false}) + octets({0x81}), 1002},
  };
  for (int rsv = 1; rsv <= 7; ++rsv) {
    for (int opcode : {0, 2, 8, 9, 10}) {
      cases.push_back({"rsv", octets({0x80 | rsv << 4 | opcode}), 1002});
    }
    cases.push_back({"rsv on a fragment", frame(2, "a", {.fin = false}) + octets({0x80 | rsv << 4}), 1002});
  }
  for (int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    cases.push_back({"reserved opcode", octets({0x80 | opcode}), 1002});
    cases.push_back({"reserved opcode, open", octets({opcode}), 1002});
    cases.push_back({"reserved opcode in a message", frame(2, "a", {.fin = false}) + octets({0x80 | opcode}), 1002});
  }
  for (const Case& c : cases) {
    EXPECT_THAT(read_every_way(kGame, c.in), ElementsAre(error(c.code))) << c.what;
    FrameParser parser(kGame);
    EXPECT_THAT(read_all(parser, frame(2, "before") + c.in + frame(2, "after")),
                ElementsAre(message("before"), error(c.code)))
        << c.what;
    EXPECT_TRUE(parser.closed());
    EXPECT_EQ(parser.heap_bytes(), 0U);
  }
}

TEST(FrameParser, ReadsUnmaskedFramesOfAServer) {
  const FrameOptions client{.accept_text = true, .masked = false};
  EXPECT_THAT(read_every_way(client, frame(2, "a", {.masked = false}) + frame(1, "b", {.masked = false}) +
                                         frame(9, "ping", {.masked = false}) + frame(2, "masked")),
              ElementsAre(message("a"), message("b", 1), ping("ping"), error(1002)));
}

TEST(FrameParser, HoldsTheMessageLimit) {
  const FrameOptions options{.max_message_bytes = 1000};
  auto read = [&](const std::string& in) {
    FrameParser parser(options);
    return read_all(parser, in, {}, 1014);
  };
  EXPECT_THAT(read(frame(2, std::string(999, 'x'))), ElementsAre(message(std::string(999, 'x'))));
  EXPECT_THAT(read(frame(2, std::string(1000, 'x'))), ElementsAre(message(std::string(1000, 'x'))));
  EXPECT_THAT(read(frame(2, std::string(1001, 'x'))), ElementsAre(error(1009)));
  const std::string half = frame(2, std::string(500, 'a'), {.fin = false});
  EXPECT_THAT(read(half + frame(0, std::string(499, 'a'))), ElementsAre(message(std::string(999, 'a'))));
  EXPECT_THAT(read(half + frame(0, std::string(500, 'a'))), ElementsAre(message(std::string(1000, 'a'))));
  // At the header of the frame that passes it, with nothing of its payload there, and also if the message never ends.
  EXPECT_THAT(read(half + frame(0, std::string(501, 'a')).substr(0, 4)), ElementsAre(error(1009)));
  EXPECT_THAT(read(half + frame(0, std::string(500, 'a'), {.fin = false}) + frame(0, "x", {.fin = false})),
              ElementsAre(error(1009)));
}

TEST(FrameParser, HoldsTheFragmentLimit) {
  const FrameOptions options{.max_fragments = 3};
  const std::string first = frame(2, "a", {.fin = false});
  const std::string more = frame(0, "b", {.fin = false});
  EXPECT_THAT(read_every_way(options, first + more + frame(0, "c")), ElementsAre(message("abc")));
  EXPECT_THAT(read_every_way(options, first + more + more + octets({0x80})), ElementsAre(error(1008)));
  EXPECT_THAT(read_every_way(options, frame(2, "a") + frame(2, "b") + frame(2, "c") + frame(2, "d")),
              ElementsAre(message("a"), message("b"), message("c"), message("d")));
  EXPECT_THAT(read_every_way({.max_fragments = 1}, first + octets({0x80})), ElementsAre(error(1008)));
}

TEST(FrameParser, EmptyContinuationsCostNoMemory) {
  FrameParser parser(kGame);
  std::string in = frame(2, "", {.fin = false});
  for (int i = 0; i < 16000; ++i) in += frame(0, "", {.fin = false});
  const FrameEvent event = parser.next(std::as_writable_bytes(std::span(in)));
  EXPECT_EQ(event.kind, FrameKind::kNeedMore);
  EXPECT_EQ(event.consumed, in.size());
  EXPECT_LT(parser.heap_bytes(), 256U);
  in.clear();
  for (int i = 0; i < 4000; ++i) in += frame(0, "", {.fin = false});
  EXPECT_EQ(parser.next(std::as_writable_bytes(std::span(in))).code, close_code::kPolicy);
}

TEST(FrameParser, FreesTheBlockOfAFragmentedMessageOnTheNextCall) {
  FrameParser parser(kGame);
  std::string in = frame(2, std::string(5000, 'a'), {.fin = false}) + frame(0, std::string(5000, 'b'));
  const FrameEvent event = parser.next(std::as_writable_bytes(std::span(in)));
  EXPECT_EQ(event.payload.size(), 10000U);
  EXPECT_GE(parser.heap_bytes(), 10000U);
  EXPECT_FALSE(parser.fragmented());
  EXPECT_EQ(parser.next({}).kind, FrameKind::kNeedMore);
  EXPECT_EQ(parser.heap_bytes(), 0U);
}

TEST(FrameParser, ReadsCloseFrames) {
  auto with_code = [](int code, const std::string& reason = "") {
    return frame(8, octets({code >> 8, code & 0xFF}) + reason);
  };
  EXPECT_THAT(read_every_way(kGame, frame(8, "")), ElementsAre(close(1005)));
  EXPECT_THAT(read_every_way(kGame, frame(8, "\x03")), ElementsAre(error(1002)));
  EXPECT_THAT(read_every_way(kGame, with_code(1000, "bye \xE2\x82\xAC")), ElementsAre(close(1000, "bye \xE2\x82\xAC")));
  EXPECT_THAT(read_every_way(kGame, with_code(1000, std::string(123, 'r'))),
              ElementsAre(close(1000, std::string(123, 'r'))));
  EXPECT_THAT(read_every_way(kGame, with_code(1000, "\xED\xA0\x80")), ElementsAre(error(1007)));
  EXPECT_THAT(read_every_way(kGame, with_code(1000, "cut \xE2\x82")), ElementsAre(error(1007)));
  for (int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    EXPECT_THAT(read_every_way(kGame, with_code(code)), ElementsAre(close(code))) << code;
  }
  for (int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    EXPECT_THAT(read_every_way(kGame, with_code(code)), ElementsAre(error(1002))) << code;
  }
}

TEST(FrameParser, SwallowsWhatComesAfterAClose) {
  EXPECT_THAT(read_every_way(kGame, frame(2, "a", {.fin = false}) + frame(8, "") + frame(0, "b") + frame(9, "ping")),
              ElementsAre(close(1005)));
}

TEST(FrameParser, ChecksTextWhereItIsServed) {
  const std::string euro = "\xE2\x82\xAC";
  EXPECT_THAT(read_every_way(kEcho, frame(1, "h\xC3\xA9llo " + euro)), ElementsAre(message("h\xC3\xA9llo " + euro, 1)));
  EXPECT_THAT(read_every_way(kEcho, frame(1, "x" + euro.substr(0, 1), {.fin = false}) + frame(9, "") +
                                        frame(0, euro.substr(1, 1), {.fin = false}) + frame(0, euro.substr(2))),
              ElementsAre(ping(""), message("x" + euro, 1)));
  EXPECT_THAT(read_every_way(kEcho, frame(1, euro.substr(0, 2))), ElementsAre(error(1007)));
  EXPECT_THAT(read_every_way(kEcho, frame(1, euro.substr(0, 2), {.fin = false}) + frame(0, "")),
              ElementsAre(error(1007)));
  EXPECT_THAT(read_every_way(kEcho, frame(1, "\xED\xA0\x80")), ElementsAre(error(1007)));
  EXPECT_THAT(read_every_way(kEcho, frame(1, "ok") + frame(2, "\xFF") + frame(1, "")),
              ElementsAre(message("ok", 1), message("\xFF"), message("", 1)));
}

TEST(FrameParser, RefusesBadTextAtTheOctetThatBreaksIt) {
  const std::string text = frame(1, "\xCE\xBA\xF4\x90\x80\x80 and much more");
  for (std::size_t have = 6; have < text.size(); ++have) {
    FrameParser parser(kEcho);
    const auto seen = read_all(parser, text.substr(0, have), {1});
    if (have < 6 + 4) {
      EXPECT_THAT(seen, IsEmpty()) << have;
    } else {
      EXPECT_THAT(seen, ElementsAre(error(1007))) << have;
    }
  }
  FrameParser parser(kEcho);
  EXPECT_THAT(read_all(parser, frame(1, "\xF4\x90", {.fin = false})), ElementsAre(error(1007)));
}

TEST(FrameParser, KeepsItsStateWhenMoved) {
  FrameParser first(kGame);
  EXPECT_THAT(read_all(first, frame(2, "a", {.fin = false})), IsEmpty());
  FrameParser second = std::move(first);
  EXPECT_THAT(read_all(second, frame(0, "b")), ElementsAre(message("ab")));
}

TEST(ApplyMask, EqualsXorOctetByOctetAtEachSizeAlignmentAndPhase) {
  const MaskKey key{std::byte{1}, std::byte{0x20}, std::byte{0x7F}, std::byte{0xF0}};
  for (std::size_t size = 0; size < 70; ++size) {
    for (std::size_t offset = 0; offset < 9; ++offset) {
      std::vector<std::byte> data(offset + size + 1, std::byte{0x55});
      apply_mask(MutableBytes(data).subspan(offset, size), key, offset);
      for (std::size_t i = 0; i < data.size(); ++i) {
        const bool inside = i >= offset && i < offset + size;
        ASSERT_EQ(data[i], inside ? std::byte{0x55} ^ key[i % 4] : std::byte{0x55});
      }
    }
  }
}

TEST(EncodeHeader, WritesWhatTheParserReads) {
  const MaskKey key{std::byte{9}, std::byte{8}, std::byte{7}, std::byte{6}};
  for (std::size_t size : {0, 1, 125, 126, 65535, 65536}) {
    std::string payload(size, 'x');
    std::array<std::byte, kMaxServerHeaderBytes> server;
    const std::size_t n = encode_header(Opcode::kBinary, size, server);
    EXPECT_EQ(n, header_size(size));
    EXPECT_EQ(std::string(as_text(Bytes(server).first(n))) + payload, frame(2, payload, {.masked = false}));

    std::array<std::byte, kMaxHeaderBytes> client;
    const std::size_t m = encode_masked_header(Opcode::kBinary, size, key, client);
    std::string masked = payload;
    apply_mask(std::as_writable_bytes(std::span(masked)), key);
    FrameParser parser(kGame);
    EXPECT_THAT(read_all(parser, std::string(as_text(Bytes(client).first(m))) + masked), ElementsAre(message(payload)));
  }
  std::array<std::byte, kMaxServerHeaderBytes> out;
  encode_header(Opcode::kText, 0, out, false, true);
  EXPECT_EQ(out[0], std::byte{0x41});
}

TEST(EncodeControl, WritesTheBytesOfTheWireSpecification) {
  auto text = [](const ControlFrame& frame) { return std::string(as_text(frame.bytes())); };
  EXPECT_EQ(text(encode_control(Opcode::kPing, as_bytes("ping"))), octets({0x89, 0x04, 0x70, 0x69, 0x6e, 0x67}));
  EXPECT_EQ(text(encode_close(1000)), octets({0x88, 0x02, 0x03, 0xe8}));
  EXPECT_EQ(text(encode_close(close_code::kNone, "not sent")), octets({0x88, 0x00}));
  EXPECT_EQ(text(encode_close(1001, "bye")), octets({0x88, 0x05, 0x03, 0xe9, 'b', 'y', 'e'}));
  EXPECT_EQ(encode_control(Opcode::kPong, as_bytes(std::string(300, 'x'))).bytes().size(), 127U);

  const MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  FrameParser parser(kGame);
  EXPECT_THAT(read_all(parser, text(encode_control(Opcode::kPong, as_bytes(std::string(125, 'y')), &key)) +
                                   text(encode_close(4001, "gone", &key))),
              ElementsAre(pong(std::string(125, 'y')), close(4001, "gone")));
}

TEST(EncodeClose, CutsALongReasonAtACharacterBoundary) {
  std::string reason(122, 'r');
  reason += "\xE2\x82\xAC tail";
  const ControlFrame frame = encode_close(1002, reason);
  EXPECT_EQ(as_text(frame.bytes().subspan(4)), std::string(122, 'r'));
  EXPECT_EQ(encode_close(1002, std::string(500, 'r')).bytes().size(), 127U);
}

}  // namespace
}  // namespace mg::agent::ws
