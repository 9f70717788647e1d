#include "mg/broker/nats/nats_broker.h"

#include <nats/nats.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "broker/nats/envelope.h"
#include "broker/nats/stored.h"
#include "broker/queue.h"
#include "mg/base/clock.h"
#include "mg/base/log.h"
#include "mg/base/uuid.h"
#include "runtime/thread_name.h"

namespace mg::broker {
namespace {

using std::chrono::milliseconds;

// libnats keeps what it has read for a subscription up to here; the queue behind it is what normally overflows.
constexpr int kLibraryMessages = 65'536;
constexpr int kLibraryOctets = 64 * 1024 * 1024;

constexpr std::size_t kRemembered = 8192;             // Handled messages that are recognised when they come again.
constexpr auto kStoreWait = std::chrono::seconds(2);  // For an answer before a message to be stored is sent again.
constexpr auto kRestorePause = milliseconds(250);     // Between two attempts to get streams and consumers again.
constexpr auto kStorePause = milliseconds(100);       // When the server cannot store just now.

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
    const StoredTopic* stored = nullptr;  // JetStream delivers it.
    Handled handled{kRemembered};
    natsSubscription* handle = nullptr;  // Touched on the connection's thread only.
    bool ended = false;                  // The same.
    bool has_consumer = false;           // The same; it was there once.
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
    (void)take_expected();
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

  const StoredTopic* stored(std::string_view topic) const {
    for (const StoredTopic& each : options_.stored) {
      if (each.topic == topic) return &each;
    }
    return nullptr;
  }

  // Sends a message until the server says that it has it.
  static Task<Result<void>> store(std::shared_ptr<State> self, std::string topic, std::string octets, std::string id,
                                  Deadline deadline) {
    Loop& here = *Loop::current();
    deadline = std::min(deadline, Deadline::after(here.clock(), std::chrono::minutes(1)));
    Result<void> last = fail(code::kTimeout, "");
    for (;;) {
      const auto wait = std::make_shared<Completion<Result<void>>>();
      const std::uint64_t number = self->expect([wait, &here](Result<void> stored) {
        here.post_always([wait, stored = std::move(stored)] { wait->set(stored); });
      });
      const bool taken = self->post([state = self.get(), topic, octets, id, number] {
        if (auto sent = state->send_to_store(topic, octets, id, number); !sent) state->stored(number, sent);
      });
      if (!taken) {
        self->forget(number);
        co_return fail(code::kTooMany, "nats: publishing to {}: {} calls wait already", topic,
                       self->options_.max_queued);
      }
      const auto got = co_await wait->wait(here, std::min(deadline, Deadline::after(here.clock(), kStoreWait)));
      self->forget(number);
      if (got && *got) co_return Result<void>();
      if (got && got->error().code == code::kInvalid) co_return *got;
      if (got) last = *got;
      const Deadline again = Deadline::after(here.clock(), got ? kStorePause : milliseconds(0));
      if (again >= deadline) {
        co_return fail(code::kTimeout, "nats: publishing to {}: not known to be stored; it may be: {}", topic,
                       last.error().detail.empty() ? "no answer" : last.error().detail);
      }
      co_await here.sleep_until(again.time());
    }
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
    if (!options_.stored.empty()) {
      Result<void> ready = open_inbox();
      for (const StoredTopic& each : options_.stored) {
        if (ready) ready = ensure_stream(connection_, each);
      }
      if (!ready) {
        close();
        return ready;
      }
    }
    for (const EntryPtr& entry : entries_) {
      if (auto ok = open(entry); !ok) log::error("{}", to_json(ok.error()));
    }
    return {};
  }

  // After a loss of the connection: a server that has lost its data gets streams and consumers again.
  void restore() {
    if (!connection_ || options_.stored.empty()) return;
    for (const StoredTopic& each : options_.stored) {
      if (auto ok = ensure_stream(connection_, each); !ok) return restore_later(ok.error());
    }
    for (const EntryPtr& entry : entries_) {
      if (auto ok = consume(*entry); !ok) return restore_later(ok.error());
    }
  }
  void restore_later(const Error& why) {
    log::warn("{}; tried again", why.detail);
    restore_at_ = system_clock().now() + kRestorePause;
  }

  Result<void> send_to_store(const std::string& topic, const std::string& octets, const std::string& id,
                             std::uint64_t number) {
    if (!connection_) return fail(code::kUnavailable, "nats: publishing to {}: not connected", topic);
    natsMsg* message = nullptr;
    const std::string reply = inbox_ + "." + std::to_string(number);
    natsStatus status =
        natsMsg_Create(&message, topic.c_str(), reply.c_str(), octets.data(), static_cast<int>(octets.size()));
    if (status == NATS_OK) status = natsMsgHeader_Set(message, std::string(kMessageId).c_str(), id.c_str());
    if (status == NATS_OK) status = natsConnection_PublishMsg(connection_, message);
    natsMsg_Destroy(message);
    if (status == NATS_OK) {
      published_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    refused_.fetch_add(1, std::memory_order_relaxed);
    return failed(status, fmt::format("publishing {} octets to {}", octets.size(), topic));
  }

  // Says what became of a delivered message.
  void settle(const std::string& reply, std::string_view word) {
    if (!connection_) return;
    const natsStatus status =
        natsConnection_Publish(connection_, reply.c_str(), word.data(), static_cast<int>(word.size()));
    if (status != NATS_OK) log::debug("nats: an acknowledgement is lost: {}", natsStatus_GetText(status));
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
    if (inbox_handle_) {
      natsSubscription_Unsubscribe(inbox_handle_);
      natsSubscription_Destroy(std::exchange(inbox_handle_, nullptr));
    }
    closing_ = true;
    natsConnection_Destroy(std::exchange(connection_, nullptr));
    connected_ = false;
    // Its callbacks come on a thread of the library; the last one is on_closed().
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::seconds(5), [&] { return closed_.load(); });
  }

  const NatsOptions& options() const { return options_; }
  NatsStats stats() const {
    return {connected_.load(),  reconnects_.load(), published_.load(), refused_.load(), received_.load(),
            unreadable_.load(), repeated_.load(),   dead_.load(),      lost_.load()};
  }

  // An answer of JetStream is to come. Threads: shared, these four. `told` is called once, unless it is forgotten.
  std::uint64_t expect(std::function<void(Result<void>)> told) {
    const std::lock_guard lock(mutex_);
    expected_.emplace(++last_number_, std::move(told));
    return last_number_;
  }
  void forget(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    expected_.erase(number);
  }
  using Expected = std::unordered_map<std::uint64_t, std::function<void(Result<void>)>>;
  Expected take_expected() {
    const std::lock_guard lock(mutex_);
    return std::exchange(expected_, {});
  }
  void stored(std::uint64_t number, Result<void> outcome) {
    std::function<void(Result<void>)> told;
    {
      const std::lock_guard lock(mutex_);
      const auto at = expected_.find(number);
      if (at == expected_.end()) return;  // Too late.
      told = std::move(at->second);
      expected_.erase(at);
    }
    told(std::move(outcome));
  }

 private:
  void check_stopped() {
    if (thread_.joinable()) std::terminate();  // stop() was not called.
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto any = [&] { return stopping_ || !jobs_.empty(); };
      if (restore_at_ && system_clock().now() >= *restore_at_) {
        restore_at_.reset();
        lock.unlock();
        restore();
        lock.lock();
      } else if (!restore_at_) {
        wake_.wait(lock, any);
      } else if (!wake_.wait_for(lock, kRestorePause, any)) {
        continue;
      }
      if (jobs_.empty()) {
        if (stopping_) return;
        continue;
      }
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
    if (entry->stored) return open_stored(entry, reference);
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

  Result<void> open_stored(const EntryPtr& entry, EntryPtr* reference) {
    const SubscribeOptions& options = entry->queue->options();
    const std::string subject = deliver_subject(options.topic, options.queue);
    const natsStatus status = natsConnection_QueueSubscribe(&entry->handle, connection_, subject.c_str(),
                                                            options.queue.c_str(), &State::on_stored, reference);
    if (status != NATS_OK) {
      entry->handle = nullptr;
      delete reference;
      return failed(status, fmt::format("subscribing to {}", options.topic));
    }
    natsSubscription_SetPendingLimits(entry->handle, kLibraryMessages, kLibraryOctets);
    natsSubscription_SetOnCompleteCB(entry->handle, &State::on_complete, reference);
    if (auto ok = consume(*entry); !ok) restore_later(ok.error());
    return {};
  }

  // Has the server deliver.
  Result<void> consume(Entry& entry) {
    if (!entry.stored || entry.ended) return {};
    auto ok = ensure_consumer(connection_, *entry.stored, entry.queue->options().queue, entry.has_consumer);
    if (ok) entry.has_consumer = true;
    return ok;
  }

  Result<void> open_inbox() {
    natsInbox* made = nullptr;
    natsStatus status = natsInbox_Create(&made);
    if (status == NATS_OK) {
      inbox_ = made;
      natsInbox_Destroy(made);
      auto* const reference = new std::shared_ptr<State>(shared_from_this());  // Deleted when it is gone.
      status =
          natsConnection_Subscribe(&inbox_handle_, connection_, (inbox_ + ".*").c_str(), &State::on_answer, reference);
      if (status == NATS_OK) {
        natsSubscription_SetOnCompleteCB(
            inbox_handle_, [](void* closure) { delete static_cast<std::shared_ptr<State>*>(closure); }, reference);
        return {};
      }
      inbox_handle_ = nullptr;
      delete reference;
    }
    return failed(status, "subscribing to answers");
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
  static void on_answer(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    State& state = **static_cast<std::shared_ptr<State>*>(closure);
    const std::string_view subject = natsMsg_GetSubject(message);
    std::uint64_t number = 0;
    const std::string_view last = subject.substr(subject.rfind('.') + 1);
    std::from_chars(last.data(), last.data() + last.size(), number);
    Result<void> answer =
        natsMsg_IsNoResponders(message)
            ? fail(code::kUnavailable, "nats: no stream takes the message")
            : read_stored({natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))});
    natsMsg_Destroy(message);
    state.stored(number, std::move(answer));
  }

  // A message that JetStream delivers until it hears that it was handled.
  static void on_stored(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    const EntryPtr entry = *static_cast<EntryPtr*>(closure);
    State& state = *entry->state;
    state.received_.fetch_add(1, std::memory_order_relaxed);
    const char* const subject = natsMsg_GetReply(message);
    std::string reply = subject ? subject : "";
    std::string octets(natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message)));
    natsMsg_Destroy(message);
    const auto delivered = read_delivered(reply);
    if (!delivered) return;  // Somebody else publishes to this subject.
    const auto say = [&state, &reply](std::string_view word) {
      state.post([&state, reply, word] { state.settle(reply, word); }, false);
    };
    switch (entry->handled.take(*delivered)) {
      case Handled::State::kNew:
        break;
      case Handled::State::kInHand:
        state.repeated_.fetch_add(1, std::memory_order_relaxed);
        return say("+WPI");
      case Handled::State::kDone:
        state.repeated_.fetch_add(1, std::memory_order_relaxed);
        return say("+ACK");
    }
    const StoredTopic& topic = *entry->stored;
    auto decoded = decode_envelope(octets);
    if (!decoded) {
      state.unreadable_.fetch_add(1, std::memory_order_relaxed);
      log::warn("nats: a message of {} cannot be read: {}", topic.topic, decoded.error().detail);
      return bury(entry, *delivered, std::move(reply), std::move(octets));
    }
    if (delivered->times > static_cast<std::uint64_t>(topic.max_deliver)) {
      return bury(entry, *delivered, std::move(reply), std::move(octets));
    }
    const auto shared = std::make_shared<const Message>(std::move(*decoded));
    const bool taken = entry->queue->push(
        shared, [entry, at = *delivered, reply, octets = std::move(octets)](const Result<void>& done) mutable {
          State& owner = *entry->state;
          if (!done && at.times >= static_cast<std::uint64_t>(entry->stored->max_deliver)) {
            return bury(entry, at, std::move(reply), std::move(octets));
          }
          entry->handled.done(at, done.has_value());
          std::string word = "+ACK";
          if (!done) {
            word = fmt::format("-NAK {{\"delay\":{}}}", std::chrono::nanoseconds(entry->stored->retry_pause).count());
          }
          owner.post([&owner, reply = std::move(reply), word = std::move(word)] { owner.settle(reply, word); }, false);
        });
    if (!taken) {  // It has ended: another member's.
      entry->handled.done(*delivered, false);
      say("-NAK");
    }
  }

  // Stores the message as a dead one; only then it is done.
  static void bury(const EntryPtr& entry, Delivered at, std::string reply, std::string octets) {
    State& state = *entry->state;
    const std::string id = fmt::format("dead.{}.{}.{}", entry->queue->options().queue, at.sequence, at.time_ns);
    const std::uint64_t number = state.expect([entry, at, reply](const Result<void>& stored) {
      State& owner = *entry->state;
      entry->handled.done(at, stored.has_value());
      if (stored) {
        owner.dead_.fetch_add(1, std::memory_order_relaxed);
        log::warn("nats: message {} of {} is given up and put into {}", at.sequence, entry->stored->topic,
                  dead_topic(entry->stored->topic));
      }
      owner.post([&owner, reply, word = stored ? "+TERM" : "-NAK"] { owner.settle(reply, word); }, false);
    });
    state.post(
        [&state, entry, octets = std::move(octets), id, number] {
          const auto sent = state.send_to_store(dead_topic(entry->stored->topic), octets, id, number);
          if (!sent) state.stored(number, sent);
        },
        false);
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
    if (state.options_.stored.empty()) return;
    state.post([&state] { state.restore(); }, false);
    // Answers that were on their way are lost: who waits may ask again.
    for (auto& [number, told] : state.take_expected()) told(fail(code::kUnavailable, "nats: the connection was lost"));
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
  // Answers of JetStream that are waited for, by the number in their subject.
  Expected expected_;
  std::uint64_t last_number_ = 0;
  std::atomic<bool> closed_{true};  // The library has made the last call about the connection.

  // Touched on the thread; by stop() after it has ended.
  natsConnection* connection_ = nullptr;
  std::list<EntryPtr> entries_;
  std::optional<Clock::TimePoint> restore_at_;
  std::string inbox_;  // Where JetStream answers, with a number behind.
  natsSubscription* inbox_handle_ = nullptr;

  std::atomic<bool> connected_{false};
  std::atomic<bool> closing_{false};  // By us.
  std::atomic<std::uint64_t> reconnects_{0}, published_{0}, refused_{0}, received_{0}, unreadable_{0}, repeated_{0},
      dead_{0}, lost_{0};
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
  if (state->stored(topic)) {
    std::string& id = message.headers[std::string(kMessageId)];
    if (id.empty()) {
      SystemRandom random;
      id = Uuid::v4(random).text();
    }
    std::string octets = encode_envelope(message);
    return State::store(state_, std::move(topic), std::move(octets), std::move(id), deadline);
  }
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
  if (!options.queue.empty()) entry->stored = state_->stored(options.topic);
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
