#include "store/embedded/sqlite.h"

#include <utility>

namespace mg::documents {
namespace {

std::int32_t code_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return code::kServer;
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return code::kInvalid;
    default:
      return code::kUnavailable;
  }
}

}  // namespace

Step Query::step() {
  if (statement_ == nullptr) return Step::kFailed;
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return Step::kRow;
  if (result == SQLITE_DONE) return Step::kDone;
  if ((result & 0xFF) == SQLITE_CONSTRAINT) return Step::kConstraint;
  owner_->keep_fault(result);
  return Step::kFailed;
}

Result<void> Sqlite::open(const std::string& path, bool create) {
  path_ = path;
  const int flags =
      SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (const int result = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr); result != SQLITE_OK) {
    keep_fault(result);
    close();
    return std::unexpected(fault_);
  }
  sqlite3_busy_timeout(db_, 1000);  // Only our own checkpoints and readers meet: short.
  return {};
}

void Sqlite::close() {
  queries_.clear();
  sqlite3_close(std::exchange(db_, nullptr));
}

Query& Sqlite::query(const std::string& sql) {
  auto& kept = queries_[sql];
  if (!kept) {
    kept = std::make_unique<Query>();
    kept->owner_ = this;
    const int result = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                          &kept->statement_, nullptr);
    if (result != SQLITE_OK) {
      keep_fault(result);
      static Query broken;
      queries_.erase(sql);
      return broken;
    }
  }
  return *kept;
}

bool Sqlite::execute(const std::string& sql) {
  const int result = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) keep_fault(result);
  return result == SQLITE_OK;
}

Result<std::int64_t> Sqlite::number(const std::string& sql) {
  Query& asked = query(sql);
  const Resetting reset(asked);
  if (asked.step() != Step::kRow) {
    if (faulty()) return std::unexpected(fault_);
    return fail(code::kServer, "{}: no answer to {}", path_, sql);
  }
  return asked.number(0);
}

void Sqlite::keep_fault(int result) {
  if (faulty()) return;
  fault_kind_ = db_ != nullptr ? sqlite3_extended_errcode(db_) : result;
  if (fault_kind_ == SQLITE_OK) fault_kind_ = result;
  fault_ = make_error(code_of(result),
                      fmt::format("{}: {}{}", path_, db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(result),
                                  (result & 0xFF) == SQLITE_IOERR ? fmt::format(" ({})", result) : ""));
}

void Sqlite::clear_fault() {
  fault_kind_ = 0;
  fault_ = {.id = {}, .code = 0, .detail = {}, .status = {}};
}

}  // namespace mg::documents
