// The Go original's packets (tests/golden/codec.json), and where we answer otherwise on purpose.
#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/golden.h"
#include "mg/codec/frame.h"
#include "mg/codec/session_codec.h"

namespace mg::codec {
namespace {

namespace json = boost::json;

struct Case {
  std::string id, kind, outcome, detail;
  CodecOptions options;
  Result<void> configured;
  json::object fields;

  std::string text(const char* field) const {
    const json::value* value = fields.if_contains(field);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
  }
  std::uint32_t number(const char* field) const {
    const json::value* value = fields.if_contains(field);
    return value != nullptr ? value->to_number<std::uint32_t>() : 0;
  }
  std::string octets(const char* field) const {
    const std::string hex = text(field);
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      unsigned octet = 0;
      std::from_chars(hex.data() + i, hex.data() + i + 2, octet, 16);
      out += static_cast<char>(octet);
    }
    return out;
  }
};

std::vector<Case> golden_cases(std::string_view group) {
  std::vector<Case> cases;
  for (const json::value& value : json::parse(golden::text("codec.json")).at("cases").as_array()) {
    if (value.at("group").as_string() != group) continue;
    Case c;
    c.fields = value.as_object();
    c.id = c.text("id");
    c.kind = c.text("kind");
    c.outcome = c.text("outcome");
    c.detail = c.text("detail");
    c.options.endian = c.text("endian") == "little" ? std::endian::little : std::endian::big;
    std::vector<std::uint8_t> mix;
    for (const json::value& octet : value.at("mix").as_array()) mix.push_back(octet.to_number<std::uint8_t>());
    c.configured = c.options.set_mix(mix);
    // Go does not hold itself to its limit of 4 mix octets; here more are refused when they are configured.
    EXPECT_EQ(c.configured.has_value(), mix.size() <= kMaxMix) << c.id;
    if (c.configured) cases.push_back(std::move(c));
  }
  EXPECT_FALSE(cases.empty());
  return cases;
}

template <PacketHead Head>
Head head_of(const Case& c) {
  Head head{.serial = static_cast<std::uint16_t>(c.number("serial")), .cmd = c.number("cmd")};
  if constexpr (std::same_as<Head, ServerHead>) head.code = c.number("code");
  return head;
}

template <PacketHead Head>
void check_encode(const Case& c) {
  const std::string data = c.octets("data_hex"), packet = c.octets("packet_hex");
  std::vector<std::byte> out(packet.size());
  EXPECT_EQ(encode(head_of<Head>(c), as_bytes(data), c.options, out), packet.size()) << c.id;
  EXPECT_EQ(as_text(out), packet) << c.id;
  EXPECT_EQ(head_bytes<Head>(c.options), c.number("head_len")) << c.id;
}

TEST(GoldenCodec, Encodes) {
  for (const Case& c : golden_cases("encode")) {
    if (c.kind == "client") {
      check_encode<ClientHead>(c);
    } else {
      check_encode<ServerHead>(c);
    }
  }
}

// What we answer to the octets of a case; empty detail: the packet.
std::string expected_detail(const Case& c) {
  if (c.outcome == "error") return c.detail;
  // Go crashes on a packet cut between head and mix + head.
  if (c.outcome == "panic") return "msg head length error";
  // Go takes a head that states data of which nothing follows.
  if (c.number("data_len") > 0 && c.octets("data_hex").empty()) return "msg data length error";
  return "";
}

// Reads the first `count` octets from a buffer of exactly that size, so that the sanitizer sees any step past it.
template <class Read>
auto read_front(std::string_view raw, std::size_t count, Read read) {
  const std::unique_ptr<std::byte[]> exact(new std::byte[count]);
  if (count > 0) std::memcpy(exact.get(), raw.data(), count);
  return read(MutableBytes(exact.get(), count));
}

template <PacketHead Head, class Got>
void check_packet(const Case& c, const Got& got) {
  EXPECT_EQ(got.head, head_of<Head>(c)) << c.id;
  EXPECT_EQ(as_text(got.payload), c.octets("data_hex")) << c.id;
  EXPECT_EQ(got.size, head_bytes<Head>(c.options) + c.number("data_len")) << c.id;
}

template <PacketHead Head>
void check_decode(const Case& c) {
  const std::string raw = c.octets("raw_hex"), detail = expected_detail(c);
  read_front(raw, raw.size(), [&](Bytes in) {
    const auto got = decode<Head>(in, c.options);
    ASSERT_EQ(got.has_value(), detail.empty()) << c.id;
    if (got) return check_packet<Head>(c, *got);
    EXPECT_EQ(got.error().code, code::kInvalid) << c.id;
    EXPECT_TRUE(got.error().detail.starts_with(detail)) << c.id << ": " << got.error().detail;
  });
}

// The same octets as the front of a stream, one more each time. There, what is cut short is not an error but not whole.
template <PacketHead Head>
void check_stream(const Case& c) {
  const std::string raw = c.octets("raw_hex"), detail = expected_detail(c);
  const std::string_view mix(reinterpret_cast<const char*>(c.options.mix.data()), c.options.mix_size);
  for (std::size_t count = 0; count <= raw.size(); ++count) {
    const std::string_view front = std::string_view(raw).substr(0, count);
    const bool mix_differs = front.substr(0, mix.size()) != mix.substr(0, count);
    const bool done = read_front(raw, count, [&](Bytes in) {
      const auto got = scan<Head>(in, c.options);
      if (!got) {
        EXPECT_TRUE(mix_differs || detail == "msg data length error") << c.id << ": " << got.error().detail;
        return true;
      }
      EXPECT_FALSE(mix_differs) << c.id << ": wrong mix octets are refused as soon as they are there";
      if (!got->whole) {
        EXPECT_GT(got->size, count) << c.id;
        return false;
      }
      EXPECT_EQ(detail, "") << c.id;
      EXPECT_EQ(got->size, count) << c.id << ": whole with its last octet, not later";
      check_packet<Head>(c, *got);
      return true;
    });
    if (done) return;
  }
  EXPECT_NE(detail, "") << c.id << ": never whole";
}

TEST(GoldenCodec, DecodesMessages) {
  for (const Case& c : golden_cases("decode")) {
    if (c.kind == "client") {
      check_decode<ClientHead>(c);
    } else {
      check_decode<ServerHead>(c);
    }
  }
}

TEST(GoldenCodec, DecodesStreamsOctetByOctet) {
  for (const Case& c : golden_cases("decode")) {
    if (c.kind == "client") {
      check_stream<ClientHead>(c);
    } else {
      check_stream<ServerHead>(c);
    }
  }
}

}  // namespace
}  // namespace mg::codec
