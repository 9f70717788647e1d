#include "mg/store/documents/collection.h"

#include <algorithm>

#include "store/documents/apply.h"

namespace mg::documents::detail {

Task<Result<Value>> insert(Documents& in, Call call, Result<Document> document) {
  if (!document) co_return std::unexpected(std::move(document).error());
  Write write;
  write.document = with_id(*std::move(document));
  Value id = write.document.at("_id");
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  auto written = co_await in.write(std::move(call), std::move(writes), {});
  if (!written) co_return std::unexpected(std::move(written).error());
  if (!written->faults.empty()) co_return std::unexpected(std::move(written->faults[0].error));
  co_return id;
}

Task<Result<std::vector<Value>>> insert_many(Documents& in, Call call, Result<std::vector<Document>> documents) {
  if (!documents) co_return std::unexpected(std::move(documents).error());
  std::vector<Write> writes;
  std::vector<Value> ids;
  for (Document& each : *documents) {
    writes.emplace_back().document = with_id(std::move(each));
    ids.push_back(writes.back().document.at("_id"));
  }
  auto written = co_await in.write(std::move(call), std::move(writes), {});
  if (!written) co_return std::unexpected(std::move(written).error());
  if (!written->faults.empty()) {
    Error error = std::move(written->faults[0].error);
    error.detail +=
        fmt::format(" (document {} of {}; those before it are inserted)", written->faults[0].write + 1, ids.size());
    co_return std::unexpected(std::move(error));
  }
  co_return ids;
}

Task<Result<Document>> find_one(Documents& in, Call call, Filter filter, FindOptions options) {
  options.limit = 1;
  std::string name = call.collection;
  auto found = co_await in.find(std::move(call), std::move(filter), std::move(options));
  if (!found) co_return std::unexpected(std::move(found).error());
  if (found->empty()) co_return fail(code::kNotFound, "no document in {} that matches", name);
  co_return std::move(found->front());
}

Task<Result<Written>> write_one(Documents& in, Call call, Write write, std::optional<std::int64_t> guard) {
  Filter unguarded;
  if (guard) {
    if (write.many || write.kind == Write::Kind::kRemove) co_return fail(code::kInvalid, "a guard is for one document");
    unguarded = write.filter;
    const std::string field(kGuardField);
    // Not upserted: a document that has met a greater token would be made a second time.
    write.upsert = false;
    write.filter = std::move(write.filter) && (where(field).missing() || where(field).lte(*guard));
    if (write.kind == Write::Kind::kReplace) {
      write.document.set(field, *guard);
    } else {
      write.update.max(field, *guard);
    }
  }
  Call again = call;
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  auto written = co_await in.write(std::move(call), std::move(writes), {});
  if (!written) co_return std::unexpected(std::move(written).error());
  if (!written->faults.empty()) co_return std::unexpected(std::move(written->faults[0].error));
  if (guard && written->matched == 0) {
    const std::string name = again.collection;
    auto there = co_await in.count(std::move(again), std::move(unguarded));
    if (!there) co_return std::unexpected(std::move(there).error());
    if (*there > 0) {
      co_return fail(code::kForbidden, "{}: token {} is too old, the document has met a greater one", name, *guard);
    }
    co_return fail(code::kNotFound, "no document in {} that matches", name);
  }
  co_return written;
}

Task<Result<Page<Document>>> scan(Documents& in, Call call, Filter filter, std::int64_t page, std::int64_t size,
                                  FindOptions options) {
  Page<Document> out;
  out.size = size <= 0 ? 20 : size;
  auto count = co_await in.count(call, filter);
  if (!count) co_return std::unexpected(std::move(count).error());
  out.count = *count;
  const std::int64_t last = out.count / out.size + (out.count % out.size != 0 ? 1 : 0);
  out.page = std::min(std::max<std::int64_t>(page, 1), last);
  if (out.count == 0) co_return out;
  options.skip = (out.page - 1) * out.size;
  options.limit = out.size;
  auto found = co_await in.find(std::move(call), std::move(filter), std::move(options));
  if (!found) co_return std::unexpected(std::move(found).error());
  out.items = *std::move(found);
  co_return out;
}

}  // namespace mg::documents::detail
