// mg/app/app.h -- one service: its handlers, topics, metadata, hooks, and calls to others.
//
//   mg::App app({.name = "game"});
//   app.add_handler("Forward.Protocol", forward, &Forward::protocol);
//   app.before_start([&] { return rooms.open(app.runtime()); });
//   return app.run(argc, argv);
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mg/app/nodes.h"
#include "mg/app/process.h"
#include "mg/meta/meta.h"
#include "mg/rpc/client.h"
#include "mg/rpc/handlers.h"
#include "mg/runtime/task.h"

namespace mg {

struct AppOptions {
  std::string name;  // Of the service; no slash.
  std::string version = "latest";
};

// Start: before_start hooks, transports listen, broker connects, registration, subscriptions, after_start hooks.
//   A failure undoes what was done (stop hooks run, so they must bear it) and ends the process with kStartFailed; only
//   a registry that does not answer is no failure: it is asked again every register_interval.
// Stop: before_stop hooks, deregistration, subscriptions end, transports finish what runs, after_stop hooks; hooks in
//   reverse order of their registration, all under one deadline (flag stop_timeout), each step even if one failed.
// Source: wire.md section 4.
// Threads: hooks run on loop 0. Handlers and calls: any loop, several at once. Everything that registers: before start
//   or in before_start hooks.
// Lifetime: what hooks and handlers refer to outlives run(): declare it before the app, or let hooks make it.
class App {
 public:
  explicit App(AppOptions options);           // With a Process of its own, named like it.
  App(Process& process, AppOptions options);  // Beside others.
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App();  // Stops the process and waits when Process::start() has it running.

  int run(int argc, const char* const* argv) { return process().run(argc, argv); }
  // Stops this app as a signal does; the process ends with its last app. Threads: shared.
  void request_stop();

  const std::string& name() const;
  const std::string& version() const;
  const std::string& id() const;  // UUID of this node, new in each process.
  std::string node_id() const;    // "<name>-<id>"
  Process& process();
  Flags& flags() { return process().flags(); }
  Runtime& runtime() { return process().runtime(); }  // From before_start hooks on.

  // Hooks. Shape: fn() or fn(Deadline), returning void, Result<void> or Task<Result<void>>; an error ends the start, or
  // makes the stop a failed one.
  template <class Fn>
  void before_start(Fn fn) {
    add_hook(kBeforeStart, make_hook(std::move(fn)));
  }
  template <class Fn>
  void after_start(Fn fn) {
    add_hook(kAfterStart, make_hook(std::move(fn)));
  }
  template <class Fn>
  void before_stop(Fn fn) {
    add_hook(kBeforeStop, make_hook(std::move(fn)));
  }
  template <class Fn>
  void after_stop(Fn fn) {
    add_hook(kAfterStop, make_hook(std::move(fn)));
  }

  // rpc::Handlers::add with these arguments. Errors: the start fails with them.
  template <class... Args>
  void add_handler(std::string_view name, Args&&... args) {
    keep(handlers().add(name, std::forward<Args>(args)...));
  }

  // Calls; see rpc::Client for errors, lifetimes and cost. Requires: from before_start hooks on.
  Task<Result<void>> call(std::string_view service, std::string_view endpoint, const rpc::Context& context,
                          const rpc::MessageLite& request, rpc::MessageLite& reply) {
    return client().call({.service = service}, endpoint, context, request, reply);
  }
  Task<Result<void>> call_node(std::string_view service, std::string_view uuid, std::string_view endpoint,
                               const rpc::Context& context, const rpc::MessageLite& request, rpc::MessageLite& reply) {
    if (uuid.data() == nullptr) uuid = std::string_view("");  // No node has it; without it any would do.
    return client().call({.service = service, .node = uuid}, endpoint, context, request, reply);
  }
  rpc::Method method(std::string_view service, std::string_view endpoint) { return client().method(service, endpoint); }
  rpc::Client& client();

  // Topics. One must be added before it is published to.
  void add_pub(std::string_view topic);
  // Errors: kInvalid  topic was not added · what the broker says
  Task<Result<void>> pub(std::string topic, const Meta& meta, const rpc::MessageLite& message);

  // fn(const Meta&, const Message&), returning Result<void> or Task<Result<void>>: for every message of the topic; with
  // add_sub_queue one of the nodes that subscribe so gets it (queue name = topic).
  // In order, one at a time for each subscription; errors are counted and logged. Where: subscription i of the app on
  // loop i modulo their number.
  template <class Fn>
  void add_sub(std::string topic, Fn fn) {
    add_subscription(std::move(topic), false, make_subscriber(std::move(fn)));
  }
  template <class Fn>
  void add_sub_queue(std::string topic, Fn fn) {
    add_subscription(std::move(topic), true, make_subscriber(std::move(fn)));
  }

  // Shown in this node's registry record; later additions with the next refresh. Threads: before start or on loop 0.
  void add_metadata(std::string key, std::string value);
  // Stops every node of the service, or the one with this UUID, wherever it runs.
  Task<Result<void>> cancel(std::string name, std::string uuid = {});
  const Nodes& nodes() const;  // From before_start hooks on.

  class Impl;

 private:
  enum HookKind { kBeforeStart, kAfterStart, kBeforeStop, kAfterStop };
  using Hook = std::move_only_function<Task<Result<void>>(Deadline)>;
  struct Subscriber {
    const rpc::MessageLite* type;
    std::function<Task<Result<void>>(const Meta&, const rpc::MessageLite&)> handle;
  };

  template <class Fn>
  static Hook make_hook(Fn fn);
  template <class Fn>
  static Subscriber make_subscriber(Fn fn);

  void add_hook(HookKind kind, Hook hook);
  void add_subscription(std::string topic, bool queue, Subscriber subscriber);
  void keep(Result<void> outcome);
  rpc::Handlers& handlers();

  std::unique_ptr<Process> own_process_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mg

#include "mg/app/app_inline.h"  // IWYU pragma: export
