#include "examples/common/store.h"

#include "mg/store/embedded/embedded.h"

namespace example {

void Store::add_flags(mg::Flags& flags) {
  flags.add("db_file", &file_, "File that keeps the data of this process; see also mongo");
  mongo_.add_to(flags);
}

mg::Task<mg::Result<void>> Store::open() {
  if (!mongo_.url.empty()) {
    auto connected = co_await mg::documents::Mongo::connect(mongo_);
    if (!connected) co_return std::unexpected(std::move(connected).error());
    documents_ = *std::move(connected);
  } else if (!file_.empty()) {
    auto opened = mg::documents::Embedded::open({.path = file_});
    if (!opened) co_return std::unexpected(std::move(opened).error());
    documents_ = *std::move(opened);
  }
  co_return mg::Result<void>();
}

void Store::close() {
  documents_.reset();
}

}  // namespace example
