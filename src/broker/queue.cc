#include "broker/queue.h"

#include <exception>
#include <utility>

#include "mg/base/log.h"

namespace mg::broker {
namespace {

constexpr int kPerTurn = 64;  // Messages one subscription handles before others of the loop get their turn.

}  // namespace

bool Queue::push(const std::shared_ptr<const Message>& message) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (waiting_.size() >= options_.max_queued) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  enqueue({message});
  return true;
}

bool Queue::push(const std::shared_ptr<const Message>& message, Told told) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  enqueue({message, std::move(told)});
  return true;
}

void Queue::enqueue(Item item) {
  waiting_.push_back(std::move(item));
  if (!std::exchange(running_, true)) options_.loop->post_always([self = shared_from_this()] { spawn(run(self)); });
}

void Queue::close() {
  std::deque<Item> dropped;  // Ends after the lock.
  const std::lock_guard lock(mutex_);
  closed_ = true;
  waiting_.swap(dropped);
}

Task<Result<void>> Queue::stop(std::shared_ptr<Queue> self, Deadline deadline) {
  self->close();
  Loop* const here = Loop::current();
  Loop& home = *self->options_.loop;
  co_await home.resume_here();
  bool ended = true;
  if (self->is_running()) {
    Completion<bool> idle;
    self->idle_ = &idle;
    ended = (co_await idle.wait(home, deadline)).has_value();
    self->idle_ = nullptr;
  }
  if (here) co_await here->resume_here();
  if (!ended) {
    co_return fail(code::kTimeout, "subscription of {}: a message is still being handled", self->options_.topic);
  }
  co_return Result<void>();
}

Task<void> Queue::run(std::shared_ptr<Queue> self) {
  Item item = self->next();
  for (int n = 1; item.message; item = self->next(), ++n) {
    Result<void> done;
    try {
      done = co_await self->handler_(*item.message);
    } catch (const std::exception& e) {
      done = fail(code::kServer, "panic recovered: {}", e.what());
    } catch (...) {
      done = fail(code::kServer, "panic recovered: unknown exception");
    }
    co_await self->options_.loop->resume_here();  // Wherever the handler ended.
    self->handled_.fetch_add(1, std::memory_order_relaxed);
    if (!done) {
      self->failed_.fetch_add(1, std::memory_order_relaxed);
      log::warn("broker: handler of {} failed: {}", self->options_.topic, to_json(done.error()));
    }
    if (item.told) item.told(done);
    if (n % kPerTurn == 0) co_await self->options_.loop->yield();
  }
  if (self->idle_) self->idle_->set(true);
}

Queue::Item Queue::next() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    running_ = false;
    return {};
  }
  Item item = std::move(waiting_.front());
  waiting_.pop_front();
  return item;
}

bool Queue::is_running() {
  const std::lock_guard lock(mutex_);
  return running_;
}

Result<void> check_subscription(const SubscribeOptions& options) {
  if (auto ok = check_topic(options.topic); !ok) return ok;
  if (!options.queue.empty()) {
    if (auto ok = check_topic(options.queue); !ok) return ok;
  }
  if (!options.loop) {
    return fail(code::kInvalid, "subscription of {}: no loop to handle its messages on", options.topic);
  }
  return {};
}

}  // namespace mg::broker
