// What an App is inside; Process starts and stops it.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/resolver.h"
#include "mg/app/app.h"
#include "mg/runtime/in_flight.h"
#include "mg/runtime/timer.h"

namespace mg {

class App::Impl {
 public:
  enum class Phase { kIdle, kStarted, kStopped };

  Impl(Process::Impl& process, AppOptions options);

  void prepare();              // Client and nodes, once loops and backends are there.
  Task<Result<void>> start();  // All on loop 0. When it fails stop() is to follow.
  Task<Result<void>> stop(Deadline deadline);

  Process::Impl& process;
  const AppOptions options;
  std::string uuid;
  Phase phase = Phase::kIdle;
  std::atomic<bool> stop_requested{false};
  bool abandoned = false;  // Nobody waits for start() any more: it is to do nothing further.

  rpc::Handlers handlers;
  std::map<std::string, std::string> metadata;
  std::set<std::string, std::less<>> topics;
  std::deque<Hook> hooks[4];  // A deque: a hook that runs may add others.
  std::vector<Error> faults;  // Of registrations; the start fails with the first.
  std::optional<rpc::Client> client;
  std::optional<Nodes> nodes;

  Task<Result<void>> publish(std::string topic, const Meta& meta, const rpc::MessageLite& message);
  void subscribe(std::string topic, bool queue, Subscriber subscriber);

 private:
  struct Topic {
    std::string name;
    bool queue;
    Subscriber subscriber;
  };
  Task<Result<void>> run_hooks(HookKind kind, Deadline deadline);
  Task<Result<void>> serve();
  Task<Result<void>> register_node();
  Task<void> refresh();
  Result<void> open_subscriptions();
  Task<Result<void>> receive(const Topic& topic, const broker::Message& message);
  Task<Result<void>> handle_cancel(const rpc::MessageLite& message);
  Loop& home();

  std::deque<Topic> subscribers_;
  std::vector<std::unique_ptr<broker::Subscription>> subscriptions_;
  std::vector<std::unique_ptr<rpc::Served>> served_;
  std::unique_ptr<RegistryResolver> resolver_;
  bool registered_ = false;  // Or tried.
  // Shared with the registration that runs: one that hangs outlives the app.
  std::shared_ptr<InFlight> refreshing_ = std::make_shared<InFlight>();
  Timer refresh_timer_{[](void* self) { spawn(static_cast<Impl*>(self)->refresh()); }, this};
};

}  // namespace mg
