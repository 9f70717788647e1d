// A service, somebody who calls it, and a handler of players' commands, in one process.
#include <atomic>
#include <cstdio>

#include "counter/counter.rpc.pb.h"
#include "mg/app/app.h"
#include "mg/protocol/router.h"

using mg::Result;
using mg::Task;

class MyCounter {
 public:
  Result<void> add(const mg::rpc::Context&, const counter::Amount& in, counter::Amount& out) {
    out.set_value(sum_ += in.value());
    return {};
  }
  Task<Result<void>> reset(const mg::rpc::Context&, const counter::Amount& in, counter::Amount& out) {
    out.set_value(sum_.exchange(in.value()));
    co_return Result<void>();
  }

 private:
  std::atomic<std::uint32_t> sum_ = 0;  // Methods run on several loops at once.
};

struct MyCommands : counter::Commands::Handler {
  Result<void> Double_7(mg::AgentMeta&, const counter::Amount& in, counter::Amount& out) {
    out.set_value(in.value() * 2);
    return {};
  }
};

Task<Result<void>> ask(counter::Counter::Client& counters, const mg::protocol::Router& router) {
  const mg::rpc::Context context;
  counter::Amount in, out;
  in.set_value(20);
  if (auto done = co_await counters.add(context, in, out); !done) co_return done;
  if (auto done = co_await counters.add(context, in, out); !done) co_return done;
  std::printf("sum %u\n", out.value());

  mg::AgentMeta player;
  std::string reply;
  if (auto done = co_await router.call(player, counter::Commands::kDouble_7, out.SerializeAsString(), reply); !done) {
    co_return done;
  }
  out.ParseFromString(reply);
  std::printf("double %u\n", out.value());
  co_return Result<void>();
}

int main(int argc, char** argv) {
  MyCounter counter;
  MyCommands commands;
  mg::protocol::Router router;
  router.add_route(commands);

  mg::Process process({.name = "outside"});
  mg::App server(process, {.name = "counter"});
  counter::Counter::add_to(server, counter);
  mg::App asker(process, {.name = "asker"});
  counter::Counter::Client counters(asker, "counter");
  asker.before_start([&] { return router.start(); });
  asker.after_start([&] { return ask(counters, router); });
  asker.after_start([&] { process.request_stop(); });
  return process.run(argc, argv);
}
