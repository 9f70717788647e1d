// store/embedded/sqlite.h -- SQLite with Results and owners.
//
//   Sqlite db;
//   if (auto opened = db.open(path, true); !opened) …
//   Query& query = db.query("SELECT doc FROM c1 WHERE id=?");   // prepared once, kept
//   query.bind(1, key);
//   while (query.step() == Step::kRow) use(query.octets(0));
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mg/base/bytes.h"
#include "mg/base/error.h"

namespace mg::documents {

enum class Step : std::uint8_t { kRow, kDone, kConstraint, kFailed };

// A prepared statement. Lifetime: what is bound must live until reset(); what is read, until the next step.
class Query {
 public:
  Query() = default;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() { sqlite3_finalize(statement_); }

  Query& bind(int at, std::string_view octets) {
    sqlite3_bind_blob64(statement_, at, octets.empty() ? "" : octets.data(), octets.size(), SQLITE_STATIC);
    return *this;
  }
  Query& bind(int at, Bytes octets) { return bind(at, as_text(octets)); }
  Query& bind(int at, std::int64_t number) {
    sqlite3_bind_int64(statement_, at, number);
    return *this;
  }
  Query& bind_text(int at, std::string_view text) {
    sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  Step step();
  void reset() { sqlite3_reset(statement_); }
  // One step of what returns no rows, and reset.
  Step run() {
    const Step done = step();
    reset();
    return done;
  }

  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string_view text(int column) const {
    return {reinterpret_cast<const char*>(sqlite3_column_text(statement_, column)),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  Bytes octets(int column) const {
    const auto* const at = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
    return {at, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  friend class Sqlite;
  class Sqlite* owner_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

// Resets a query at the end of a block.
class Resetting {
 public:
  explicit Resetting(Query& query) : query_(query) {}
  Resetting(const Resetting&) = delete;
  Resetting& operator=(const Resetting&) = delete;
  ~Resetting() { query_.reset(); }

 private:
  Query& query_;
};

// A connection, for one thread. The first failure that is none of the caller's (disk, memory, damage) is kept as
// fault() until clear_fault(): what has been done since the transaction began must then be rolled back.
class Sqlite {
 public:
  Sqlite() = default;
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;
  ~Sqlite() { close(); }

  Result<void> open(const std::string& path, bool create);
  void close();
  sqlite3* handle() { return db_; }

  // Prepared on first use, kept for later ones. On a fault its steps fail.
  Query& query(const std::string& sql);
  void forget_queries() { queries_.clear(); }  // Before a table they name goes.
  // For what is said once. False: see fault().
  bool execute(const std::string& sql);
  // The first number of the first row.
  Result<std::int64_t> number(const std::string& sql);

  bool faulty() const { return fault_.code != 0; }
  int fault_kind() const { return fault_kind_; }  // SQLite's extended code.
  const Error& fault() const { return fault_; }
  void clear_fault();

 private:
  friend class Query;
  void keep_fault(int result);

  sqlite3* db_ = nullptr;
  std::string path_;
  std::unordered_map<std::string, std::unique_ptr<Query>> queries_;
  Error fault_{.id = {}, .code = 0, .detail = {}, .status = {}};
  int fault_kind_ = 0;
};

}  // namespace mg::documents
