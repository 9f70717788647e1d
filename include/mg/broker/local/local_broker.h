// mg/broker/local/local_broker.h -- the broker of one process, for the apps in it.
//
//   broker::LocalBroker broker;
#pragma once

#include <memory>

#include "mg/broker/broker.h"

namespace mg::broker {

// Of a queue group the members take turns. Threads: shared. Subscriptions may outlive it.
class LocalBroker final : public Broker {
 public:
  LocalBroker();
  LocalBroker(const LocalBroker&) = delete;
  LocalBroker& operator=(const LocalBroker&) = delete;
  ~LocalBroker() override;

  Task<Result<void>> connect(Deadline) override;
  Task<Result<void>> publish(std::string topic, Message message, Deadline deadline) override;
  Result<std::unique_ptr<Subscription>> subscribe(SubscribeOptions options, Handler handler) override;
  Task<void> disconnect(Deadline) override;
  std::string_view kind() const override { return "local"; }

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mg::broker
