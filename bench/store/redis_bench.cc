// The Redis client beside hiredis: its asynchronous interface on a poll loop with 64 commands on their way, its
// synchronous one with one.
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>

#include <cstdlib>
#include <string>

#include "mg/store/redis/client.h"
#include "store/store_bench.h"

namespace mg::bench {
namespace {

constexpr int kDepth = 64;
constexpr int kCommands = 6400;

// hiredis' events on poll(2).
struct PollLoop {
  redisAsyncContext* context = nullptr;
  bool reading = false, writing = false;

  explicit PollLoop(redisAsyncContext* made) : context(made) {
    context->ev.data = this;
    context->ev.addRead = [](void* self) { static_cast<PollLoop*>(self)->reading = true; };
    context->ev.delRead = [](void* self) { static_cast<PollLoop*>(self)->reading = false; };
    context->ev.addWrite = [](void* self) { static_cast<PollLoop*>(self)->writing = true; };
    context->ev.delWrite = [](void* self) { static_cast<PollLoop*>(self)->writing = false; };
    context->ev.cleanup = [](void*) {};
    writing = true;  // It connects.
  }
  void turn() {
    pollfd on{context->c.fd, static_cast<short>((reading ? POLLIN : 0) | (writing ? POLLOUT : 0)), 0};
    if (::poll(&on, 1, 1000) <= 0) return;
    if ((on.revents & POLLOUT) != 0) redisAsyncHandleWrite(context);
    if ((on.revents & POLLIN) != 0) redisAsyncHandleRead(context);
  }
};

struct AsyncRun {
  int sent = 0, done = 0;
  static void on_reply(redisAsyncContext* context, void* reply, void* self) {
    auto& run = *static_cast<AsyncRun*>(self);
    if (!reply) std::abort();
    ++run.done;
    run.send(context);
  }
  void send(redisAsyncContext* context) {
    if (sent == kCommands) return;
    ++sent;
    redisAsyncCommand(context, on_reply, this, "GET %s", "bench:key");
  }
};

Task<void> one_after_the_other(redis::Client& client, int count, int& left) {
  for (int i = 0; i < count; ++i) {
    const auto got = co_await client.get("bench:key");
    if (!got) std::abort();
    keep(*got);
  }
  --left;
}

}  // namespace

void redis_rows(Report& report, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const int port = std::atoi(address.c_str() + colon + 1);

  Loop loop;
  redis::Client client(loop, {.url = address, .name = {}, .timeout = std::chrono::seconds(30)});
  const auto until = [&loop](const auto& done) {
    while (!done()) loop.poll();
  };
  const auto ours = [&](int depth, int commands) {
    int left = depth;
    for (int i = 0; i < depth; ++i) spawn(one_after_the_other(client, commands / depth, left));
    until([&] { return left == 0; });
  };
  redisContext* const sync = redisConnect(host.c_str(), port);
  redisAsyncContext* const async = redisAsyncConnect(host.c_str(), port);
  if (!sync || sync->err != 0 || !async || async->err != 0) std::abort();
  freeReplyObject(redisCommand(sync, "SET bench:key %s", std::string(64, 'x').c_str()));
  PollLoop poll(async);

  report.row(
      {"redis get, 64 on their way", 1.0}, kCommands, [&] { ours(kDepth, kCommands); },
      [&] {
        AsyncRun run;
        for (int i = 0; i < kDepth; ++i) run.send(async);
        while (run.done < kCommands) poll.turn();
      });
  report.row(
      {"redis get, one at a time", 1.2}, 200, [&] { ours(1, 200); },
      [&] {
        for (int i = 0; i < 200; ++i) {
          void* const reply = redisCommand(sync, "GET %s", "bench:key");
          if (!reply) std::abort();
          freeReplyObject(reply);
        }
      });
  redisAsyncFree(async);
  redisFree(sync);
  bool closed = false;
  const auto close = [](redis::Client& c, bool& done) -> Task<void> {
    co_await c.close();
    done = true;
  };
  spawn(close(client, closed));
  until([&] { return closed; });
}

}  // namespace mg::bench
