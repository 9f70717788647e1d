#include "mg/app/app.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

namespace mg {
namespace {

using google::protobuf::StringValue;

Result<void> echo(const rpc::Context&, const StringValue& in, StringValue& out) {
  out.set_value(in.value());
  return {};
}

TEST(App, CallsAnotherAppInTheProcess) {
  Process process;
  App game(process, {.name = "game"});
  game.add_handler("Forward.Protocol", &echo);
  App gate(process, {.name = "gate"});
  std::string got;
  gate.after_start([&]() -> Task<Result<void>> {
    StringValue in, out;
    in.set_value("hi");
    Result<void> done = co_await gate.call("game", "Forward.Protocol", rpc::Context(), in, out);
    got = out.value();
    co_return done;
  });
  const char* const arguments[] = {"--loops=2"};
  const auto started = process.start(arguments);
  ASSERT_TRUE(started) << to_json(started.error());
  EXPECT_EQ(got, "hi");
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

}  // namespace
}  // namespace mg
