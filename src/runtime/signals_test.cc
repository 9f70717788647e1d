#include "mg/runtime/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/testing.h"

namespace mg {
namespace {

using testing::run_until;

void (*handler_of(int signal))(int) {
  struct ::sigaction now{};
  ::sigaction(signal, nullptr, &now);
  return now.sa_handler;
}

TEST(Signals, CallsBackOnTheLoop) {
  Loop loop;
  std::vector<int> got;
  Signals signals(loop, {SIGTERM, SIGINT}, [&](int signal) {
    EXPECT_EQ(Loop::current(), &loop);
    got.push_back(signal);
  });
  ::raise(SIGTERM);
  EXPECT_TRUE(got.empty());
  ASSERT_TRUE(run_until(loop, [&] { return got.size() == 1; }));
  ::raise(SIGINT);
  ASSERT_TRUE(run_until(loop, [&] { return got.size() == 2; }));
  EXPECT_EQ(got, (std::vector{SIGTERM, SIGINT}));
}

TEST(Signals, WakesASleepingLoop) {
  Loop loop;
  Signals signals(loop, {SIGUSR2}, [&](int) { loop.stop(); });
  std::thread other([] { ::kill(::getpid(), SIGUSR2); });
  loop.run();
  other.join();
}

TEST(Signals, RestoresWhatWasBefore) {
  ::signal(SIGUSR2, SIG_IGN);
  {
    Loop loop;
    int outer = 0, inner = 0;
    Signals first(loop, {SIGUSR2}, [&](int) { ++outer; });
    {
      Signals second(loop, {SIGUSR2}, [&](int) { ++inner; });
      ::raise(SIGUSR2);
      ASSERT_TRUE(run_until(loop, [&] { return inner == 1; }));
    }
    ::raise(SIGUSR2);
    ASSERT_TRUE(run_until(loop, [&] { return outer == 1; }));
    EXPECT_EQ(inner, 1);
  }
  EXPECT_EQ(handler_of(SIGUSR2), SIG_IGN);
  ::signal(SIGUSR2, SIG_DFL);
}

TEST(Signals, AStormIsFewCallsAndNothingIsLost) {
  Loop loop;
  int storms = 0, terms = 0;
  Signals signals(loop, {SIGUSR1, SIGTERM}, [&](int signal) { ++(signal == SIGTERM ? terms : storms); });
  std::atomic<bool> done{false};
  std::thread storm([&] {
    for (int i = 0; i < 20'000; ++i) ::kill(::getpid(), SIGUSR1);
    ::kill(::getpid(), SIGTERM);
    done = true;
  });
  ASSERT_TRUE(run_until(loop, [&] { return terms == 1; }));
  storm.join();
  ASSERT_TRUE(run_until(loop, [&] { return done && storms >= 1; }));
  EXPECT_LE(storms, 20'000);
  EXPECT_EQ(terms, 1);
}

TEST(Signals, MayComeAndGoDuringAStorm) {
  ignore_signals({SIGUSR1});
  std::atomic<bool> stop{false};
  std::thread storm([&] {
    while (!stop) ::kill(::getpid(), SIGUSR1);
  });
  for (int i = 0; i < 200; ++i) {
    Loop loop;
    Signals signals(loop, {SIGUSR1}, [](int) {});
    loop.poll();
  }
  stop = true;
  storm.join();
  ::signal(SIGUSR1, SIG_DFL);
}

TEST(Signals, IgnoredOnesDoNotKill) {
  const pid_t child = ::fork();
  if (child == 0) {
    ignore_signals({SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2});
    for (int i = 0; i < 1000; ++i) {
      for (int signal : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2}) ::raise(signal);
    }
    ::_exit(7);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace mg
