#include "mg/broker/local/local_broker.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/queue.h"

namespace mg::broker {

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
  if (auto ok = check_subscription(options); !ok) return std::unexpected(std::move(ok.error()));
  auto queue = std::make_shared<Queue>(std::move(options), std::move(handler));
  state_->add(queue);
  return std::make_unique<LocalSubscription>(state_, std::move(queue));
}

}  // namespace mg::broker
