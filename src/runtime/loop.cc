#include "mg/runtime/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "mg/runtime/fetch.h"

namespace mg {
namespace {

thread_local Loop* current_loop = nullptr;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "mg::Loop: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

}  // namespace

// The batch of events being handed out.
struct Loop::Events {
  static constexpr int kMost = 64;
  static constexpr int kGroup = 4;  // What they receive and what they answer stays in the first cache.
  std::array<epoll_event, kMost> items;
  int count = 0;
  int next = 0;
};

// Asio sleeps for the loop once somebody uses it; our epoll set is one more descriptor to it.
struct Loop::Asio {
  boost::asio::io_context context{1};
  boost::asio::posix::stream_descriptor set;
  bool watching = false;

  explicit Asio(int epoll) : set(context, ::dup(epoll)) {}

  void sleep_until(TimePoint when, bool forever) {
    if (!watching) {
      watching = true;
      set.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code&) { watching = false; });
    }
    context.restart();
    if (forever) {
      context.run_one();
    } else {
      context.run_one_until(when);
    }
    context.poll();
  }
};

Flushable::~Flushable() {
  if (flush_list_) (*flush_list_)[flush_index_] = nullptr;
}

Loop::Loop(LoopOptions options)
    : clock_(options.clock ? options.clock : &system_clock()),
      index_(options.index),
      max_posted_(options.max_posted),
      events_(std::make_unique<Events>()) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) die("epoll_create1");
  wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) die("eventfd");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // Never read: an edge for each write is all that is needed.
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) die("epoll_ctl");
  now_ = clock_->now();
}

Loop::~Loop() {
  // What is posted may own coroutines or buffers of this loop: it goes while the loop is whole.
  std::vector<std::move_only_function<void()>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(posted_);
  }
  left.clear();
  asio_.reset();
  ::close(wake_fd_);
  ::close(epoll_);
}

Loop* Loop::current() noexcept {
  return current_loop;
}

void Loop::run() {
  while (!stop_.exchange(false)) turn_once(true);
}

bool Loop::poll() {
  return turn_once(false);
}

void Loop::stop() {
  stop_.store(true);
  wake();
}

bool Loop::post(std::move_only_function<void()> function) {
  return enqueue(std::move(function), true);
}

// A resumption is never dropped (a coroutine would hang): what it resumes is bounded where it was made.
bool Loop::enqueue(std::move_only_function<void()> function, bool bounded) {
  {
    const std::lock_guard lock(mutex_);
    if (bounded && posted_.size() >= max_posted_) {
      ++dropped_posts_;
      return false;
    }
    posted_.push_back(std::move(function));
  }
  // The loop looks at the flag before it sleeps; the first to raise it wakes the loop for all.
  if (!has_posted_.exchange(true) && thread_.load() != std::this_thread::get_id()) wake();
  return true;
}

void Loop::wake() noexcept {
  const std::uint64_t one = 1;
  while (::write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Loop::watch(int fd, IoHandler& handler, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl add");
}

void Loop::unwatch(int fd, IoHandler& handler) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  // Events of this batch that have not been handed out yet must not reach a handler that may be gone.
  for (int i = events_->next; i < events_->count; ++i) {
    if (events_->items[static_cast<std::size_t>(i)].data.ptr == &handler) {
      events_->items[static_cast<std::size_t>(i)].data.ptr = nullptr;
    }
  }
}

boost::asio::io_context& Loop::asio() {
  if (!asio_) asio_ = std::make_unique<Asio>(epoll_);
  return asio_->context;
}

int Loop::wait_events(bool wait) {
  Events& batch = *events_;
  const auto collect = [&](int timeout_ms) {
    batch.next = 0;
    batch.count = ::epoll_wait(epoll_, batch.items.data(), Events::kMost, timeout_ms);
    if (batch.count < 0) {
      if (errno != EINTR) die("epoll_wait");
      batch.count = 0;
    }
    return batch.count;
  };
  // Something to flush is there when it was asked for outside a turn.
  if (has_posted_.load() || stop_.load(std::memory_order_relaxed) || !flush_.empty() || !flush_after_turn_.empty()) {
    wait = false;
  }
  if (asio_) {
    if (collect(0) > 0) {
      asio_->context.restart();
      asio_->context.poll();
      return batch.count;
    }
    if (!wait) {
      asio_->context.restart();
      asio_->context.poll();
      return 0;
    }
    asio_->sleep_until(timers_.empty() ? TimePoint() : timers_.next(), timers_.empty());
    return collect(0);
  }
  if (!wait) return collect(0);
  if (timers_.empty()) return collect(-1);
  const auto left = timers_.next() - clock_->now();
  if (left <= left.zero()) return collect(0);
  // Rounded up: a timer never fires early, and the loop does not spin through its last millisecond.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return collect(static_cast<int>(std::min<std::int64_t>(ms, 3'600'000)));
}

bool Loop::turn_once(bool wait) {
  Loop* const outer = std::exchange(current_loop, this);
  // Ordered with has_posted_: a poster either sees the new thread and wakes it, or is seen by it.
  if (!on_this_thread()) thread_.store(std::this_thread::get_id());
  const int count = wait_events(wait);
  now_ = clock_->now();
  ++turn_;
  const Events& batch = *events_;
  while (batch.next < batch.count) hand_out_group();
  const bool due = !timers_.empty() && timers_.next() <= now_;
  if (due) timers_.fire(now_);
  const std::size_t ran = run_posted();
  flush_all(flush_);
  flush_all(flush_after_turn_);
  current_loop = outer;
  return count > 0 || due || ran > 0;
}

// First all of a group receive, then all work, then all send: the kernel's code and ours, which do not fit into the
// instruction cache together, change places once for a group.
void Loop::hand_out_group() {
  Events& batch = *events_;
  const auto handler = [&batch](int at) {
    return static_cast<IoHandler*>(batch.items[static_cast<std::size_t>(at)].data.ptr);
  };
  const int end = std::min(batch.next + Events::kGroup, batch.count);
  for (int at = batch.next; at < end; ++at) {
    if (at + 1 < batch.count) fetch(handler(at + 1), 320);  // With many connections each is cold when its event comes.
    if (IoHandler* const one = handler(at)) one->on_ready(batch.items[static_cast<std::size_t>(at)].events);
  }
  while (batch.next < end) {
    const epoll_event event = batch.items[static_cast<std::size_t>(batch.next++)];
    if (event.data.ptr) static_cast<IoHandler*>(event.data.ptr)->on_events(event.events);
  }
  flush_all(flush_);
}

std::size_t Loop::run_posted() {
  if (!has_posted_.exchange(false, std::memory_order_acquire)) return 0;
  {
    const std::lock_guard lock(mutex_);
    running_.swap(posted_);
  }
  const std::size_t count = running_.size();
  for (auto& function : running_) function();
  running_.clear();
  return count;
}

void Loop::flush_all(std::vector<Flushable*>& list) {
  // A flush may close a connection and so make another one write: the list can grow while it is walked.
  for (std::size_t i = 0; i < list.size(); ++i) {
    Flushable* const item = list[i];
    if (!item) continue;
    item->flush_list_ = nullptr;
    item->flush();
  }
  list.clear();
}

}  // namespace mg
