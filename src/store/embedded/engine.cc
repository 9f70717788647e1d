#include "store/embedded/engine.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_set>
#include <utility>

#include "codec/crc32c.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/order.h"
#include "store/documents/apply.h"
#include "store/documents/match.h"
#include "store/documents/paths.h"

namespace mg::documents {
namespace {

constexpr std::int64_t kApplication = 0x6D674431;  // "mgD1": the file's application_id.
constexpr std::size_t kExpireAtOnce = 500;

std::string key_of(const Value& value) {
  std::string out;
  append_key(out, value);
  return out;
}

std::vector<std::byte> sealed(const Document& document) {
  std::vector<std::byte> out(4);
  encode_to(out, document);
  mg::store<std::uint32_t>(out.data(), codec::crc32c(Bytes(out).subspan(4)), std::endian::little);
  return out;
}

Document to_spec(const IndexInfo& index) {
  Array keys;
  for (const Sort::Key& key : index.spec.keys) keys.push_back(Document{{"path", key.path}, {"down", key.down}});
  Document out{{"name", index.spec.name},
               {"keys", std::move(keys)},
               {"unique", index.spec.unique},
               {"multikey", index.multikey}};
  if (index.spec.expire_after) out.append("expire_after", static_cast<std::int64_t>(index.spec.expire_after->count()));
  return out;
}
IndexInfo from_spec(std::int64_t id, const Document& spec) {
  IndexInfo out{.id = id, .spec = {}, .multikey = spec.at("multikey") == Value(true)};
  out.spec.name = spec.at("name").as_text();
  out.spec.unique = spec.at("unique") == Value(true);
  for (const Value& key : spec.at("keys").as_array()) {
    out.spec.keys.push_back({key.as_document().at("path").as_text(), key.as_document().at("down") == Value(true)});
  }
  if (const Value* after = spec.find("expire_after")) out.spec.expire_after = std::chrono::seconds(after->as_whole());
  return out;
}
bool same(const Index& a, const Index& b) {
  return a.unique == b.unique && a.expire_after == b.expire_after &&
         std::ranges::equal(a.keys, b.keys, [](const Sort::Key& x, const Sort::Key& y) {
           return x.path == y.path && x.down == y.down;
         });
}

std::string table(std::int64_t collection) {
  return "c" + std::to_string(collection);
}
std::string index_table(std::int64_t index) {
  return "x" + std::to_string(index);
}

}  // namespace

std::unexpected<Error> Engine::fault() {
  return std::unexpected(db_.fault());
}

std::unexpected<Error> Engine::duplicate(const Stored& in, const IndexInfo& index, const Document& document) const {
  Document key;
  for (const Sort::Key& each : index.spec.keys) {
    each_value(document, each.path, [&](const Value* value) {
      key.set(each.path, value != nullptr ? *value : Value());
      return true;
    });
  }
  std::string shown = to_json(key);
  if (shown.size() > 200) shown.replace(197, std::string::npos, "...");
  return fail(code::kExists, "{}: index {} has {} already", in.name, index.spec.name, shown);
}

// ---- the file and its catalog -------------------------------------------------------------------------------------

Result<void> Engine::open(const std::string& path, bool writer, bool sync) {
  if (auto opened = db_.open(path, writer); !opened) return opened;
  // The order matters: a page size before the first page, WAL before synchronous means anything.
  const char* const settings = sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
  if (auto application = db_.number("PRAGMA application_id"); !application) {
    return std::unexpected(std::move(application).error());
  } else if (*application != kApplication) {
    auto objects = db_.number("SELECT count(*) FROM sqlite_master");
    if (!objects) return std::unexpected(std::move(objects).error());
    if (*application != 0 || *objects != 0) return fail(code::kServer, "{}: a database, but no document store", path);
  }
  db_.forget_queries();
  if (!db_.execute("PRAGMA journal_mode=WAL") || !db_.execute(settings) ||
      !db_.execute("PRAGMA wal_autocheckpoint=0") || !db_.execute("PRAGMA temp_store=MEMORY") ||
      !db_.execute("PRAGMA cell_size_check=ON") || !db_.execute("PRAGMA cache_size=-32768")) {
    return fault();
  }
  if (writer && db_.number("PRAGMA application_id").value_or(0) != kApplication) {
    if (!db_.execute(fmt::format(
            "BEGIN IMMEDIATE; PRAGMA application_id={};"
            "CREATE TABLE IF NOT EXISTS mg_collections(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT "
            "NULL);"
            "CREATE TABLE IF NOT EXISTS mg_indexes(id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, "
            "spec BLOB NOT NULL);"
            "COMMIT",
            kApplication))) {
      return fault();
    }
  }
  return {};
}

Result<void> Engine::begin(bool write) {
  if (db_.query(write ? "BEGIN IMMEDIATE" : "BEGIN").run() != Step::kDone) return fault();
  return refresh_catalog();
}
Result<void> Engine::commit() {
  if (catalog_dirty_) {
    if (!db_.execute(fmt::format("PRAGMA user_version={}", ++catalog_version_))) return fault();
  }
  if (db_.query("COMMIT").run() != Step::kDone) return fault();
  catalog_dirty_ = false;
  return {};
}
void Engine::rollback() {
  db_.clear_fault();
  if (sqlite3_get_autocommit(db_.handle()) == 0) db_.execute("ROLLBACK");
  db_.clear_fault();
  if (catalog_dirty_) catalog_version_ = -1;
  catalog_dirty_ = false;
}

Result<void> Engine::refresh_catalog() {
  auto version = db_.number("PRAGMA user_version");
  if (!version) return std::unexpected(std::move(version).error());
  if (*version == catalog_version_) return {};
  if (auto loaded = load_catalog(); !loaded) return loaded;
  catalog_version_ = *version;
  return {};
}

Result<void> Engine::load_catalog() {
  catalog_.clear();
  std::unordered_map<std::int64_t, std::string> names;
  Query& collections = db_.query("SELECT id, name FROM mg_collections");
  const Resetting reset(collections);
  Step step = Step::kRow;
  while ((step = collections.step()) == Step::kRow) {
    Stored stored{.id = collections.number(0), .name = std::string(collections.text(1)), .indexes = {}};
    stored.indexes.push_back({.id = 0, .spec = {.keys = {{"_id", false}}, .unique = true, .name = "_id_"}});
    names[stored.id] = stored.name;
    catalog_.emplace(stored.name, std::move(stored));
  }
  if (step != Step::kDone) return fault();
  Query& indexes = db_.query("SELECT id, collection, spec FROM mg_indexes ORDER BY id");
  const Resetting reset_too(indexes);
  while ((step = indexes.step()) == Step::kRow) {
    auto spec = decode(indexes.octets(2));
    if (!spec || !names.contains(indexes.number(1)))
      return fail(code::kServer, "the description of an index is damaged");
    catalog_.at(names[indexes.number(1)]).indexes.push_back(from_spec(indexes.number(0), *spec));
  }
  return step == Step::kDone ? Result<void>() : fault();
}

Engine::Stored* Engine::look_up(const std::string& name) {
  const auto at = catalog_.find(name);
  return at == catalog_.end() ? nullptr : &at->second;
}

Result<Engine::Stored*> Engine::make(const std::string& name) {
  if (Stored* const there = look_up(name)) return there;
  Query& insert = db_.query("INSERT INTO mg_collections(name) VALUES(?)");
  if (insert.bind_text(1, name).run() != Step::kDone) return fault();
  const std::int64_t id = sqlite3_last_insert_rowid(db_.handle());
  catalog_dirty_ = true;
  if (!db_.execute(fmt::format("CREATE TABLE {}(rid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, doc BLOB NOT NULL)",
                               table(id)))) {
    return fault();
  }
  Stored stored{.id = id, .name = name, .indexes = {}};
  stored.indexes.push_back({.id = 0, .spec = {.keys = {{"_id", false}}, .unique = true, .name = "_id_"}});
  return &catalog_.emplace(name, std::move(stored)).first->second;
}

// ---- reading ------------------------------------------------------------------------------------------------------

std::string Engine::sql_of(const Stored& in, const Plan& plan, const Range* range) const {
  const std::string to = range != nullptr && range->to.empty() ? "" : " AND key<?2";
  const char* const order = plan.sorted ? (plan.backward ? " ORDER BY key DESC" : " ORDER BY key") : "";
  if (plan.index == nullptr) return fmt::format("SELECT rid, doc FROM {} ORDER BY rid", table(in.id));
  if (plan.exact_id) return fmt::format("SELECT rid, doc FROM {} WHERE id=?1", table(in.id));
  if (plan.index->id == 0) {
    std::string sql = fmt::format("SELECT rid, doc FROM {} WHERE key>=?1{}{}", table(in.id), to, order);
    for (std::size_t at; (at = sql.find("key")) != std::string::npos;) sql.replace(at, 3, "id");
    return sql;
  }
  return fmt::format("SELECT c.rid, c.doc FROM {} x CROSS JOIN {} c ON c.rid=x.rid WHERE x.key>=?1{}{}",
                     index_table(plan.index->id), table(in.id), to, order);
}

Result<Document> Engine::read_document(const Stored& in, Bytes octets) const {
  if (octets.size() < 4 ||
      mg::load<std::uint32_t>(octets.data(), std::endian::little) != codec::crc32c(octets.subspan(4))) {
    return fail(code::kServer, "{}: a document is damaged: its sum is wrong", in.name);
  }
  auto document = decode(octets.subspan(4));
  if (!document) return fail(code::kServer, "{}: a document is damaged: {}", in.name, document.error().detail);
  return document;
}

Result<void> Engine::scan(const Stored& in, const Filter& filter, const Plan& plan, const Visit& visit) {
  static const std::vector<Range> everything{Range()};
  std::unordered_set<std::int64_t> seen;
  std::uint32_t rows = 0;
  for (const Range& range : plan.index != nullptr ? plan.ranges : everything) {
    Query& query = db_.query(sql_of(in, plan, &range));
    const Resetting reset(query);
    if (plan.index != nullptr) query.bind(1, range.from);
    if (plan.index != nullptr && !plan.exact_id && !range.to.empty()) query.bind(2, range.to);
    for (;;) {
      const Step step = query.step();
      if (step == Step::kDone) break;
      if (step != Step::kRow) return fault();
      if ((++rows & 255) == 0 && given_up_ != nullptr && *given_up_)
        return fail(code::kTimeout, "{}: not read in time", in.name);
      Found found{.rid = query.number(0), .document = {}, .octets = query.octets(1).size()};
      if (!plan.unique && !seen.insert(found.rid).second) continue;
      auto document = read_document(in, query.octets(1));
      if (!document) return std::unexpected(std::move(document).error());
      found.document = *std::move(document);
      if (!matches(found.document, filter)) continue;
      auto more = visit(found);
      if (!more) return std::unexpected(std::move(more).error());
      if (!*more) return {};
    }
  }
  return {};
}

Result<std::vector<Engine::Found>> Engine::select(const Stored& in, const Filter& filter, const FindOptions& options) {
  const Plan plan = make_plan(in.indexes, filter, options.sort);
  const bool sorting = !options.sort.keys().empty() && !plan.sorted;
  const std::size_t limit = options.limit == 0 ? limits_.max_results + 1 : static_cast<std::size_t>(options.limit);
  const auto skip = static_cast<std::size_t>(options.skip);
  const std::size_t wanted = skip > SIZE_MAX - limit ? SIZE_MAX : skip + limit;
  std::vector<Found> out;
  std::vector<std::pair<std::string, std::size_t>> keys;  // Of what is sorted: key, place in `out`.
  std::size_t octets = 0, passed = 0;
  const auto too_much = [&] {
    return fail(code::kTooMany, "{}: more than {} documents or {} octets to {}: narrow the filter or set a limit",
                in.name, limits_.max_results, limits_.max_result_bytes, sorting ? "sort" : "return");
  };
  // Keeps what may still be among the first `wanted`, in order, so that equal keys stay as they were found.
  const auto trim = [&] {
    std::ranges::sort(keys);
    keys.resize(std::min(keys.size(), wanted));
    std::vector<Found> kept;
    octets = 0;
    for (auto& [key, place] : keys) {
      octets += out[place].octets + key.size();
      kept.push_back(std::move(out[place]));
      place = kept.size() - 1;
    }
    out = std::move(kept);
  };
  auto scanned = scan(in, filter, plan, [&](Found& found) -> Result<bool> {
    if (!sorting && passed++ < skip) return true;
    octets += found.octets;
    if (sorting) {
      keys.emplace_back(sort_key(found.document, options.sort.keys()), out.size());
      octets += keys.back().first.size();
    }
    out.push_back(std::move(found));
    if (sorting && wanted < 10'000 && out.size() >= 2 * wanted + 100) trim();
    if (octets > limits_.max_result_bytes) return too_much();
    return sorting || out.size() < limit;
  });
  if (!scanned) return std::unexpected(std::move(scanned).error());
  if (sorting) {
    trim();
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(std::min(skip, out.size())));
  }
  if (out.size() > limits_.max_results) return too_much();
  return out;
}

Result<std::vector<Document>> Engine::find(const std::string& name, const Filter& filter, const FindOptions& options) {
  const Stored* const in = look_up(name);
  std::vector<Document> out;
  if (in == nullptr) return out;
  auto found = select(*in, filter, options);
  if (!found) return std::unexpected(std::move(found).error());
  out.reserve(found->size());
  for (Found& each : *found) {
    out.push_back(options.projection.all() ? std::move(each.document) : project(each.document, options.projection));
  }
  return out;
}

Result<std::int64_t> Engine::count(const std::string& name, const Filter& filter) {
  const Stored* const in = look_up(name);
  if (in == nullptr) return 0;
  if (filter.op() == Filter::Op::kAll) return db_.number(fmt::format("SELECT count(*) FROM {}", table(in->id)));
  std::int64_t count = 0;
  auto scanned = scan(*in, filter, make_plan(in->indexes, filter, {}), [&](Found&) { return ++count, true; });
  if (!scanned) return std::unexpected(std::move(scanned).error());
  return count;
}

Result<Array> Engine::distinct(const std::string& name, const std::string& path, const Filter& filter) {
  const Stored* const in = look_up(name);
  if (in == nullptr) return Array();
  std::map<std::string, Value> values;
  std::size_t octets = 0;
  auto scanned = scan(*in, filter, make_plan(in->indexes, filter, {}), [&](Found& found) -> Result<bool> {
    each_item(found.document, path, [&](const Value* value) {
      if (value == nullptr || value->is_array()) return false;
      if (const auto [at, added] = values.try_emplace(key_of(*value), *value); added) octets += 2 * at->first.size();
      return false;
    });
    if (values.size() > limits_.max_results || octets > limits_.max_result_bytes) {
      return fail(code::kTooMany, "{}: more than {} values of {}", name, limits_.max_results, path);
    }
    return true;
  });
  if (!scanned) return std::unexpected(std::move(scanned).error());
  Array out;
  for (auto& [key, value] : values) out.push_back(std::move(value));
  return out;
}

Result<std::string> Engine::explain(const std::string& name, const Filter& filter, const FindOptions& options) {
  const Stored* const in = look_up(name);
  if (in == nullptr) return fail(code::kNotFound, "no collection {}", name);
  const Plan plan = make_plan(in->indexes, filter, options.sort);
  std::string out = plan.index == nullptr ? "every document" : "index " + plan.index->spec.name;
  Query& query =
      db_.query("EXPLAIN QUERY PLAN " + sql_of(*in, plan, plan.ranges.empty() ? nullptr : plan.ranges.data()));
  const Resetting reset(query);
  Step step = Step::kRow;
  while ((step = query.step()) == Step::kRow) (out += "; ") += query.text(3);
  if (step != Step::kDone) return fault();
  if (!options.sort.keys().empty() && !plan.sorted) out += "; sorted afterwards";
  return out;
}

// ---- writing ------------------------------------------------------------------------------------------------------

Result<void> Engine::check_unique(const Stored& in, const IndexInfo& index, std::int64_t rid,
                                  const std::vector<std::string>& keys, const Document& document) {
  Query& query = db_.query(fmt::format("SELECT rid FROM {} WHERE key=?1 LIMIT 2", index_table(index.id)));
  for (const std::string& key : keys) {
    const Resetting reset(query);
    query.bind(1, key);
    Step step = Step::kRow;
    while ((step = query.step()) == Step::kRow) {
      if (query.number(0) != rid) return duplicate(in, index, document);
    }
    if (step != Step::kDone) return fault();
  }
  return {};
}

Result<void> Engine::add_keys(Stored& in, IndexInfo& index, std::int64_t rid, const std::vector<std::string>& keys) {
  Query& query = db_.query(fmt::format("INSERT INTO {}(key, rid) VALUES(?1, ?2)", index_table(index.id)));
  for (const std::string& key : keys) {
    if (query.bind(1, key).bind(2, rid).run() != Step::kDone) {
      return db_.faulty() ? fault() : fail(code::kServer, "{}: index {} is damaged", in.name, index.spec.name);
    }
  }
  if (keys.size() > 1 && !index.multikey) {
    index.multikey = true;
    catalog_dirty_ = true;
    const auto spec = encode(to_spec(index));
    if (db_.query("UPDATE mg_indexes SET spec=?1 WHERE id=?2").bind(1, Bytes(spec)).bind(2, index.id).run() !=
        Step::kDone)
      return fault();
  }
  return {};
}

Result<void> Engine::insert(Stored& in, const Document& document) {
  std::vector<std::vector<std::string>> keys(in.indexes.size());
  for (std::size_t i = 1; i < in.indexes.size(); ++i) {
    auto made = index_keys(document, in.indexes[i].spec.keys);
    if (!made) return std::unexpected(std::move(made).error());
    keys[i] = *std::move(made);
    if (!in.indexes[i].spec.unique) continue;
    if (auto fine = check_unique(in, in.indexes[i], -1, keys[i], document); !fine) return fine;
  }
  const std::string id = key_of(document.at("_id"));
  const std::vector<std::byte> octets = sealed(document);
  Query& query = db_.query(fmt::format("INSERT INTO {}(id, doc) VALUES(?1, ?2)", table(in.id)));
  const Step step = query.bind(1, id).bind(2, Bytes(octets)).run();
  if (step == Step::kConstraint) return duplicate(in, in.indexes[0], document);
  if (step != Step::kDone) return fault();
  const std::int64_t rid = sqlite3_last_insert_rowid(db_.handle());
  for (std::size_t i = 1; i < in.indexes.size(); ++i) {
    if (auto done = add_keys(in, in.indexes[i], rid, keys[i]); !done) return done;
  }
  return {};
}

Result<void> Engine::replace(Stored& in, std::int64_t rid, const Document& before, const Document& now) {
  std::vector<std::vector<std::string>> gone(in.indexes.size()), come(in.indexes.size());
  for (std::size_t i = 1; i < in.indexes.size(); ++i) {
    auto old = index_keys(before, in.indexes[i].spec.keys);
    auto made = index_keys(now, in.indexes[i].spec.keys);
    if (!old) return std::unexpected(std::move(old).error());
    if (!made) return std::unexpected(std::move(made).error());
    std::ranges::set_difference(*old, *made, std::back_inserter(gone[i]));
    std::ranges::set_difference(*made, *old, std::back_inserter(come[i]));
    if (!in.indexes[i].spec.unique) continue;
    if (auto fine = check_unique(in, in.indexes[i], rid, come[i], now); !fine) return fine;
  }
  const std::vector<std::byte> octets = sealed(now);
  Query& query = db_.query(fmt::format("UPDATE {} SET doc=?1 WHERE rid=?2", table(in.id)));
  if (query.bind(1, Bytes(octets)).bind(2, rid).run() != Step::kDone) return fault();
  for (std::size_t i = 1; i < in.indexes.size(); ++i) {
    Query& take = db_.query(fmt::format("DELETE FROM {} WHERE key=?1 AND rid=?2", index_table(in.indexes[i].id)));
    for (const std::string& key : gone[i]) {
      if (take.bind(1, key).bind(2, rid).run() != Step::kDone) return fault();
    }
    if (auto done = add_keys(in, in.indexes[i], rid, come[i]); !done) return done;
  }
  return {};
}

Result<void> Engine::remove(Stored& in, const Found& found) {
  for (std::size_t i = 1; i < in.indexes.size(); ++i) {
    auto keys = index_keys(found.document, in.indexes[i].spec.keys);
    if (!keys) return std::unexpected(std::move(keys).error());
    Query& take = db_.query(fmt::format("DELETE FROM {} WHERE key=?1 AND rid=?2", index_table(in.indexes[i].id)));
    for (const std::string& key : *keys) {
      if (take.bind(1, key).bind(2, found.rid).run() != Step::kDone) return fault();
    }
  }
  Query& query = db_.query(fmt::format("DELETE FROM {} WHERE rid=?1", table(in.id)));
  return query.bind(1, found.rid).run() == Step::kDone ? Result<void>() : fault();
}

// Update, replace and remove, of what is there. Returns: how many matched.
Result<std::int64_t> Engine::update_matching(Stored& in, const Write& write, Written& out) {
  const auto act = [&](Found& found) -> Result<void> {
    if (write.kind == Write::Kind::kRemove) {
      if (auto done = remove(in, found); !done) return done;
      ++out.removed;
      return {};
    }
    Document now = found.document;
    auto changed =
        write.kind == Write::Kind::kUpdate ? apply(now, write.update, false) : documents::replace(now, write.document);
    if (!changed) return std::unexpected(std::move(changed).error());
    if (*changed) {
      if (auto done = replace(in, found.rid, found.document, now); !done) return done;
      ++out.modified;
    }
    ++out.matched;
    return {};
  };
  const Plan plan = make_plan(in.indexes, write.filter, {});
  if (!write.many) {
    std::optional<Found> first;
    auto scanned = scan(in, write.filter, plan, [&](Found& found) { return first = std::move(found), false; });
    if (!scanned) return std::unexpected(std::move(scanned).error());
    if (!first) return 0;
    if (auto done = act(*first); !done) return std::unexpected(std::move(done).error());
    return 1;
  }
  // First which, then what: a document that moves in the index it is found by would else be met again.
  std::vector<std::int64_t> rids;
  auto scanned = scan(in, write.filter, plan, [&](Found& found) { return rids.push_back(found.rid), true; });
  if (!scanned) return std::unexpected(std::move(scanned).error());
  Query& query = db_.query(fmt::format("SELECT doc FROM {} WHERE rid=?1", table(in.id)));
  for (const std::int64_t rid : rids) {
    Found found{.rid = rid, .document = {}, .octets = 0};
    {
      const Resetting reset(query);
      if (query.bind(1, rid).step() != Step::kRow) return fault();
      auto document = read_document(in, query.octets(0));
      if (!document) return std::unexpected(std::move(document).error());
      found.document = *std::move(document);
    }
    if (auto done = act(found); !done) return std::unexpected(std::move(done).error());
  }
  return static_cast<std::int64_t>(rids.size());
}

Result<void> Engine::write_one(Stored& in, const Write& write, std::size_t at, Written& out) {
  if (write.kind == Write::Kind::kInsert) {
    const Document document = with_id(write.document);
    if (auto done = insert(in, document); !done) return done;
    ++out.inserted;
    out.ids.push_back({at, document.at("_id")});
    return {};
  }
  auto matched = update_matching(in, write, out);
  if (!matched) return std::unexpected(std::move(matched).error());
  if (*matched > 0 || !write.upsert) return {};
  auto made = write.kind == Write::Kind::kUpdate ? upserted(write.filter, write.update)
                                                 : Result<Document>(upserted(write.filter, write.document));
  if (!made) return std::unexpected(std::move(made).error());
  if (auto done = insert(in, *made); !done) return done;
  ++out.upserted;
  out.ids.push_back({at, made->at("_id")});
  return {};
}

Result<Written> Engine::write(const std::string& name, const std::vector<Write>& writes, const WriteOptions& options) {
  Written out;
  const bool makes =
      std::ranges::any_of(writes, [](const Write& w) { return w.kind == Write::Kind::kInsert || w.upsert; });
  if (!makes && look_up(name) == nullptr) return out;
  auto in = make(name);
  if (!in) return std::unexpected(std::move(in).error());
  for (std::size_t i = 0; i < writes.size(); ++i) {
    auto done = write_one(**in, writes[i], i, out);
    if (done) continue;
    if (faulty() || done.error().code == code::kServer) return std::unexpected(std::move(done).error());
    out.faults.push_back({i, std::move(done).error()});
    if (options.ordered) break;
  }
  return out;
}

Result<std::optional<Document>> Engine::modify(const std::string& name, const Modify& change) {
  std::optional<Document> out;
  Stored* in = look_up(name);
  if (in == nullptr) {
    if (!change.upsert || change.kind == Modify::Kind::kRemove) return out;
    auto made = make(name);
    if (!made) return std::unexpected(std::move(made).error());
    in = *made;
  }
  auto found = select(*in, change.filter, {.sort = change.sort, .limit = 1});
  if (!found) return std::unexpected(std::move(found).error());
  const bool update = change.kind == Modify::Kind::kUpdate;
  if (found->empty()) {
    if (!change.upsert || change.kind == Modify::Kind::kRemove) return out;
    auto made =
        update ? upserted(change.filter, change.update) : Result<Document>(upserted(change.filter, change.document));
    if (!made) return std::unexpected(std::move(made).error());
    if (auto done = insert(*in, *made); !done) return std::unexpected(std::move(done).error());
    if (change.return_new) out = project(*made, change.projection);
    return out;
  }
  Found& first = found->front();
  if (change.kind == Modify::Kind::kRemove) {
    if (auto done = remove(*in, first); !done) return std::unexpected(std::move(done).error());
    return out = project(first.document, change.projection);
  }
  Document now = first.document;
  auto changed = update ? apply(now, change.update, false) : documents::replace(now, change.document);
  if (!changed) return std::unexpected(std::move(changed).error());
  if (*changed) {
    if (auto done = replace(*in, first.rid, first.document, now); !done)
      return std::unexpected(std::move(done).error());
  }
  return out = project(change.return_new ? now : first.document, change.projection);
}

// ---- indexes and collections --------------------------------------------------------------------------------------

Result<void> Engine::create_indexes(const std::string& name, const std::vector<Index>& indexes) {
  if (!db_.execute("SAVEPOINT indexes")) return fault();
  Result<void> done = add_indexes(name, indexes);
  if (faulty()) return done;
  if (!done) {  // All of them or none.
    db_.forget_queries();
    if (!db_.execute("ROLLBACK TO indexes")) return fault();
    if (auto loaded = load_catalog(); !loaded) return loaded;
  }
  return db_.execute("RELEASE indexes") ? done : fault();
}

Result<void> Engine::add_indexes(const std::string& name, const std::vector<Index>& indexes) {
  auto made = make(name);
  if (!made) return std::unexpected(std::move(made).error());
  Stored& in = **made;
  for (const Index& wanted : indexes) {
    IndexInfo index{.id = 0, .spec = wanted, .multikey = false};
    index.spec.name = wanted.name_or_default();
    const auto there =
        std::ranges::find(in.indexes, index.spec.name, [](const IndexInfo& each) { return each.spec.name; });
    if (there != in.indexes.end()) {
      if (same(there->spec, index.spec)) continue;
      return fail(code::kExists, "{}: there is another index {}", name, index.spec.name);
    }
    const auto spec = encode(to_spec(index));
    Query& insert = db_.query("INSERT INTO mg_indexes(collection, spec) VALUES(?1, ?2)");
    if (insert.bind(1, in.id).bind(2, Bytes(spec)).run() != Step::kDone) return fault();
    index.id = sqlite3_last_insert_rowid(db_.handle());
    catalog_dirty_ = true;
    if (!db_.execute(
            fmt::format("CREATE TABLE {}(key BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY(key, rid)) WITHOUT ROWID",
                        index_table(index.id)))) {
      return fault();
    }
    auto filled = scan(in, {}, {}, [&](Found& found) -> Result<bool> {
      auto keys = index_keys(found.document, index.spec.keys);
      if (!keys) return std::unexpected(std::move(keys).error());
      if (index.spec.unique) {
        if (auto fine = check_unique(in, index, found.rid, *keys, found.document); !fine)
          return std::unexpected(fine.error());
      }
      if (auto done = add_keys(in, index, found.rid, *keys); !done) return std::unexpected(done.error());
      return true;
    });
    if (!filled) return filled;
    in.indexes.push_back(std::move(index));
  }
  return {};
}

Result<void> Engine::drop_index(const std::string& name, const std::string& index) {
  Stored* const in = look_up(name);
  const auto at = in == nullptr
                      ? std::vector<IndexInfo>::iterator()
                      : std::ranges::find(in->indexes, index, [](const IndexInfo& each) { return each.spec.name; });
  if (in == nullptr || at == in->indexes.end()) return fail(code::kNotFound, "{}: no index {}", name, index);
  if (at->id == 0) return fail(code::kInvalid, "{}: the index of _id stays", name);
  db_.forget_queries();
  catalog_dirty_ = true;
  if (!db_.execute(fmt::format("DROP TABLE {}; DELETE FROM mg_indexes WHERE id={}", index_table(at->id), at->id)))
    return fault();
  in->indexes.erase(at);
  return {};
}

Result<std::vector<Index>> Engine::indexes(const std::string& name) {
  std::vector<Index> out;
  if (const Stored* const in = look_up(name)) {
    for (std::size_t i = 1; i < in->indexes.size(); ++i) out.push_back(in->indexes[i].spec);
  }
  return out;
}

Result<std::vector<std::string>> Engine::collections() {
  std::vector<std::string> out;
  for (const auto& [name, stored] : catalog_) out.push_back(name);
  std::ranges::sort(out);
  return out;
}

Result<void> Engine::drop(const std::string& name) {
  Stored* const in = look_up(name);
  if (in == nullptr) return {};
  db_.forget_queries();
  catalog_dirty_ = true;
  std::string sql = fmt::format(
      "DROP TABLE {0}; DELETE FROM mg_collections WHERE id={1}; DELETE FROM mg_indexes WHERE collection={1};",
      table(in->id), in->id);
  for (const IndexInfo& each : in->indexes) {
    if (each.id != 0) sql += fmt::format("DROP TABLE {};", index_table(each.id));
  }
  if (!db_.execute(sql)) return fault();
  catalog_.erase(name);
  return {};
}

Result<std::int64_t> Engine::expire(Date now) {
  std::int64_t removed = 0;
  for (auto& [name, in] : catalog_) {
    for (const IndexInfo& index : in.indexes) {
      if (!index.spec.expire_after) continue;
      const bool down = index.spec.keys[0].down;
      std::string oldest, newest;
      append_key(oldest, Value(Date::min()), down);
      append_key(newest, Value(Date(now - *index.spec.expire_after)), down);
      if (down) oldest.swap(newest);
      std::vector<Found> found;
      {
        Query& query = db_.query(fmt::format(
            "SELECT DISTINCT c.rid, c.doc FROM {} x CROSS JOIN {} c ON c.rid=x.rid WHERE x.key>=?1 AND x.key<=?2 "
            "LIMIT {}",
            index_table(index.id), table(in.id), kExpireAtOnce));
        const Resetting reset(query);
        query.bind(1, oldest).bind(2, newest);
        Step step = Step::kRow;
        while ((step = query.step()) == Step::kRow) {
          auto document = read_document(in, query.octets(1));
          if (!document) return std::unexpected(std::move(document).error());
          found.push_back({.rid = query.number(0), .document = *std::move(document), .octets = 0});
        }
        if (step != Step::kDone) return fault();
      }
      for (const Found& each : found) {
        if (auto done = remove(in, each); !done) return std::unexpected(std::move(done).error());
        ++removed;
      }
    }
  }
  return removed;
}

Result<void> Engine::verify() {
  {
    Query& query = db_.query("PRAGMA integrity_check(1)");
    const Resetting reset(query);
    if (query.step() != Step::kRow) return fault();
    if (query.text(0) != "ok") return fail(code::kServer, "the file is damaged: {}", query.text(0));
  }
  for (const auto& [name, in] : catalog_) {
    std::unordered_map<std::int64_t, std::int64_t> entries;
    auto scanned = scan(in, {}, {}, [&](Found& found) -> Result<bool> {
      for (const IndexInfo& index : in.indexes) {
        if (index.id == 0) continue;
        auto keys = index_keys(found.document, index.spec.keys);
        if (!keys) return std::unexpected(std::move(keys).error());
        Query& query = db_.query(fmt::format("SELECT 1 FROM {} WHERE key=?1 AND rid=?2", index_table(index.id)));
        for (const std::string& key : *keys) {
          const Resetting reset(query);
          if (query.bind(1, key).bind(2, found.rid).step() != Step::kRow) {
            return fail(code::kServer, "{}: index {} lacks an entry", name, index.spec.name);
          }
        }
        entries[index.id] += static_cast<std::int64_t>(keys->size());
      }
      return true;
    });
    if (!scanned) return scanned;
    for (const IndexInfo& index : in.indexes) {
      if (index.id == 0) continue;
      auto count = db_.number(fmt::format("SELECT count(*) FROM {}", index_table(index.id)));
      if (!count) return std::unexpected(std::move(count).error());
      if (*count != entries[index.id])
        return fail(code::kServer, "{}: index {} has entries of nothing", name, index.spec.name);
    }
  }
  return {};
}

}  // namespace mg::documents
