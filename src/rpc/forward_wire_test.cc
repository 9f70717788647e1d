#include "rpc/forward_wire.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "src/rpc/forward_test.pb.h"

namespace mg::rpc {
namespace {

std::string written(const ForwardOctets& of) {
  std::string octets(forward_size(of), '\0');
  auto* const begin = reinterpret_cast<std::byte*>(octets.data());
  EXPECT_EQ(write_forward(begin, of), begin + octets.size());
  return octets;
}

TEST(ForwardWire, WritesWhatProtobufWrites) {
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    const std::uint32_t number = static_cast<std::uint32_t>(random()) >> (random() % 33 % 32);
    const std::string data(random() % 3 == 0 ? 0 : random() % 20000, static_cast<char>(random()));
    forward_test::In message;
    message.set_cmd(i % 5 == 0 ? 0 : number);
    message.set_data(data);
    const std::string octets = written({message.cmd(), data});
    ASSERT_EQ(octets, message.SerializeAsString());
    const auto seen = read_forward(octets);
    ASSERT_TRUE(seen);
    ASSERT_EQ(seen->number, message.cmd());
    ASSERT_EQ(seen->data, data);
  }
}

// Whatever it takes for a message, protobuf takes for the same.
TEST(ForwardWire, ReadsNothingThatProtobufReadsOtherwise) {
  std::mt19937 random(6);
  int taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string octets = written({static_cast<std::uint32_t>(random()), std::string(random() % 8, 'x')});
    for (int changes = static_cast<int>(random() % 3); changes > 0 && !octets.empty(); --changes) {
      octets[random() % octets.size()] = static_cast<char>(random());
    }
    octets.resize(octets.size() - std::min<std::size_t>(octets.size(), random() % 3));
    const auto seen = read_forward(octets);
    if (!seen) continue;
    ++taken;
    forward_test::In message;
    ASSERT_TRUE(message.ParseFromString(octets)) << ::testing::PrintToString(octets);
    ASSERT_EQ(seen->number, message.cmd());
    ASSERT_EQ(seen->data, message.data());
  }
  EXPECT_GT(taken, 1000);
}

TEST(ForwardWire, LeavesWhatIsUnusualToProtobuf) {
  const std::string data_first = "\x12\x02hi\x08\x05";
  const std::string twice = "\x08\x05\x08\x06";
  const std::string unknown = "\x08\x05\x1A\x01x";
  const std::string wide = "\x08\xFF\xFF\xFF\xFF\xFF\x01";  // More than 32 bits: protobuf cuts it.
  for (const std::string& octets : {data_first, twice, unknown, wide}) {
    EXPECT_FALSE(read_forward(octets));
    forward_test::In message;
    EXPECT_TRUE(message.ParseFromString(octets));
  }
  EXPECT_FALSE(read_forward("\x12\x05hi"));
  EXPECT_FALSE(read_forward("\x08"));
  EXPECT_FALSE(read_forward("\x12\xFF\xFF\xFF\xFF\x0F"));
  EXPECT_TRUE(read_forward(""));
}

}  // namespace
}  // namespace mg::rpc
