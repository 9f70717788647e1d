#include "mg/broker/local/local_broker.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mg/base/log.h"
#include "mg/runtime/event.h"

namespace mg::broker {
namespace {

constexpr int kPerTurn = 64;  // Messages one subscription handles before others of the loop get their turn.

// One subscription. Kept by its queue's coroutine as long as that runs.
class Queue : public std::enable_shared_from_this<Queue> {
 public:
  Queue(SubscribeOptions options, Handler handler) : options_(std::move(options)), handler_(std::move(handler)) {}

  const SubscribeOptions& options() const { return options_; }

  // Threads: shared. False when it was dropped.
  bool push(const std::shared_ptr<const Message>& message) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (waiting_.size() >= options_.max_queued) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    waiting_.push_back(message);
    if (!std::exchange(running_, true)) options_.loop->post_always([self = shared_from_this()] { spawn(run(self)); });
    return true;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
  }

  static Task<Result<void>> stop(std::shared_ptr<Queue> self, Deadline deadline) {
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

  SubscriptionStats stats() const { return {handled_.load(), failed_.load(), dropped_.load()}; }

 private:
  static Task<void> run(std::shared_ptr<Queue> self) {
    for (int n = 1; const auto message = self->next(); ++n) {
      Result<void> done;
      try {
        done = co_await self->handler_(*message);
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
      if (n % kPerTurn == 0) co_await self->options_.loop->yield();
    }
    if (self->idle_) self->idle_->set(true);
  }

  std::shared_ptr<const Message> next() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      running_ = false;
      return nullptr;
    }
    auto message = std::move(waiting_.front());
    waiting_.pop_front();
    return message;
  }
  bool is_running() {
    const std::lock_guard lock(mutex_);
    return running_;
  }

  const SubscribeOptions options_;
  const Handler handler_;
  std::atomic<std::uint64_t> handled_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> dropped_{0};
  Completion<bool>* idle_ = nullptr;  // Who stops it. Touched on the loop only.

  std::mutex mutex_;  // docs/threads.md: "local subscription"
  std::deque<std::shared_ptr<const Message>> waiting_;
  bool running_ = false;  // run() is on, or posted.
  bool closed_ = false;
};
using QueuePtr = std::shared_ptr<Queue>;

}  // namespace

class LocalBroker::State {
 public:
  void publish(const std::string& topic, Message message) {
    const auto shared = std::make_shared<const Message>(std::move(message));
    const std::lock_guard lock(mutex_);  // Held while it is handed out: everybody sees the same order.
    const auto at = topics_.find(topic);
    if (at == topics_.end()) return;
    for (const QueuePtr& each : at->second.each) each->push(shared);
    for (auto& [name, group] : at->second.groups) {
      // The member whose turn it is, or the next that has room.
      for (std::size_t i = 0; i < group.members.size(); ++i) {
        if (group.members[group.next++ % group.members.size()]->push(shared)) break;
      }
    }
  }

  void add(const QueuePtr& queue) {
    const std::lock_guard lock(mutex_);
    Topic& topic = topics_[queue->options().topic];
    if (queue->options().queue.empty()) {
      topic.each.push_back(queue);
    } else {
      topic.groups[queue->options().queue].members.push_back(queue);
    }
  }

  void remove(const QueuePtr& queue) {
    const std::lock_guard lock(mutex_);
    const auto at = topics_.find(queue->options().topic);
    if (at == topics_.end()) return;
    Topic& topic = at->second;
    std::erase(topic.each, queue);
    if (const auto group = topic.groups.find(queue->options().queue); group != topic.groups.end()) {
      std::erase(group->second.members, queue);
      if (group->second.members.empty()) topic.groups.erase(group);
    }
    if (topic.each.empty() && topic.groups.empty()) topics_.erase(at);
  }

 private:
  struct Group {
    std::vector<QueuePtr> members;
    std::size_t next = 0;
  };
  struct Topic {
    std::vector<QueuePtr> each;
    std::unordered_map<std::string, Group> groups;
  };

  std::mutex mutex_;  // docs/threads.md: "local broker"
  std::unordered_map<std::string, Topic> topics_;
};

namespace {

class LocalSubscription final : public Subscription {
 public:
  LocalSubscription(std::weak_ptr<LocalBroker::State> state, QueuePtr queue)
      : state_(std::move(state)), queue_(std::move(queue)) {}
  ~LocalSubscription() override {
    forget();
    queue_->close();
  }

  Task<Result<void>> stop(Deadline deadline) override {
    forget();
    return Queue::stop(queue_, deadline);
  }
  SubscriptionStats stats() const override { return queue_->stats(); }

 private:
  void forget() {
    if (const auto state = state_.lock()) state->remove(queue_);
  }
  std::weak_ptr<LocalBroker::State> state_;
  QueuePtr queue_;
};

}  // namespace

LocalBroker::LocalBroker() : state_(std::make_shared<State>()) {}
LocalBroker::~LocalBroker() = default;

Task<Result<void>> LocalBroker::connect(Deadline) {
  return Result<void>();
}
Task<void> LocalBroker::disconnect(Deadline) {
  co_return;
}

Task<Result<void>> LocalBroker::publish(std::string topic, Message message, Deadline) {
  if (auto ok = check_topic(topic); !ok) return ok;
  state_->publish(topic, std::move(message));
  return Result<void>();
}

Result<std::unique_ptr<Subscription>> LocalBroker::subscribe(SubscribeOptions options, Handler handler) {
  if (auto ok = check_topic(options.topic); !ok) return std::unexpected(ok.error());
  if (!options.queue.empty()) {
    if (auto ok = check_topic(options.queue); !ok) return std::unexpected(ok.error());
  }
  if (!options.loop)
    return fail(code::kInvalid, "subscription of {}: no loop to handle its messages on", options.topic);
  auto queue = std::make_shared<Queue>(std::move(options), std::move(handler));
  state_->add(queue);
  return std::make_unique<LocalSubscription>(state_, std::move(queue));
}

}  // namespace mg::broker
