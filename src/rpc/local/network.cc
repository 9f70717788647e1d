#include "mg/rpc/local/network.h"

#include <coroutine>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "mg/base/check.h"
#include "mg/runtime/event.h"
#include "mg/runtime/in_flight.h"
#include "rpc/local/stream.h"
#include "rpc/loop_ptr.h"
#include "runtime/detached.h"

namespace mg::rpc {
namespace {

constexpr std::string_view kHere = "local";
constexpr std::size_t kKeepOctets = 64 * 1024;              // Of a forwarded message's answer: more room is given back.
constexpr auto kLongStream = std::chrono::hours(24 * 365);  // Of a stream without a deadline: a handler's is a time.

bool copy_encoded(const MessageLite& from, MessageLite& to) {
  thread_local std::string bytes;  // Keeps its room: this way allocates no more than the other.
  bytes.clear();
  return from.AppendPartialToString(&bytes) && to.ParsePartialFromString(bytes);
}

Error cannot_decode() {
  return client_error(code::kServer, "grpc: failed to unmarshal the received message unexpected EOF");
}

}  // namespace

// A node being served, for as long as routes lead to it.
class LocalNetwork::Endpoint {
 public:
  // Each loop looks at its own flag and counts its own suspended calls: nothing is shared on the path of a message.
  struct alignas(64) PerLoop {
    Loop* loop = nullptr;
    InFlight calls;
  };

  Endpoint(Serving serving, std::span<Loop* const> loops)
      : id(serving.service + "-" + serving.uuid),
        uuid(serving.uuid),
        handlers(serving.handlers),
        observer(std::move(serving.observer)),
        loop_count(loops.size()),
        per_loop(std::make_unique<PerLoop[]>(loops.size())) {
    for (std::size_t i = 0; i < loop_count; ++i) per_loop[i].loop = loops[i];
  }

  const std::string id;
  const std::string uuid;
  const Handlers* const handlers;  // Looked at only while calls.closed() is false.
  const RequestObserver observer;
  const std::size_t loop_count;
  const std::unique_ptr<PerLoop[]> per_loop;
};

class LocalNetwork::State {
 public:
  State(std::span<Loop* const> l, LocalOptions o) : loops(l.begin(), l.end()), options(o) {}

  const std::vector<Loop*> loops;
  const LocalOptions options;
  std::mutex mutex;  // docs/threads.md: "local network"; taken when nodes start, stop and are first called.
  std::unordered_map<std::string, std::shared_ptr<Endpoint>> endpoints;
};

namespace {

using Endpoint = LocalNetwork::Endpoint;

struct Running;

// What a route is made of; kept by the calls that go on when the route is gone.
struct Way : Counted {
  static constexpr std::uint32_t kKeep = 64;  // Running lying free at most.

  Way(std::shared_ptr<Endpoint> to, std::string_view from, Loop& on, bool encode)
      : endpoint(std::move(to)), own(&endpoint->per_loop[on.index()]), loop(on), caller(from), serialise(encode) {}
  ~Way();

  const std::shared_ptr<Endpoint> endpoint;
  Endpoint::PerLoop* const own;
  Loop& loop;
  const std::string caller;
  const bool serialise;
  bool direct = false;               // Nothing stands between the caller's messages and the handler.
  const Handler* handler = nullptr;  // Looked at only while own->calls.closed() is false, or calls go on.
  std::unique_ptr<Error> unknown;
  std::unique_ptr<ExchangePool> pool;
  Running* free = nullptr;
  std::uint32_t free_count = 0;
};
using WayPtr = LoopPtr<Way>;

// A call whose handler returned a Task: everything the handler refers to, kept until it ends.
struct Running : Counted {
  // Between two calls it keeps the metadata: often the next call comes from the same player, and then need not copy it.
  AgentMeta meta;
  WayPtr way;
  ExchangePtr exchange;  // Or, of a forwarded message:
  std::string body;      // A copy, where messages are to be serialised.
  ForwardReply answer;
  Context context;
  Clock::TimePoint started{};
  std::unique_ptr<Error> error;  // Of the handler, once it is done.
  bool done = false;
  std::coroutine_handle<> waiter{};
  Timer timer{[](void* self) { static_cast<Running*>(self)->wake(); }, this};
  InFlight::Token token;  // Since it was suspended.
  Running* next = nullptr;

  static LoopPtr<Running> take(const WayPtr& way, const Context& caller) {
    Running* running = way->free;
    if (running) {
      way->free = running->next;
      --way->free_count;
    } else {
      running = new Running;
    }
    if (!running->meta.is_copy_of(caller.meta())) running->meta = AgentMeta(caller.meta());
    running->way = way;
    running->context = Context(running->meta, caller.deadline(), way->caller, kHere);
    return LoopPtr(running);
  }
  static void recycle(Running* running) {
    const WayPtr way = std::move(running->way);
    if (way->free_count >= Way::kKeep || !mg::detail::pooling()) return delete running;
    running->exchange = {};
    if (running->answer.data.capacity() > kKeepOctets) [[unlikely]]
      running->answer.data = {};
    running->answer.data.clear();
    running->answer.code = 0;
    running->error.reset();
    running->done = false;
    running->next = std::exchange(way->free, running);
    ++way->free_count;
  }

  void wake() {
    timer.cancel();
    if (waiter) std::exchange(waiter, {}).resume();
  }
};

Way::~Way() {
  while (free) delete std::exchange(free, free->next);
}

using RunningPtr = LoopPtr<Running>;

class LocalRoute final : public Route {
 public:
  LocalRoute(std::shared_ptr<Endpoint> endpoint, EndpointName name, std::string_view caller, Loop& loop, bool serialise)
      : way_(new Way(std::move(endpoint), caller, loop, serialise)) {
    Way& way = *way_;
    if (way.own->calls.closed()) return;  // Its handlers may be gone; call() says so.
    Result<const Handler*> found = way.endpoint->handlers->find(name.handler, name.method);
    if (!found) {
      way.unknown = std::make_unique<Error>(std::move(found.error()));
      return;
    }
    way.handler = *found;
    way.direct = way.handler->immediate && !serialise && !way.endpoint->observer;
    way.pool = std::make_unique<ExchangePool>(*way.handler->request, *way.handler->reply);
  }

  Task<Result<void>> call(const Context& context, const Messages& messages) override {
    if (way_->own->calls.closed()) [[unlikely]] {
      return stopped();
    }
    if (way_->unknown) [[unlikely]] {
      return std::unexpected(*way_->unknown);
    }
    if (messages.forward.messages) {
      return way_->handler->forward ? call_forward(context, messages.forward)
                                    : call_with_messages(*this, context, messages.forward);
    }
    if (way_->direct && same_types(messages)) return call_direct(context, messages);
    return call_running(context, messages);
  }

  Result<std::unique_ptr<CallerStreamEnd>> open_stream(const Context& context) override {
    Result<InFlight::Token> token = way_->own->calls.enter();
    if (!token) return stopped();
    if (way_->unknown) return std::unexpected(*way_->unknown);
    if (!way_->handler->invoke_stream) {
      return std::unexpected(client_error(code::kServer, fmt::format("{} is no stream: call it", way_->handler->name)));
    }
    const Deadline deadline = std::min(context.deadline(), Deadline::after(way_->loop.now(), kLongStream));
    auto stream = std::make_shared<LocalStream>(way_->loop, deadline);
    std::unique_ptr<CallerStreamEnd> end = stream->caller_end();
    run_stream(std::move(stream), way_, AgentMeta(context.meta()), deadline, std::move(*token));
    return end;
  }

 private:
  bool same_types(const Messages& messages) const {
    const Handler& handler = *way_->handler;
    if (const Exchange* exchange = messages.exchange) {
      return exchange->request_type() == handler.request && exchange->reply_type() == handler.reply;
    }
    return typeid(*messages.request) == *handler.request_type && typeid(*messages.reply) == *handler.reply_type;
  }
  [[gnu::noinline]] std::unexpected<Error> stopped() const {
    return std::unexpected(not_run(fmt::format("node {}: stopped, the request did not run", way_->endpoint->id)));
  }

  Task<Result<void>> call_direct(const Context& context, const Messages& messages);
  Task<Result<void>> call_running(const Context& context, const Messages& messages);
  Task<Result<void>> call_forward(const Context& context, const ForwardCall& call);
  // Where the handler's reply has to be taken to.
  struct Destination {
    MessageLite* reply = nullptr;  // Nowhere when null: it is the caller's own.
    bool encoded = false;
    const ForwardCall* forward = nullptr;
  };
  template <class Start>
  Task<Result<void>> run(RunningPtr running, const Destination& to, Start start);
  static Detached drive(RunningPtr running, Task<Result<void>> task);
  static Detached run_stream(std::shared_ptr<LocalStream> stream, WayPtr way, AgentMeta meta, Deadline deadline,
                             InFlight::Token token);
  static Task<Result<void>> wait(RunningPtr running, MessageLite* reply, bool encoded, ForwardCall forward);
  static void settle(Running& running, Result<void> result);
  static Result<void> deliver(Running& running, const Destination& to);

  const WayPtr way_;
};

// A handler without suspension, on the caller's own messages.
Task<Result<void>> LocalRoute::call_direct(const Context& context, const Messages& messages) {
  const WayPtr way = way_;         // What the handler does may close this route,
  AgentMeta meta(context.meta());  // and change the metadata that the caller passed.
  const Context own(meta, context.deadline(), way->caller, kHere);
  try {
    Result<void> done =
        way->handler->invoke_immediate(way->handler->target.get(), own, *messages.request, *messages.reply);
    if (done) [[likely]] {
      return Result<void>();
    }
    return std::unexpected(handler_error(std::move(done.error()), way->endpoint->uuid));
  } catch (...) {
    return std::unexpected(panic_error(std::current_exception()));
  }
}

// The handler is done.
void LocalRoute::settle(Running& running, Result<void> result) {
  const Endpoint& endpoint = *running.way->endpoint;
  if (!result) [[unlikely]] {
    running.error = std::make_unique<Error>(handler_error(std::move(result.error()), endpoint.uuid));
  }
  running.done = true;
  if (endpoint.observer) {
    endpoint.observer({.endpoint = running.way->handler->name,
                       .context = running.context,
                       .took = running.way->loop.clock().now() - running.started,
                       .error = running.error.get()});
  }
}

// Gives the caller the outcome, and the reply where the handler worked on another message than the caller's.
Result<void> LocalRoute::deliver(Running& running, const Destination& to) {
  if (running.error) [[unlikely]] {
    return std::unexpected(std::move(*running.error));
  }
  if (to.forward) {
    *to.forward->code = running.answer.code;
    to.forward->data->swap(running.answer.data);
  } else if (to.reply) {
    if (!to.encoded) {
      running.way->handler->swap_reply(running.exchange->reply(), *to.reply);
    } else if (!copy_encoded(running.exchange->reply(), *to.reply)) {
      return std::unexpected(cannot_decode());
    }
  }
  return {};
}

Task<Result<void>> LocalRoute::call_running(const Context& context, const Messages& messages) {
  Way& way = *way_;
  const bool encoded = way.serialise || !same_types(messages);
  RunningPtr running = Running::take(way_, context);
  Destination to;
  if (!encoded && messages.exchange) {
    running->exchange = ExchangePtr(messages.exchange);
  } else {
    running->exchange = way.pool->take();
    to = {.reply = messages.reply, .encoded = encoded};
    if (!encoded) {
      way.handler->copy_request(*messages.request, running->exchange->request());
    } else if (!copy_encoded(*messages.request, running->exchange->request())) {
      return std::unexpected(cannot_decode());
    }
  }
  return run(std::move(running), to, [](const Handler& handler, Running& call) {
    return handler.invoke(handler.target.get(), call.context, call.exchange->request(), call.exchange->reply());
  });
}

// A message that is handed on unread.
Task<Result<void>> LocalRoute::call_forward(const Context& context, const ForwardCall& call) {
  RunningPtr running = Running::take(way_, context);
  Forwarded in = call.in;
  if (way_->serialise) {
    running->body.assign(in.data);
    in.data = running->body;
  }
  return run(std::move(running), {.forward = &call}, [&in](const Handler& handler, Running& it) {
    return handler.forward(handler.target.get(), it.context, in, it.answer);
  });
}

// Runs the handler up to its end or its first suspension. The route may be gone after that: `running` keeps its way.
template <class Start>
[[gnu::always_inline]] inline Task<Result<void>> LocalRoute::run(RunningPtr running, const Destination& to,
                                                                 Start start) {
  Way& way = *running->way;
  if (way.endpoint->observer) running->started = way.loop.clock().now();
  try {
    Task<Result<void>> task = start(*way.handler, *running);
    task.start();
    if (task.succeeded() && !to.reply && !way.endpoint->observer) [[likely]] {
      if (to.forward) {
        *to.forward->code = running->answer.code;
        to.forward->data->swap(running->answer.data);
      }
      return Result<void>();
    }
    if (task.ready()) [[likely]] {
      settle(*running, task.take());
    } else {
      drive(running, std::move(task));
    }
  } catch (...) {
    settle(*running, std::unexpected(panic_error(std::current_exception())));
  }
  if (running->done) return deliver(*running, to);
  // Never refused: whether it is closed was asked above, and only this loop closes it.
  if (auto token = way.own->calls.enter()) running->token = std::move(*token);
  return wait(std::move(running), to.reply, to.encoded, to.forward ? *to.forward : ForwardCall());
}

// Runs the handler's coroutine to its end, whoever still waits.
Detached LocalRoute::drive(RunningPtr running, Task<Result<void>> task) {
  Result<void> result;
  try {
    const Task<Result<void>> ends_here = std::move(task);  // What the handler holds goes before its caller goes on.
    result = co_await const_cast<Task<Result<void>>&>(ends_here);
  } catch (...) {
    result = std::unexpected(panic_error(std::current_exception()));
  }
  co_await running->way->loop.resume_here();
  settle(*running, std::move(result));
  running->token.release();
  running->wake();
}

// A stream's handler, from its start to its end.
Detached LocalRoute::run_stream(std::shared_ptr<LocalStream> stream, WayPtr way, AgentMeta meta, Deadline deadline,
                                InFlight::Token token) {
  const Context context(meta, deadline, way->caller, kHere);
  const Clock::TimePoint started = way->loop.clock().now();
  Result<void> result;
  try {
    result = co_await way->handler->invoke_stream(way->handler->target.get(), context, stream->handler_end());
  } catch (...) {
    result = std::unexpected(panic_error(std::current_exception()));
  }
  co_await way->loop.resume_here();
  const Endpoint& endpoint = *way->endpoint;
  if (!result) result = std::unexpected(handler_error(std::move(result.error()), endpoint.uuid));
  if (endpoint.observer) {
    endpoint.observer({.endpoint = way->handler->name,
                       .context = context,
                       .took = way->loop.clock().now() - started,
                       .error = result ? nullptr : &result.error()});
  }
  token.release();
  stream->end(std::move(result));
}

Task<Result<void>> LocalRoute::wait(RunningPtr running, MessageLite* reply, bool encoded, ForwardCall forward) {
  struct UntilDone {
    Running& running;
    ~UntilDone() {  // Also when the caller goes away.
      running.timer.cancel();
      running.waiter = {};
    }
    bool await_ready() const noexcept { return running.done; }
    void await_suspend(std::coroutine_handle<> awaiter) {
      running.waiter = awaiter;
      running.timer.arm(running.way->loop, running.context.deadline().time());
    }
    void await_resume() const noexcept {}
  };
  {
    UntilDone until_done{*running};
    co_await until_done;
  }
  if (!running->done) co_return std::unexpected(deadline_exceeded());
  co_return deliver(*running, {reply, encoded, forward.messages ? &forward : nullptr});
}

// ---- serving ----------------------------------------------------------------------------------------------------

class LocalServed final : public Served {
 public:
  LocalServed(std::shared_ptr<LocalNetwork::State> state, std::shared_ptr<Endpoint> endpoint)
      : state_(std::move(state)), endpoint_(std::move(endpoint)) {}
  ~LocalServed() override { forget(); }

  std::string address() const override { return std::string(kHere); }
  std::vector<std::pair<std::string, std::string>> metadata() const override {
    return {{"protocol", "local"}, {"server", "local"}, {"transport", "local"}};
  }

  Task<Result<void>> stop(Deadline deadline) override;

 private:
  // What the loops report to.
  struct Stopping {
    Loop& loop;
    std::size_t left;
    std::size_t running = 0;
    Completion<bool> all;
  };
  static Task<void> stop_on(Loop& loop, std::shared_ptr<Endpoint> endpoint, std::shared_ptr<Stopping> stopping,
                            Deadline deadline);
  static void report(const std::shared_ptr<Stopping>& stopping, std::size_t running);
  void forget() {
    const std::lock_guard lock(state_->mutex);
    const auto at = state_->endpoints.find(endpoint_->id);
    if (at != state_->endpoints.end() && at->second == endpoint_) state_->endpoints.erase(at);
  }

  const std::shared_ptr<LocalNetwork::State> state_;
  const std::shared_ptr<Endpoint> endpoint_;
};

Task<void> LocalServed::stop_on(Loop& loop, std::shared_ptr<Endpoint> endpoint, std::shared_ptr<Stopping> stopping,
                                Deadline deadline) {
  // Posted, so no handler is on this loop's stack: those that run are suspended and counted.
  InFlight& calls = endpoint->per_loop[loop.index()].calls;
  calls.close();
  co_await calls.drained(loop, deadline);
  const std::size_t running = calls.count();
  stopping->loop.post_always([stopping, running] { report(stopping, running); });
}

void LocalServed::report(const std::shared_ptr<Stopping>& stopping, std::size_t running) {
  stopping->running += running;
  if (--stopping->left == 0) stopping->all.set(true);
}

Task<Result<void>> LocalServed::stop(Deadline deadline) {
  Loop* const here = Loop::current();
  check(here != nullptr, "rpc::Served::stop() outside a loop");
  forget();
  auto stopping = std::make_shared<Stopping>(*here, endpoint_->loop_count);
  for (std::size_t i = 0; i < endpoint_->loop_count; ++i) {
    Loop& loop = *endpoint_->per_loop[i].loop;
    loop.post(
        [&loop, endpoint = endpoint_, stopping, deadline] { spawn(stop_on(loop, endpoint, stopping, deadline)); });
  }
  // The loops' own answers come at the deadline at the latest; a loop that does not run gives none.
  const Deadline patience = deadline.is_never() ? deadline : Deadline::after(deadline.time(), std::chrono::seconds(1));
  if (!co_await stopping->all.wait(*here, patience)) {
    co_return fail(code::kTimeout, "node {}: {} of {} loops did not stop serving in time", endpoint_->id,
                   stopping->left, endpoint_->loop_count);
  }
  if (stopping->running > 0) {
    co_return fail(code::kTimeout, "node {}: {} requests still run after the time to finish them", endpoint_->id,
                   stopping->running);
  }
  co_return Result<void>();
}

}  // namespace

LocalNetwork::LocalNetwork(std::span<Loop* const> loops, LocalOptions options)
    : state_(std::make_shared<State>(loops, options)) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    check(loops[i]->index() == i, "rpc::LocalNetwork: the loops must be all of one Runtime, in their order");
  }
}

LocalNetwork::~LocalNetwork() = default;

Task<Result<std::unique_ptr<Served>>> LocalNetwork::serve(Serving serving) {
  auto endpoint = std::make_shared<Endpoint>(std::move(serving), state_->loops);
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->endpoints.emplace(endpoint->id, endpoint).second) {
      return fail(code::kExists, "node {} is served in this process already", endpoint->id);
    }
  }
  return Result<std::unique_ptr<Served>>(std::make_unique<LocalServed>(state_, std::move(endpoint)));
}

std::unique_ptr<Route> LocalNetwork::open(const Node& node, EndpointName name, std::string_view caller, Loop& loop) {
  std::shared_ptr<Endpoint> endpoint;
  {
    const std::lock_guard lock(state_->mutex);
    if (const auto at = state_->endpoints.find(node.id); at != state_->endpoints.end()) endpoint = at->second;
  }
  if (!endpoint || loop.index() >= endpoint->loop_count || endpoint->per_loop[loop.index()].loop != &loop)
    return nullptr;
  return std::make_unique<LocalRoute>(std::move(endpoint), name, caller, loop, state_->options.serialise);
}

}  // namespace mg::rpc
