// Holds many locks in Redis, and writes under them when it is told to, however late that is: lock_holder ADDRESS
//
//   obtain ROUND COUNT TTL_MS   -> held COUNT
//   write                       -> guarded N plain N released N lost N
#include <charconv>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "mg/store/lock.h"
#include "mg/store/redis/client.h"
#include "mg/store/redis/lock_backend.h"
#include "tests/support/guarded_store.h"

namespace {

using namespace std::chrono_literals;

struct Holder {
  mg::Loop& loop;
  mg::redis::Client& client;
  mg::lock::Locks& locks;
  std::vector<mg::lock::Guard> held = {};
  int round = 0, lost = 0;

  static mg::Task<void> obtain(Holder& me, int round, int count, int ttl_ms) {
    me.held.clear();
    me.round = round;
    me.lost = 0;
    for (int i = 0; i < count;) {
      const auto count_lost = [&me](std::string_view) { ++me.lost; };
      auto got = co_await me.locks.obtain(mg::testing::guarded_key(round), i,
                                          {.ttl = mg::lock::Ms(ttl_ms), .wait = 30s, .on_lost = count_lost});
      if (!got) continue;
      me.held.push_back(*std::move(got));
      ++i;
    }
    std::cout << "held " << me.held.size() << std::endl;
  }
  static mg::Task<void> write(Holder& me) {
    int guarded = 0, plain = 0, released = 0, i = 0;
    for (auto& lock : me.held) {
      guarded += co_await mg::testing::guarded_write(me.client, me.round, i, lock.fence(), "late") ? 1 : 0;
      plain += co_await mg::testing::plain_write(me.client, me.round, i, "late") ? 1 : 0;
      released += co_await lock.release() ? 1 : 0;
      ++i;
    }
    std::cout << "guarded " << guarded << " plain " << plain << " released " << released << " lost " << me.lost
              << std::endl;
  }
};

}  // namespace

int main(int, char** argv) {
  mg::Loop loop;
  mg::redis::Client client(loop, {.url = argv[1], .name = {}, .timeout = 30s});
  mg::redis::LockBackend backend(client);
  mg::lock::Locks locks(loop, backend);
  Holder holder{loop, client, locks};
  std::thread reader([&] {
    std::string line;
    while (std::getline(std::cin, line)) {
      std::istringstream words(line);
      std::string what;
      int round = 0, count = 0, ttl = 0;
      words >> what >> round >> count >> ttl;
      loop.post_always([&, what, round, count, ttl] {
        spawn(what == "obtain" ? Holder::obtain(holder, round, count, ttl) : Holder::write(holder));
      });
    }
    loop.stop();
  });
  loop.run();
  reader.join();
}
