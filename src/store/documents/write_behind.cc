#include "mg/store/documents/write_behind.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "mg/base/log.h"
#include "mg/base/random.h"
#include "mg/runtime/event.h"
#include "mg/runtime/timer.h"
#include "mg/store/documents/order.h"
#include "mg/store/documents/typed.h"

namespace mg::documents::detail {
namespace {

using Item = WriteBehindCore::Item;

std::string key_of(const Value& id) {
  std::string out;
  append_key(out, id);
  return out;
}

std::int64_t new_version() {
  SystemRandom random;
  return static_cast<std::int64_t>(random.next() >> 1);
}

// What leads from one to the other.
Update difference(const Document& before, const Document& after) {
  Update out;
  const auto of_others = [](const Field& field) { return field.name == "_id" || field.name == kVersionField; };
  for (const Field& field : after) {
    if (of_others(field)) continue;
    const Value* const old = before.find(field.name);
    if (old == nullptr || *old != field.value) out.set(field.name, field.value);
  }
  for (const Field& field : before) {
    if (!of_others(field) && !after.contains(field.name)) out.unset(field.name);
  }
  return out;
}

// Those who wait for something to have changed.
class Bell {
 public:
  Task<bool> wait(Loop& loop, Deadline deadline) {
    Place place{*this, {}};
    waiting_.push_back(&place);
    co_return (co_await place.rung.wait(loop, deadline)).has_value();
  }
  // Who waits again meanwhile waits for the next time.
  void ring() {
    ringing_.insert(ringing_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    while (!ringing_.empty()) {
      Place* const first = ringing_.front();
      ringing_.erase(ringing_.begin());
      first->rung.set(true);
    }
  }

 private:
  struct Place {
    Bell& bell;
    Completion<bool> rung;
    ~Place() {
      std::erase(bell.waiting_, this);
      std::erase(bell.ringing_, this);
    }
  };
  std::vector<Place*> waiting_, ringing_;
};

// Errors after which the same write may still succeed.
bool passes(const Error& error) {
  return error.code != code::kInvalid && error.code != code::kExists && error.code != code::kForbidden;
}

}  // namespace

struct WriteBehindCore::State : std::enable_shared_from_this<State> {
  State(Loop& l, Documents& d, WriteBehindOptions o) : loop(l), documents(d), options(std::move(o)) {
    options.batch = std::clamp<std::size_t>(options.batch, 1, 1000);
  }

  // A write that was begun: how it makes the document.
  struct Sent {
    Document document;
    std::int64_t version;
    Update update;
  };
  struct Entry {
    Value id;
    std::string key;
    Item item;
    Document base;                        // As it is in the store.
    std::optional<std::int64_t> version;  // Of base.
    std::optional<Sent> sent;             // Its outcome is not known yet. Made again as it is until it is.
    bool changed = false;                 // Since it was encoded last.
    TimePoint since;                      // Of its oldest change that is not written.
    TimePoint changed_at;                 // Of the first one after it was encoded.
    TimePoint written_at{};
    enum class Where : std::uint8_t { kClean, kDirty, kBusy } where = Where::kClean;
    std::list<Entry*>::iterator at;
  };
  using List = std::list<Entry*>;

  Loop& loop;
  Documents& documents;
  WriteBehindOptions options;
  bool alive = true;
  bool stopped = false;
  bool running = false;  // The flusher.
  bool one_by_one = false;
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries;
  List clean;                                            // The one used last is last.
  List dirty;                                            // By `since`.
  List busy;                                             // In a call of the store.
  TimePoint flush_until = TimePoint::min();              // Changes up to then are to be written now,
  TimePoint full_until = TimePoint::min();               // or as soon as a write in each interval allows.
  std::map<std::string, std::shared_ptr<Bell>> claimed;  // Being read, inserted or removed.
  Bell settled;                                          // A call of the store has ended.
  std::optional<Completion<bool>> pause;
  std::string last_failure;
  WriteBehindStats counts;
  Timer timer{[](void* self) { static_cast<State*>(self)->start(); }, this};

  Call call() const {
    return {.collection = options.collection, .deadline = Deadline::after(loop.now(), options.timeout)};
  }

  // ---- where documents are -----------------------------------------------------------------------------------------

  Entry* find(const std::string& key) {
    const auto found = entries.find(key);
    if (found == entries.end()) return nullptr;
    Entry& entry = *found->second;
    if (entry.where == Entry::Where::kClean) clean.splice(clean.end(), clean, entry.at);
    return &entry;
  }
  List& list_of(Entry::Where where) {
    return where == Entry::Where::kClean ? clean : where == Entry::Where::kDirty ? dirty : busy;
  }
  void move(Entry& entry, Entry::Where where) {
    List& to = list_of(where);
    auto before = to.end();
    // Mostly the last: time goes on. What comes back from a call that failed goes to the front.
    if (where == Entry::Where::kDirty) {
      if (!to.empty() && to.front()->since >= entry.since) {
        before = to.begin();
      } else {
        while (before != to.begin() && (*std::prev(before))->since > entry.since) --before;
      }
    }
    to.splice(before, list_of(entry.where), entry.at);
    entry.where = where;
  }
  Entry& put(std::string key, Value id, Item item, Document base, std::optional<std::int64_t> version) {
    auto made = std::make_unique<Entry>();
    Entry& entry = *made;
    entry.id = std::move(id);
    entry.key = key;
    entry.item = std::move(item);
    entry.base = std::move(base);
    entry.version = version;
    entry.at = clean.insert(clean.end(), &entry);
    entries[std::move(key)] = std::move(made);
    trim(&entry);
    return entry;
  }
  void drop(Entry& entry) {
    list_of(entry.where).erase(entry.at);
    entries.erase(std::string(entry.key));
  }
  void trim(const Entry* but) {
    while (clean.size() > options.max_clean && clean.front() != but) drop(*clean.front());
  }

  // One at a time reads, inserts or removes a document.
  struct Claim {
    Claim(State& s, std::string k) : state(s), key(std::move(k)) { state.claimed[key] = bell; }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() {
      state.claimed.erase(key);
      bell->ring();
    }
    State& state;
    std::string key;
    std::shared_ptr<Bell> bell = std::make_shared<Bell>();
  };
  // Waits until nobody has it claimed.
  static Task<void> free(std::shared_ptr<State> self, const std::string& key) {
    for (auto at = self->claimed.find(key); at != self->claimed.end(); at = self->claimed.find(key)) {
      const auto bell = at->second;
      co_await bell->wait(self->loop, Deadline::never());
    }
  }

  static Task<Result<CachedItem*>> load(std::shared_ptr<State> self, Value id, Decode decode) {
    const std::string key = key_of(id);
    co_await free(self, key);
    if (Entry* const entry = self->find(key)) co_return entry->item.get();
    const Claim claim(*self, key);
    auto found = co_await find_one(self->documents, self->call(), by_id(id), {});
    if (!found) co_return std::unexpected(std::move(found).error());
    ++self->counts.loads;
    std::optional<std::int64_t> version;
    if (const Value* const field = found->find(kVersionField)) {
      if (!field->is_whole()) {
        co_return fail(code::kInvalid, "{} of a document in {} is no whole number", kVersionField,
                       self->options.collection);
      }
      version = field->as_whole();
    }
    auto item = decode(*found);
    if (!item) co_return std::unexpected(std::move(item).error());
    // As T tells it, so that what T does not tell is no difference.
    auto base = (*item)->encode();
    if (!base) co_return std::unexpected(std::move(base).error());
    co_return self->put(key, std::move(id), *std::move(item), *std::move(base), version).item.get();
  }

  static Task<Result<CachedItem*>> add(std::shared_ptr<State> self, Item item) {
    if (self->stopped) co_return fail(code::kFinished, "{}: stopped", self->options.collection);
    auto document = item->encode();
    if (!document) co_return std::unexpected(std::move(document).error());
    Value id = document->at("_id");
    if (id.is_null()) co_return fail(code::kInvalid, "a document without an _id cannot be kept in memory");
    const std::string key = key_of(id);
    co_await free(self, key);
    if (self->find(key)) co_return fail(code::kExists, "{}: it is in memory already", self->options.collection);
    const Claim claim(*self, key);
    const std::int64_t version = new_version();
    Document stored = *document;
    stored.set(kVersionField, version);
    auto done = co_await insert(self->documents, self->call(), std::move(stored));
    if (!done) co_return std::unexpected(std::move(done).error());
    co_return self->put(key, std::move(id), std::move(item), *std::move(document), version).item.get();
  }

  static Task<Result<void>> remove(std::shared_ptr<State> self, Value id) {
    const std::string key = key_of(id);
    for (;;) {
      co_await free(self, key);
      Entry* const entry = self->find(key);
      if (!entry) break;
      if (entry->where != Entry::Where::kBusy) {
        self->drop(*entry);
        break;
      }
      co_await self->settled.wait(self->loop, Deadline::never());
    }
    const Claim claim(*self, key);
    Write write{.kind = Write::Kind::kRemove, .filter = by_id(std::move(id))};
    auto done = co_await write_one(self->documents, self->call(), std::move(write), {});
    if (!done) co_return std::unexpected(std::move(done).error());
    co_return Result<void>();
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  Result<CachedItem*> change(const Value& id) {
    if (stopped) return fail(code::kFinished, "{}: stopped", options.collection);
    Entry* const entry = find(key_of(id));
    if (!entry) return fail(code::kNotFound, "{}: the document is not in memory", options.collection);
    if (entry->where == Entry::Where::kClean) {
      if (dirty.size() + busy.size() >= options.max_dirty) {
        return fail(code::kTooMany, "{}: {} documents wait to be written ({})", options.collection, options.max_dirty,
                    last_failure.empty() ? "the store is slow" : last_failure);
      }
      entry->since = loop.now();
      move(*entry, Entry::Where::kDirty);
      if (dirty.size() == options.flush_at) {
        full_until = loop.now();
        start();
      } else if (!running && !timer.armed()) {
        timer.arm(loop, loop.now() + options.interval);
      }
    }
    if (!std::exchange(entry->changed, true)) entry->changed_at = loop.now();
    return entry->item.get();
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  void start() {
    if (running || !alive) return;
    running = true;
    spawn(run(shared_from_this()));
  }

  // When it is to be written.
  TimePoint due(const Entry& entry) const {
    if (entry.sent || entry.since <= flush_until) return TimePoint::min();
    const TimePoint end = entry.since + options.interval;
    return entry.since <= full_until ? std::min(end, entry.written_at + options.interval) : end;
  }

  static Task<void> run(std::shared_ptr<State> self) {
    State& me = *self;
    auto wait = me.options.first_pause;
    // In a turn of its own: the change that began it has not been made yet.
    co_await me.loop.yield();
    while (me.alive) {
      std::vector<Entry*> batch;
      me.take(batch);
      if (batch.empty()) break;
      const bool fine = co_await write(self, std::move(batch));
      me.settled.ring();
      if (!me.alive) break;
      if (fine) {
        wait = me.options.first_pause;
        me.last_failure.clear();
        co_await me.loop.yield();
        continue;
      }
      ++me.counts.failures;
      me.pause.emplace();
      co_await me.pause->wait(me.loop, Deadline::after(me.loop.now(), wait));
      me.pause.reset();
      wait = std::min(wait * 2, me.options.longest_pause);
    }
    me.running = false;
    if (me.alive && !me.dirty.empty()) me.timer.arm(me.loop, me.dirty.front()->since + me.options.interval);
  }

  // Those that are due, as many as a call may have.
  void take(std::vector<Entry*>& out) {
    const std::size_t most = one_by_one ? 1 : options.batch;
    const TimePoint now = loop.now();
    for (auto at = dirty.begin(); at != dirty.end() && out.size() < most;) {
      Entry& entry = **at++;
      if (entry.since > std::max(flush_until, full_until) && due(entry) > now) break;  // As those after it.
      if (due(entry) > now) continue;
      out.push_back(&entry);
      move(entry, Entry::Where::kBusy);
    }
  }

  // What a busy one has to write. False: nothing, and it is not busy any more.
  bool prepare(Entry& entry) {
    if (entry.sent) return true;
    entry.changed = false;
    auto now = entry.item->encode();
    if (!now) {
      lose(entry, now.error());
      return false;
    }
    Update update = difference(entry.base, *now);
    if (update.empty()) {
      become_clean(entry);
      return false;
    }
    const std::int64_t version = new_version();
    update.set(kVersionField, version);
    auto fine = update.check();
    for (const auto& change : update.changes()) {
      if (fine && change.path.contains('.')) fine = fail(code::kInvalid, "a field \"{}\": no points", change.path);
    }
    if (!fine) {
      lose(entry, fine.error());
      return false;
    }
    entry.sent = Sent{*std::move(now), version, std::move(update)};
    return true;
  }

  void become_clean(Entry& entry) {
    move(entry, Entry::Where::kClean);
    trim(nullptr);
  }
  void applied(Entry& entry) {
    ++counts.written;
    entry.base = std::move(entry.sent->document);
    entry.version = entry.sent->version;
    entry.sent.reset();
    entry.written_at = loop.now();
    if (!entry.changed) return become_clean(entry);
    entry.since = entry.changed_at;
    move(entry, Entry::Where::kDirty);
  }
  void again(Entry& entry) { move(entry, Entry::Where::kDirty); }
  void lose(Entry& entry, Error error) {
    ++counts.lost;
    Lost lost{entry.id, std::move(error), {}};
    if (const auto now = entry.item->encode()) {
      for (const auto& change : difference(entry.base, *now).changes()) {
        lost.changed.set(change.path, now->at(change.path));
      }
    }
    drop(entry);
    if (options.on_lost) {
      options.on_lost(lost);
    } else {
      log::error("{}: changes of a document are lost: {}", options.collection, lost.error.detail);
    }
  }
  bool failed(const std::vector<Entry*>& all, const Error& error) {
    last_failure = error.detail;
    for (auto at = all.rbegin(); at != all.rend(); ++at) again(**at);
    return false;
  }

  // Writes the busy documents `batch`. False: the store is to be left in peace for a while.
  static Task<bool> write(std::shared_ptr<State> self, std::vector<Entry*> batch) {
    State& me = *self;
    std::erase_if(batch, [&](Entry* entry) { return !me.prepare(*entry); });
    if (batch.empty()) co_return true;
    std::vector<Write> writes;
    writes.reserve(batch.size());
    for (const Entry* entry : batch) {
      auto version = where(kVersionField);
      writes.push_back(
          {.kind = Write::Kind::kUpdate,
           .filter = by_id(entry->id) && (entry->version ? version.eq(*entry->version) : version.missing()),
           .update = entry->sent->update});
    }
    ++me.counts.calls;
    auto done = co_await me.documents.write(me.call(), std::move(writes), {.ordered = false});
    if (!me.alive) co_return true;
    if (!done) {
      if (passes(done.error())) co_return me.failed(batch, done.error());
      // Which one it is shows when each goes by itself.
      if (batch.size() == 1) {
        me.one_by_one = false;
        me.lose(*batch[0], std::move(done).error());
      } else {
        me.one_by_one = true;
        for (auto at = batch.rbegin(); at != batch.rend(); ++at) me.again(**at);
      }
      co_return true;
    }
    std::optional<Error> later;
    for (auto& fault : done->faults) {
      Entry*& entry = batch[fault.write];
      if (passes(fault.error)) {
        me.last_failure = fault.error.detail;
        later = std::move(fault.error);
        continue;
      }
      me.lose(*std::exchange(entry, nullptr), std::move(fault.error));
    }
    std::erase(batch, nullptr);
    if (!later && done->matched == static_cast<std::int64_t>(batch.size())) {
      for (Entry* const entry : batch) me.applied(*entry);
      co_return true;
    }
    co_return co_await ask(self, std::move(batch), later.has_value());
  }

  // Asks the store which writes it has made.
  static Task<bool> ask(std::shared_ptr<State> self, std::vector<Entry*> batch, bool rest) {
    State& me = *self;
    Array ids;
    for (const Entry* entry : batch) ids.push_back(entry->id);
    auto found = co_await me.documents.find(me.call(), where("_id").in(std::move(ids)),
                                            {.projection = Projection::only({kVersionField})});
    if (!me.alive) co_return true;
    if (!found) co_return me.failed(batch, found.error());
    std::unordered_map<std::string, std::optional<std::int64_t>> versions;
    for (const Document& each : *found) {
      const Value& version = each.at(kVersionField);
      versions[key_of(each.at("_id"))] = version.is_whole() ? std::optional(version.as_whole()) : std::nullopt;
    }
    for (auto at = batch.rbegin(); at != batch.rend(); ++at) {
      Entry& entry = **at;
      const auto there = versions.find(entry.key);
      if (there == versions.end()) {
        me.lose(entry, make_error(kConflict, "the document was removed by somebody else"));
      } else if (there->second == entry.sent->version) {
        me.applied(entry);
      } else if (there->second == entry.version) {
        me.again(entry);  // Not made.
        rest = true;
      } else {
        me.lose(entry, make_error(kConflict, "the document was changed by somebody else"));
      }
    }
    co_return !rest;
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  static Task<Result<void>> flush(std::shared_ptr<State> self, Deadline deadline, bool stop) {
    State& me = *self;
    me.stopped = me.stopped || stop;
    const TimePoint until = me.loop.now();
    const auto open = [&] {
      const auto is = [&](const Entry* entry) { return entry->since <= until; };
      return static_cast<std::size_t>(std::ranges::count_if(me.dirty, is) + std::ranges::count_if(me.busy, is));
    };
    const auto some = [&] { return !me.busy.empty() || (!me.dirty.empty() && me.dirty.front()->since <= until); };
    while (some()) {
      me.flush_until = std::max(me.flush_until, until);
      if (me.pause) me.pause->set(true);
      me.start();
      if (!co_await me.settled.wait(me.loop, deadline)) {
        if (!some()) break;
        co_return fail(code::kUnavailable, "{}: {} changed documents are not written ({})", me.options.collection,
                       open(), me.last_failure.empty() ? "no time" : me.last_failure);
      }
    }
    if (stop) me.timer.cancel();
    co_return Result<void>();
  }
};

WriteBehindCore::WriteBehindCore(Loop& loop, Documents& documents, WriteBehindOptions options)
    : state_(std::make_shared<State>(loop, documents, std::move(options))) {}

WriteBehindCore::~WriteBehindCore() {
  state_->alive = false;
  state_->timer.cancel();
  if (state_->pause) state_->pause->set(true);
}

Task<Result<CachedItem*>> WriteBehindCore::load(Value id, Decode decode) {
  return State::load(state_, std::move(id), decode);
}
CachedItem* WriteBehindCore::find(const Value& id) {
  auto* const entry = state_->find(key_of(id));
  return entry ? entry->item.get() : nullptr;
}
Result<CachedItem*> WriteBehindCore::change(const Value& id) {
  return state_->change(id);
}
Task<Result<CachedItem*>> WriteBehindCore::add(Item item) {
  return State::add(state_, std::move(item));
}
Task<Result<void>> WriteBehindCore::remove(Value id) {
  return State::remove(state_, std::move(id));
}
Task<Result<void>> WriteBehindCore::flush(Deadline deadline) {
  return State::flush(state_, deadline, false);
}
Task<Result<void>> WriteBehindCore::stop(Deadline deadline) {
  return State::flush(state_, deadline, true);
}

WriteBehindStats WriteBehindCore::stats() const {
  WriteBehindStats out = state_->counts;
  out.clean = state_->clean.size();
  out.dirty = state_->dirty.size() + state_->busy.size();
  for (const auto* list : {&state_->dirty, &state_->busy}) {
    for (const auto* entry : *list) {
      out.oldest = std::max<Clock::Duration>(out.oldest, state_->loop.now() - entry->since);
    }
  }
  return out;
}

}  // namespace mg::documents::detail
