#include "mg/runtime/signals.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <thread>

#include "mg/base/check.h"

namespace mg {

// What a signal handler may touch: a set of signals and a descriptor.
struct Signals::Inbox {
  std::atomic<std::uint64_t> pending{0};  // Bit n - 1: signal n.
  int fd = -1;
};

namespace {

constexpr int kSignals = 64;
// The inbox of each signal. Handlers may run on any thread at any time, so an inbox dies only when none is running.
std::array<std::atomic<Signals::Inbox*>, kSignals + 1> inboxes{};
std::atomic<int> handlers_running{0};
static_assert(std::atomic<Signals::Inbox*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void mg_on_signal(int signal) {
  const int error = errno;
  handlers_running.fetch_add(1);
  if (Signals::Inbox* inbox = inboxes[static_cast<std::size_t>(signal)].load()) {
    inbox->pending.fetch_or(1ull << (signal - 1));
    const std::uint64_t one = 1;
    // A full counter is as good as one more: the descriptor is readable either way.
    [[maybe_unused]] const auto written = ::write(inbox->fd, &one, sizeof one);
  }
  handlers_running.fetch_sub(1);
  errno = error;
}

}  // namespace

Signals::Signals(Loop& loop, std::initializer_list<int> signals, std::move_only_function<void(int)> callback)
    : loop_(loop), callback_(std::move(callback)), inbox_(new Inbox) {
  inbox_->fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  check(inbox_->fd >= 0, "Signals: eventfd failed");
  loop_.watch(inbox_->fd, *this, EPOLLIN);
  for (int signal : signals) {
    check(signal > 0 && signal <= kSignals, "Signals: no such signal");
    Before before{.signal = signal, .inbox = nullptr, .action = {}};
    before.inbox = inboxes[static_cast<std::size_t>(signal)].exchange(inbox_);
    struct ::sigaction action{};
    action.sa_handler = mg_on_signal;
    action.sa_flags = SA_RESTART;
    ::sigfillset(&action.sa_mask);
    check(::sigaction(signal, &action, &before.action) == 0, "Signals: this signal cannot be handled");
    before_.push_back(before);
  }
}

Signals::~Signals() {
  while (!before_.empty()) {
    const Before& before = before_.back();
    ::sigaction(before.signal, &before.action, nullptr);
    inboxes[static_cast<std::size_t>(before.signal)].store(before.inbox);
    before_.pop_back();
  }
  while (handlers_running.load() != 0) std::this_thread::yield();
  loop_.unwatch(inbox_->fd, *this);
  ::close(inbox_->fd);
  delete inbox_;
}

void Signals::on_events(std::uint32_t) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(inbox_->fd, &count, sizeof count);
  std::uint64_t pending = inbox_->pending.exchange(0);
  while (pending != 0) {
    const int signal = std::countr_zero(pending) + 1;
    pending &= pending - 1;
    callback_(signal);
  }
}

void ignore_signals(std::initializer_list<int> signals) {
  for (int signal : signals) {
    struct ::sigaction action{};
    action.sa_handler = SIG_IGN;
    check(::sigaction(signal, &action, nullptr) == 0, "ignore_signals: this signal cannot be ignored");
  }
}

}  // namespace mg
