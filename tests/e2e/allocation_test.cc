// A player's message through gate and game in one process costs no heap allocation once warm. A sanitizer build turns
// the pools off, unless MG_POOLS=1 is in the environment, as it is for this test.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "examples/common/token.h"
#include "examples/game/game_service.h"
#include "examples/gate/gate_service.h"
#include "tests/e2e/player.h"

namespace {

// Counts what the loop's thread allocates while `counting` is set.
std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};
thread_local bool on_loop = false;

void count() {
  if (counting.load(std::memory_order_relaxed) && on_loop) allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

void* operator new(std::size_t size) {
  count();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace example {
namespace {

using mg::test::Player;

TEST(Demo, AnEchoedMessageAllocatesNothing) {
  mg::Process process({.name = "demo"});
  mg::App game_app(process, {.name = "game"});
  GameService game(game_app);
  mg::App gate_app(process, {.name = "gate"});
  GateService gate(gate_app, {.types = {"tcp", "websocket"}, .ports = {"127.0.0.1:0"}, .host = "127.0.0.1"});
  std::thread::id loop_thread;
  gate_app.after_start([&] { on_loop = true; });
  const char* arguments[] = {"--loops", "1"};
  const auto started = process.start(arguments);
  ASSERT_TRUE(started) << mg::to_json(started.error());

  for (const auto transport : {Player::kTcp, Player::kWs}) {
    std::uint16_t port = 0;
    for (const std::string& url : gate.urls()) {
      if (url.starts_with("tcp") == (transport == Player::kTcp)) {
        port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
      }
    }
    Player player(transport, port);
    msg::C2S_10001 login;
    login.set_token(make_token("alice", mg::system_clock().wall() + std::chrono::hours(1), kDemoSecret));
    player.say(1, 10001, login.SerializeAsString());
    ASSERT_TRUE(player.hear());
    msg::C2S_10005 echo;
    echo.set_data(std::string(64, 'e'));
    const std::string body = echo.SerializeAsString();
    for (std::uint16_t i = 0; i < 200; ++i) {
      player.say(i, 10005, body);
      ASSERT_TRUE(player.hear());
    }
    // One at a time, and sixteen at once.
    allocations = 0;
    std::uint64_t messages = 0;
    for (const int depth : {1, 16}) {
      std::string burst;
      for (int i = 0; i < depth; ++i) burst += player.packet(7, 10005, body);
      player.send(burst);
      for (int i = 0; i < depth; ++i) ASSERT_TRUE(player.hear());
      counting = true;
      for (int round = 0; round < 500; ++round) {
        player.send(burst);
        for (int i = 0; i < depth; ++i, ++messages) ASSERT_EQ(player.hear()->body, body);
      }
      counting = false;
    }
    EXPECT_EQ(allocations.load(), 0U) << "in " << messages << " messages";
  }
  EXPECT_EQ(process.stop(), 0);
}

}  // namespace
}  // namespace example
