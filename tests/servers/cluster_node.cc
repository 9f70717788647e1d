// A node of a cluster for tests: serves Test.*, and calls others when it is told to.
//
//   cluster_node NAME [flags…]        # prints "ready UUID" once it serves
#include <google/protobuf/wrappers.pb.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "mg/app/app.h"

namespace {

using google::protobuf::StringValue;
using mg::Result;
using mg::Task;
using mg::rpc::Context;

// How far the wall clock is off, in seconds: what Test.Clock sets.
std::atomic<std::int64_t> clock_offset{0};

Task<Result<void>> wait(std::string milliseconds, std::string uuid, StringValue& out) {
  co_await mg::Loop::current()->sleep_for(std::chrono::milliseconds(std::atoi(milliseconds.c_str())));
  out.set_value(std::move(uuid));
  co_return Result<void>();
}

// "service endpoint text": calls on with the caller's metadata and what is left of its time.
Task<Result<void>> forward(mg::App& app, const Context& context, std::string what, StringValue& out) {
  const std::size_t first = what.find(' ');
  const std::size_t second = what.find(' ', first + 1);
  if (second == what.npos) co_return mg::fail(mg::code::kInvalid, "Test.Forward: service endpoint text");
  StringValue in;
  in.set_value(what.substr(second + 1));
  co_return co_await app.call(what.substr(0, first), what.substr(first + 1, second - first - 1),
                              Context(context.meta(), context.deadline()), in, out);
}

}  // namespace

// In the C library's place, for all of the process: its wall clock may be wrong, and jump.
extern "C" int clock_gettime(clockid_t id, timespec* at) noexcept {
  const auto status = static_cast<int>(::syscall(SYS_clock_gettime, id, at));
  if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += clock_offset;
  return status;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  mg::App app({.name = argv[1]});
  app.add_handler("Test.Who", [&app](const Context&, const StringValue&, StringValue& out) -> Result<void> {
    out.set_value(app.id());
    return {};
  });
  app.add_handler("Test.Echo", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
    out.set_value(in.value());
    return {};
  });
  app.add_handler("Test.Size", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
    out.set_value(std::to_string(in.ByteSizeLong()));
    return {};
  });
  app.add_handler("Test.Wait", [&app](const Context&, const StringValue& in, StringValue& out) {
    return wait(in.value(), app.id(), out);
  });
  app.add_handler("Test.Clock", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
    clock_offset = std::atoll(in.value().c_str());
    out.set_value(std::to_string(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
    return {};
  });
  app.add_handler("Test.Forward", [&app](const Context& context, const StringValue& in, StringValue& out) {
    return forward(app, context, in.value(), out);
  });
  app.add_handler("Test.Abort",
                  [](const Context&, const StringValue&, StringValue&) -> Result<void> { std::_Exit(9); });
  app.after_start([&app] {
    std::printf("ready %s\n", app.id().c_str());
    std::fflush(stdout);
  });
  std::vector<const char*> arguments{argv[0]};
  arguments.insert(arguments.end(), argv + 2, argv + argc);
  return app.run(static_cast<int>(arguments.size()), arguments.data());
}
