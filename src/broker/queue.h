// broker/queue.h -- the messages of one subscription on their way to its handler; what adapters deliver into.
//
//   auto queue = std::make_shared<Queue>(std::move(options), std::move(handler));
//   queue->push(std::make_shared<const Message>(std::move(message)));     // from any thread
//   co_await Queue::stop(queue, deadline);
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "mg/broker/broker.h"
#include "mg/runtime/event.h"

namespace mg::broker {

// Kept by its own coroutine as long as that runs. Threads: shared.
class Queue : public std::enable_shared_from_this<Queue> {
 public:
  Queue(SubscribeOptions options, Handler handler) : options_(std::move(options)), handler_(std::move(handler)) {}

  const SubscribeOptions& options() const { return options_; }

  // Told on the loop what the handler said; not when the message is dropped instead.
  using Told = std::move_only_function<void(const Result<void>&)>;

  // False when it was dropped: too many wait, or it is closed.
  bool push(const std::shared_ptr<const Message>& message);
  // For messages whose number is bounded where they come from: refused only when it is closed.
  bool push(const std::shared_ptr<const Message>& message, Told told);
  // Drops what waits; what is pushed from now on, too.
  void close();
  // close(), then waits for the handler that runs. Errors: kTimeout  it still runs
  static Task<Result<void>> stop(std::shared_ptr<Queue> self, Deadline deadline);

  SubscriptionStats stats() const { return {handled_.load(), failed_.load(), dropped_.load()}; }

 private:
  static Task<void> run(std::shared_ptr<Queue> self);
  struct Item {
    std::shared_ptr<const Message> message;
    Told told = {};
  };
  void enqueue(Item item);  // With mutex_ held.
  Item next();
  bool is_running();

  const SubscribeOptions options_;
  const Handler handler_;
  std::atomic<std::uint64_t> handled_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> dropped_{0};
  Completion<bool>* idle_ = nullptr;  // Who stops it. Touched on the loop only.

  std::mutex mutex_;  // docs/threads.md: "subscription queue"
  std::deque<Item> waiting_;
  bool running_ = false;  // run() is on, or posted.
  bool closed_ = false;
};
using QueuePtr = std::shared_ptr<Queue>;

// What subscribe() asks of its options. Errors: kInvalid  topic, queue, no loop
Result<void> check_subscription(const SubscribeOptions& options);

}  // namespace mg::broker
