// examples/game/players.h -- roles on disk: in a file of this process (flag db_file), or in MongoDB (flag mongo), which
// game nodes share.
//
//   Players players; players.add_flags(app.flags());
//   co_await players.open();                          // from a before_start hook
//   co_await players.add(role);                       // kExists: the name is taken
#pragma once

#include <cstdint>
#include <vector>

#include "examples/common/store.h"
#include "examples/game/world.h"
#include "mg/base/flags.h"
#include "mg/runtime/task.h"

namespace example {

// Threads: shared, from open() to close().
class Players {
 public:
  // With neither flag given nothing is kept.
  void add_flags(mg::Flags& flags) { store_.add_flags(flags); }
  // Errors: the store's, as that another process has the file
  mg::Task<mg::Result<void>> open();
  void close() { store_.close(); }
  bool kept() const { return store_.is_open(); }
  bool alone() const { return store_.alone(); }  // Nobody else writes what is kept.

  // Requires: kept().
  mg::Task<mg::Result<std::vector<Role>>> of(std::int64_t account);
  // Gives it a number, and keeps it. Errors: kExists  the name is taken · kTooMany  the account has kMaxRoles
  mg::Task<mg::Result<Role>> add(Role role);

 private:
  Store store_;
};

}  // namespace example
