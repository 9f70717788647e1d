#include "mg/registry/etcd/etcd_registry.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "mg/base/log.h"
#include "mg/runtime/event.h"
#include "registry/adapter.h"
#include "registry/etcd/client.h"
#include "registry/etcd/record.h"
#include "registry/etcd/view.h"

namespace mg::registry::etcd {
namespace {

constexpr std::int64_t kPage = 1000;                          // Records read with one question.
constexpr Clock::Duration kSettle = std::chrono::seconds(1);  // For the watch to tell what we wrote.
constexpr Clock::Duration kHurry = std::chrono::seconds(1);   // For a question whose answer is known, if not for sure.
constexpr std::size_t kMaxReported = 10'000;
constexpr Clock::Duration kMinPause = std::chrono::milliseconds(50);
constexpr Clock::Duration kMaxPause = std::chrono::seconds(1);

bool plain_name(std::string_view name) {
  return name != "." && name != "..";
}

// A node that this process keeps in etcd. Its work() runs one at a time, so what is asked for later happens later.
struct Own {
  Service service;
  std::string key, value;
  std::int64_t ttl_s = 0;                            // 0: without lease.
  Clock::TimePoint until = Clock::TimePoint::max();  // The ttl of the last add() ends.
  bool wanted = true;                                // False: to be removed.

  std::int64_t lease = 0;
  std::int64_t lease_ttl_s = 0;
  bool granted = false;  // The lease is ours, not found with the key.
  bool looked = false;   // For a key that is there already.
  bool written = false;  // `value` is in etcd under `lease`, as far as we know.

  std::uint64_t orders = 0;  // add() and remove() calls so far.
  bool working = false;
  struct Order {
    std::uint64_t number;
    Completion<Result<void>> done;
  };
  std::vector<std::shared_ptr<Order>> waiting;
};
using OwnPtr = std::shared_ptr<Own>;

}  // namespace

// What watches share with the registry, which they may outlive.
struct EtcdRegistry::Hub {
  std::mutex mutex;  // docs/threads.md: "etcd view"; also over the registry's view and answers.
  Watchings watchings;
};

// Coroutines of it run on `home_`, and end when the client is closed. What the hub's mutex guards is for all threads.
class EtcdRegistry::State {
 public:
  State(EtcdOptions options, Loop& home) : options_(std::move(options)), home_(home) {
    while (options_.prefix.ends_with('/')) options_.prefix.pop_back();
    options_.prefix += '/';
  }
  ~State() {
    closing_ = true;
    retries_.clear();
    if (client_) client_->close();
    while (!seen_waits_.empty()) {
      Seen* const first = *seen_waits_.begin();
      seen_waits_.erase(first);
      first->done.set(false);
    }
    for (const auto& [id, own] : std::exchange(own_, {})) finish(*own, own->orders, closed_error());
    while (!ready_waits_.empty()) {
      Completion<bool>* const first = *ready_waits_.begin();
      ready_waits_.erase(first);
      first->set(false);
    }
  }

  Result<void> start() {
    auto made = Client::make(options_, home_);
    if (!made) return std::unexpected(made.error());
    client_ = std::move(*made);
    alive_ = std::make_shared<State*>(this);
    home_.post_always([alive = std::weak_ptr(alive_)] {
      if (const auto self = alive.lock()) spawn((*self)->follow());
    });
    return {};
  }

  // ---- answers: any thread ------------------------------------------------------------------------------------------

  // What is known and may be said without asking.
  Services cached(const std::string& service) {
    const std::lock_guard lock(hub_->mutex);
    const auto at = answers_.find(service);
    if (at == answers_.end() || !at->second.asked) return nullptr;
    Services services = current(service);
    if (services && home_.clock().now() >= at->second.ask_again) {
      at->second.ask_again = home_.clock().now() + options_.cache_ttl;
      home_.post_always([alive = std::weak_ptr(alive_), service] {
        if (const auto self = alive.lock()) spawn((*self)->ask_behind(service));
      });
    }
    return services;
  }

  Task<Result<Services>> get(std::string service, Deadline deadline) {
    Loop* const here = Loop::current();
    co_await home_.resume_here();
    Result<Services> found = co_await ask(service, deadline);
    if (here) co_await here->resume_here();
    co_return found;
  }

  Task<Result<Services>> list(Deadline deadline) {
    Loop* const here = Loop::current();
    co_await home_.resume_here();
    const Result<void> read = co_await read_below(options_.prefix, deadline);
    Result<Services> found = fail(code::kUnavailable, "");
    {
      const std::lock_guard lock(hub_->mutex);
      if (read || synced_) {
        found = std::make_shared<const std::vector<Service>>(view_.all());
      } else {
        found = std::unexpected(read.error());
      }
    }
    if (here) co_await here->resume_here();
    co_return found;
  }

  Task<Result<void>> ready(Deadline deadline) {
    Loop* const here = Loop::current();
    co_await home_.resume_here();
    bool synced = is_synced();
    if (!synced && !closing_) {
      Completion<bool> done;
      ready_waits_.insert(&done);
      synced = (co_await done.wait(home_, deadline)).value_or(false);
      ready_waits_.erase(&done);
    }
    if (here) co_await here->resume_here();
    if (!synced) co_return fail(code::kTimeout, "registry: etcd has not answered yet");
    co_return Result<void>();
  }

  void watch(std::shared_ptr<Watching> watching) {
    const std::lock_guard lock(hub_->mutex);
    hub_->watchings.add(std::move(watching));
  }

  EtcdStats stats() const {
    return {.connected = connected_,
            .watches = watches_,
            .registrations = registrations_,
            .renewals = renewals_,
            .skipped = skipped_};
  }

  // ---- registration -------------------------------------------------------------------------------------------------

  Task<Result<void>> add(Service service, AddOptions options) {
    if (auto ok = check_registration(service); !ok) co_return ok;
    if (!plain_name(service.name) || !plain_name(service.nodes[0].id)) {
      co_return fail(code::kInvalid, "registration of {}: a name must not be . or ..", service.name);
    }
    Loop* const here = Loop::current();
    co_await home_.resume_here();
    const Clock::TimePoint now = home_.clock().now();
    forget_expired(now);
    const std::string id = service.nodes[0].id;
    if (const auto at = own_.find(id); at != own_.end() && at->second->service.name != service.name) {  // It moved.
      if (auto gone = co_await remove_own(at->second, options.deadline); !gone) {
        if (here) co_await here->resume_here();
        co_return gone;
      }
    }
    OwnPtr& own = own_[id];
    if (!own) own = std::make_shared<Own>();
    own->key = node_key(options_.prefix, service.name, id);
    std::string value = encode_record(service);
    if (value != own->value) own->written = false;
    own->value = std::move(value);
    own->service = std::move(service);
    own->ttl_s = std::chrono::duration_cast<std::chrono::seconds>(options.ttl).count();
    if (own->ttl_s == 0 && options.ttl > options.ttl.zero()) own->ttl_s = 1;
    own->until = own->ttl_s > 0 ? Deadline::after(now, options.ttl).time() : Clock::TimePoint::max();
    own->wanted = true;
    Result<void> done = co_await order(own, options.deadline);
    if (here) co_await here->resume_here();
    co_return done;
  }

  Task<Result<void>> remove(std::string service, std::string id, Deadline deadline) {
    Loop* const here = Loop::current();
    co_await home_.resume_here();
    OwnPtr own;
    if (const auto at = own_.find(id); at != own_.end() && at->second->service.name == service) own = at->second;
    if (!own) {  // Not one of ours, or no more.
      own = std::make_shared<Own>();
      own->key = node_key(options_.prefix, service, id);
    }
    Result<void> done = co_await remove_own(own, deadline);
    if (here) co_await here->resume_here();
    co_return done;
  }

  const std::atomic<std::uint64_t>& version() const { return version_; }
  const EtcdOptions& options() const { return options_; }
  const std::shared_ptr<Hub>& hub() const { return hub_; }

 private:
  struct Answer {
    Services services;   // Null: to be made anew.
    bool asked = false;  // etcd was asked for this service, not only heard of it.
    Clock::TimePoint ask_again{};
  };
  // Somebody waits until the watch has told a change of a key.
  struct Seen {
    std::string key;
    std::int64_t revision;
    Completion<bool> done;
  };

  static std::unexpected<Error> closed_error() { return fail(code::kUnavailable, "registry: closed"); }

  // ---- the view ---------------------------------------------------------------------------------------------------

  // Called by view_, with the hub's mutex held.
  void changed(Action action, const Service& service) {
    if (const auto at = answers_.find(service.name); at != answers_.end()) {
      at->second.services = nullptr;
      at->second.ask_again = home_.clock().now() + options_.cache_ttl;
    }
    version_.fetch_add(1, std::memory_order_release);
    hub_->watchings.tell(action, service);
  }

  // With the hub's mutex held. Null: unknown.
  Services current(const std::string& service) {
    const auto at = answers_.find(service);
    if (at == answers_.end()) return nullptr;
    if (!at->second.services) {
      std::vector<Service> grouped = view_.of(service);
      if (grouped.empty()) {
        answers_.erase(at);
        return nullptr;
      }
      at->second.services = std::make_shared<const std::vector<Service>>(std::move(grouped));
    }
    return at->second.services;
  }

  bool is_synced() {
    const std::lock_guard lock(hub_->mutex);
    return synced_;
  }

  std::optional<Service> decoded(const pb::KeyValue& kv) {
    auto service = decode_record(kv.value(), options_.max_value_bytes);
    if (service) return std::move(*service);
    if (reported_.size() >= kMaxReported) reported_.clear();
    if (!reported_.emplace(kv.key(), kv.mod_revision()).second) return std::nullopt;  // Once is enough.
    ++skipped_;
    log::warn("registry: {} is skipped: {}", kv.key(), service.error().detail);
    return std::nullopt;
  }

  // ---- questions --------------------------------------------------------------------------------------------------

  // All records below `prefix`, as of one revision.
  struct Reading {
    std::vector<View::Record> records;
    pb::ResponseHeader header;
  };
  Task<Result<Reading>> read_all(std::string prefix, Deadline deadline) {
    Reading reading;
    std::string from = prefix;
    for (;;) {
      pb::RangeRequest request;
      request.set_key(from);
      request.set_range_end(range_end(prefix));
      request.set_limit(kPage);
      if (reading.header.revision() > 0) request.set_revision(reading.header.revision());
      const auto found = co_await client_->range(std::move(request), deadline);
      if (!found) co_return std::unexpected(found.error());
      if (reading.header.revision() == 0) reading.header = found->header();
      for (const pb::KeyValue& kv : found->kvs()) {
        if (auto service = decoded(kv)) reading.records.push_back({kv.key(), std::move(*service), kv.mod_revision()});
      }
      if (!found->more() || found->kvs().empty()) co_return reading;
      from = found->kvs().rbegin()->key() + '\0';
    }
  }
  Task<Result<void>> read_below(std::string prefix, Deadline deadline) {
    const std::uint64_t life = life_;
    Result<Reading> reading = co_await read_all(prefix, deadline);
    if (!reading) co_return std::unexpected(reading.error());
    const std::lock_guard lock(hub_->mutex);
    if (life == life_) view_.merge(prefix, std::move(reading->records), reading->header.revision());
    co_return Result<void>();
  }

  Task<Result<Services>> ask(std::string service, Deadline deadline) {
    bool known = false;
    {
      const std::lock_guard lock(hub_->mutex);
      known = !view_.of(service).empty();
    }
    if (known) deadline = std::min(deadline, Deadline::after(home_.clock(), kHurry));
    const Result<void> read = co_await read_below(service_prefix(options_.prefix, service), deadline);
    const std::lock_guard lock(hub_->mutex);
    if (!view_.of(service).empty()) {  // Also when etcd does not answer: stale is better than nothing.
      Answer& answer = answers_[service];
      answer.asked = true;
      answer.ask_again = home_.clock().now() + options_.cache_ttl;
      co_return current(service);
    }
    if (!read) {
      co_return fail(read.error().code, "service {}: the registry does not answer: {}", service, read.error().detail);
    }
    co_return fail(code::kNotFound, "service {}: not found", service);
  }

  Task<void> ask_behind(std::string service) {
    const Result<void> read = co_await read_below(service_prefix(options_.prefix, service), Deadline::never());
    if (!read && !closing_) log::debug("registry: {}", read.error().detail);
  }

  // ---- the watch --------------------------------------------------------------------------------------------------

  // Reads everything, then follows the changes, again and again, as long as the client lives.
  Task<void> follow() {
    Clock::Duration pause = kMinPause;
    while (!client_->closed()) {
      const Result<std::int64_t> from = co_await read_everything();
      Result<void> ended;
      if (from) {
        const Clock::TimePoint began = home_.clock().now();
        ended = co_await follow_from(*from);
        if (home_.clock().now() - began > std::chrono::seconds(5)) pause = kMinPause;
      } else {
        ended = std::unexpected(from.error());
      }
      if (client_->closed()) break;
      if (connected_.exchange(false)) {
        log::warn("registry: the watch has ended, what is known stays: {}", ended ? "compacted" : ended.error().detail);
        if (ended) continue;  // Read anew at once.
      } else {
        log::debug("registry: {}", ended ? "compacted" : ended.error().detail);
      }
      client_->turn_away();
      co_await client_->pause(pause / 2 + Clock::Duration(static_cast<std::int64_t>(
                                              random().below(static_cast<std::uint64_t>(pause.count())))));
      pause = std::min(pause * 2, kMaxPause);
    }
  }

  // The revision it was read at.
  Task<Result<std::int64_t>> read_everything() {
    Result<Reading> reading = co_await read_all(options_.prefix, Deadline::never());
    if (!reading) co_return std::unexpected(reading.error());
    const pb::ResponseHeader& header = reading->header;
    const std::int64_t revision = header.revision();
    std::set<std::string> there;
    for (const View::Record& record : reading->records) there.insert(record.key);
    const bool other_life =
        cluster_ != 0 && (header.cluster_id() != cluster_ || header.raft_term() < term_ || revision < seen_revision_);
    cluster_ = header.cluster_id();
    term_ = header.raft_term();
    seen_revision_ = revision;
    bool first = false;
    {
      const std::lock_guard lock(hub_->mutex);
      if (other_life) {
        ++life_;
        view_.doom(home_.clock().now() + options_.cache_ttl);
        doom_timer_.arm(home_, home_.clock().now() + options_.cache_ttl);
      }
      view_.merge(options_.prefix, std::move(reading->records), revision);
      first = !std::exchange(synced_, true);
    }
    if (other_life) {
      log::warn("registry: etcd has other data than before; what it had is kept for {} s",
                std::chrono::duration_cast<std::chrono::seconds>(options_.cache_ttl).count());
    }
    if (first) {
      while (!ready_waits_.empty()) {
        Completion<bool>* const waiter = *ready_waits_.begin();
        ready_waits_.erase(waiter);
        waiter->set(true);
      }
    }
    std::vector<OwnPtr> lost;
    for (const auto& [id, own] : own_) {
      if (own->written && !there.contains(own->key)) lost.push_back(own);
    }
    for (const OwnPtr& own : lost) put_back(own);
    co_return revision;
  }

  // Until the watch ends. No error: what it was to begin with has been compacted away.
  Task<Result<void>> follow_from(std::int64_t revision) {
    pb::WatchCreateRequest request;
    request.set_key(options_.prefix);
    request.set_range_end(range_end(options_.prefix));
    request.set_start_revision(revision + 1);
    request.set_progress_notify(true);
    request.set_prev_kv(true);
    request.set_fragment(true);
    auto stream = co_await client_->watch(std::move(request), Deadline::never());
    if (!stream) co_return std::unexpected(stream.error());
    ++watches_;
    if (!connected_.exchange(true)) log::info("registry: watching etcd from revision {}", revision);
    for (;;) {
      const Result<pb::WatchResponse> told = co_await (*stream)->next(Deadline::never());
      if (!told) co_return std::unexpected(told.error());
      if (told->canceled()) {
        if (told->compact_revision() > 0) co_return Result<void>();
        co_return fail(code::kUnavailable, "etcd: Watch: {}", told->cancel_reason());
      }
      apply(*told);
      if (client_->closed()) co_return closed_error();
    }
  }

  void apply(const pb::WatchResponse& told) {
    std::vector<std::optional<Service>> services;  // Read before the lock is taken.
    for (const pb::Event& event : told.events()) {
      services.push_back(event.type() == pb::Event::PUT ? decoded(event.kv()) : std::nullopt);
    }
    {
      const std::lock_guard lock(hub_->mutex);
      for (int i = 0; i < told.events_size(); ++i) {
        const pb::KeyValue& kv = told.events(i).kv();
        seen_revision_ = std::max(seen_revision_, kv.mod_revision());
        if (std::optional<Service>& service = services[static_cast<std::size_t>(i)]) {
          view_.put(kv.key(), std::move(*service), kv.mod_revision());
        } else {
          view_.erase(kv.key(), kv.mod_revision());
        }
      }
      view_.reached(seen_revision_);
    }
    std::vector<OwnPtr> lost;
    for (const pb::Event& event : told.events()) {
      for (const auto& [id, own] : own_) {
        if (own->key != event.kv().key() || !own->written) continue;
        if (event.type() == pb::Event::DELETE) {
          lost.push_back(own);
        } else if (own->value != event.kv().value()) {
          own->written = false;  // The last registration counts: the next add() is one.
        }
      }
    }
    for (const pb::Event& event : told.events()) seen(event.kv().key(), event.kv().mod_revision());
    for (const OwnPtr& own : lost) put_back(own);
  }

  void seen(const std::string& key, std::int64_t revision) {
    std::vector<Seen*> told;
    for (Seen* each : seen_waits_) {
      if (each->key == key && each->revision <= revision) told.push_back(each);
    }
    for (Seen* each : told) {
      if (seen_waits_.erase(each)) each->done.set(true);
    }
  }

  // Waits until the watch has told a change of ours, so that who made it finds it.
  Task<void> until_seen(std::string key, std::int64_t revision) {
    if (!connected_ || revision <= seen_revision_ || closing_) co_return;
    Seen wait{.key = std::move(key), .revision = revision, .done = {}};
    seen_waits_.insert(&wait);
    (void)co_await wait.done.wait(home_, Deadline::after(home_.clock(), kSettle));
    seen_waits_.erase(&wait);
  }

  // ---- own nodes --------------------------------------------------------------------------------------------------

  void forget_expired(Clock::TimePoint now) {
    std::erase_if(own_, [&](const auto& each) { return each.second->until < now && !each.second->working; });
  }

  Task<Result<void>> remove_own(OwnPtr own, Deadline deadline) {
    own->wanted = false;
    return order(std::move(own), deadline);
  }

  // Has the node brought into the state that is wanted now, and waits for the outcome.
  Task<Result<void>> order(OwnPtr own, Deadline deadline) {
    if (closing_) co_return closed_error();
    const auto mine = std::make_shared<Own::Order>();
    mine->number = ++own->orders;
    own->waiting.push_back(mine);
    start_work(own);
    std::optional<Result<void>> done = co_await mine->done.wait(home_, deadline);
    if (done) co_return std::move(*done);
    std::erase(own->waiting, mine);
    co_return fail(code::kTimeout, "registry: etcd has not answered in time; it goes on");
  }

  void start_work(const OwnPtr& own) {
    if (!closing_ && !std::exchange(own->working, true)) spawn(work(own));
  }

  // The key is gone, or may be.
  void put_back(const OwnPtr& own) {
    own->written = false;
    if (own->wanted && home_.clock().now() < own->until) {
      log::info("registry: {} is not in etcd any more, putting it back", own->key);
      start_work(own);
    }
  }

  static void finish(Own& own, std::uint64_t number, const Result<void>& outcome) {
    std::vector<std::shared_ptr<Own::Order>> done;
    std::erase_if(own.waiting, [&](const auto& each) {
      if (each->number <= number) done.push_back(each);
      return each->number <= number;
    });
    for (const auto& each : done) each->done.set(outcome);
  }

  Task<void> work(OwnPtr own) {
    for (;;) {
      const std::uint64_t number = own->orders;
      const bool wanted = own->wanted;
      Result<void> done;
      if (wanted) {
        done = co_await keep(*own);
      } else {
        done = co_await take_out(*own);
      }
      if (closing_) co_return;
      const bool again = own->orders != number || (wanted && done && !own->written);
      if (!again) own->working = false;
      if (!wanted && !again) {
        const auto at = own_.find(own->service.nodes.empty() ? "" : own->service.nodes[0].id);
        if (at != own_.end() && at->second == own) own_.erase(at);
      }
      if (wanted && !done && !again && home_.clock().now() < own->until) retry_later(own);
      finish(*own, number, done);
      if (!again) co_return;
      if (!done) co_await client_->pause(kMinPause);
      if (closing_) co_return;
    }
  }

  void retry_later(const OwnPtr& own) {
    auto& timer = retries_[own.get()];
    if (!timer) timer = std::make_unique<RetryTimer>(*this, own);
    timer->arm(home_, home_.clock().now() + options_.retry_interval);
  }

  // The watch says that the key is not there.
  bool missing(const Own& own) {
    const std::lock_guard lock(hub_->mutex);
    return connected_ && !view_.knows(own.key);
  }

  // wire.md 1.6.
  Task<Result<void>> keep(Own& own) {
    const std::string value = own.value;
    if (own.written && missing(own)) own.written = false;
    if (!own.looked && own.ttl_s > 0) {
      pb::RangeRequest request;
      request.set_key(own.key);
      request.set_serializable(true);
      const auto found = co_await client_->range(std::move(request), Deadline::never());
      if (!found) co_return std::unexpected(found.error());
      own.looked = true;
      if (!found->kvs().empty() && found->kvs(0).lease() != 0) {
        const Result<Service> there = decode_record(found->kvs(0).value(), options_.max_value_bytes);
        if (there && *there == own.service) {
          own.lease = found->kvs(0).lease();
          own.lease_ttl_s = own.ttl_s;
          own.granted = false;
          own.written = value == own.value;
        }
      }
    }
    if (own.lease != 0 && own.ttl_s == own.lease_ttl_s) {
      pb::LeaseKeepAliveRequest request;
      request.set_id(own.lease);
      const auto alive = co_await client_->keep_alive(std::move(request), Deadline::never());
      if (!alive && alive.error().code != code::kNotFound) co_return std::unexpected(alive.error());
      if (!alive || alive->ttl() <= 0) {
        own.lease = 0;
        own.written = false;
      } else {
        ++renewals_;
      }
    }
    if (own.written && (own.lease != 0) == (own.ttl_s > 0) && own.lease_ttl_s == own.ttl_s) co_return Result<void>();

    // A lease that came with the key may be somebody else's: what is put anew gets its own.
    if (own.ttl_s == 0) {
      own.lease = 0;
    } else if (own.lease == 0 || !own.granted || own.lease_ttl_s != own.ttl_s) {
      pb::LeaseGrantRequest request;
      request.set_ttl(own.ttl_s);
      const auto granted = co_await client_->grant(std::move(request), Deadline::never());
      if (!granted) co_return std::unexpected(granted.error());
      if (!granted->error().empty()) co_return fail(code::kServer, "etcd: LeaseGrant: {}", granted->error());
      own.lease = granted->id();
      own.granted = true;
    }
    own.lease_ttl_s = own.ttl_s;
    if (!own.wanted) co_return fail(code::kUnavailable, "registry: {} was removed meanwhile", own.key);
    pb::PutRequest request;
    request.set_key(own.key);
    request.set_value(value);
    request.set_lease(own.lease);
    const auto put = co_await client_->put(std::move(request), Deadline::never());
    if (!put) {
      if (put.error().code == code::kNotFound) own.lease = 0;  // The lease has ended in between.
      co_return std::unexpected(put.error());
    }
    ++registrations_;
    own.looked = true;
    own.written = value == own.value;
    co_await until_seen(own.key, put->header().revision());
    if (missing(own)) own.written = false;
    co_return Result<void>();
  }

  Task<Result<void>> take_out(Own& own) {
    own.written = false;
    pb::DeleteRangeRequest request;
    request.set_key(own.key);
    const auto gone = co_await client_->erase(std::move(request), Deadline::never());
    if (!gone) co_return std::unexpected(gone.error());
    if (own.lease != 0 && own.granted) {
      pb::LeaseRevokeRequest revoke;
      revoke.set_id(std::exchange(own.lease, 0));
      const auto revoked = co_await client_->revoke(std::move(revoke), Deadline::after(home_.clock(), kHurry));
      if (!revoked && !closing_) log::debug("registry: {}", revoked.error().detail);  // It ends by itself.
    }
    own.lease = 0;
    if (gone->deleted() > 0) co_await until_seen(own.key, gone->header().revision());
    co_return Result<void>();
  }

  Random& random() { return options_.random ? *options_.random : system_random_; }

  // Starts the work of a node again.
  class RetryTimer {
   public:
    RetryTimer(State& state, OwnPtr own) : state_(state), own_(std::move(own)) {}
    void arm(Loop& loop, Clock::TimePoint when) { timer_.arm(loop, when); }

   private:
    void fire() {
      State& state = state_;
      const OwnPtr own = own_;
      state.retries_.erase(own.get());  // The end of this.
      if (own->wanted && home_now(state) < own->until) state.start_work(own);
    }
    static Clock::TimePoint home_now(State& state) { return state.home_.clock().now(); }
    State& state_;
    OwnPtr own_;
    Timer timer_{[](void* self) { static_cast<RetryTimer*>(self)->fire(); }, this};
  };

  EtcdOptions options_;
  Loop& home_;
  SystemRandom system_random_;
  std::atomic<std::uint64_t> version_{1};
  std::atomic<bool> connected_{false};
  std::atomic<std::uint64_t> watches_{0};
  std::atomic<std::uint64_t> registrations_{0};
  std::atomic<std::uint64_t> renewals_{0};
  std::atomic<std::uint64_t> skipped_{0};

  // On home_ only.
  std::unique_ptr<Client> client_;
  std::shared_ptr<State*> alive_;  // Held weakly by what is posted to home_.
  bool closing_ = false;
  std::uint64_t cluster_ = 0, term_ = 0;
  std::int64_t seen_revision_ = 0;
  std::uint64_t life_ = 0;             // How often etcd has lost its data.
  std::map<std::string, OwnPtr> own_;  // By node id.
  std::unordered_map<Own*, std::unique_ptr<RetryTimer>> retries_;
  std::set<std::pair<std::string, std::int64_t>> reported_;  // Keys and revisions of records that were skipped.
  std::set<Seen*> seen_waits_;
  std::set<Completion<bool>*> ready_waits_;
  Timer doom_timer_{[](void* self) { static_cast<State*>(self)->on_doom(); }, this};
  void on_doom() {
    const std::lock_guard lock(hub_->mutex);
    view_.erase_doomed(home_.clock().now());
  }

  // Guarded by the hub's mutex.
  const std::shared_ptr<Hub> hub_ = std::make_shared<Hub>();
  View view_{[this](Action action, const Service& service) { changed(action, service); }};
  std::unordered_map<std::string, Answer> answers_;
  bool synced_ = false;  // Everything was read at least once.
};

namespace {

class EtcdWatch final : public Watch {
 public:
  EtcdWatch(std::shared_ptr<EtcdRegistry::Hub> hub, std::shared_ptr<Watching> watching)
      : hub_(std::move(hub)), watching_(std::move(watching)) {}
  ~EtcdWatch() override {
    watching_->close();
    const std::lock_guard lock(hub_->mutex);
    hub_->watchings.remove(watching_.get());
  }

 private:
  std::shared_ptr<EtcdRegistry::Hub> hub_;
  std::shared_ptr<Watching> watching_;
};

}  // namespace

EtcdRegistry::EtcdRegistry(std::unique_ptr<State> state) : state_(std::move(state)) {}
EtcdRegistry::~EtcdRegistry() = default;

Task<Result<void>> EtcdRegistry::ready(Deadline deadline) {
  return state_->ready(deadline);
}
Task<Result<void>> EtcdRegistry::add(Service service, AddOptions options) {
  return state_->add(std::move(service), options);
}
Task<Result<void>> EtcdRegistry::remove(std::string service, std::string node_id, Deadline deadline) {
  return state_->remove(std::move(service), std::move(node_id), deadline);
}
Task<Result<Services>> EtcdRegistry::get(std::string service, Deadline deadline) {
  if (Services known = state_->cached(service)) return Result<Services>(std::move(known));
  return state_->get(std::move(service), deadline);
}
Task<Result<Services>> EtcdRegistry::list(Deadline deadline) {
  return state_->list(deadline);
}

std::unique_ptr<Watch> EtcdRegistry::watch(std::string service, Loop& loop, EventHandler handler) {
  auto watching =
      std::make_shared<Watching>(std::move(service), loop, std::move(handler), state_->options().max_queued_events);
  state_->watch(watching);
  return std::make_unique<EtcdWatch>(state_->hub(), std::move(watching));
}

const std::atomic<std::uint64_t>& EtcdRegistry::version() const {
  return state_->version();
}
EtcdStats EtcdRegistry::stats() const {
  return state_->stats();
}

Result<std::shared_ptr<EtcdRegistry>> connect(EtcdOptions options, Loop& home) {
  auto state = std::make_unique<EtcdRegistry::State>(std::move(options), home);
  if (auto started = state->start(); !started) return std::unexpected(started.error());
  return std::make_shared<EtcdRegistry>(std::move(state));
}

}  // namespace mg::registry::etcd
