#include "mg/runtime/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "mg/base/clock.h"
#include "runtime/testing.h"

namespace mg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A connected pair of non-blocking sockets.
struct Pair {
  int a = -1, b = -1;
  Pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    a = fds[0];
    b = fds[1];
  }
  ~Pair() {
    ::close(a);
    ::close(b);
  }
  Pair(const Pair&) = delete;
};

struct Reader final : IoHandler {
  std::function<void(std::uint32_t)> on;
  void on_events(std::uint32_t events) override { on(events); }
};

struct Counter final : Flushable {
  std::function<void()> on;
  int count = 0;
  void flush() override {
    ++count;
    if (on) on();
  }
};

void poke(int fd) {
  ASSERT_EQ(::write(fd, "x", 1), 1);
}
std::string drain(int fd) {
  char buffer[256];
  const auto got = ::read(fd, buffer, sizeof buffer);
  return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
}

TEST(Loop, RunsPostedFunctionsInOrder) {
  Loop loop;
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(loop.post([&order, i] { order.push_back(i); }));
  loop.poll();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(Loop, WhatAPostedFunctionPostsRunsInTheNextTurn) {
  Loop loop;
  std::vector<std::uint64_t> turns;
  loop.post([&] {
    turns.push_back(loop.turn());
    loop.post([&] { turns.push_back(loop.turn()); });
  });
  loop.poll();
  EXPECT_EQ(turns.size(), 1u);
  loop.poll();
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[1], turns[0] + 1);
}

TEST(Loop, RefusesPostsOverTheLimitAndCountsThemButNotResumptions) {
  Loop loop(LoopOptions{.max_posted = 2});
  int ran = 0;
  EXPECT_TRUE(loop.post([&] { ++ran; }));
  EXPECT_TRUE(loop.post([&] { ++ran; }));
  EXPECT_FALSE(loop.post([&] { ++ran; }));
  loop.post_always([&] { ++ran; });
  EXPECT_EQ(loop.dropped_posts(), 1u);
  loop.poll();
  EXPECT_EQ(ran, 3);
  EXPECT_TRUE(loop.post([&] { ++ran; }));
}

TEST(Loop, PostsFromManyThreadsAllArriveEachThreadInItsOrder) {
  constexpr int kThreads = 4, kEach = 20'000;
  Loop loop;
  std::vector<int> last(kThreads, -1);
  int total = 0, out_of_order = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.post([&, t, i] {
          if (last[static_cast<std::size_t>(t)] != i - 1) ++out_of_order;
          last[static_cast<std::size_t>(t)] = i;
          if (++total == kThreads * kEach) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kEach);
  EXPECT_EQ(out_of_order, 0);
}

TEST(Loop, APostWakesASleepingLoopAgainAndAgain) {
  Loop loop;
  std::atomic<int> seen{0};
  std::thread runner([&] { loop.run(); });
  for (int i = 1; i <= 2000; ++i) {
    loop.post([&] { seen.fetch_add(1); });
    while (seen.load() != i) std::this_thread::yield();
  }
  loop.stop();
  runner.join();
  EXPECT_EQ(seen.load(), 2000);
}

TEST(Loop, StopBeforeRunEndsItAtOnceAndRunsCanBeRepeated) {
  Loop loop;
  loop.stop();
  loop.run();
  bool ran = false;
  loop.post([&] {
    ran = true;
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(Loop, KnowsItsThread) {
  Loop loop;
  EXPECT_EQ(Loop::current(), nullptr);
  EXPECT_FALSE(loop.on_this_thread());
  loop.post([&] {
    EXPECT_EQ(Loop::current(), &loop);
    EXPECT_TRUE(loop.on_this_thread());
  });
  loop.poll();
  EXPECT_EQ(Loop::current(), nullptr);
  std::thread([&] { EXPECT_FALSE(loop.on_this_thread()); }).join();
}

TEST(Loop, NowIsTheTimeOfTheTurn) {
  ManualClock clock;
  Loop loop(LoopOptions{.clock = &clock});
  loop.post([&] {
    const auto before = loop.now();
    clock.advance(seconds(1));
    EXPECT_EQ(loop.now(), before);
  });
  loop.poll();
  loop.poll();
  EXPECT_EQ(loop.now(), clock.now());
}

TEST(Loop, AWatchedDescriptorReportsEdges) {
  Loop loop;
  Pair pair;
  Reader reader;
  int calls = 0;
  reader.on = [&](std::uint32_t events) {
    EXPECT_TRUE(events & EPOLLIN);
    ++calls;
  };
  loop.watch(pair.a, reader, EPOLLIN | EPOLLET);
  loop.poll();
  EXPECT_EQ(calls, 0);
  poke(pair.b);
  loop.poll();
  EXPECT_EQ(calls, 1);
  loop.poll();  // Not read: no new edge.
  EXPECT_EQ(calls, 1);
  poke(pair.b);
  loop.poll();
  EXPECT_EQ(calls, 2);
  loop.unwatch(pair.a, reader);
  poke(pair.b);
  loop.poll();
  EXPECT_EQ(calls, 2);
}

TEST(Loop, AHandlerMayUnwatchItselfAndOthersOfTheSameBatch) {
  Loop loop;
  constexpr std::size_t kCount = 16;
  std::vector<Pair> pairs(kCount);
  std::vector<std::unique_ptr<Reader>> readers(kCount);
  int calls = 0;
  const auto on = [&](std::uint32_t) {
    ++calls;
    for (std::size_t i = 0; i < kCount; ++i) {
      loop.unwatch(pairs[i].a, *readers[i]);
      if (readers[i]) readers[i]->on = nullptr;
    }
  };
  for (std::size_t i = 0; i < kCount; ++i) {
    readers[i] = std::make_unique<Reader>();
    readers[i]->on = [&on](std::uint32_t events) {
      const auto call = on;  // The handler clears what it was called through.
      call(events);
    };
    loop.watch(pairs[i].a, *readers[i], EPOLLIN | EPOLLET);
    poke(pairs[i].b);
  }
  loop.poll();
  EXPECT_EQ(calls, 1);
  loop.poll();
  EXPECT_EQ(calls, 1);
}

TEST(Loop, FlushLaterRunsOncePerTurnAfterPostedWork) {
  Loop loop;
  Counter item;
  std::vector<std::string> order;
  item.on = [&] { order.push_back("flush"); };
  loop.post([&] {
    loop.flush_later(item);
    loop.flush_later(item);
    order.push_back("first");
  });
  loop.post([&] {
    loop.flush_later(item);
    order.push_back("second");
  });
  loop.poll();
  EXPECT_EQ(order, (std::vector<std::string>{"first", "second", "flush"}));
  loop.poll();
  EXPECT_EQ(item.count, 1);
}

TEST(Loop, AFlushMayAddOthersToTheSamePassAndADeadOneIsSkipped) {
  Loop loop;
  Counter first, second;
  auto dead = std::make_unique<Counter>();
  int dead_count = 0;
  dead->on = [&] { ++dead_count; };
  first.on = [&] {
    loop.flush_later(second);
    dead.reset();
  };
  loop.post([&] {
    loop.flush_later(first);
    loop.flush_later(*dead);
  });
  loop.poll();
  EXPECT_EQ(first.count, 1);
  EXPECT_EQ(second.count, 1);
  EXPECT_EQ(dead_count, 0);
}

TEST(Loop, WhatGathersIsFlushedOnceAfterAllEventsOfATurn) {
  Loop loop;
  constexpr std::size_t kCount = 16;
  std::vector<Pair> pairs(kCount);
  std::vector<Reader> readers(kCount);
  Counter each, all;
  std::size_t events = 0;
  std::vector<std::size_t> seen;
  each.on = [&] { EXPECT_EQ(all.count, 0); };
  all.on = [&] { seen.push_back(events); };
  for (std::size_t i = 0; i < kCount; ++i) {
    readers[i].on = [&](std::uint32_t) {
      ++events;
      loop.flush_after_turn(all);
      loop.flush_later(each);
    };
    loop.watch(pairs[i].a, readers[i], EPOLLIN | EPOLLET);
    poke(pairs[i].b);
  }
  loop.poll();
  EXPECT_EQ(seen, std::vector{kCount});
  EXPECT_GT(each.count, 1);
  // One that died is skipped, and one that was asked for outside a turn is not forgotten.
  {
    Counter dead;
    loop.flush_after_turn(dead);
  }
  loop.flush_after_turn(all);
  all.on = [&] { loop.stop(); };
  loop.run();
  EXPECT_EQ(all.count, 2);
  for (std::size_t i = 0; i < kCount; ++i) loop.unwatch(pairs[i].a, readers[i]);
}

TEST(Loop, AFlushAskedForOutsideATurnDoesNotWaitForAnEvent) {
  Loop loop;
  Counter item;
  item.on = [&] { loop.stop(); };
  loop.flush_later(item);
  loop.run();
  EXPECT_EQ(item.count, 1);
}

TEST(Loop, SleepEndsAtItsTime) {
  ManualClock clock;
  Loop loop(LoopOptions{.clock = &clock});
  std::vector<int> order;
  const auto sleeper = [](Loop& l, std::vector<int>& o, int n, milliseconds time) -> Task<void> {
    co_await l.sleep_for(time);
    o.push_back(n);
  };
  spawn(sleeper(loop, order, 2, milliseconds(20)));
  spawn(sleeper(loop, order, 1, milliseconds(10)));
  spawn(sleeper(loop, order, 0, milliseconds(0)));
  EXPECT_EQ(order, std::vector{0});
  clock.advance(milliseconds(10));
  loop.poll();
  EXPECT_EQ(order, (std::vector{0, 1}));
  clock.advance(milliseconds(10));
  loop.poll();
  EXPECT_EQ(order, (std::vector{0, 1, 2}));
}

TEST(Loop, YieldLetsOthersGoOn) {
  Loop loop;
  std::vector<std::string> order;
  const auto worker = [](Loop& l, std::vector<std::string>& o, std::string name) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      o.push_back(name);
      co_await l.yield();
    }
  };
  spawn(worker(loop, order, "a"));
  spawn(worker(loop, order, "b"));
  for (int i = 0; i < 3; ++i) loop.poll();
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "a", "b"}));
}

TEST(Loop, ResumeHereMovesACoroutineBetweenLoops) {
  Loop one, two;
  std::thread second([&] { two.run(); });
  std::thread::id ids[3];
  const auto traveller = [](Loop& a, Loop& b, std::thread::id* seen) -> Task<void> {
    co_await a.resume_here();
    seen[0] = std::this_thread::get_id();
    co_await b.resume_here();
    seen[1] = std::this_thread::get_id();
    co_await a.resume_here();
    seen[2] = std::this_thread::get_id();
    a.stop();
  };
  const auto second_id = second.get_id();
  spawn(traveller(one, two, ids));
  one.run();
  two.stop();
  second.join();
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  EXPECT_EQ(ids[1], second_id);
  EXPECT_EQ(ids[2], std::this_thread::get_id());
}

TEST(Loop, DestroysPostedFunctionsThatNeverRan) {
  auto token = std::make_shared<int>(1);
  {
    Loop loop;
    loop.post([token] {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(LoopWithAsio, ServesAsioTimersSocketsOwnTimersAndPostsTogether) {
  Loop loop;
  Pair pair;
  int asio_fired = 0, read_calls = 0, posted = 0, own_fired = 0;
  std::string got;

  boost::asio::steady_timer timer(loop.asio());
  std::function<void()> again = [&] {
    timer.expires_after(milliseconds(1));
    timer.async_wait([&](const boost::system::error_code& error) {
      if (error) return;
      ++asio_fired;
      poke(pair.b);  // An event of the own set for each of Asio's.
      if (asio_fired < 20) again();
    });
  };
  again();

  Reader reader;
  reader.on = [&](std::uint32_t) {
    ++read_calls;
    got += drain(pair.a);
    loop.post([&] { ++posted; });
  };
  loop.watch(pair.a, reader, EPOLLIN | EPOLLET);

  struct Tick {
    Loop& loop;
    int& count;
    Tick(Loop& l, int& c) : loop(l), count(c) {}
    Timer timer{[](void* self) {
                  auto& me = *static_cast<Tick*>(self);
                  if (++me.count < 20) me.timer.arm(me.loop, me.loop.now() + milliseconds(1));
                },
                this};
  } tick(loop, own_fired);
  tick.timer.arm(loop, loop.now() + milliseconds(1));

  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([&] { ++posted; });
  });
  loop.post([&] {
    // Ends when all has come; the loop sleeps in Asio in between.
    const auto check = [](Loop& l, int& asio, int& own, std::string& text, int& p) -> Task<void> {
      while (asio < 20 || own < 20 || text.size() < 20 || p < 100) co_await l.sleep_for(milliseconds(1));
      l.stop();
    };
    spawn(check(loop, asio_fired, own_fired, got, posted));
  });
  loop.run();
  other.join();
  loop.unwatch(pair.a, reader);
  EXPECT_EQ(asio_fired, 20);
  EXPECT_EQ(own_fired, 20);
  EXPECT_EQ(got.size(), 20u);
  EXPECT_GE(read_calls, 1);
}

TEST(LoopWithAsio, ASocketEventAloneWakesALoopThatSleepsInAsio) {
  Loop loop;
  (void)loop.asio();
  Pair pair;
  std::atomic<int> calls{0};
  Reader reader;
  reader.on = [&](std::uint32_t) {
    drain(pair.a);
    calls.fetch_add(1);
  };
  loop.watch(pair.a, reader, EPOLLIN | EPOLLET);
  std::thread runner([&] { loop.run(); });
  for (int i = 1; i <= 500; ++i) {
    poke(pair.b);
    while (calls.load() < i) std::this_thread::yield();
  }
  loop.stop();
  runner.join();
  loop.unwatch(pair.a, reader);
  EXPECT_EQ(calls.load(), 500);
}

TEST(LoopWithAsio, APostAloneWakesALoopThatSleepsInAsio) {
  Loop loop;
  (void)loop.asio();
  std::atomic<int> seen{0};
  std::thread runner([&] { loop.run(); });
  for (int i = 1; i <= 500; ++i) {
    loop.post([&] { seen.fetch_add(1); });
    while (seen.load() < i) std::this_thread::yield();
  }
  loop.stop();
  runner.join();
  EXPECT_EQ(seen.load(), 500);
}

}  // namespace
}  // namespace mg
