#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "histogram.h"
#include "packet.h"
#include "token.h"

namespace mgbench {
namespace {

TEST(BenchHistogram, PercentilesAreWithinOneBucketOfTheExactOnes) {
  Histogram histogram;
  std::vector<std::int64_t> values;
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    values.push_back(static_cast<std::int64_t>(std::exp(std::uniform_real_distribution<double>(0, 24)(random))));
    histogram.record(values.back());
  }
  std::ranges::sort(values);
  for (const double part : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto exact = static_cast<double>(values[static_cast<std::size_t>(part * 20000 + 0.999999) - 1]);
    EXPECT_NEAR(histogram.percentile(part), exact, exact * 0.008 + 0.5) << part;
  }
  EXPECT_EQ(histogram.max(), static_cast<double>(values.back()));
}

TEST(BenchHistogram, MergesAndTakesExtremes) {
  Histogram a;
  Histogram b;
  EXPECT_EQ(a.percentile(0.5), 0);
  a.record(-5);
  b.record(std::numeric_limits<std::int64_t>::max());
  a.merge(b);
  EXPECT_EQ(a.count(), 2U);
  EXPECT_EQ(a.percentile(0.5), 0);
  EXPECT_GT(a.percentile(1), 9.1e18);
}

TEST(BenchToken, IsSignedOverAccountAndExpiry) {
  // printf bench7.1700000000 | openssl dgst -sha256 -hmac microgame-demo
  EXPECT_EQ(make_token("microgame-demo", "bench7", 1700000000),
            "bench7.1700000000.0104a50eab82c8e5acaf9ca5d4502b11fd40961bd2a5198eba462aa0995314ea");
}

TEST(BenchPacket, TcpRequestIsHeadAndProtobufField) {
  const RequestTemplate request(10005, message(1, "abcdef"), false, 2);
  std::vector<std::byte> out(request.size());
  request.write(out.data(), 0x0102, {'W', 'X', 'Y', 'Z'});
  const std::string expected("\x01\x02\x00\x00\x27\x15\x00\x00\x00\x08\x0A\x06WXYZef", 18);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(out.data()), out.size()), expected);
}

TEST(BenchPacket, WsRequestUnmasksToTheTcpRequest) {
  for (const std::size_t size : {1UL, 64UL, 125UL, 126UL, 5000UL, 70000UL}) {
    const std::string body = message(1, filler(size));
    const RequestTemplate tcp(10005, body, false, body.size() - size);
    const RequestTemplate ws(10005, body, true, body.size() - size);
    const auto tag = make_tag(123456);
    std::vector<std::byte> plain(tcp.size());
    std::vector<std::byte> frame(ws.size());
    tcp.write(plain.data(), 777, tag);
    ws.write(frame.data(), 777, tag);
    const std::size_t head = frame.size() - plain.size();
    for (std::size_t i = 0; i < plain.size(); ++i) frame[head + i] ^= frame[head - 4 + (i & 3)];
    EXPECT_EQ(0, std::memcmp(plain.data(), frame.data() + head, plain.size())) << size;
    EXPECT_TRUE(tcp.matches(std::span(plain).subspan(kClientHead), tag));
    plain.back() ^= std::byte{1};
    EXPECT_FALSE(tcp.matches(std::span(plain).subspan(kClientHead), tag));
  }
}

TEST(BenchPacket, TellsConnectionsApart) {
  const std::string body = message(1, filler(64));
  const RequestTemplate request(10005, body, false, 2);
  std::vector<std::byte> out(request.size());
  request.write(out.data(), 1, make_tag(1));
  EXPECT_FALSE(request.matches(std::span(out).subspan(kClientHead), make_tag(2)));
}

TEST(BenchFrame, AsksForMoreUntilWhole) {
  std::vector<std::byte> in(4 + 300, std::byte{'x'});
  in[0] = std::byte{0x82};
  in[1] = std::byte{126};
  in[2] = std::byte{1};
  in[3] = std::byte{44};
  for (std::size_t size = 0; size < in.size(); ++size) {
    EXPECT_EQ(parse_frame(std::span(in).first(size)).state, Frame::State::kShort) << size;
  }
  const Frame frame = parse_frame(in);
  EXPECT_EQ(frame.state, Frame::State::kWhole);
  EXPECT_EQ(frame.opcode, 2U);
  EXPECT_EQ(frame.payload.size(), 300U);
}

TEST(BenchFrame, RefusesMaskedFragmentedAndReserved) {
  for (const auto& [first, second] : {std::pair{0x82, 0x81}, {0x02, 1}, {0xC2, 1}, {0x80, 1}}) {
    const std::array<std::byte, 3> in{static_cast<std::byte>(first), static_cast<std::byte>(second), std::byte{0}};
    EXPECT_EQ(parse_frame(in).state, Frame::State::kBad) << first;
  }
}

}  // namespace
}  // namespace mgbench
