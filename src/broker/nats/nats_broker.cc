#include "mg/broker/nats/nats_broker.h"

#include <nats/nats.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "broker/nats/envelope.h"
#include "broker/queue.h"
#include "mg/base/log.h"
#include "runtime/thread_name.h"

namespace mg::broker {
namespace {

using std::chrono::milliseconds;

// libnats keeps what it has read for a subscription up to here; the queue behind it is what normally overflows.
constexpr int kLibraryMessages = 65'536;
constexpr int kLibraryOctets = 64 * 1024 * 1024;

std::unexpected<Error> failed(natsStatus status, std::string_view what) {
  // The library's text for this thread says more than the status, where it is about the same call.
  natsStatus last = NATS_OK;
  const char* const detail = nats_GetLastError(&last);
  std::string text = natsStatus_GetText(status);
  if (last == status && detail && *detail) text += std::string(": ") + detail;
  const std::int32_t number = status == NATS_TIMEOUT                                     ? code::kTimeout
                              : status == NATS_INSUFFICIENT_BUFFER                       ? code::kTooMany
                              : status == NATS_INVALID_ARG || status == NATS_MAX_PAYLOAD ? code::kInvalid
                                                                                         : code::kUnavailable;
  return fail(number, "nats: {}: {}", what, text);
}

std::string without_password(std::string_view address) {
  const std::size_t at = address.find_last_of("@/");
  return std::string(at == std::string_view::npos ? address : address.substr(at + 1));
}

struct OptionsDelete {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
using OptionsPtr = std::unique_ptr<natsOptions, OptionsDelete>;

}  // namespace

class NatsBroker::State : public std::enable_shared_from_this<State> {
 public:
  // One subscription; the library's callbacks have a reference of their own until it is completely gone.
  struct Entry {
    std::shared_ptr<State> state;
    QueuePtr queue;
    natsSubscription* handle = nullptr;  // Touched on the connection's thread only.
    bool ended = false;                  // The same.
  };
  using EntryPtr = std::shared_ptr<Entry>;
  using Job = std::move_only_function<void()>;

  explicit State(NatsOptions options) : options_(std::move(options)) {}
  ~State() { check_stopped(); }

  void start() {
    thread_ = std::thread([this] {
      name_this_thread("mg-nats", 0);
      work();
    });
  }

  // Ends the thread and the connection. What is queued is done first.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    close();
    entries_.clear();  // They refer to this object.
  }

  // False when too many wait.
  bool post(Job job, bool bounded = true) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_ || (bounded && jobs_.size() >= options_.max_queued)) return false;
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
  }

  // Runs `call` on the connection's thread and waits for what it gives.
  static Task<Result<void>> run(std::shared_ptr<State> self, std::function<Result<void>()> call, Deadline deadline,
                                std::string what) {
    Loop& here = *Loop::current();
    auto answer = std::make_shared<Completion<Result<void>>>();
    const bool taken = self->post([call = std::move(call), answer, &here] {
      Result<void> done = call();
      here.post_always([answer, done = std::move(done)] { answer->set(done); });
    });
    if (!taken) co_return fail(code::kTooMany, "nats: {}: {} calls wait already", what, self->options_.max_queued);
    const auto got = co_await answer->wait(here, deadline);
    if (!got) co_return fail(code::kTimeout, "nats: {}: no answer in time; it may have happened", what);
    co_return *got;
  }

  // The rest: on the connection's thread.

  Result<void> connect() {
    if (connection_) return {};
    OptionsPtr options;
    auto reference = std::make_unique<std::shared_ptr<State>>(shared_from_this());  // The callbacks' own.
    if (auto made = make_options(options, reference.get()); !made) return made;
    const natsStatus status = natsConnection_Connect(&connection_, options.get());
    if (status != NATS_OK) {
      connection_ = nullptr;
      return failed(status, fmt::format("connecting to {}", where()));
    }
    reference.release();  // on_closed() deletes it.
    closed_ = closing_ = false;
    connected_ = true;
    for (const EntryPtr& entry : entries_) {
      if (auto ok = open(entry); !ok) log::error("{}", to_json(ok.error()));
    }
    return {};
  }

  Result<void> publish(const std::string& topic, const std::string& octets) {
    if (!connection_) return fail(code::kUnavailable, "nats: publishing to {}: not connected", topic);
    const natsStatus status =
        natsConnection_Publish(connection_, topic.c_str(), octets.data(), static_cast<int>(octets.size()));
    if (status == NATS_OK) {
      published_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    refused_.fetch_add(1, std::memory_order_relaxed);
    if (status == NATS_INSUFFICIENT_BUFFER) {
      return fail(code::kTooMany, "nats: publishing to {}: no connection, and {} octets wait for one already", topic,
                  options_.max_pending_bytes);
    }
    return failed(status, fmt::format("publishing {} octets to {}", octets.size(), topic));
  }

  Result<void> flush(milliseconds patience) {
    if (!connection_ || natsConnection_Status(connection_) != NATS_CONN_STATUS_CONNECTED)
      return fail(code::kUnavailable, "nats: not connected");
    const natsStatus status = natsConnection_FlushTimeout(connection_, std::max<std::int64_t>(1, patience.count()));
    if (status != NATS_OK) return failed(status, "waiting for the server");
    return {};
  }

  void add(EntryPtr entry) {
    if (connection_) {
      if (auto ok = open(entry); !ok) log::error("{}", to_json(ok.error()));
    }
    entries_.push_back(std::move(entry));
  }

  void remove(const EntryPtr& entry) {
    entry->ended = true;
    end(*entry);
    entries_.remove(entry);
  }

  void close() {
    for (const EntryPtr& entry : entries_) end(*entry);
    if (!connection_) return;
    closing_ = true;
    natsConnection_Destroy(std::exchange(connection_, nullptr));
    connected_ = false;
    // Its callbacks come on a thread of the library; the last one is on_closed().
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::seconds(5), [&] { return closed_.load(); });
  }

  const NatsOptions& options() const { return options_; }
  NatsStats stats() const {
    return {connected_.load(), reconnects_.load(), published_.load(), refused_.load(),
            received_.load(),  unreadable_.load(), lost_.load()};
  }

 private:
  void check_stopped() {
    if (thread_.joinable()) std::terminate();  // stop() was not called.
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }

  std::string where() const {
    std::string text;
    for (const std::string& address : options_.addresses) {
      if (!text.empty()) text += ", ";
      text += without_password(address);
    }
    return text.empty() ? "127.0.0.1:4222" : text;
  }

  Result<void> make_options(OptionsPtr& made, void* closure) {
    natsOptions* options = nullptr;
    natsStatus status = natsOptions_Create(&options);
    made.reset(options);
    std::vector<std::string> urls;
    for (const std::string& address : options_.addresses) {
      if (address.empty()) continue;
      urls.push_back(address.find("://") == std::string::npos ? "nats://" + address : address);
    }
    if (urls.empty()) urls.emplace_back("nats://127.0.0.1:4222");
    std::vector<const char*> servers;
    for (const std::string& url : urls) servers.push_back(url.c_str());
    std::string what;
    const auto set = [&](natsStatus result, std::string_view name) {
      if (status != NATS_OK) return;
      status = result;
      what = name;
    };
    const auto ms = [](milliseconds time) { return static_cast<std::int64_t>(time.count()); };
    set(natsOptions_SetServers(options, servers.data(), static_cast<int>(servers.size())), "addresses");
    if (!options_.name.empty()) set(natsOptions_SetName(options, options_.name.c_str()), "name");
    if (!options_.user.empty()) {
      set(natsOptions_SetUserInfo(options, options_.user.c_str(), options_.password.c_str()), "user");
    }
    if (!options_.token.empty()) set(natsOptions_SetToken(options, options_.token.c_str()), "token");
    set(natsOptions_SetTimeout(options, ms(options_.connect_timeout)), "connect_timeout");
    set(natsOptions_SetMaxReconnect(options, -1), "reconnects");
    set(natsOptions_SetReconnectWait(options, ms(options_.reconnect_wait)), "reconnect_wait");
    set(natsOptions_SetReconnectJitter(options, ms(options_.reconnect_jitter), ms(options_.reconnect_jitter)),
        "jitter");
    set(natsOptions_SetReconnectBufSize(options, static_cast<int>(options_.max_pending_bytes)), "max_pending_bytes");
    set(natsOptions_SetPingInterval(options, ms(options_.ping_interval)), "ping_interval");
    set(natsOptions_SetMaxPingsOut(options, 2), "pings");
    set(natsOptions_SetWriteDeadline(options, ms(options_.write_timeout)), "write_timeout");
    if (options_.tls.on) {
      const NatsTls& tls = options_.tls;
      set(natsOptions_SetSecure(options, true), "tls");
      if (!tls.ca_file.empty()) {
        set(natsOptions_LoadCATrustedCertificates(options, tls.ca_file.c_str()), "tls.ca_file " + tls.ca_file);
      }
      if (!tls.cert_file.empty()) {
        set(natsOptions_LoadCertificatesChain(options, tls.cert_file.c_str(), tls.key_file.c_str()),
            "tls.cert_file, tls.key_file");
      }
      if (!tls.server_name.empty()) {
        set(natsOptions_SetExpectedHostname(options, tls.server_name.c_str()), "tls.server_name");
      }
      if (!tls.verify) set(natsOptions_SkipServerVerification(options, true), "tls.verify");
    }
    set(natsOptions_SetDisconnectedCB(options, &State::on_disconnected, closure), "callback");
    set(natsOptions_SetReconnectedCB(options, &State::on_reconnected, closure), "callback");
    set(natsOptions_SetErrorHandler(options, &State::on_error, closure), "callback");
    set(natsOptions_SetClosedCB(options, &State::on_closed, closure), "callback");
    if (status != NATS_OK) {
      auto error = failed(status, what);
      return fail(code::kInvalid, "{}", error.error().detail);
    }
    return {};
  }

  Result<void> open(const EntryPtr& entry) {
    if (entry->ended || entry->handle) return {};
    auto* const reference = new EntryPtr(entry);  // Deleted by on_complete().
    const SubscribeOptions& options = entry->queue->options();
    natsStatus status = options.queue.empty()
                            ? natsConnection_Subscribe(&entry->handle, connection_, options.topic.c_str(),
                                                       &State::on_message, reference)
                            : natsConnection_QueueSubscribe(&entry->handle, connection_, options.topic.c_str(),
                                                            options.queue.c_str(), &State::on_message, reference);
    if (status != NATS_OK) {
      entry->handle = nullptr;
      delete reference;
      return failed(status, fmt::format("subscribing to {}", options.topic));
    }
    natsSubscription_SetPendingLimits(entry->handle, kLibraryMessages, kLibraryOctets);
    natsSubscription_SetOnCompleteCB(entry->handle, &State::on_complete, reference);
    return {};
  }

  static void end(Entry& entry) {
    if (!entry.handle) return;
    natsSubscription_Unsubscribe(entry.handle);
    natsSubscription_Destroy(std::exchange(entry.handle, nullptr));
  }

  // The library's threads.
  static void on_message(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    const Entry& entry = **static_cast<EntryPtr*>(closure);
    State& state = *entry.state;
    state.received_.fetch_add(1, std::memory_order_relaxed);
    auto decoded =
        decode_envelope({natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))});
    natsMsg_Destroy(message);
    if (decoded) {
      entry.queue->push(std::make_shared<const Message>(std::move(*decoded)));
      return;
    }
    state.unreadable_.fetch_add(1, std::memory_order_relaxed);
    log::warn("nats: a message of {} cannot be read: {}", entry.queue->options().topic, decoded.error().detail);
  }
  static void on_complete(void* closure) { delete static_cast<EntryPtr*>(closure); }
  static void on_disconnected(natsConnection*, void* closure) {
    State& state = **static_cast<std::shared_ptr<State>*>(closure);
    state.connected_ = false;
    if (!state.closing_) log::warn("nats: connection to {} lost", state.where());
  }
  static void on_reconnected(natsConnection*, void* closure) {
    State& state = **static_cast<std::shared_ptr<State>*>(closure);
    state.connected_ = true;
    state.reconnects_.fetch_add(1, std::memory_order_relaxed);
    log::info("nats: connected again to {}", state.where());
  }
  static void on_closed(natsConnection*, void* closure) {
    const std::unique_ptr<std::shared_ptr<State>> reference(static_cast<std::shared_ptr<State>*>(closure));
    State& state = **reference;
    const std::lock_guard lock(state.mutex_);
    state.closed_ = true;
    state.wake_.notify_all();
  }
  static void on_error(natsConnection*, natsSubscription*, natsStatus status, void* closure) {
    State& state = **static_cast<std::shared_ptr<State>*>(closure);
    if (status == NATS_SLOW_CONSUMER) {
      // Once until it has caught up.
      state.lost_.fetch_add(1, std::memory_order_relaxed);
    }
    log::warn("nats: {}: {}", state.where(), natsStatus_GetText(status));
  }

  const NatsOptions options_;
  std::thread thread_;

  std::mutex mutex_;  // docs/threads.md: "nats calls"
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::atomic<bool> closed_{true};  // The library has made the last call about the connection.

  // Touched on the thread; by stop() after it has ended.
  natsConnection* connection_ = nullptr;
  std::list<EntryPtr> entries_;

  std::atomic<bool> connected_{false};
  std::atomic<bool> closing_{false};  // By us.
  std::atomic<std::uint64_t> reconnects_{0}, published_{0}, refused_{0}, received_{0}, unreadable_{0}, lost_{0};
};

namespace {

class NatsSubscription final : public Subscription {
 public:
  explicit NatsSubscription(NatsBroker::State::EntryPtr entry) : entry_(std::move(entry)) {}
  ~NatsSubscription() override {
    forget();
    entry_->queue->close();
  }

  Task<Result<void>> stop(Deadline deadline) override {
    forget();
    return Queue::stop(entry_->queue, deadline);
  }
  SubscriptionStats stats() const override { return entry_->queue->stats(); }

 private:
  void forget() {
    if (std::exchange(forgotten_, true)) return;
    entry_->state->post([entry = entry_] { entry->state->remove(entry); }, false);
  }
  const NatsBroker::State::EntryPtr entry_;
  bool forgotten_ = false;
};

milliseconds left(Deadline deadline, milliseconds most) {
  if (deadline.is_never()) return most;
  const auto rest = std::chrono::duration_cast<milliseconds>(deadline.remaining(Loop::current()->now()));
  return std::clamp(rest, milliseconds(1), most);
}

}  // namespace

NatsBroker::NatsBroker(NatsOptions options) : state_(std::make_shared<State>(std::move(options))) {
  state_->start();
}

NatsBroker::~NatsBroker() {
  state_->stop();
}

Task<Result<void>> NatsBroker::connect(Deadline deadline) {
  State* const state = state_.get();
  return State::run(state_, [state] { return state->connect(); }, deadline, "connecting");
}

Task<Result<void>> NatsBroker::publish(std::string topic, Message message, Deadline deadline) {
  if (auto ok = check_topic(topic); !ok) return ok;
  State* const state = state_.get();
  std::string what = "publishing to " + topic;
  return State::run(
      state_,
      [state, topic = std::move(topic), octets = encode_envelope(message)] { return state->publish(topic, octets); },
      deadline, std::move(what));
}

Result<std::unique_ptr<Subscription>> NatsBroker::subscribe(SubscribeOptions options, Handler handler) {
  if (auto ok = check_subscription(options); !ok) return std::unexpected(std::move(ok.error()));
  auto entry = std::make_shared<State::Entry>();
  entry->state = state_;
  entry->queue = std::make_shared<Queue>(std::move(options), std::move(handler));
  State* const state = state_.get();
  if (!state_->post([state, entry] { state->add(entry); })) {
    return fail(code::kTooMany, "nats: subscribing to {}: {} calls wait already", entry->queue->options().topic,
                state_->options().max_queued);
  }
  return std::make_unique<NatsSubscription>(std::move(entry));
}

Task<Result<void>> NatsBroker::flush(Deadline deadline) {
  State* const state = state_.get();
  const milliseconds patience = left(deadline, std::chrono::minutes(1));
  co_return co_await State::run(
      state_, [state, patience] { return state->flush(patience); }, deadline, "waiting for the server");
}

Task<void> NatsBroker::disconnect(Deadline deadline) {
  State* const state = state_.get();
  const milliseconds patience = left(deadline, std::chrono::seconds(10));
  const auto done = co_await State::run(
      state_,
      [state, patience]() -> Result<void> {
        auto sent = state->flush(patience);
        state->close();
        return sent;
      },
      deadline, "disconnecting");
  if (!done && done.error().code != code::kUnavailable) log::warn("{}", to_json(done.error()));
}

NatsStats NatsBroker::stats() const {
  return state_->stats();
}

}  // namespace mg::broker
