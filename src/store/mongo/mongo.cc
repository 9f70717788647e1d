#include "mg/store/mongo/mongo.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <utility>

#include "mg/base/check.h"
#include "mg/base/flags.h"
#include "mg/runtime/blocking_pool.h"
#include "mg/store/documents/encoding.h"
#include "mg/store/documents/order.h"
#include "store/documents/apply.h"
#include "store/documents/query.h"
#include "store/mongo/driver.h"

namespace mg::documents {
namespace {

Loop& here() {
  Loop* const loop = Loop::current();
  mg::check(loop != nullptr, "calls of a document store are awaited on a loop");
  return *loop;
}

// The server itself gives up when nobody waits any more.
std::int64_t max_time_ms(const Loop& loop, Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline.remaining(loop.now()));
  return std::clamp<std::int64_t>(left.count(), 1, 3'600'000);
}

}  // namespace

void MongoOptions::add_to(Flags& flags) {
  flags.section("MongoDB");
  flags.add("mongo", &url,
            "mongodb://host:port,…/?replicaSet=name (empty: ports 27017 to 27019 of this machine, set rs1)",
            {.secret = true, .env = {"GAME_MONGO_URL"}});
  flags.add("mongo_min_pool", &min_pool, "Threads for MongoDB, each with a connection", {.min = 1, .max = 1000});
  flags.add("mongo_max_pool", &max_pool, "Connections at most, those of transactions too", {.min = 1, .max = 10'000});
}

Result<std::string> MongoOptions::uri() const {
  if (url.empty()) return "mongodb://127.0.0.1:27017,127.0.0.1:27018,127.0.0.1:27019/?replicaSet=rs1";
  if (url.starts_with("mongodb+srv://")) {
    return fail(code::kInvalid,
                "mongodb+srv is not supported, here as in Go services: it takes the servers from DNS at every start; "
                "name them: mongodb://host:port,host:port/?replicaSet=name");
  }
  std::string text = url.starts_with("mongodb://") ? url : "mongodb://" + url;
  start_driver();
  bson_error_t error;
  const UriPtr parsed(mongoc_uri_new_with_error(text.c_str(), &error));
  if (!parsed) return fail(code::kInvalid, "the address of MongoDB: {}", error.message);
  const char* const set = mongoc_uri_get_replica_set(parsed.get());
  if (set == nullptr || *set == '\0') {
    return fail(
        code::kInvalid,
        "the address of MongoDB names no replicaSet: append /?replicaSet=<name> (a single server can be a set, too)");
  }
  return text;
}

class Mongo::Impl : public std::enable_shared_from_this<Mongo::Impl> {
 public:
  Impl(MongoOptions o, PoolPtr clients)
      : options(std::move(o)),
        threads({.threads = options.min_pool, .max_queued = options.max_queued, .name = "mg-mongo"}),
        clients_(std::move(clients)) {}

  // A connection, and what a call needs of it. Threads: one of the pool's.
  struct Use {
    mongoc_client_t* client;
    mongoc_client_session_t* session;  // Of a transaction, or of this call.
    bool transaction;
    std::string database;
    std::int64_t max_time_ms;

    CollectionPtr collection(const std::string& name) const {
      return CollectionPtr(mongoc_client_get_collection(client, database.c_str(), name.c_str()));
    }
    DatabasePtr db() const { return DatabasePtr(mongoc_client_get_database(client, database.c_str())); }
    // Options of a call, with its session. Errors: kServer
    Result<void> add_session(bson_t* opts) const {
      bson_error_t error;
      if (session != nullptr && !mongoc_client_session_append(session, opts, &error)) {
        return std::unexpected(to_error(error, nullptr, Doing::kReading));
      }
      return {};
    }
  };

  mongoc_client_t* take() { return mongoc_client_pool_pop(clients_.get()); }
  void give_back(mongoc_client_t* client) { mongoc_client_pool_push(clients_.get(), client); }

  SessionPtr start_session(mongoc_client_t* client) {
    const SessionOptsPtr opts(mongoc_session_opts_new());
    mongoc_session_opts_set_causal_consistency(opts.get(), true);
    bson_error_t error;
    SessionPtr session(mongoc_client_start_session(client, opts.get(), &error));
    if (!session) return session;  // A server without sessions.
    const std::lock_guard lock(mutex_);
    if (time_.timestamp != 0)
      mongoc_client_session_advance_operation_time(session.get(), time_.timestamp, time_.increment);
    return session;
  }
  // What was acknowledged in this session is seen by the next ones.
  void learn(const mongoc_client_session_t* session) {
    Time seen;
    mongoc_client_session_get_operation_time(session, &seen.timestamp, &seen.increment);
    const std::lock_guard lock(mutex_);
    if (std::pair(seen.timestamp, seen.increment) > std::pair(time_.timestamp, time_.increment)) time_ = seen;
  }

  void count(const Error* error) {
    calls.fetch_add(1, std::memory_order_relaxed);
    if (error == nullptr) return;
    failed.fetch_add(1, std::memory_order_relaxed);
    if (error->code == code::kExists) duplicates.fetch_add(1, std::memory_order_relaxed);
    if (error->code == code::kTimeout) timeouts.fetch_add(1, std::memory_order_relaxed);
    if (error->code == kOutcomeUnknown) unknown.fetch_add(1, std::memory_order_relaxed);
    if (error->code == code::kUnavailable) unavailable.fetch_add(1, std::memory_order_relaxed);
  }

  const MongoOptions options;
  std::atomic<std::uint64_t> calls{0}, failed{0}, duplicates{0}, timeouts{0}, unknown{0}, unavailable{0};
  std::atomic<std::uint32_t> transactions{0};
  BlockingPool threads;

 private:
  struct Time {
    std::uint32_t timestamp = 0, increment = 0;
  };
  PoolPtr clients_;
  std::mutex mutex_;  // docs/threads.md: "mongo times"
  Time time_;         // Guarded by mutex_.
};

namespace {

using Impl = Mongo::Impl;
using Use = Mongo::Impl::Use;

// A connection in use, given back at the end.
class Lease {
 public:
  explicit Lease(Impl& in) : in_(in), client_(in.take()) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    if (client_ != nullptr) in_.give_back(client_);
  }
  mongoc_client_t* client() const { return client_; }

 private:
  Impl& in_;
  mongoc_client_t* client_;
};

// A transaction's connection and session; used by one thread at a time, also where a call has been given up whose
// thread still waits for the server.
struct Bound {
  explicit Bound(std::shared_ptr<Impl> impl) : in(std::move(impl)), lease(*in) { ++in->transactions; }
  ~Bound() {
    session.reset();  // Before its connection goes back; a transaction that is still open is aborted.
    --in->transactions;
  }
  std::shared_ptr<Impl> in;
  Lease lease;
  SessionPtr session;
  std::mutex turn;                   // docs/threads.md: "mongo transaction"
  std::atomic<bool> spoiled{false};  // A call was given up that may still do something: not to be committed.
};

// Runs `function(use)` on a thread. `transaction`: with its connection. The deadline's fault says whether it had begun.
template <class T>
Task<Result<T>> submit(std::shared_ptr<Impl> in, std::shared_ptr<Bound> bound, Deadline deadline, Doing doing,
                       std::function<Result<T>(const Use&)> function) {
  Loop& loop = here();
  const Deadline until = std::min(deadline, Deadline::after(loop.now(), in->options.timeout));
  if (until.expired(loop.now())) co_return fail(code::kTimeout, "no time left for the call: nothing was done");
  auto begun = std::make_shared<std::atomic<bool>>(false);
  auto work = [in, bound, begun, until = max_time_ms(loop, until), function = std::move(function)]() -> Result<T> {
    *begun = true;
    if (bound) {
      const std::lock_guard turn(bound->turn);
      return function({bound->lease.client(), bound->session.get(), true, in->options.database, until});
    }
    const Lease lease(*in);
    const SessionPtr session = in->start_session(lease.client());
    auto done = function({lease.client(), session.get(), false, in->options.database, until});
    if (session) in->learn(session.get());
    return done;
  };
  auto done = co_await in->threads.run(loop, until, std::move(work));
  if (!done && done.error().code == code::kTimeout && until.expired(loop.clock().now())) {
    if (!*begun) {
      done = fail(code::kTimeout, "no thread for MongoDB was free in time: nothing was done");
    } else if (bound && doing != Doing::kCommitting) {
      bound->spoiled = true;
      done = fail(kConflict, "MongoDB did not answer in time: the transaction is to begin again");
    } else if (doing != Doing::kReading) {
      done = fail(kOutcomeUnknown, "MongoDB did not answer in time: it may have happened");
    }
  }
  in->count(done ? nullptr : &done.error());
  co_return done;
}

class MongoTransaction final : public Transaction {
 public:
  explicit MongoTransaction(std::shared_ptr<Bound> bound) : bound_(std::move(bound)) {}
  ~MongoTransaction() override {
    if (!bound_ || Loop::current() == nullptr) return;
    spawn(let_go(std::move(bound_)));  // Aborting is a call to the server: not on the loop.
  }
  const std::shared_ptr<Bound>& bound() const { return bound_; }

  Task<Result<void>> commit(Deadline deadline) override {
    if (bound_->spoiled) return Result<void>(fail(kConflict, "a call of the transaction was given up"));
    return submit<void>(bound_->in, bound_, deadline, Doing::kCommitting, [](const Use& use) -> Result<void> {
      bson_error_t error;
      Reply reply;
      if (!mongoc_client_session_commit_transaction(use.session, reply.fill(), &error)) {
        return std::unexpected(to_error(error, reply.get(), Doing::kCommitting));
      }
      return {};
    });
  }
  Task<Result<void>> abort(Deadline deadline) override {
    return submit<void>(bound_->in, bound_, deadline, Doing::kReading, [](const Use& use) -> Result<void> {
      bson_error_t error;
      if (mongoc_client_session_in_transaction(use.session) &&
          !mongoc_client_session_abort_transaction(use.session, &error)) {
        return std::unexpected(to_error(error, nullptr, Doing::kReading));
      }
      return {};
    });
  }

 private:
  static Task<void> let_go(std::shared_ptr<Bound> bound) {
    const std::shared_ptr<Impl> in = bound->in;
    Loop& loop = here();
    const Deadline until = Deadline::after(loop.now(), in->options.timeout);
    (void)co_await in->threads.run(loop, until, [held = std::move(bound)]() mutable { held.reset(); });
  }
  std::shared_ptr<Bound> bound_;
};

template <class T>
Task<Result<T>> submit(const std::shared_ptr<Impl>& in, const Call& call, Doing doing,
                       std::function<Result<T>(const Use&)> function) {
  std::shared_ptr<Bound> bound;
  if (call.transaction != nullptr) {
    auto* const transaction = dynamic_cast<MongoTransaction*>(call.transaction);
    if (transaction == nullptr) return Result<T>(fail(code::kInvalid, "a transaction of another store"));
    bound = transaction->bound();
  }
  return submit<T>(in, std::move(bound), call.deadline, doing, std::move(function));
}

template <class T>
Task<Result<T>> refuse(Result<void> fault) {
  return Result<T>(std::unexpected(std::move(fault).error()));
}

// All that a cursor gives, within limits.
Result<std::vector<Document>> drain(mongoc_cursor_t* cursor, const MongoOptions& options, const std::string& what) {
  std::vector<Document> out;
  std::size_t octets = 0;
  const bson_t* item = nullptr;
  while (mongoc_cursor_next(cursor, &item)) {
    octets += item->len;
    if (out.size() == options.max_results || octets > options.max_result_bytes) {
      return fail(code::kTooMany, "{}: more than {} documents or {} octets: narrow the filter or set a limit", what,
                  options.max_results, options.max_result_bytes);
    }
    auto document = to_document(item);
    if (!document) return std::unexpected(std::move(document).error());
    out.push_back(*std::move(document));
  }
  bson_error_t error;
  const bson_t* reply = nullptr;
  if (mongoc_cursor_error_document(cursor, &error, &reply))
    return std::unexpected(to_error(error, reply, Doing::kReading));
  return out;
}

Result<Document> command(const Use& use, const Document& words, Doing doing) {
  Reply opts, reply;
  if (auto fine = use.add_session(opts.get()); !fine) return std::unexpected(std::move(fine).error());
  bson_error_t error;
  const Bson asked(words);
  const char* const database = use.database.c_str();
  const bool done =
      doing == Doing::kReading
          ? mongoc_client_read_command_with_opts(use.client, database, asked, nullptr, opts.get(), reply.fill(), &error)
          : mongoc_client_write_command_with_opts(use.client, database, asked, opts.get(), reply.fill(), &error);
  if (!done) return std::unexpected(to_error(error, reply.get(), doing));
  return to_document(reply.get());
}

// What a bulk's reply says, and the ids that were sent.
Result<Written> written_of(const Document& reply, const std::vector<Write>& writes, const WriteOptions& options) {
  const auto number = [&](std::string_view name) {
    const Value& value = reply.at(name);
    return value.is_whole() ? value.as_whole() : std::int64_t{0};
  };
  Written out;
  out.inserted = number("nInserted");
  out.matched = number("nMatched");
  out.modified = number("nModified");
  out.removed = number("nRemoved");
  out.upserted = number("nUpserted");
  std::size_t end = writes.size();
  if (const Value& faults = reply.at("writeErrors"); faults.is_array()) {
    for (const Value& each : faults.as_array()) {
      if (!each.is_document()) continue;
      const Document& fault = each.as_document();
      const auto index = detail::whole(fault.at("index")).value_or(0);
      const Value& text = fault.at("errmsg");
      out.faults.push_back(
          {static_cast<std::size_t>(index), to_error(detail::whole(fault.at("code")).value_or(0),
                                                     text.is_text() ? text.as_text() : "refused", Doing::kWriting)});
      if (options.ordered) end = std::min(end, static_cast<std::size_t>(index));
    }
  }
  for (std::size_t i = 0; i < end; ++i) {
    if (writes[i].kind != Write::Kind::kInsert ||
        std::ranges::any_of(out.faults, [&](const auto& f) { return f.write == i; }))
      continue;
    out.ids.push_back({i, writes[i].document.at("_id")});
  }
  if (const Value& made = reply.at("upserted"); made.is_array()) {
    for (const Value& each : made.as_array()) {
      if (!each.is_document()) continue;
      out.ids.push_back({static_cast<std::size_t>(detail::whole(each.as_document().at("index")).value_or(0)),
                         each.as_document().at("_id")});
    }
  }
  return out;
}

Result<Written> write_all(const Use& use, const std::string& name, const std::vector<Write>& writes,
                          const WriteOptions& options) {
  Reply opts;
  BSON_APPEND_BOOL(opts.get(), "ordered", options.ordered);
  if (auto fine = use.add_session(opts.get()); !fine) return std::unexpected(std::move(fine).error());
  const CollectionPtr collection = use.collection(name);
  const BulkPtr bulk(mongoc_collection_create_bulk_operation_with_opts(collection.get(), opts.get()));
  bson_error_t error;
  for (const Write& each : writes) {
    Reply with;
    if (each.upsert) BSON_APPEND_BOOL(with.get(), "upsert", true);
    bool taken = false;
    switch (each.kind) {
      case Write::Kind::kInsert:
        taken = mongoc_bulk_operation_insert_with_opts(bulk.get(), Bson(each.document), nullptr, &error);
        break;
      case Write::Kind::kUpdate: {
        const auto add =
            each.many ? mongoc_bulk_operation_update_many_with_opts : mongoc_bulk_operation_update_one_with_opts;
        taken = add(bulk.get(), Bson(to_query(each.filter)), Bson(to_update(each.update)), with.get(), &error);
        break;
      }
      case Write::Kind::kReplace:
        taken = mongoc_bulk_operation_replace_one_with_opts(bulk.get(), Bson(to_query(each.filter)),
                                                            Bson(each.document), with.get(), &error);
        break;
      case Write::Kind::kRemove: {
        const auto add =
            each.many ? mongoc_bulk_operation_remove_many_with_opts : mongoc_bulk_operation_remove_one_with_opts;
        taken = add(bulk.get(), Bson(to_query(each.filter)), nullptr, &error);
        break;
      }
    }
    if (!taken) return std::unexpected(to_error(error, nullptr, Doing::kReading));
  }
  Reply reply;
  const bool done = mongoc_bulk_operation_execute(bulk.get(), reply.fill(), &error) != 0;
  auto said = to_document(reply.get());
  if (!said) return std::unexpected(std::move(said).error());
  if (!done) {
    const Value& faults = said->at("writeErrors");
    // Not the fault of a single write: a lost connection, no primary, no majority.
    if (!faults.is_array() || faults.as_array().empty())
      return std::unexpected(to_error(error, reply.get(), Doing::kWriting));
  }
  const Value& majority = said->at("writeConcernErrors");
  if (majority.is_array() && !majority.as_array().empty()) {
    return fail(kOutcomeUnknown, "written, but not acknowledged by a majority: {}", to_json(majority));
  }
  auto written = written_of(*said, writes, options);
  if (written && use.transaction && !written->faults.empty()) return std::unexpected(written->faults[0].error);
  return written;
}

}  // namespace

Mongo::Mongo(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Mongo::~Mongo() {
  close();
}
void Mongo::close() {
  impl_->threads.stop();
}

Task<Result<std::unique_ptr<Mongo>>> Mongo::connect(MongoOptions options) {
  using R = std::unique_ptr<Mongo>;
  start_driver();
  auto text = options.uri();
  if (!text) co_return std::unexpected(std::move(text).error());
  const std::string& name = options.database;
  if (name.empty() || name.size() > 63 ||
      name.find_first_of(std::string_view("/\\. \"$*<>:|?\0", 13)) != std::string::npos) {
    co_return fail(code::kInvalid, "database \"{}\": a name of 1 to 63 octets without /\\. \"$*<>:|?", name);
  }
  if (options.min_pool < 1 || options.min_pool > 1000 || options.timeout.count() < 1) {
    co_return fail(code::kInvalid, "mongo_min_pool {}: 1 to 1000; the timeout is at least 1 ms", options.min_pool);
  }
  options.max_pool = std::max(options.max_pool, options.min_pool);
  const UriPtr uri(mongoc_uri_new(text->c_str()));
  // What the address says counts; these are the defaults. Source: wire.md 8.
  const auto fallback = [&](const char* option, std::int32_t value) {
    if (!mongoc_uri_has_option(uri.get(), option)) mongoc_uri_set_option_as_int32(uri.get(), option, value);
  };
  fallback(MONGOC_URI_CONNECTTIMEOUTMS, 5000);
  fallback(MONGOC_URI_SOCKETTIMEOUTMS, 5000);
  fallback(MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
           static_cast<std::int32_t>(std::min<std::int64_t>(options.timeout.count(), 1 << 30)));
  for (const char* const option : {MONGOC_URI_RETRYREADS, MONGOC_URI_RETRYWRITES}) {
    if (!mongoc_uri_has_option(uri.get(), option)) mongoc_uri_set_option_as_bool(uri.get(), option, true);
  }
  mongoc_uri_set_option_as_int32(uri.get(), MONGOC_URI_MAXPOOLSIZE, static_cast<std::int32_t>(options.max_pool));
  if (!mongoc_uri_has_option(uri.get(), MONGOC_URI_W)) {
    std::unique_ptr<mongoc_write_concern_t, Destroy<mongoc_write_concern_destroy>> concern(mongoc_write_concern_new());
    mongoc_write_concern_set_wmajority(concern.get(), 5000);
    mongoc_write_concern_set_journal(concern.get(), true);
    mongoc_uri_set_write_concern(uri.get(), concern.get());
  }
  bson_error_t error;
  PoolPtr clients(mongoc_client_pool_new_with_error(uri.get(), &error));
  if (!clients) co_return fail(code::kInvalid, "the address of MongoDB: {}", error.message);
  mongoc_client_pool_set_error_api(clients.get(), MONGOC_ERROR_API_VERSION_2);
  const auto timeout = options.timeout;
  R store(new Mongo(std::make_shared<Impl>(std::move(options), std::move(clients))));
  auto alive = co_await store->ping(Deadline::after(here().now(), timeout));
  if (!alive) {
    co_return fail(alive.error().code == code::kTimeout ? code::kUnavailable : alive.error().code,
                   "MongoDB: no primary: {}", alive.error().detail);
  }
  co_return store;
}

Task<Result<void>> Mongo::ping(Deadline deadline) {
  auto answer = co_await submit<Document>(impl_, nullptr, deadline, Doing::kReading, [](const Use& use) {
    return command(use, Document{{"ping", 1}}, Doing::kReading);
  });
  if (!answer) co_return std::unexpected(std::move(answer).error());
  co_return Result<void>();
}

Task<Result<std::vector<Document>>> Mongo::find(Call call, Filter filter, FindOptions options) {
  using R = std::vector<Document>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  if (auto fine = filter.check(); !fine) return refuse<R>(fine);
  if (auto fine = check(options); !fine) return refuse<R>(fine);
  return submit<R>(impl_, call, Doing::kReading,
                   [name = call.collection, filter = std::move(filter), options = std::move(options),
                    &limits = impl_->options](const Use& use) -> Result<R> {
                     // One more than allowed, so that what is too much is seen.
                     const std::int64_t most = static_cast<std::int64_t>(limits.max_results) + 1;
                     Document words{{"limit", options.limit == 0 ? most : std::min(options.limit, most)},
                                    {"maxTimeMS", use.max_time_ms}};
                     if (options.skip > 0) words.set("skip", options.skip);
                     if (!options.sort.keys().empty()) words.set("sort", to_sort(options.sort.keys()));
                     if (!options.projection.all()) words.set("projection", to_fields(options.projection));
                     if (options.limit == 1) words.set("singleBatch", true);
                     Reply opts;
                     bson_concat(opts.get(), Bson(words));
                     if (auto fine = use.add_session(opts.get()); !fine)
                       return std::unexpected(std::move(fine).error());
                     const CollectionPtr collection = use.collection(name);
                     const CursorPtr cursor(mongoc_collection_find_with_opts(collection.get(), Bson(to_query(filter)),
                                                                             opts.get(), nullptr));
                     return drain(cursor.get(), limits, name);
                   });
}

Task<Result<Written>> Mongo::write(Call call, std::vector<Write> writes, WriteOptions options) {
  if (auto fine = check(call); !fine) return refuse<Written>(fine);
  for (Write& each : writes) {
    if (auto fine = check(each); !fine) return refuse<Written>(fine);
    if (each.kind == Write::Kind::kInsert) each.document = with_id(std::move(each.document));
  }
  if (writes.empty()) return Result<Written>(Written());
  return submit<Written>(impl_, call, Doing::kWriting,
                         [name = call.collection, writes = std::move(writes), options](const Use& use) {
                           return write_all(use, name, writes, options);
                         });
}

Task<Result<std::optional<Document>>> Mongo::modify(Call call, Modify change) {
  using R = std::optional<Document>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  if (auto fine = check(change); !fine) return refuse<R>(fine);
  return submit<R>(
      impl_, call, Doing::kWriting, [name = call.collection, change = std::move(change)](const Use& use) -> Result<R> {
        const ModifyOptsPtr opts(mongoc_find_and_modify_opts_new());
        int flags = MONGOC_FIND_AND_MODIFY_NONE;
        if (change.kind == Modify::Kind::kRemove) {
          flags |= MONGOC_FIND_AND_MODIFY_REMOVE;
        } else {
          mongoc_find_and_modify_opts_set_update(
              opts.get(), Bson(change.kind == Modify::Kind::kUpdate ? to_update(change.update) : change.document));
          if (change.upsert) flags |= MONGOC_FIND_AND_MODIFY_UPSERT;
          if (change.return_new) flags |= MONGOC_FIND_AND_MODIFY_RETURN_NEW;
        }
        mongoc_find_and_modify_opts_set_flags(opts.get(), static_cast<mongoc_find_and_modify_flags_t>(flags));
        if (!change.sort.keys().empty())
          mongoc_find_and_modify_opts_set_sort(opts.get(), Bson(to_sort(change.sort.keys())));
        if (!change.projection.all())
          mongoc_find_and_modify_opts_set_fields(opts.get(), Bson(to_fields(change.projection)));
        Reply extra;
        if (auto fine = use.add_session(extra.get()); !fine) return std::unexpected(std::move(fine).error());
        mongoc_find_and_modify_opts_append(opts.get(), extra.get());
        const CollectionPtr collection = use.collection(name);
        Reply reply;
        bson_error_t error;
        const bool done = mongoc_collection_find_and_modify_with_opts(collection.get(), Bson(to_query(change.filter)),
                                                                      opts.get(), reply.fill(), &error);
        if (!done) return std::unexpected(to_error(error, reply.get(), Doing::kWriting));
        auto said = to_document(reply.get());
        if (!said) return std::unexpected(std::move(said).error());
        if (said->contains("writeConcernError"))
          return fail(kOutcomeUnknown, "written, but not acknowledged by a majority");
        Value* const value = said->find("value");
        if (value == nullptr || !value->is_document()) return R();
        return R(std::move(value->as_document()));
      });
}

Task<Result<std::int64_t>> Mongo::count(Call call, Filter filter) {
  if (auto fine = check(call); !fine) return refuse<std::int64_t>(fine);
  if (auto fine = filter.check(); !fine) return refuse<std::int64_t>(fine);
  return submit<std::int64_t>(
      impl_, call, Doing::kReading,
      [name = call.collection, filter = std::move(filter)](const Use& use) -> Result<std::int64_t> {
        Reply opts, reply;
        BSON_APPEND_INT64(opts.get(), "maxTimeMS", use.max_time_ms);
        if (auto fine = use.add_session(opts.get()); !fine) return std::unexpected(std::move(fine).error());
        const CollectionPtr collection = use.collection(name);
        bson_error_t error;
        const std::int64_t count = mongoc_collection_count_documents(collection.get(), Bson(to_query(filter)),
                                                                     opts.get(), nullptr, reply.fill(), &error);
        if (count < 0) return std::unexpected(to_error(error, reply.get(), Doing::kReading));
        return count;
      });
}

Task<Result<Array>> Mongo::distinct(Call call, Path path, Filter filter) {
  if (auto fine = check(call); !fine) return refuse<Array>(fine);
  if (auto fine = path.check(); !fine) return refuse<Array>(fine);
  if (auto fine = filter.check(); !fine) return refuse<Array>(fine);
  return submit<Array>(
      impl_, call, Doing::kReading,
      [name = call.collection, path = path.text(), filter = std::move(filter)](const Use& use) -> Result<Array> {
        auto said = command(
            use,
            Document{{"distinct", name}, {"key", path}, {"query", to_query(filter)}, {"maxTimeMS", use.max_time_ms}},
            Doing::kReading);
        if (!said) return std::unexpected(std::move(said).error());
        Value* const values = said->find("values");
        if (values == nullptr || !values->is_array()) return fail(code::kServer, "distinct: an answer without values");
        return std::move(values->as_array());
      });
}

Task<Result<std::vector<Document>>> Mongo::aggregate(Call call, std::vector<Document> pipeline) {
  using R = std::vector<Document>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  return submit<R>(
      impl_, call, Doing::kReading,
      [name = call.collection, pipeline = std::move(pipeline), &limits = impl_->options](const Use& use) -> Result<R> {
        Array stages;
        for (const Document& stage : pipeline) stages.emplace_back(stage);
        Reply opts;
        BSON_APPEND_INT64(opts.get(), "maxTimeMS", use.max_time_ms);
        if (auto fine = use.add_session(opts.get()); !fine) return std::unexpected(std::move(fine).error());
        const CollectionPtr collection = use.collection(name);
        const CursorPtr cursor(mongoc_collection_aggregate(
            collection.get(), MONGOC_QUERY_NONE, Bson(Document{{"pipeline", std::move(stages)}}), opts.get(), nullptr));
        return drain(cursor.get(), limits, name);
      });
}

Task<Result<void>> Mongo::create_indexes(Call call, std::vector<Index> indexes) {
  if (auto fine = check(call); !fine) return fine;
  for (const Index& each : indexes) {
    if (auto fine = check(each); !fine) return fine;
  }
  if (call.transaction != nullptr)
    return Result<void>(fail(code::kInvalid, "indexes are not made within a transaction"));
  return submit<void>(impl_, call, Doing::kWriting,
                      [name = call.collection, indexes = std::move(indexes)](const Use& use) -> Result<void> {
                        Array list;
                        for (const Index& each : indexes) {
                          Document index{{"key", to_sort(each.keys)}, {"name", each.name_or_default()}};
                          if (each.unique) index.set("unique", true);
                          if (each.expire_after)
                            index.set("expireAfterSeconds", static_cast<std::int64_t>(each.expire_after->count()));
                          list.push_back(std::move(index));
                        }
                        auto said = command(use, Document{{"createIndexes", name}, {"indexes", std::move(list)}},
                                            Doing::kWriting);
                        if (!said) return std::unexpected(std::move(said).error());
                        return {};
                      });
}

Task<Result<void>> Mongo::drop_index(Call call, std::string index) {
  if (auto fine = check(call); !fine) return fine;
  return submit<void>(impl_, call, Doing::kWriting,
                      [name = call.collection, index = std::move(index)](const Use& use) -> Result<void> {
                        auto said = command(use, Document{{"dropIndexes", name}, {"index", index}}, Doing::kWriting);
                        if (!said) return std::unexpected(std::move(said).error());
                        return {};
                      });
}

Task<Result<std::vector<Index>>> Mongo::indexes(Call call) {
  using R = std::vector<Index>;
  if (auto fine = check(call); !fine) return refuse<R>(fine);
  return submit<R>(impl_, call, Doing::kReading,
                   [name = call.collection, &limits = impl_->options](const Use& use) -> Result<R> {
                     Reply opts;
                     if (auto fine = use.add_session(opts.get()); !fine)
                       return std::unexpected(std::move(fine).error());
                     const CollectionPtr collection = use.collection(name);
                     const CursorPtr cursor(mongoc_collection_find_indexes_with_opts(collection.get(), opts.get()));
                     auto found = drain(cursor.get(), limits, name);
                     R out;
                     if (!found) {
                       if (found.error().code == code::kNotFound) return out;  // No such collection.
                       return std::unexpected(std::move(found).error());
                     }
                     for (const Document& each : *found) {
                       Index index{.name = get<std::string>(each, "name").value_or("")};
                       if (index.name == "_id_" || !each.at("key").is_document()) continue;
                       for (const Field& key : each.at("key").as_document()) {
                         index.keys.push_back({key.name, key.value.is_number() && compare(key.value, Value(0)) < 0});
                       }
                       index.unique = each.at("unique") == Value(true);
                       if (const auto after = detail::whole(each.at("expireAfterSeconds")))
                         index.expire_after = std::chrono::seconds(*after);
                       out.push_back(std::move(index));
                     }
                     return out;
                   });
}

Task<Result<std::vector<std::string>>> Mongo::collections(Deadline deadline) {
  using R = std::vector<std::string>;
  return submit<R>(impl_, nullptr, deadline, Doing::kReading, [](const Use& use) -> Result<R> {
    Reply opts;
    if (auto fine = use.add_session(opts.get()); !fine) return std::unexpected(std::move(fine).error());
    const DatabasePtr database = use.db();
    bson_error_t error;
    char** const names = mongoc_database_get_collection_names_with_opts(database.get(), opts.get(), &error);
    if (names == nullptr) return std::unexpected(to_error(error, nullptr, Doing::kReading));
    R out;
    for (char** each = names; *each != nullptr; ++each) {
      if (!std::string_view(*each).starts_with("system.")) out.emplace_back(*each);
    }
    bson_strfreev(names);
    std::ranges::sort(out);
    return out;
  });
}

Task<Result<void>> Mongo::drop(Call call) {
  if (auto fine = check(call); !fine) return fine;
  if (call.transaction != nullptr)
    return Result<void>(fail(code::kInvalid, "collections are not dropped within a transaction"));
  return submit<void>(impl_, call, Doing::kWriting, [name = call.collection](const Use& use) -> Result<void> {
    auto said = command(use, Document{{"drop", name}}, Doing::kWriting);
    // Servers before 4.4 give no code.
    if (!said && said.error().code != code::kNotFound && !said.error().detail.starts_with("ns not found"))
      return std::unexpected(std::move(said).error());
    return {};
  });
}

Task<Result<std::unique_ptr<Transaction>>> Mongo::begin(Deadline deadline) {
  const std::shared_ptr<Impl> in = impl_;
  // What the threads need is left for them.
  if (in->transactions + in->options.min_pool >= in->options.max_pool) {
    co_return fail(code::kTooMany, "{} transactions are open: mongo_max_pool allows no more", in->transactions.load());
  }
  auto bound = co_await submit<std::shared_ptr<Bound>>(
      in, nullptr, deadline, Doing::kReading, [in](const Use&) -> Result<std::shared_ptr<Bound>> {
        auto made = std::make_shared<Bound>(in);
        made->session = in->start_session(made->lease.client());
        bson_error_t error;
        if (!made->session) return fail(code::kInvalid, "the server has no sessions, so no transactions");
        if (!mongoc_client_session_start_transaction(made->session.get(), nullptr, &error)) {
          return std::unexpected(to_error(error, nullptr, Doing::kReading));
        }
        return made;
      });
  if (!bound) co_return std::unexpected(std::move(bound).error());
  co_return std::unique_ptr<Transaction>(std::make_unique<MongoTransaction>(*std::move(bound)));
}

Mongo::Stats Mongo::stats() const {
  const Impl& in = *impl_;
  return {.threads = in.options.min_pool,
          .running = in.threads.running(),
          .queued = in.threads.queued(),
          .transactions = in.transactions,
          .calls = in.calls,
          .failed = in.failed,
          .duplicates = in.duplicates,
          .timeouts = in.timeouts,
          .unknown = in.unknown,
          .unavailable = in.unavailable};
}

}  // namespace mg::documents
