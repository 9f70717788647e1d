// Calls of many messages over gRPC.
#include "rpc/forward_contract.h"
#include "rpc/stream_contract.h"

#include <string>
#include <vector>

#include "mg/rpc/grpc/transport.h"
#include "rpc_wire.pb.h"

namespace mg::rpc {
namespace {

using ::testing::ElementsAre;

RpcTransports transports(std::span<Loop* const> loops) {
  const auto log = [](std::int64_t since, std::int64_t most) {
    std::vector<grpc::LogLine> lines;
    for (int i = 0; i < 3 && i < most; ++i) lines.push_back({since + i, "line " + std::to_string(i)});
    return lines;
  };
  auto made = grpc::make_transport({.listen = "127.0.0.1:0", .log = log}, loops);
  const std::shared_ptr<Transport> transport = std::move(*made);
  return {transport, transport};
}

class GrpcStream : public StreamFixture {
 protected:
  GrpcStream() { start(transports(loops_)); }
};

TEST_F(GrpcStream, AnEndpointOfOneMessageTakesOneFromAStream) {
  auto stream = open("Test.Unary");
  ASSERT_TRUE(write(*stream, "hi"));
  stream->close_writes();
  EXPECT_EQ(read(*stream), "hi");
  EXPECT_EQ(read(*stream), "end");
}

TEST_F(GrpcStream, AStreamCalledWithOneMessageSaysSo) {
  struct Run {
    static Task<Result<void>> call(Client& client, const StringValue& in, StringValue& out) {
      co_return co_await client.call({.service = "game"}, "Test.Echo", Context(), in, out);
    }
  };
  StringValue in, out;
  in.set_value("hi");
  // As gRPC has it: one message, one answer.
  EXPECT_TRUE(testing::await_on(loop_, Run::call(*client_, in, out)));
  EXPECT_EQ(out.value(), "hi");
}

TEST_F(GrpcStream, DebugLogTellsTheLines) {
  auto end = testing::await_on(loop_, client_->open_stream({.service = "game"}, "Debug.Log", Context()));
  ASSERT_TRUE(end);
  wire::LogRequest request;
  request.set_count(2);
  request.set_since(5);
  ASSERT_TRUE(testing::await_on(loop_, (*end)->write(request)));
  (*end)->close_writes();
  std::vector<std::string> lines;
  wire::Record record;
  while (testing::await_on(loop_, (*end)->read(record)).value_or(false)) {
    lines.push_back(fmt::format("{} {}", record.timestamp(), record.message()));
  }
  EXPECT_THAT(lines, ElementsAre("5 line 0", "6 line 1"));
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Grpc, ForwardContract, ::testing::Values(RpcBackend{"Loopback", transports}),
                         rpc_backend_name);
INSTANTIATE_TEST_SUITE_P(Grpc, StreamContract, ::testing::Values(RpcBackend{"Loopback", transports}), rpc_backend_name);

}  // namespace mg::rpc
