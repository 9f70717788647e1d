// mg/runtime/loop.h -- one thread's event loop: sockets, timers, posted work, buffers.
//
//   Loop loop;
//   loop.post([&] { start(loop); });   // from any thread
//   loop.run();                        // until stop()
//
// One turn: wait for events, run what they woke in groups of a few, fire due timers, run posted functions. After each
// group and at the end it flushes: what was written leaves with one system call per socket (of a socket that gathers, per
// turn).
// The sockets of the message path are in an epoll set of the loop. An Asio io_context is made when first asked for;
// from then on the loop sleeps in it, and it watches that set as one descriptor.
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "mg/base/clock.h"
#include "mg/runtime/block_pool.h"
#include "mg/runtime/task.h"
#include "mg/runtime/timer.h"

namespace boost::asio {
class io_context;
}

namespace mg {

class Loop;

// What epoll events of one descriptor go to. Threads: loop.
class IoHandler {
 public:
  // `events` are EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. The handler may unwatch or delete itself.
  virtual void on_events(std::uint32_t events) = 0;
  // The same events a moment before: to receive what is there and to fetch what on_events() will need. May unwatch
  // itself; must not call out to what could destroy another handler.
  virtual void on_ready(std::uint32_t /*events*/) {}

 protected:
  ~IoHandler() = default;
};

// A link in the loop's list of things to flush. Threads: loop.
class Flushable {
 public:
  virtual void flush() = 0;

 protected:
  Flushable() = default;
  ~Flushable();

 private:
  friend class Loop;
  std::vector<Flushable*>* flush_list_ = nullptr;  // Set while in it.
  std::uint32_t flush_index_ = 0;
};

struct LoopOptions {
  const Clock* clock = nullptr;        // The system's clock when null. Must outlive the loop.
  std::uint32_t index = 0;             // Its number in a Runtime.
  std::uint32_t max_posted = 1 << 20;  // Posted functions waiting; over it post() drops and counts, 1..2^31.
};

// Threads: loop, but for post(), stop() and on_this_thread(), which are shared.
class Loop {
 public:
  explicit Loop(LoopOptions options = {});
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Runs turns on this thread until stop().
  void run();
  // Runs one turn that does not wait; true when anything happened. For tests and for a loop inside another.
  bool poll();
  // Ends run() after the turn at hand. Posted functions that have not run by then run in the next run() or poll().
  void stop();

  // Runs `function` on the loop, in order of posting. False when too many wait: it was dropped.
  bool post(std::move_only_function<void()> function);
  // As post(), but never refused: for what continues a waiting coroutine, which would hang, and whose number is bounded
  // where it began.
  void post_always(std::move_only_function<void()> function) { enqueue(std::move(function), false); }
  bool on_this_thread() const noexcept { return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }
  // The loop that runs on this thread, null outside one.
  static Loop* current() noexcept;

  // Continues the awaiting coroutine on this loop. Cost: none when it is there already.
  auto resume_here() noexcept { return Hop{*this}; }
  // Suspends until `when`. Never early; late by as much as the turn takes.
  auto sleep_until(TimePoint when) noexcept { return Sleep{*this, when}; }
  auto sleep_for(std::chrono::nanoseconds time) noexcept { return Sleep{*this, now() + time}; }
  // Suspends to the next turn, so that others go on.
  auto yield() noexcept { return Yield{*this}; }

  const Clock& clock() const noexcept { return *clock_; }
  // The time of this turn. Cost: a load.
  TimePoint now() const noexcept { return now_; }
  // Counts turns; two things with the same number happened in one turn.
  std::uint64_t turn() const noexcept { return turn_; }
  std::uint32_t index() const noexcept { return index_; }
  std::uint64_t dropped_posts() const noexcept { return dropped_posts_; }

  // Registers a descriptor, edge-triggered unless said otherwise; `handler` is told of `events` (EPOLLIN | ...).
  // Requires: unwatch(fd, handler) before the descriptor is closed and before the handler dies.
  void watch(int fd, IoHandler& handler, std::uint32_t events);
  void unwatch(int fd, IoHandler& handler) noexcept;

  // Calls flush() once, when what runs now has come to its end: later in this turn.
  void flush_later(Flushable& item) { flush_in(flush_, item); }
  // As flush_later(), but when the whole turn has come to its end: for what gathers the work of many connections.
  void flush_after_turn(Flushable& item) { flush_in(flush_after_turn_, item); }

  TimerHeap& timers() noexcept { return timers_; }
  BlockPool& blocks() noexcept { return blocks_; }

  // The loop's Asio context, for what is not on the message path (resolver, remote adapters).
  boost::asio::io_context& asio();

 private:
  struct Hop {
    Loop& loop;
    bool await_ready() const noexcept { return loop.on_this_thread(); }
    void await_suspend(std::coroutine_handle<> awaiter) const {
      loop.enqueue([awaiter] { awaiter.resume(); }, false);
    }
    void await_resume() const noexcept {}
  };
  struct Sleep {
    Loop& loop;
    TimePoint when;
    std::coroutine_handle<> awaiter{};
    Timer timer{[](void* self) { static_cast<Sleep*>(self)->awaiter.resume(); }, this};
    Sleep(Loop& l, TimePoint w) noexcept : loop(l), when(w) {}
    bool await_ready() const noexcept { return when <= loop.now(); }
    void await_suspend(std::coroutine_handle<> handle) {
      awaiter = handle;
      timer.arm(loop, when);
    }
    void await_resume() const noexcept {}
  };
  struct Yield {
    Loop& loop;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiter) const {
      loop.enqueue([awaiter] { awaiter.resume(); }, false);
    }
    void await_resume() const noexcept {}
  };
  struct Asio;

  bool enqueue(std::move_only_function<void()> function, bool bounded);
  bool turn_once(bool wait);
  void hand_out_group();
  int wait_events(bool wait);
  std::size_t run_posted();
  static void flush_in(std::vector<Flushable*>& list, Flushable& item) {
    if (item.flush_list_) return;
    item.flush_list_ = &list;
    item.flush_index_ = static_cast<std::uint32_t>(list.size());
    list.push_back(&item);
  }
  static void flush_all(std::vector<Flushable*>& list);
  void wake() noexcept;

  const Clock* clock_;
  std::uint32_t index_;
  std::uint32_t max_posted_;
  int epoll_ = -1;
  int wake_fd_ = -1;
  TimePoint now_;
  std::uint64_t turn_ = 0;
  std::atomic<std::thread::id> thread_{};
  TimerHeap timers_;
  BlockPool blocks_;
  std::vector<Flushable*> flush_;             // After the group of events.
  std::vector<Flushable*> flush_after_turn_;  // After all of them.
  struct Events;
  std::unique_ptr<Events> events_;
  std::unique_ptr<Asio> asio_;

  std::mutex mutex_;                                     // docs/threads.md: "loop posts"
  std::vector<std::move_only_function<void()>> posted_;  // Guarded by mutex_.
  std::atomic<std::uint64_t> dropped_posts_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> has_posted_{false};
  std::vector<std::move_only_function<void()>> running_;
};

}  // namespace mg
