// Holds locks in Redis, and writes under them when it is told to, however late that is: lock_holder ADDRESS
//
//   obtain ROUND COUNT TTL_MS   -> held COUNT
//   write                       -> guarded N plain N released N lost N
//   count CONTENDERS TIMES FILE -> counted N waited_us ALL longest_us ONE
//     each contender, so many times: takes one lock, reads the number in FILE, yields, writes one more
#include <algorithm>
#include <chrono>
#include <fstream>
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

// Who contends for one lock.
struct Counters {
  mg::Loop& loop;
  mg::lock::Locks& locks;
  std::string file = {};
  int left = 0, counted = 0;
  mg::Clock::Duration waited{}, longest{};

  static void count(Counters& me, int contenders, int times, std::string file) {
    me.file = std::move(file);
    me.left = contenders;
    for (int i = 0; i < contenders; ++i) spawn(contend(me, times));
  }
  static mg::Task<void> contend(Counters& me, int times) {
    for (int i = 0; i < times; ++i) {
      const auto asked = me.loop.clock().now();
      auto got = co_await me.locks.obtain("count", {.ttl = 60s, .wait = 170s, .timeout = 30s});
      if (!got) break;
      const auto waited = me.loop.clock().now() - asked;
      me.waited += waited;
      me.longest = std::max(me.longest, waited);
      long number = 0;
      std::ifstream(me.file) >> number;
      co_await me.loop.yield();  // Now others would read the same.
      std::ofstream(me.file) << number + 1;
      me.counted += co_await got->release() ? 1 : 0;
    }
    if (--me.left == 0) {
      std::cout << "counted " << me.counted << " waited_us " << me.waited / 1us << " longest_us " << me.longest / 1us
                << std::endl;
    }
  }
};

}  // namespace

int main(int, char** argv) {
  mg::Loop loop;
  mg::redis::Client client(loop, {.url = argv[1], .name = {}, .timeout = 30s});
  mg::redis::LockBackend backend(client);
  mg::lock::Locks locks(loop, backend);
  Holder holder{loop, client, locks};
  Counters counters{loop, locks};
  std::thread reader([&] {
    std::string line;
    while (std::getline(std::cin, line)) {
      std::istringstream words(line);
      std::string what;
      int round = 0, count = 0, ttl = 0;
      std::string file;
      words >> what >> round >> count;
      if (what == "count") {
        words >> file;
        loop.post_always([&, round, count, file] { Counters::count(counters, round, count, file); });
        continue;
      }
      words >> ttl;
      loop.post_always([&, what, round, count, ttl] {
        spawn(what == "obtain" ? Holder::obtain(holder, round, count, ttl) : Holder::write(holder));
      });
    }
    loop.stop();
  });
  loop.run();
  reader.join();
}
