#include "mg/rpc/client.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numbers>
#include <optional>
#include <unordered_map>

#include "mg/base/check.h"
#include "rpc/loop_ptr.h"
#include "runtime/ended.h"

namespace mg::rpc {
namespace {

constexpr std::size_t kMaxMethods = 65536;  // Endpoints one client calls.
// Retries of a loop are at most so many at once and then one for each so many calls: they must not bury a service that
// fails because it is busy.
constexpr double kRetriesAtOnce = 10;
constexpr double kRetriesPerCall = 0.2;

// The nodes of a service as one loop uses them. Kept by the calls that go on, so that a change does not pull it away.
struct CandidateSet : Counted {
  NodeList nodes;
  std::vector<Candidate> all;  // By uuid.
};
using SetPtr = LoopPtr<CandidateSet>;

using Filter = std::function<bool(const Node&)>;

// Which nodes a call may go to. Lifetime: of the Target it was made from, which may be gone when the call waits.
struct Choice {
  std::string_view uuid;  // Any node when it has no data().
  const Filter* filter = nullptr;

  bool pinned() const { return uuid.data() != nullptr; }
  bool plain() const { return !pinned() && !filter; }
};

// The same for calls that wait before they know their node.
struct OwnChoice {
  explicit OwnChoice(const Choice& choice) : pinned(choice.pinned()), uuid(choice.uuid) {
    if (choice.filter) filter = *choice.filter;
  }
  Choice view() const { return {pinned ? std::string_view(uuid) : std::string_view(), filter ? &filter : nullptr}; }
  bool pinned;
  std::string uuid;
  Filter filter;
};

// What a loop has for all methods of a client.
struct alignas(64) PerLoop {
  Loop* loop = nullptr;
  std::unique_ptr<SeededRandom> random;
  std::uint32_t nested = 0;
  std::uint32_t pending = 0;
  double retries = kRetriesAtOnce;  // That may be made now.
  std::string key;                  // Scratch of Client::call.
  std::unordered_map<std::string, Method::State*> methods;
};

class Count {
 public:
  explicit Count(std::uint32_t& count) : count_(count) { ++count_; }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;
  ~Count() { --count_; }

 private:
  std::uint32_t& count_;
};

// Retries follow go-micro's steps: n^e tenths of a second before attempt n. Source: wire.md 2.8.
Clock::Duration pause_before(std::uint32_t attempt) {
  const double steps = std::floor(std::pow(static_cast<double>(attempt), std::numbers::e));
  const auto most = std::chrono::minutes(2);
  return steps >= 1200.0 ? Clock::Duration(most)
                         : Clock::Duration(std::chrono::milliseconds(100)) * static_cast<int>(steps);
}

bool worth_another_try(const Error& error) {
  return error.code == code::kTimeout || error.code == code::kServer || is_not_run(error);
}

}  // namespace

class Client::State {
 public:
  State(const ClientOptions& options, std::span<Loop* const> loops, Resolver& resolver,
        std::vector<Transport*> transports, Random& random)
      : options_(options),
        resolver_(resolver),
        transports_(std::move(transports)),
        loop_count_(loops.size()),
        loops_(std::make_unique<PerLoop[]>(loops.size())) {
    for (std::size_t i = 0; i < loop_count_; ++i) {
      check(loops[i]->index() == i, "rpc::Client: the loops must be all of one Runtime, in their order");
      loops_[i].loop = loops[i];
      loops_[i].random = std::make_unique<SeededRandom>(random.next());
    }
  }

  const ClientOptions& options() const { return options_; }
  Resolver& resolver() const { return resolver_; }
  std::size_t loop_count() const { return loop_count_; }
  PerLoop& loop(std::size_t index) { return loops_[index]; }
  // What this thread's loop has; null outside the client's loops.
  PerLoop* here() {
    Loop* const loop = Loop::current();
    if (!loop || loop->index() >= loop_count_ || loops_[loop->index()].loop != loop) [[unlikely]] {
      return nullptr;
    }
    return &loops_[loop->index()];
  }

  Method::State* method(std::string_view service, std::string_view endpoint);
  void set_picker(std::string_view service, PickerFactory factory) {
    const std::lock_guard lock(mutex_);
    pickers_[std::string(service)] = std::move(factory);
  }
  std::shared_ptr<NodeHealth> health(const std::string& node_id);
  std::unique_ptr<Route> open(const Node& node, EndpointName endpoint, Loop& loop) {
    for (Transport* transport : transports_) {
      if (auto route = transport->open(node, endpoint, options_.name, loop)) return route;
    }
    return nullptr;
  }
  // By the first transport that reaches the node and carries streams.
  Result<std::unique_ptr<CallerStreamEnd>> open_stream(const Node& node, EndpointName endpoint, const Context& context,
                                                       Loop& loop) {
    for (Transport* transport : transports_) {
      const auto route = transport->open(node, endpoint, options_.name, loop);
      if (!route) continue;
      auto end = route->open_stream(context);
      if (end || end.error().code != kNoStreams) return end;
    }
    return std::unexpected(
        not_run(fmt::format("node {}: no transport carries streams to \"{}\"", node.id, node.address)));
  }

 private:
  const ClientOptions& options_;
  Resolver& resolver_;
  std::vector<Transport*> transports_;
  std::size_t loop_count_;
  std::unique_ptr<PerLoop[]> loops_;

  std::mutex mutex_;  // docs/threads.md: "rpc client"; never on the path of a message.
  std::unordered_map<std::string, std::unique_ptr<Method::State>> methods_;
  std::unordered_map<std::string, PickerFactory> pickers_;
  std::unordered_map<std::string, std::weak_ptr<NodeHealth>> health_;
  std::size_t health_limit_ = 256;
};

class Method::State {
 public:
  State(Client::State& client, std::string_view service, std::string_view endpoint, const PickerFactory& picker)
      : client_(client),
        version_(client.resolver().version()),
        service_(service),
        endpoint_(endpoint),
        name_(parse_endpoint(service_, endpoint_)) {
    slots_ = std::make_unique<Slot[]>(client_.loop_count());
    for (std::size_t i = 0; i < client_.loop_count(); ++i) {
      slots_[i].own = &client_.loop(i);
      if (picker) slots_[i].picker = picker();
    }
  }

  // `context` is the callee's to complete.
  Task<Result<void>> start(const Choice& choice, Context& context, const Messages& messages);
  Task<Result<void>> forward(Context& context, ForwardCall call);
  ExchangePtr lease(const MessageLite& request, const MessageLite& reply);
  Task<Result<std::unique_ptr<CallerStreamEnd>>> open_stream(OwnChoice choice, Context context);

 private:
  struct alignas(64) Slot {
    PerLoop* own = nullptr;
    std::uint64_t version = 0;  // Of the resolver when `set` was made.
    SetPtr set;
    std::optional<ExchangePool> pool;
    std::unique_ptr<Picker> picker;
  };

  Slot* here() {
    PerLoop* const own = client_.here();
    return own ? &slots_[own->loop->index()] : nullptr;
  }
  // Whether the loop's nodes are those of the resolver.
  bool known(const Slot& slot) const { return slot.set && slot.version == version_.load(std::memory_order_acquire); }
  Task<Result<void>> start_here(Slot& slot, const Choice& choice, Context& context, const Messages& messages);
  Task<Result<void>> attempt(Slot& slot, const Choice& choice, const Context& context, const Messages& messages);
  Task<Result<void>> learn_and_send(Slot& slot, const Choice& choice, const Context& context, const Messages& messages);
  std::unexpected<Error> outside() const;
  Task<Result<void>> attempt_when_known(Slot& slot, Task<Result<NodeList>> asked, std::uint64_t version,
                                        OwnChoice choice, Context context, Messages messages);
  Task<Result<void>> attempt_repeatedly(Slot& slot, OwnChoice choice, Context context, Messages messages);
  void install(Slot& slot, NodeList nodes, std::uint64_t version);
  Task<Result<void>> send(Slot& slot, const Choice& choice, const Context& context, const Messages& messages);
  Result<std::size_t> choose(Slot& slot, const CandidateSet& set, const Choice& choice, const Context& context);
  std::unexpected<Error> too_many_pending(const PerLoop& own) const;
  Result<std::size_t> choose_filtered(Slot& slot, const CandidateSet& set, const Choice& choice);
  std::unique_ptr<Error> prepare(PerLoop& own, Candidate& to);
  Task<Result<void>> launch(PerLoop& own, Candidate& to, const Context& context, const Messages& messages);
  static bool has_answered(const Slot& slot, const Candidate& to, const Result<void>& done);
  Task<Result<void>> finish(Slot& slot, SetPtr set, std::size_t index, Task<Result<void>> call, bool pinned,
                            std::unique_ptr<Filter> filter, Context context, Messages messages);
  Task<Result<void>> after(Slot& slot, SetPtr set, std::size_t index, Task<Result<void>>& call, bool pinned,
                           std::unique_ptr<Filter> filter, const Context& context, const Messages& messages);
  Task<Result<void>> try_others(Slot& slot, SetPtr set, std::size_t index, Result<void> done,
                                std::unique_ptr<Filter> filter, Context context, Messages messages);

  Client::State& client_;
  const std::atomic<std::uint64_t>& version_;  // The resolver's.
  std::string service_;
  std::string endpoint_;
  Result<EndpointName> name_;
  std::unique_ptr<Slot[]> slots_;
};

// ---- what the loops share ---------------------------------------------------------------------------------------

Method::State* Client::State::method(std::string_view service, std::string_view endpoint) {
  std::string key;
  key.append(service).append(1, '\0').append(endpoint);
  const std::lock_guard lock(mutex_);
  if (const auto at = methods_.find(key); at != methods_.end()) return at->second.get();
  if (methods_.size() >= kMaxMethods) return nullptr;
  const auto picker = pickers_.find(std::string(service));
  auto made = std::make_unique<Method::State>(*this, service, endpoint,
                                              picker == pickers_.end() ? options_.picker : picker->second);
  return methods_.emplace(std::move(key), std::move(made)).first->second.get();
}

std::shared_ptr<NodeHealth> Client::State::health(const std::string& node_id) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<NodeHealth>& known = health_[node_id];
  if (auto health = known.lock()) return health;
  auto health = std::make_shared<NodeHealth>();
  known = health;
  if (health_.size() > health_limit_) {
    std::erase_if(health_, [](const auto& entry) { return entry.second.expired(); });
    health_limit_ = std::max<std::size_t>(256, health_.size() * 2);
  }
  return health;
}

// ---- one method -------------------------------------------------------------------------------------------------

ExchangePtr Method::State::lease(const MessageLite& request, const MessageLite& reply) {
  Slot* const slot = here();
  check(slot != nullptr, "rpc::Method: make_call() outside the loops of its client");
  if (!slot->pool || !slot->pool->makes(&request, &reply)) [[unlikely]] {
    slot->pool.emplace(request, reply, slot);
  }
  return slot->pool->take();
}

Task<Result<void>> Method::State::start(const Choice& choice, Context& context, const Messages& messages) {
  // Leased messages come from the slot.
  Slot* const slot = messages.exchange ? static_cast<Slot*>(messages.exchange->owner()) : here();
  if (!slot) [[unlikely]] {
    return outside();
  }
  return start_here(*slot, choice, context, messages);
}

Task<Result<void>> Method::State::forward(Context& context, ForwardCall call) {
  Slot* const slot = here();
  if (!slot) [[unlikely]] {
    return outside();
  }
  if (!slot->pool) [[unlikely]] {
    slot->pool.emplace(call.messages->request(), call.messages->reply(), slot);
  }
  call.pool = &*slot->pool;
  return start_here(*slot, {}, context, {.forward = call});
}

// The path of every message. What is rare is in functions of its own.
Task<Result<void>> Method::State::start_here(Slot& slot, const Choice& choice, Context& context,
                                             const Messages& messages) {
  const Clock::TimePoint now = slot.own->loop->now();
  if (context.deadline().is_never()) {
    context.set_deadline(Deadline::after(now, client_.options().timeout));
  } else if (context.deadline().expired(now)) [[unlikely]] {
    return std::unexpected(deadline_exceeded());
  }
  if (client_.options().retries != 0) [[unlikely]] {
    return attempt_repeatedly(slot, OwnChoice(choice), context, messages);
  }
  if (!known(slot)) [[unlikely]] {
    return learn_and_send(slot, choice, context, messages);
  }
  return send(slot, choice, context, messages);
}

std::unexpected<Error> Method::State::outside() const {
  return std::unexpected(
      client_error(code::kServer, fmt::format("call of {} {} outside the loops of its client", service_, endpoint_)));
}

Task<Result<void>> Method::State::attempt(Slot& slot, const Choice& choice, const Context& context,
                                          const Messages& messages) {
  return known(slot) ? send(slot, choice, context, messages) : learn_and_send(slot, choice, context, messages);
}

Task<Result<void>> Method::State::learn_and_send(Slot& slot, const Choice& choice, const Context& context,
                                                 const Messages& messages) {
  if (!name_) return std::unexpected(name_.error());
  // Read before the nodes are: a change in between is seen at the next call.
  const std::uint64_t version = version_.load(std::memory_order_acquire);
  Task<Result<NodeList>> asked = client_.resolver().nodes(service_, context.deadline());
  if (!asked.ready()) {
    if (slot.own->pending >= client_.options().max_pending) return too_many_pending(*slot.own);
    return attempt_when_known(slot, std::move(asked), version, OwnChoice(choice), context, messages);
  }
  Result<NodeList> nodes = asked.take();
  if (!nodes) {
    slot.set = SetPtr();
    return std::unexpected(std::move(nodes.error()));
  }
  install(slot, std::move(*nodes), version);
  return send(slot, choice, context, messages);
}

Task<Result<void>> Method::State::attempt_when_known(Slot& slot, Task<Result<NodeList>> asked, std::uint64_t version,
                                                     OwnChoice choice, Context context, Messages messages) {
  const Count pending(slot.own->pending);
  Result<NodeList> nodes = co_await std::move(asked);
  if (!nodes) co_return std::unexpected(std::move(nodes.error()));
  install(slot, std::move(*nodes), version);
  co_return co_await send(slot, choice.view(), context, messages);
}

Task<Result<void>> Method::State::attempt_repeatedly(Slot& slot, OwnChoice choice, Context context, Messages messages) {
  Loop& loop = *slot.own->loop;
  double& budget = slot.own->retries;
  budget = std::min(budget + kRetriesPerCall, kRetriesAtOnce);
  for (std::uint32_t n = 1;; ++n) {
    Result<void> done = co_await attempt(slot, choice.view(), context, messages);
    if (done || n > client_.options().retries || budget < 1 || !worth_another_try(done.error())) co_return done;
    const Clock::Duration pause = pause_before(n);
    if (context.deadline().remaining(loop.now()) <= pause) co_return done;
    --budget;
    co_await loop.sleep_for(pause);
    if (messages.reply) messages.reply->Clear();
  }
}

void Method::State::install(Slot& slot, NodeList nodes, std::uint64_t version) {
  SetPtr set(new CandidateSet);
  set->all.reserve(nodes->size());
  for (const Node& node : *nodes) {
    set->all.push_back({.node = &node,
                        .uuid = node.uuid(service_),
                        .health = client_.health(node.id),
                        .route = nullptr,  // Opened when first used.
                        .pending = 0});
  }
  std::ranges::sort(set->all, {}, &Candidate::uuid);
  set->nodes = std::move(nodes);
  slot.set = set;
  slot.version = version;
  if (slot.picker && !set->all.empty()) slot.picker->update(set->all);
}

Result<std::size_t> Method::State::choose(Slot& slot, const CandidateSet& set, const Choice& choice,
                                          const Context& context) {
  if (set.all.empty()) return std::unexpected(none_available(service_));
  const Clock::TimePoint now = slot.own->loop->now();
  if (choice.filter) return choose_filtered(slot, set, choice);
  if (choice.pinned()) {
    const auto at = std::ranges::lower_bound(set.all, choice.uuid, {}, &Candidate::uuid);
    if (at == set.all.end() || at->uuid != choice.uuid) return std::unexpected(none_available(service_));
    return static_cast<std::size_t>(at - set.all.begin());
  }
  if (slot.picker) return slot.picker->pick(set.all, context, now, *slot.own->random);
  return pick_random(set.all, now, *slot.own->random);
}

Result<std::size_t> Method::State::choose_filtered(Slot& slot, const CandidateSet& set, const Choice& choice) {
  const Clock::TimePoint now = slot.own->loop->now();
  std::vector<std::size_t> fit;
  std::vector<std::size_t> fit_but_aside;
  for (std::size_t i = 0; i < set.all.size(); ++i) {
    const Candidate& candidate = set.all[i];
    if (choice.pinned() && candidate.uuid != choice.uuid) continue;
    if (choice.filter && !(*choice.filter)(*candidate.node)) continue;
    (candidate.health->set_aside(now) ? fit_but_aside : fit).push_back(i);
  }
  if (fit.empty()) fit.swap(fit_but_aside);
  if (fit.empty()) return std::unexpected(none_available(service_));
  return fit[fit.size() == 1 ? 0 : slot.own->random->below(fit.size())];
}

std::unexpected<Error> Method::State::too_many_pending(const PerLoop& own) const {
  return std::unexpected(client_error(code::kTooMany, fmt::format("call of {} {}: {} calls wait already (max_pending)",
                                                                  service_, endpoint_, own.pending)));
}

// Null, or why the call cannot begin.
std::unique_ptr<Error> Method::State::prepare(PerLoop& own, Candidate& to) {
  const ClientOptions& options = client_.options();
  if (own.pending >= options.max_pending) return std::make_unique<Error>(too_many_pending(own).error());
  if (own.nested >= options.max_nested) {
    return std::make_unique<Error>(client_error(
        code::kTooMany, fmt::format("call of {} {}: {} calls inside each other (max_nested); do they go in a circle?",
                                    service_, endpoint_, own.nested)));
  }
  if (!to.route) to.route = client_.open(*to.node, *name_, *own.loop);
  if (to.route) return nullptr;
  return std::make_unique<Error>(
      not_run(fmt::format("node {}: no transport reaches \"{}\"", to.node->id, to.node->address)));
}

Task<Result<void>> Method::State::launch(PerLoop& own, Candidate& to, const Context& context,
                                         const Messages& messages) {
  const ClientOptions& options = client_.options();
  if (!to.route || own.pending >= options.max_pending || own.nested >= options.max_nested) [[unlikely]] {
    if (const auto refused = prepare(own, to)) return std::unexpected(*refused);
  }
  const Count nested(own.nested);
  return to.route->call(context, messages);
}

Task<Result<void>> Method::State::send(Slot& slot, const Choice& choice, const Context& context,
                                       const Messages& messages) {
  const SetPtr set = slot.set;  // A nested call may replace it.
  std::size_t index = 0;
  if (choice.plain() && !slot.picker && !set->all.empty()) [[likely]] {
    if (set->all.size() > 1) index = pick_random(set->all, slot.own->loop->now(), *slot.own->random);
  } else {
    const Result<std::size_t> chosen = choose(slot, *set, choice, context);
    if (!chosen) return std::unexpected(chosen.error());
    index = *chosen;
  }
  Candidate& to = set->all[index];
  Task<Result<void>> call = launch(*slot.own, to, context, messages);
  if (call.succeeded()) [[likely]] {
    to.health->worked();
    return call;
  }
  if (const Error* const error = call.error(); error && !is_not_run(*error)) return call;
  return finish(slot, set, index, std::move(call), choice.pinned(),
                choice.filter ? std::make_unique<Filter>(*choice.filter) : nullptr, context, messages);
}

// What an answer says of the node's health. False when the request did not run there.
bool Method::State::has_answered(const Slot& slot, const Candidate& to, const Result<void>& done) {
  if (done) {
    to.health->worked();
    return true;
  }
  if (is_not_run(done.error())) {
    to.health->failed(slot.own->loop->now());
    return false;
  }
  if (done.error().id != kClientId) {
    to.health->worked();  // It answered.
  } else if (done.error().code == code::kTimeout) {
    to.health->missed(slot.own->loop->now());
  }
  return true;
}

// Waits for the answer. A thousand of these wait at once: the frame has no room for results, and what is rarely needed
// is in try_others().
Task<Result<void>> Method::State::finish(Slot& slot, SetPtr set, std::size_t index, Task<Result<void>> call,
                                         bool pinned, std::unique_ptr<Filter> filter, Context context,
                                         Messages messages) {
  {
    const Count pending(slot.own->pending);
    const Count pending_there(set->all[index].pending);
    co_await Ended(call);
  }
  Task<Result<void>> rest = after(slot, std::move(set), index, call, pinned, std::move(filter), context, messages);
  if (rest.succeeded()) [[likely]] {
    co_return Result<void>();
  }
  co_await Ended(rest);
  co_return rest.take();
}

// What follows an answer: nothing, or another node. Not inlined, since its results would be kept in finish()'s frame.
[[gnu::noinline]] Task<Result<void>> Method::State::after(Slot& slot, SetPtr set, std::size_t index,
                                                          Task<Result<void>>& call, bool pinned,
                                                          std::unique_ptr<Filter> filter, const Context& context,
                                                          const Messages& messages) {
  Result<void> done = call.take();
  if (has_answered(slot, set->all[index], done) || pinned || context.deadline().expired(slot.own->loop->now())) {
    return done;
  }
  return try_others(slot, std::move(set), index, std::move(done), std::move(filter), context, messages);
}

// The request did not run on the node `index`: another may have it.
Task<Result<void>> Method::State::try_others(Slot& slot, SetPtr set, std::size_t index, Result<void> done,
                                             std::unique_ptr<Filter> filter, Context context, Messages messages) {
  PerLoop& own = *slot.own;
  std::vector<const Node*> tried;  // Of `set`. Health is not enough: another loop's call may still have worked there.
  const auto pick = [&]() -> Result<std::size_t> {
    const Filter untried = [&](const Node& node) {
      return std::ranges::find(tried, &node) == tried.end() && (!filter || (*filter)(node));
    };
    Result<std::size_t> found = choose_filtered(slot, *set, {{}, &untried});
    if (found && set->all[*found].health->set_aside(own.loop->now())) return std::unexpected(none_available(service_));
    return found;
  };
  for (;;) {
    tried.push_back(set->all[index].node);
    Result<std::size_t> next = pick();
    if (!next) {
      // All that it knew when it began; others may have come meanwhile.
      if (!known(slot)) {
        const std::uint64_t version = version_.load(std::memory_order_acquire);
        if (Result<NodeList> nodes = co_await client_.resolver().nodes(service_, context.deadline())) {
          install(slot, std::move(*nodes), version);
        }
      }
      if (!slot.set || slot.set.get() == set.get() || slot.set->all.empty()) co_return done;
      set = slot.set;
      tried.clear();
      next = pick();
      if (!next) co_return done;
    }
    index = *next;
    Candidate& to = set->all[index];
    Task<Result<void>> call = launch(own, to, context, messages);
    {
      const Count pending(own.pending);
      const Count pending_there(to.pending);
      done = co_await std::move(call);
    }
    if (has_answered(slot, to, done) || context.deadline().expired(own.loop->now())) co_return done;
  }
}

// A stream counts as a call that waits, while its caller has it.
class CountedStream final : public CallerStreamEnd {
 public:
  CountedStream(std::unique_ptr<CallerStreamEnd> end, SetPtr set, Candidate& to, PerLoop& own)
      : end_(std::move(end)),
        set_(std::move(set)),
        health_(to.health),
        loop_(*own.loop),
        pending_(own.pending),
        pending_there_(to.pending) {}

  Task<Result<bool>> read(MessageLite& message) override {
    return then(end_->read(message), [health = health_, &loop = loop_](Result<bool> got) {
      if (got) {
        health->worked();
      } else if (is_not_run(got.error())) {
        health->failed(loop.now());
      }
      return got;
    });
  }
  Task<Result<void>> write(const MessageLite& message) override { return end_->write(message); }
  void close_writes() override { end_->close_writes(); }

 private:
  const std::unique_ptr<CallerStreamEnd> end_;
  const SetPtr set_;
  const std::shared_ptr<NodeHealth> health_;
  Loop& loop_;
  const Count pending_;
  const Count pending_there_;
};

Task<Result<std::unique_ptr<CallerStreamEnd>>> Method::State::open_stream(OwnChoice choice, Context context) {
  Slot* const slot = here();
  if (!slot) co_return outside();
  PerLoop& own = *slot->own;
  if (!name_) co_return std::unexpected(name_.error());
  if (own.pending >= client_.options().max_pending) co_return too_many_pending(own);
  if (!known(*slot)) {
    const std::uint64_t version = version_.load(std::memory_order_acquire);
    const Deadline patience = std::min(context.deadline(), Deadline::after(own.loop->now(), client_.options().timeout));
    Result<NodeList> nodes = co_await client_.resolver().nodes(service_, patience);
    if (!nodes) co_return std::unexpected(std::move(nodes.error()));
    install(*slot, std::move(*nodes), version);
  }
  const SetPtr set = slot->set;
  const Result<std::size_t> chosen = choose(*slot, *set, choice.view(), context);
  if (!chosen) co_return std::unexpected(chosen.error());
  Candidate& to = set->all[*chosen];
  auto end = client_.open_stream(*to.node, *name_, context, *own.loop);
  if (!end) co_return std::unexpected(std::move(end.error()));
  co_return std::make_unique<CountedStream>(std::move(*end), set, to, own);
}

// ---- Client, Method ---------------------------------------------------------------------------------------------

Client::Client(ClientOptions options, std::span<Loop* const> loops, Resolver& resolver,
               std::vector<Transport*> transports, Random& random)
    : options_(std::move(options)),
      state_(std::make_unique<State>(options_, loops, resolver, std::move(transports), random)) {}

Client::~Client() = default;

Method Client::method(std::string_view service, std::string_view endpoint) {
  Method::State* const state = state_->method(service, endpoint);
  check(state != nullptr, "rpc::Client: more than 65536 endpoints");
  return Method(state);
}

void Client::set_picker(std::string_view service, PickerFactory factory) {
  state_->set_picker(service, std::move(factory));
}

Task<Result<void>> Client::call(const Target& target, std::string_view endpoint, const Context& context,
                                const MessageLite& request, MessageLite& reply) {
  PerLoop* const own = state_->here();
  if (!own) {
    return std::unexpected(client_error(
        code::kServer, fmt::format("call of {} {} outside the loops of its client", target.service, endpoint)));
  }
  own->key.assign(target.service).append(1, '\0').append(endpoint);
  auto at = own->methods.find(own->key);
  if (at == own->methods.end()) {
    Method::State* const method = state_->method(target.service, endpoint);
    if (!method) {
      return std::unexpected(client_error(code::kTooMany, fmt::format("call of {} {}: {} endpoints are called already",
                                                                      target.service, endpoint, kMaxMethods)));
    }
    at = own->methods.emplace(own->key, method).first;
  }
  Context seen = context;
  return at->second->start({target.node, target.filter ? &target.filter : nullptr}, seen,
                           {.request = &request, .reply = &reply});
}

Task<Result<std::unique_ptr<CallerStreamEnd>>> Client::open_stream(const Target& target, std::string_view endpoint,
                                                                   const Context& context) {
  Method::State* const method = state_->method(target.service, endpoint);
  if (!method) {
    return std::unexpected(client_error(code::kTooMany, fmt::format("stream of {} {}: {} endpoints are called already",
                                                                    target.service, endpoint, kMaxMethods)));
  }
  return method->open_stream(OwnChoice({target.node, target.filter ? &target.filter : nullptr}), context);
}

Task<Result<void>> Method::start(std::string_view uuid, Context& context, const Messages& messages) const {
  return state_->start({uuid, nullptr}, context, messages);
}

Task<Result<void>> Method::forward(Context& context, const ForwardCall& call) const {
  return state_->forward(context, call);
}

ExchangePtr Method::lease(const MessageLite& request, const MessageLite& reply) const {
  return state_->lease(request, reply);
}

}  // namespace mg::rpc
