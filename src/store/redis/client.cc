#include "mg/store/redis/client.h"

#include <algorithm>
#include <utility>

#include "store/redis/client_state.h"

namespace mg::redis {
namespace {

std::optional<Error> bad_option(const Options& options) {
  const auto bad = [](std::string_view what) { return make_error(code::kInvalid, fmt::format("redis: {}", what)); };
  if (options.db < 0) return bad("the database has a negative number");
  if (options.connections < 1 || options.connections > 64) return bad("connections is 1 to 64");
  if (options.max_calls < 1) return bad("max_calls is at least 1");
  if (options.max_pool < 1) return bad("max_pool is at least 1");
  if (options.timeout.count() <= 0 || options.connect_timeout.count() <= 0 || options.silence.count() <= 0) {
    return bad("times are more than 0");
  }
  if (options.first_pause.count() <= 0 || options.longest_pause < options.first_pause) {
    return bad("pauses are more than 0, and the longest is not the shorter");
  }
  return std::nullopt;
}

}  // namespace

Client::State::State(Loop& loop, Options options)
    : loop_(loop), options_(std::make_shared<const Options>(std::move(options))) {
  fault_ = bad_option(*options_);
  Result<Endpoint> endpoint = parse_url(options_->url);
  if (!endpoint && !fault_) fault_ = std::move(endpoint).error();
  if (fault_) return;
  endpoint_ = std::make_shared<const Endpoint>(*std::move(endpoint));
  for (std::uint32_t i = 0; i < options_->connections; ++i) shared_.push_back(make(Connection::Kind::kShared));
}

Client::State::~State() {
  close_all();
}

std::shared_ptr<Connection> Client::State::make(Connection::Kind kind) {
  auto connection = std::make_shared<Connection>(loop_, options_, endpoint_, counters_, kind);
  ++live_->count;
  connection->on_gone = [live = live_] {
    if (--live->count == 0 && live->none) live->none->set(true);
  };
  connection->on_quiet = [&loop = loop_, live = live_] { tell_quieter(loop, live); };
  return connection;
}

Connection& Client::State::next_shared() {
  if (shared_.size() == 1) return *shared_.front();
  turn_ = (turn_ + 1) % static_cast<std::uint32_t>(shared_.size());
  return *shared_[turn_];
}

Task<Result<std::shared_ptr<Connection>>> Client::State::lend(Deadline deadline) {
  using Out = Result<std::shared_ptr<Connection>>;
  if (fault_) co_return Out(std::unexpected(*fault_));
  while (in_use_ >= options_->max_pool) {
    Completion<bool> back;
    queue_.push_back(&back);
    struct Leave {
      std::deque<Completion<bool>*>& queue;
      Completion<bool>* who;
      ~Leave() { std::erase(queue, who); }
    } leave{queue_, &back};
    if (const auto woken = co_await back.wait(loop_, deadline); !woken) {
      co_return fail(code::kTooMany, "redis: all {} connections for waiting commands are in use", options_->max_pool);
    } else if (!*woken) {
      co_return fail(code::kUnavailable, "redis: closed");
    }
  }
  if (closed_) co_return fail(code::kUnavailable, "redis: closed");
  ++in_use_;
  std::shared_ptr<Connection> connection;
  while (!idle_.empty() && !connection) {
    connection = std::move(idle_.back());
    idle_.pop_back();
    if (!connection->is_ready()) connection.reset();
  }
  if (connection) co_return std::move(connection);
  connection = make(Connection::Kind::kDedicated);
  std::erase_if(lent_, [](const auto& item) { return item.expired(); });
  lent_.push_back(connection);
  auto ready = co_await connection->ready(deadline);
  if (ready) co_return std::move(connection);
  give_back(std::move(connection), false);
  co_return std::unexpected(std::move(ready).error());
}

Result<std::shared_ptr<Connection>> Client::State::listener() {
  if (fault_) return std::unexpected(*fault_);
  if (closed_) return fail(code::kUnavailable, "redis: closed");
  if (in_use_ >= options_->max_pool) {
    return fail(code::kTooMany, "redis: all {} connections for waiting commands are in use", options_->max_pool);
  }
  ++in_use_;
  auto connection = make(Connection::Kind::kListener);
  lent_.push_back(connection);
  return connection;
}

void Client::State::give_back(std::shared_ptr<Connection> connection, bool clean) {
  --in_use_;
  tell_quieter(loop_, live_);
  if (clean && !closed_ && connection->is_ready() && connection->in_flight() == 0 &&
      idle_.size() < options_->idle_pool) {
    idle_.push_back(std::move(connection));
    if (!sweep_.armed()) sweep_.arm(loop_, loop_.now() + options_->idle_close);
  } else {
    connection->close();
  }
  wake_one();
}

// Who closes goes on in a turn of its own: not within a connection.
void Client::State::tell_quieter(Loop& loop, const std::shared_ptr<Live>& live) {
  if (!live->quieter) return;
  loop.post_always([live] {
    if (live->quieter) live->quieter->set(true);
  });
}

void Client::State::wake_one() {
  if (queue_.empty()) return;
  Completion<bool>* const first = queue_.front();
  queue_.pop_front();
  first->set(true);
}

void Client::State::close_idle() {
  const TimePoint before = loop_.now() - options_->idle_close;
  std::vector<std::shared_ptr<Connection>> old;
  std::erase_if(idle_, [&](auto& connection) {
    if (connection->is_ready() && connection->idle_since() > before) return false;
    old.push_back(std::move(connection));
    return true;
  });
  for (const auto& connection : old) connection->close();
  if (!idle_.empty()) sweep_.arm(loop_, loop_.now() + options_->idle_close);
}

void Client::State::close_all() {
  closed_ = true;
  while (!queue_.empty()) {
    Completion<bool>* const first = queue_.front();
    queue_.pop_front();
    first->set(false);
  }
  for (const auto& connection : shared_) connection->close();
  for (const auto& connection : std::exchange(idle_, {})) connection->close();
  for (const auto& weak : std::exchange(lent_, {})) {
    if (const auto connection = weak.lock()) connection->close();
  }
}

Task<void> Client::State::close(Deadline deadline) {
  closed_ = true;
  const auto busy = [this] {
    return in_use_ > 0 || std::ranges::any_of(shared_, [](const auto& item) { return item->in_flight() > 0; });
  };
  const auto live = live_;
  while (busy() && !deadline.expired(loop_.now())) {
    live->quieter.emplace();
    co_await live->quieter->wait(loop_, deadline);
    live->quieter.reset();
  }
  Loop& loop = loop_;
  close_all();
  if (live->count == 0) co_return;
  live->none.emplace();
  // An aborted connection ends in a turn or two; of a name that is looked up the same.
  (void)co_await live->none->wait(loop, Deadline::after(loop.now(), std::chrono::seconds(5)));
  live->none.reset();
}

ClientStats Client::State::stats() const {
  ClientStats out = counters_->stats;
  out.connected = !shared_.empty() && std::ranges::all_of(shared_, [](const auto& item) { return item->is_ready(); });
  for (const auto& connection : shared_) out.in_flight += static_cast<std::uint32_t>(connection->in_flight());
  out.dedicated = in_use_ + static_cast<std::uint32_t>(idle_.size());
  return out;
}

// ---- the client -----------------------------------------------------------------------------------------------------

Client::Client(Loop& loop, Options options) : state_(std::make_unique<State>(loop, std::move(options))) {}
Client::~Client() = default;

Loop& Client::loop() const {
  return state_->loop();
}

Clock::Duration Client::timeout() const {
  return state_->options().timeout;
}

Task<Result<void>> Client::connect(Within within) {
  if (state_->fault()) co_return std::unexpected(*state_->fault());
  const Deadline deadline = within.from(loop().now(), state_->options().connect_timeout);
  for (const auto& connection : state_->shared()) connection->open();
  const auto all = state_->shared();
  for (const auto& connection : all) {
    if (auto ready = co_await connection->ready(deadline); !ready) co_return ready;
  }
  co_return Result<void>();
}

Task<void> Client::close(Within within) {
  return state_->close(within.from(loop().now(), state_->options().timeout));
}

Result<void> Client::submit(const Command& command, Call& call) {
  if (state_->fault()) return std::unexpected(*state_->fault());
  return state_->next_shared().submit(command, call);
}

void Client::distrust(std::uint64_t link, std::string_view why) {
  for (const auto& connection : state_->shared()) {
    if (connection->link() == link) connection->drop(why);
  }
}

Error Client::too_late(const Call& call, std::string_view name) const {
  return state_->shared().front()->too_late(call, name);
}

Task<Result<Reply>> Client::submit_waiting(Command command, Deadline deadline) {
  auto lent = co_await state_->lend(deadline);
  if (!lent) co_return std::unexpected(std::move(lent).error());
  // Given back in every case, also when nobody waits any more: then the server may still be at it.
  struct Loan {
    State& state;
    std::shared_ptr<Connection> connection;
    bool clean = false;
    ~Loan() { state.give_back(std::move(connection), clean); }
  } loan{*state_, *std::move(lent)};
  Call call;
  if (auto sent = loan.connection->submit(command, call); !sent) co_return std::unexpected(std::move(sent).error());
  auto got = co_await call.done.wait(loop(), deadline);
  if (!got) co_return std::unexpected(loan.connection->too_late(call, command.name()));
  loan.clean = true;
  co_return *std::move(got);
}

ClientStats Client::stats() const {
  return state_->stats();
}

// ---- sessions -------------------------------------------------------------------------------------------------------

namespace {

class OneSession final : public Session {
 public:
  OneSession(Client::State& state, std::shared_ptr<Connection> connection)
      : state_(state), connection_(std::move(connection)) {}
  OneSession(const OneSession&) = delete;
  OneSession& operator=(const OneSession&) = delete;
  ~OneSession() override { state_.give_back(std::move(connection_), !watching_); }

  Loop& loop() const override { return state_.loop(); }
  Clock::Duration timeout() const override { return state_.options().timeout; }

 private:
  Result<void> submit(const Command& command, Call& call) override {
    if (command.name() == "WATCH") watching_ = true;
    if (command.name() == "UNWATCH" || command.name() == "MULTI") watching_ = false;
    return connection_->submit(command, call);
  }
  Task<Result<Reply>> submit_waiting(Command command, Deadline deadline) override {
    Call call;
    if (auto sent = connection_->submit(command, call); !sent) co_return std::unexpected(std::move(sent).error());
    auto got = co_await call.done.wait(loop(), deadline);
    if (!got) co_return std::unexpected(connection_->too_late(call, command.name()));
    co_return *std::move(got);
  }
  void distrust(std::uint64_t link, std::string_view why) override {
    if (connection_->link() == link) connection_->drop(why);
  }
  Error too_late(const Call& call, std::string_view name) const override { return connection_->too_late(call, name); }

  Client::State& state_;
  std::shared_ptr<Connection> connection_;
  bool watching_ = false;
};

}  // namespace

Task<Result<std::unique_ptr<Session>>> Client::session(Within within) {
  auto lent = co_await state_->lend(within.from(loop().now(), timeout()));
  if (!lent) co_return std::unexpected(std::move(lent).error());
  co_return std::make_unique<OneSession>(*state_, *std::move(lent));
}

// ---- subscriptions --------------------------------------------------------------------------------------------------

namespace {

// Lives as long as the connection, which calls it.
struct Listening {
  Listening(Loop& l, SubscribeOptions o, ChannelHandler h, Clock::Duration s)
      : loop(l), options(std::move(o)), handler(std::move(h)), silence(s) {}

  Loop& loop;
  SubscribeOptions options;
  ChannelHandler handler;
  Clock::Duration silence;
  Connection* connection = nullptr;
  bool alive = true;       // The user's.
  bool heard = true;       // Since the last PING.
  bool confirmed = false;  // Ever.
  std::size_t open = 0;    // Channels and patterns that are not confirmed yet.
  Completion<Result<void>> begun;
  Timer tick{[](void* self) { static_cast<Listening*>(self)->on_tick(); }, this};

  void on_ready() {
    if (!alive) return;
    open = options.channels.size() + options.patterns.size();
    if (!options.channels.empty()) connection->say(std::move(Command("SUBSCRIBE").add_all(options.channels)));
    if (!options.patterns.empty()) connection->say(std::move(Command("PSUBSCRIBE").add_all(options.patterns)));
    heard = true;
    tick.arm(loop, loop.now() + silence);
  }

  void on_tick() {
    if (!alive || !connection->is_ready()) return;
    if (!std::exchange(heard, false)) return connection->drop("a subscription without an answer to PING");
    connection->say(Command("PING"));
    tick.arm(loop, loop.now() + silence);
  }

  void on_push(Reply reply) {
    if (!alive) return;
    heard = true;
    if (reply.is_error()) {
      begun.set(fail(code::kInvalid, "redis: {}", reply.text));
      return connection->drop(reply.text);
    }
    const auto is = [&](std::string_view kind, std::size_t size) {
      return reply.is_array() && reply.items.size() == size && reply.items[0].text == kind;
    };
    if (is("message", 3)) return handler({reply.items[1].text, {}, reply.items[2].text});
    if (is("pmessage", 4)) return handler({reply.items[2].text, reply.items[1].text, reply.items[3].text});
    if (is("pong", 2)) return;
    if (!is("subscribe", 3) && !is("psubscribe", 3)) {
      return connection->drop(fmt::format("a message of a subscription that is {}", describe(reply)));
    }
    if (open == 0 || --open > 0) return;
    if (std::exchange(confirmed, true)) {
      if (options.on_gap) options.on_gap();
    } else {
      begun.set({});
    }
  }
};

class OneSubscription final : public Subscription {
 public:
  OneSubscription(Client::State& state, std::shared_ptr<Connection> connection, std::shared_ptr<Listening> listening)
      : state_(state), connection_(std::move(connection)), listening_(std::move(listening)) {}
  OneSubscription(const OneSubscription&) = delete;
  OneSubscription& operator=(const OneSubscription&) = delete;
  ~OneSubscription() override {
    listening_->alive = false;
    listening_->tick.cancel();
    state_.give_back(std::move(connection_), false);
  }

 private:
  Client::State& state_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Listening> listening_;
};

}  // namespace

Task<Result<std::unique_ptr<Subscription>>> Client::subscribe(SubscribeOptions options, ChannelHandler handler,
                                                              Within within) {
  if (options.channels.empty() && options.patterns.empty()) {
    co_return fail(code::kInvalid, "a subscription to no channel and no pattern");
  }
  const Deadline deadline = within.from(loop().now(), timeout());
  auto connection = state_->listener();
  if (!connection) co_return std::unexpected(std::move(connection).error());
  auto listening =
      std::make_shared<Listening>(loop(), std::move(options), std::move(handler), state_->options().silence);
  listening->connection = connection->get();
  (*connection)->on_push = [listening](Reply reply) { listening->on_push(std::move(reply)); };
  (*connection)->on_ready = [listening] { listening->on_ready(); };
  auto subscription = std::make_unique<OneSubscription>(*state_, *connection, listening);
  (*connection)->open();
  auto begun = co_await listening->begun.wait(loop(), deadline);
  if (!begun) co_return fail(code::kUnavailable, "redis: the subscription did not begin in time");
  if (!*begun) co_return std::unexpected(std::move(*begun).error());
  co_return std::move(subscription);
}

}  // namespace mg::redis
