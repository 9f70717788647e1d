#include "mg/store/redis/meta_cache.h"

namespace mg::redis {
namespace {

Result<Meta> meta_of(const TextMap& hash) {
  std::vector<Meta::Entry> entries(hash.begin(), hash.end());
  return Meta(entries);
}

}  // namespace

Task<Result<void>> save_meta(Redis& redis, std::string_view key, const Meta& meta, Within within) {
  std::vector<Meta::Entry> entries;
  meta.for_each([&](std::string_view name, std::string_view value) { entries.emplace_back(name, value); });
  return redis.hmset(key, entries, within);
}

Task<Result<void>> save_metas(Redis& redis, std::vector<std::pair<std::string, Meta>> metas, Within within) {
  std::vector<Task<Result<void>>> calls;
  for (const auto& [key, meta] : metas) calls.push_back(save_meta(redis, key, meta, within));
  Result<void> out;
  for (auto& call : calls) {
    if (auto done = co_await std::move(call); !done && out) out = std::move(done);
  }
  co_return out;
}

Task<Result<Meta>> load_meta(Redis& redis, std::string_view key, Within within) {
  return mapped(redis.hgetall(key, within), [](Result<TextMap> got) -> Result<Meta> {
    if (!got) return std::unexpected(std::move(got).error());
    return meta_of(*got);
  });
}

Task<Result<std::vector<Meta>>> load_metas(Redis& redis, std::vector<std::string> keys, Within within) {
  std::vector<Task<Result<Meta>>> calls;
  for (const auto& key : keys) calls.push_back(load_meta(redis, key, within));
  std::vector<Meta> out;
  for (auto& call : calls) {
    auto got = co_await std::move(call);
    if (!got) co_return std::unexpected(std::move(got).error());
    out.push_back(*std::move(got));
  }
  co_return out;
}

Task<Result<void>> delete_metas(Redis& redis, const std::vector<std::string>& keys, Within within) {
  if (keys.empty()) return Result<void>();
  return mapped(redis.del(keys, within), [](Result<std::int64_t> got) -> Result<void> {
    if (!got) return std::unexpected(std::move(got).error());
    return {};
  });
}

}  // namespace mg::redis
