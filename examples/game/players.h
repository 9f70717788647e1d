// examples/game/players.h -- roles on disk: in a file of this process (flag db_file), or in MongoDB (flag mongo), which
// game nodes share.
//
//   Players players; players.add_flags(app.flags());
//   co_await players.open();                          // from a before_start hook
//   co_await players.add(role);                       // kExists: the name is taken
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "examples/game/world.h"
#include "mg/base/deadline.h"
#include "mg/base/flags.h"
#include "mg/runtime/task.h"
#include "mg/store/documents/documents.h"
#include "mg/store/mongo/mongo.h"

namespace example {

// Threads: shared, from open() to close().
class Players {
 public:
  Players() = default;
  Players(const Players&) = delete;
  Players& operator=(const Players&) = delete;
  ~Players();

  // With neither flag given nothing is kept.
  void add_flags(mg::Flags& flags);
  // Errors: the store's, as that another process has the file
  mg::Task<mg::Result<void>> open();
  void close();
  bool kept() const { return store_ != nullptr; }
  bool alone() const { return mongo_.url.empty(); }  // Nobody else writes what is kept.

  // Requires: kept().
  mg::Task<mg::Result<std::vector<Role>>> of(std::int64_t account);
  // Gives it a number, and keeps it. Errors: kExists  the name is taken · kTooMany  the account has kMaxRoles
  mg::Task<mg::Result<Role>> add(Role role);

 private:
  std::string file_;
  mg::documents::MongoOptions mongo_{.database = "game"};
  std::unique_ptr<mg::documents::Documents> store_;
};

}  // namespace example
