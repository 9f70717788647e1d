// A service for link_test.cc: says who calls and over what, and holds calls for ever.
#include <google/protobuf/wrappers.pb.h>
#include <unistd.h>

#include <cstdio>

#include "mg/app/app.h"
#include "mg/runtime/event.h"

using google::protobuf::StringValue;

namespace {

mg::Task<mg::Result<void>> hold(const mg::rpc::Context& context) {
  std::puts("holding");
  std::fflush(stdout);
  mg::Completion<bool> never;
  co_await never.wait(*mg::Loop::current(), context.deadline());
  co_return mg::fail(mg::code::kTimeout, "held to the end");
}

}  // namespace

int main(int argc, char** argv) {
  mg::App app({.name = "peer"});
  // "<process> <address of the caller> <Client-Id>"
  app.add_handler(
      "Peer.Say", [](const mg::rpc::Context& context, const StringValue&, StringValue& out) -> mg::Result<void> {
        out.set_value(fmt::format("{} {} {}", ::getpid(), context.remote(), context.meta().get("Client-Id")));
        return {};
      });
  app.add_handler("Peer.Hold",
                  [](const mg::rpc::Context& context, const StringValue&, StringValue&) { return hold(context); });
  app.after_start([] {
    std::puts("ready");
    std::fflush(stdout);
  });
  return app.run(argc, argv);
}
