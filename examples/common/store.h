// examples/common/store.h -- where an example keeps its documents: in MongoDB, which nodes share (flag mongo), or in a
// file of this process (flag db_file).
//
//   Store store; store.add_flags(app.flags());
//   co_await store.open();                            // from a before_start hook
//   mg::documents::Collection<Role> roles(*store, "role");
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "mg/base/flags.h"
#include "mg/runtime/task.h"
#include "mg/store/documents/documents.h"
#include "mg/store/mongo/mongo.h"

namespace example {

// Threads: shared, from open() to close().
class Store {
 public:
  // `file`: what db_file is when nobody sets it; empty: then there is no store.
  explicit Store(std::string file = {}) : file_(std::move(file)) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() { close(); }

  void add_flags(mg::Flags& flags);
  // Errors: the store's, as that another process has the file
  mg::Task<mg::Result<void>> open();
  void close();

  bool is_open() const { return documents_ != nullptr; }
  bool alone() const { return mongo_.url.empty(); }  // Nobody else writes there.
  // Requires: is_open()
  mg::documents::Documents& operator*() const { return *documents_; }

 private:
  std::string file_;
  mg::documents::MongoOptions mongo_{.database = "game"};
  std::unique_ptr<mg::documents::Documents> documents_;
};

}  // namespace example
