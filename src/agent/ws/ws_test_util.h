// agent/ws/ws_test_util.h -- for the tests here: frames written by hand, and a reader like a connection's.
//
//   auto events = read_all(parser, client_frame(2, "hi") + client_frame(9, "p"));   // all octets at once
//   auto same   = read_all(parser, octets, {1});                                    // one at a time
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "agent/ws/framing.h"

namespace mg::agent::ws {

struct Seen {
  FrameKind kind;
  int opcode;
  int code;
  std::string payload;  // Of a close: the reason. Of an error: empty, its text is ours to choose.
  friend bool operator==(const Seen&, const Seen&) = default;
};

inline void PrintTo(const Seen& seen, std::ostream* out) {
  static constexpr const char* kNames[] = {"need", "message", "ping", "pong", "close", "error"};
  *out << kNames[static_cast<int>(seen.kind)] << " opcode " << seen.opcode << " code " << seen.code << " '"
       << (seen.payload.size() > 40 ? seen.payload.substr(0, 40) + "..." : seen.payload) << "' " << seen.payload.size();
}

inline Seen message(std::string payload, int opcode = 2) {
  return {FrameKind::kMessage, opcode, 0, std::move(payload)};
}
inline Seen ping(std::string payload) {
  return {FrameKind::kPing, 9, 0, std::move(payload)};
}
inline Seen pong(std::string payload) {
  return {FrameKind::kPong, 10, 0, std::move(payload)};
}
inline Seen close(int code, std::string reason = "") {
  return {FrameKind::kClose, 8, code, std::move(reason)};
}
inline Seen error(int code) {
  return {FrameKind::kError, 0, code, ""};
}

struct Shape {
  bool fin = true;
  int rsv = 0;  // 4: RSV1, 2: RSV2, 1: RSV3.
  bool masked = true;
  int length_octets = 0;  // 0: as few as do; else 1, 2 or 8.
};

// A frame octet by octet, without the code under test.
inline std::string frame(int opcode, std::string payload, Shape shape = {}) {
  std::string out;
  out += static_cast<char>((shape.fin ? 0x80 : 0) | shape.rsv << 4 | opcode);
  const std::uint64_t size = payload.size();
  int octets = shape.length_octets;
  if (octets == 0) octets = size <= 125 ? 1 : size <= 65535 ? 2 : 8;
  const int bit = shape.masked ? 0x80 : 0;
  out += static_cast<char>(bit | (octets == 1 ? static_cast<int>(size) : octets == 2 ? 126 : 127));
  if (octets > 1) {
    for (int i = octets - 1; i >= 0; --i) out += static_cast<char>(size >> (8 * i));
  }
  if (shape.masked) {
    const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};
    out.append(reinterpret_cast<const char*>(key), 4);
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
  }
  return out + payload;
}

// Reads `octets` as a connection does: keeps what is not consumed at the front of a buffer, adds the next piece.
// `pieces`: sizes of the pieces, the last one again and again; empty: one piece.
inline std::vector<Seen> read_all(FrameParser& parser, std::string octets, std::vector<std::size_t> pieces = {},
                                  std::size_t most_needed = 1024 * 1024 + kMaxHeaderBytes) {
  std::vector<Seen> out;
  std::string buffer;
  std::size_t turn = 0;
  do {
    const std::size_t piece = pieces.empty() ? octets.size() : pieces[std::min(turn, pieces.size() - 1)];
    ++turn;
    buffer += octets.substr(0, piece);
    octets.erase(0, std::min(piece, octets.size()));
    for (;;) {
      std::vector<char> exact(buffer.begin(), buffer.end());  // A block of its own: ASan sees a read past its end.
      const FrameEvent event = parser.next(std::as_writable_bytes(std::span(exact)));
      EXPECT_LE(event.consumed, exact.size());
      if (event.kind != FrameKind::kNeedMore) {
        Seen seen{event.kind, static_cast<int>(event.opcode), event.code, std::string(as_text(event.payload))};
        if (event.kind == FrameKind::kClose) seen.payload = event.reason;
        if (event.kind == FrameKind::kError) {
          seen.payload.clear();
          EXPECT_FALSE(event.reason.empty());
          EXPECT_EQ(event.consumed, exact.size());
        }
        out.push_back(std::move(seen));
      }
      buffer.assign(exact.begin() + static_cast<std::ptrdiff_t>(event.consumed), exact.end());
      if (event.kind == FrameKind::kNeedMore) {
        if (parser.closed()) {
          EXPECT_TRUE(buffer.empty());
          EXPECT_EQ(event.needed, 0U);
        } else {
          EXPECT_GT(event.needed, buffer.size());
          EXPECT_LE(event.needed, most_needed);
        }
        break;
      }
    }
  } while (!octets.empty());
  return out;
}

// The same events however the octets are cut: whole, at each position, octet by octet.
inline std::vector<Seen> read_every_way(const FrameOptions& options, const std::string& octets) {
  FrameParser whole(options);
  const std::vector<Seen> expected = read_all(whole, octets);
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    FrameParser parser(options);
    EXPECT_EQ(read_all(parser, octets, {cut, octets.size()}), expected) << "cut at " << cut;
    if (::testing::Test::HasFailure()) break;
  }
  FrameParser parser(options);
  EXPECT_EQ(read_all(parser, octets, {1}), expected) << "octet by octet";
  return expected;
}

}  // namespace mg::agent::ws
